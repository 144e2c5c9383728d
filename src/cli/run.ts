/** `ringline run`: this machine is a phone. */
import { loadSettings } from '../runtime/config.js';
import type { Config, Settings } from '../runtime/config-settings.js';
import { createLogger } from '../runtime/logging.js';
import { describeProblem, Phone } from '../runtime/phone.js';
import type { PhoneStatus } from '../runtime/phone-status.js';
import type { Telephone } from '../runtime/telephone.js';
import { tellCalls } from './call-events.js';
import { EXIT } from './exit-codes.js';
import { tellMessages } from './message-events.js';
import type { Output } from './output.js';
import { aborted, stopSignal } from './stop-signal.js';

export async function run(
  flags: Config,
  configFile: string | undefined,
  output: Output,
): Promise<number> {
  return runPhone(await loadSettings(flags, configFile), output, () => undefined);
}

/** Runs a phone until it is told to stop. `prepare` is called before it takes its first call. */
export async function runPhone(
  settings: Settings,
  output: Output,
  prepare: (telephone: Telephone) => void,
): Promise<number> {
  const logger = await createLogger(settings.log);
  const phone = new Phone(settings, logger);
  const stop = stopSignal();
  phone.on('problem', error => logger.warn({}, describeProblem(error)));
  phone.on('named', name => {
    const renamed = `The name ${settings.name} is taken on this network; this phone is ${name}.`;
    output.event({ event: 'named', name }, name === settings.name ? undefined : renamed);
  });
  phone.telephone.accounts.on('status', ({ aor, phase, answer }) => {
    const text = phase === 'failed' ? `${aor} is not registered: ${answer}.` : undefined;
    output.event({ event: phase, aor, answer }, text);
  });
  tellCalls(phone.telephone.calls, output);
  tellMessages(phone.telephone.messages, output);
  prepare(phone.telephone);
  await phone.start(stop);
  tellReady(await phone.status(), output);
  await aborted(stop);
  await phone.stop();
  return EXIT.ok;
}

function tellReady(status: PhoneStatus, output: Output): void {
  const { name, listen, listening, reachableAt } = status;
  // What people can read out to each other; `ringline status` has all.
  const short = reachableAt.filter(at => !at.startsWith('['));
  const told = short.length > 0 ? short : reachableAt;
  const where = told.length > 0 ? told.join(', ') : `${listen}, with no network yet`;
  output.event(
    { event: 'ready', name, listen, listening, reachableAt },
    `${name} takes calls at ${where}. Echo test: *43@${name}, meeting room: room@${name}.`,
  );
}
