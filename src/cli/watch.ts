/** `ringline watch`: the lamps of other phones, as they change. */
import { CodedError } from '../core/errors.js';
import { afterSeconds, firstOf } from '../core/signals.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { askPhone, type ControlSession } from '../runtime/control-client.js';
import type { Telephone } from '../runtime/telephone.js';
import type { LampState } from '../sip/events/dialog-info.js';
import { EXIT, exitCodeOfError } from './exit-codes.js';
import type { Output } from './output.js';
import { withPassingPhone } from './passing-phone.js';
import { aborted, stopSignal } from './stop-signal.js';

export async function watch(
  names: readonly string[],
  flags: Config,
  configFile: string | undefined,
  seconds: number | undefined,
  output: Output,
): Promise<number> {
  const settings = await loadSettings(flags, configFile);
  const within = afterSeconds(seconds);
  const session = await askPhone(settings.data, { method: 'watch', names });
  if (session) return follow(session, firstOf(stopSignal(), within), output);
  return withPassingPhone(settings, flags, (telephone, stop) =>
    watchFrom(telephone, names, firstOf(stop, within), output),
  );
}

/** Shows what the phone that runs here is told. */
async function follow(session: ControlSession, stop: AbortSignal, output: Output): Promise<number> {
  stop.addEventListener('abort', () => session.close());
  let code: number = EXIT.ok;
  for await (const event of session.events) {
    if (event.event === 'error') throw new CodedError(event.code, event.message, event);
    if (event.event === 'lamp') tellLamp(event.name, event.state, output);
    if (event.event === 'unwatched') {
      code = tellEnd(event.name, new CodedError(event.code, event.message), output);
    }
  }
  return stop.aborted ? EXIT.ok : code;
}

async function watchFrom(
  { watching }: Telephone,
  names: readonly string[],
  stop: AbortSignal,
  output: Output,
): Promise<number> {
  const allEnded = new AbortController();
  let code: number = EXIT.ok;
  const lamps = names.map(name => watching.watch(name));
  let watched = lamps.length;
  for (const lamp of lamps) {
    lamp.on('lamp', state => tellLamp(lamp.target, state, output));
    lamp.once('ended', reason => {
      if (reason) code = tellEnd(lamp.target, reason, output);
      watched--;
      if (watched === 0) allEnded.abort();
    });
  }
  await aborted(firstOf(stop, allEnded.signal));
  return stop.aborted ? EXIT.ok : code;
}

function tellLamp(name: string, state: LampState, output: Output): void {
  output.event({ event: 'lamp', name, state }, `${name.padEnd(20)} ${state}`);
}

function tellEnd(name: string, reason: CodedError, output: Output): number {
  const { code, message } = reason;
  output.failure({ event: 'unwatched', name, code, message }, reason);
  return exitCodeOfError(reason);
}
