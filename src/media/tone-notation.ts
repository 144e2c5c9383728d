/**
 * Tones as text: `[!]f1[+f2+f3+f4]/ms,…` — frequencies in Hz that sound together, 0 for silence, and how long. What
 * has a `!` is played once, the rest again and again; an element without a length lasts, so nothing follows it.
 */
import { CodedError } from '../core/errors.js';
import type { ToneSpec } from './engine.js';

export const LOWEST_HZ = 200;
export const HIGHEST_HZ = 7000;
const MOST_ELEMENTS = 8;
const MOST_FREQUENCIES = 4;
const LONGEST_MS = 60_000;

/**
 * @param what the text is, for the error: `busy of uk`
 * @throws {CodedError} `BAD_TONE`
 */
export function parseTones(text: string, what = 'a tone'): ToneSpec {
  const elements = text.split(',').map(element => element.trim());
  if (text.trim() === '' || elements.length > MOST_ELEMENTS) {
    const found = text.trim() === '' ? 'none' : `${elements.length}`;
    throw badTone(what, `1 to ${MOST_ELEMENTS} elements`, found);
  }
  const tones = elements.map((element, i) => parseElement(element, `${what}, element ${i + 1}`));
  const endless = tones.findIndex(({ ms }) => ms === undefined);
  if (endless >= 0 && endless < tones.length - 1) {
    const found = `"${elements[endless]}"`;
    throw badTone(`${what}, element ${endless + 1}`, 'a length, since another follows', found);
  }
  return tones;
}

function parseElement(element: string, what: string): ToneSpec[number] {
  const parts = /^(!?)([0-9+]*)(?:\/([0-9]*))?$/.exec(element);
  if (!parts) throw badTone(what, 'frequencies and ms such as 440+480/2000', `"${element}"`);
  const [, mark, sounds = '', length] = parts;
  const frequencies = sounds === '0' ? [] : sounds.split('+').map(hz => frequency(hz, what));
  if (frequencies.length > MOST_FREQUENCIES) {
    throw badTone(what, `at most ${MOST_FREQUENCIES} frequencies`, `${frequencies.length}`);
  }
  const once = mark === '!' && { once: true };
  if (length === undefined) return { frequencies, ...once };
  const ms = Number(length);
  if (length === '' || ms < 1 || ms > LONGEST_MS) {
    throw badTone(what, `a length of 1 to ${LONGEST_MS} ms`, `"${length}"`);
  }
  return { frequencies, ms, ...once };
}

function frequency(text: string, what: string): number {
  const hz = Number(text);
  if (text !== '' && hz >= LOWEST_HZ && hz <= HIGHEST_HZ) return hz;
  throw badTone(what, `a frequency of ${LOWEST_HZ} to ${HIGHEST_HZ} Hz, or 0`, `"${text}"`);
}

function badTone(what: string, expected: string, found: string): CodedError {
  return new CodedError('BAD_TONE', `${what}: expected ${expected}, found ${found}`, {
    remedy: 'Write it like 440+480/2000,0/4000; a ! before an element plays it once.',
  });
}
