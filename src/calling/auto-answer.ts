/** Answers calls without a person: plays, records, echoes. */
import { parse } from 'node:path';
import { asError } from '../core/errors.js';
import type { MediaEngine } from '../media/engine.js';
import type { Call } from './call.js';
import { attachAudio, type CallAudio, type CallAudioOptions } from './call-audio.js';
import type { Answerer } from './person.js';

/** @param onProblem told why a call that was answered had to be hung up. */
export function autoAnswer(
  media: MediaEngine,
  options: CallAudioOptions,
  onProblem: (call: Call, error: Error) => void,
): Answerer {
  let answered = 0;
  return call => {
    answered++;
    const record = options.record && numbered(options.record, answered);
    let audio: Promise<CallAudio> | undefined;
    call.on('phase', phase => {
      if (phase !== 'connected') return;
      audio = attachAudio(media, call, { ...options, ...(record && { record }) });
      audio.catch(error => {
        onProblem(call, asError(error));
        call.hangUp();
      });
    });
    call.once('ended', () => {
      void audio?.then(({ close }) => close()).catch(error => onProblem(call, asError(error)));
    });
    call.answer();
  };
}

/** `heard.wav`, then `heard-2.wav`: no recording overwrites the one before it. */
export function numbered(file: string, count: number): string {
  if (count === 1) return file;
  const { dir, name, ext } = parse(file);
  return `${dir}${dir === '' ? '' : '/'}${name}-${count}${ext}`;
}
