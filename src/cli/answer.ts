/** `ringline answer`: takes calls without a person. */
import { resolve } from 'node:path';
import { autoAnswer } from '../calling/auto-answer.js';
import type { CallAudioOptions } from '../calling/call-audio.js';
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { askPhone, type ControlSession } from '../runtime/control-client.js';
import { checkAudioFiles } from './audio-files.js';
import { diversionText, tellDigit } from './call-events.js';
import { EXIT } from './exit-codes.js';
import { tellMessage } from './message-events.js';
import type { Output } from './output.js';
import { runPhone } from './run.js';
import { stopSignal } from './stop-signal.js';
import { printable } from './text.js';

export async function answer(
  flags: Config,
  configFile: string | undefined,
  options: CallAudioOptions,
  output: Output,
): Promise<number> {
  await checkAudioFiles(options);
  const settings = await loadSettings(flags, configFile);
  const { echo, play, record, clean } = options;
  // The running phone may have another working directory.
  const audio: CallAudioOptions = {
    ...(echo && { echo }),
    ...(clean && { clean }),
    ...(play !== undefined && { play: resolve(play) }),
    ...(record !== undefined && { record: resolve(record) }),
  };
  const session = await askPhone(settings.data, { method: 'answer', audio });
  if (session) return follow(session, output);
  return runPhone(settings, output, telephone => {
    telephone.person.attend(
      autoAnswer(telephone.media, audio, (_call, error) => output.error(error)),
    );
  });
}

/** Shows what the running phone tells of the calls it answers for us. */
async function follow(session: ControlSession, output: Output): Promise<number> {
  const stop = stopSignal();
  stop.addEventListener('abort', () => session.close());
  for await (const event of session.events) {
    switch (event.event) {
      case 'ready':
        output.event({ ...event }, `The calls of ${event.name} are answered here, until ^C.`);
        break;
      case 'call':
        output.event(
          { ...event },
          event.phase === 'connected'
            ? `${printable(event.from)} is connected${diversionText(event.divertedBy)}.`
            : undefined,
        );
        break;
      case 'digit':
        tellDigit(event.from, event, output);
        break;
      case 'ended':
        output.event({ ...event }, `The call has ended: ${event.message}.`);
        break;
      case 'error':
        throw new CodedError(event.code, event.message, event);
      case 'message':
        tellMessage(event.message, output);
        break;
      case 'status':
      case 'lamp':
      case 'unwatched':
        break;
    }
  }
  if (stop.aborted) return EXIT.ok;
  throw new CodedError('PHONE_GONE', 'the phone whose calls were answered has stopped', {
    remedy: 'Start it again with `ringline run`.',
  });
}
