/** The sixteen keys of DTMF: their event codes (RFC 4733 §3.2) and their tones (ITU-T Q.23). */
import { CodedError } from '../../core/errors.js';

/** By event code. */
export const DIGITS = '0123456789*#ABCD';

/** Hz: one of each group sounds at a time. */
export const LOW_GROUP: readonly number[] = [697, 770, 852, 941];
export const HIGH_GROUP: readonly number[] = [1209, 1336, 1477, 1633];
/** Rows by the low group, columns by the high. */
const KEYPAD = '123A456B789C*0#D';

/** A long PIN and a number together; more is a mistake. */
const MOST_DIGITS = 64;

export function digitOfTones(low: number, high: number): string {
  return KEYPAD[low * HIGH_GROUP.length + high]!;
}

/** In Hz. */
export function tonesOfDigit(digit: string): { readonly low: number; readonly high: number } {
  const key = KEYPAD.indexOf(digit);
  return {
    low: LOW_GROUP[Math.floor(key / HIGH_GROUP.length)]!,
    high: HIGH_GROUP[key % HIGH_GROUP.length]!,
  };
}

/**
 * Digits as typed, in capitals, without the spaces, dots, dashes and brackets that numbers are written with.
 *
 * @throws {CodedError} `BAD_DIGITS`
 */
export function parseDigits(text: string): string {
  const digits = text.replace(/[\s().-]/g, '').toUpperCase();
  const known = [...digits].every(digit => DIGITS.includes(digit));
  if (known && digits.length > 0 && digits.length <= MOST_DIGITS) return digits;
  throw new CodedError(
    'BAD_DIGITS',
    `expected 1 to ${MOST_DIGITS} of the keys 0 to 9, *, # and A to D, found "${text}"`,
    { remedy: 'In a shell, put * and # in quotes.' },
  );
}
