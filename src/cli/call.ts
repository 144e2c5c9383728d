/** `ringline call`: calls somebody, plays and records files. */

import { numbered } from '../calling/auto-answer.js';
import type { Call } from '../calling/call.js';
import { attachAudio, type CallAudio, type CallAudioOptions } from '../calling/call-audio.js';
import { type CallEnd, isOrdinaryEnd } from '../calling/call-end.js';
import { CallTones } from '../calling/call-tones.js';
import { type Country, tonesOf } from '../calling/country-tones.js';
import { SystemClock, sleep } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import type { Telephone } from '../runtime/telephone.js';
import { writeText } from '../services/messages/text-body.js';
import { checkAudioFiles } from './audio-files.js';
import { tellCalls, tellPhases } from './call-events.js';
import { exitCodeOfEnd, exitCodeOfError } from './exit-codes.js';
import { pressLines } from './handset.js';
import type { Output } from './output.js';
import { ownPhoneTarget } from './own-phone.js';
import { withPassingPhone } from './passing-phone.js';

/** After the last sample played, the network and the other side's echo still have something to say. */
const TAIL_MS = 1000;

export interface CallOptions extends CallAudioOptions {
  /** Of talk, before hanging up. */
  readonly seconds?: number;
  /** Keys of the handset come in by standard input. */
  readonly keys?: boolean;
  /** Sent to them as text, once they have answered. */
  readonly message?: string;
  /** The recording begins with the call, and has the tones of the line. */
  readonly tones?: boolean;
  /** Keys pressed for them, once they have answered. */
  readonly digits?: string;
}

export async function call(
  who: string,
  flags: Config,
  configFile: string | undefined,
  options: CallOptions,
  output: Output,
): Promise<number> {
  const settings = await loadSettings(flags, configFile);
  await checkAudioFiles(options);
  if (options.tones && options.record === undefined) {
    throw new CodedError('BAD_USAGE', 'expected --record FILE beside --tones, found none', {
      remedy: 'Tones are heard in the recording.',
    });
  }
  const target = await ownPhoneTarget(who, settings.data);
  return withPassingPhone(settings, flags, (telephone, stop) =>
    talk(telephone, target, { ...options, country: settings.country }, stop, output),
  );
}

async function talk(
  telephone: Telephone,
  who: string,
  options: CallOptions & { readonly country: Country },
  stop: AbortSignal,
  output: Output,
): Promise<number> {
  const clock = new SystemClock();
  const { media, calls } = telephone;
  const { record } = options;
  const ear =
    options.tones && record !== undefined ? await media.openRecorder({ file: record }) : undefined;
  const call = calls.dial(who);
  const onError = (error: Error) => output.error(error);
  const tones =
    ear &&
    new CallTones({ media, clock, calls, call, ear, onError, tones: tonesOf(options.country) });
  let audio: CallAudio | undefined;
  let failure: unknown;
  tellPhases(call, output);
  stop.addEventListener('abort', () => {
    calls.hangUpAll();
    tones?.hush();
  });
  const letGo = options.keys ? takeKeys(telephone, options, output) : () => undefined;
  const join = async () => {
    if (options.message !== undefined) tellText(call, options.message, output);
    const { seconds, play, digits } = options;
    // First: who asks for a number hears nothing else before it, and digits take the place of the voice.
    if (digits !== undefined) await call.sendDigits(digits);
    audio = await attachAudio(media, call, options, ear);
    if (seconds !== undefined) await sleep(clock, seconds * 1000);
    else if (play !== undefined) await audio.played.then(() => sleep(clock, TAIL_MS));
    else return;
    call.hangUp();
  };
  call.on('phase', phase => {
    if (phase !== 'connected') return;
    join().catch(error => {
      failure = error;
      call.hangUp();
    });
  });
  const [end, statistics] = await new Promise<[CallEnd, unknown]>(resolve => {
    call.once('ended', (...ended) => resolve(ended));
  });
  await audio?.close();
  await tones?.over;
  await ear?.close();
  letGo();
  await othersEnded(telephone);
  if (failure) {
    output.error(failure);
    return exitCodeOfError(failure);
  }
  const talked = call.connectedAt === undefined ? undefined : clock.now() - call.connectedAt;
  const seconds = talked === undefined ? undefined : Math.round(talked / 100) / 10;
  const fields = {
    event: 'ended',
    with: call.target,
    id: call.callId,
    ...end,
    seconds,
    statistics,
  };
  if (isOrdinaryEnd(end)) {
    const lasted = seconds === undefined ? '' : ` after ${seconds} s`;
    output.event(fields, `Ended${lasted}: ${end.message}.`);
  } else {
    output.failure(fields, new CodedError(end.code, end.message, end));
  }
  return exitCodeOfEnd(end.code);
}

/** Keys pressed from now on, and whom they call: played to and recorded like the first. */
function takeKeys(telephone: Telephone, options: CallOptions, output: Output): () => void {
  const { media, calls, handset, person } = telephone;
  let count = 1;
  tellCalls(calls, output);
  person.attend(call => {
    // Who calls a phone that is there for one call finds it ringing.
    if (call.direction === 'incoming') return;
    const record = options.record && numbered(options.record, ++count);
    const audio = new Promise<CallAudio>((resolve, reject) => {
      call.on('phase', phase => {
        if (phase !== 'connected') return;
        attachAudio(media, call, { ...options, ...(record && { record }) }).then(resolve, reject);
      });
    });
    audio.catch(error => {
      output.error(error);
      call.hangUp();
    });
    call.once('ended', () => void audio.then(({ close }) => close()).catch(() => undefined));
  });
  return pressLines(handset, output);
}

/** Somebody consulted may be left when the first call is over. */
async function othersEnded({ calls }: Telephone): Promise<void> {
  for (const call of calls.current) {
    await new Promise<void>(resolve => {
      call.once('ended', () => resolve());
    });
  }
}

/** Sends text within the call, and prints whether it was taken. */
function tellText(call: Call, text: string, output: Output): void {
  call.on('answeredRequest', (method, status) => {
    if (method !== 'MESSAGE') return;
    const taken = status < 300 ? 'has the message' : `did not take the message (${status})`;
    output.event({ event: 'text', with: call.target, status }, `${call.target} ${taken}.`);
  });
  call.send({ method: 'MESSAGE', ...writeText(text) });
}
