/** `ringline messages`: what was written to the phone that runs on this machine. */
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { askPhone } from '../runtime/control-client.js';
import { EXIT } from './exit-codes.js';
import { tellMessage } from './message-events.js';
import type { Output } from './output.js';
import { stopSignal } from './stop-signal.js';

export interface MessagesOptions {
  /** Those seen before too. */
  readonly all: boolean;
  /** Go on until ^C, with what comes in. */
  readonly follow: boolean;
}

export async function messages(
  flags: Config,
  { all, follow }: MessagesOptions,
  output: Output,
): Promise<number> {
  const { data } = await loadSettings(flags);
  const session = await askPhone(data, { method: 'messages', all, follow });
  if (!session) {
    throw new CodedError('NOT_RUNNING', `no phone runs on this machine with its data in ${data}`, {
      remedy: 'Start one with `ringline run`, or give its directory with --data.',
    });
  }
  const stop = stopSignal();
  stop.addEventListener('abort', () => session.close());
  let count = 0;
  for await (const event of session.events) {
    if (event.event === 'error') throw new CodedError(event.code, event.message, event);
    if (event.event !== 'message') continue;
    tellMessage(event.message, output);
    count++;
  }
  if (count === 0 && !follow) output.event({ event: 'none' }, 'No new messages.');
  return EXIT.ok;
}
