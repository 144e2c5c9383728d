/**
 * Names of phones: what people dial, the user part of a SIP URI and a DNS-SD instance name at once.
 * So a name we announce has neither spaces nor anything that needs an escape in a SIP URI
 * (RFC 3261 §25.1, `user`), and is one DNS label (RFC 6763 §4.1.1).
 */
import { CodedError } from '../core/errors.js';

/** RFC 1035 §2.3.4, in octets of UTF-8. */
const MAX_LABEL_OCTETS = 63;

/** Letters and digits of any script, then also `-` and `_` between them. A dot would end the label in most resolvers. */
const PHONE_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}])?$/u;

/** Whether a phone may announce itself under `name`. */
export function isPhoneName(name: string): boolean {
  return Buffer.byteLength(name) <= MAX_LABEL_OCTETS && PHONE_NAME.test(name);
}

/** @throws {CodedError} `BAD_PHONE_NAME` */
export function checkPhoneName(name: string): string {
  if (isPhoneName(name)) return name;
  throw new CodedError('BAD_PHONE_NAME', `expected a name that can be dialled, found "${name}"`, {
    remedy:
      'Use letters and digits, with - or _ between them, at most 63 octets: kitchen, alice-2.',
  });
}

/** Two names are one phone if they differ in ASCII case only (RFC 6762 §16). */
export function foldName(name: string): string {
  return name.replace(/[A-Z]+/g, letters => letters.toLowerCase());
}

/** What a phone calls itself when `name` is taken: `alice`, `alice-2`, `alice-3`; with a `step` it skips some. */
export function nextName(name: string, step = 1): string {
  const numbered = /^(.+)-([1-9]\d{0,5})$/.exec(name);
  const base = numbered?.[1] ?? name;
  const suffix = `-${Number(numbered?.[2] ?? 1) + step}`;
  return shorten(base, MAX_LABEL_OCTETS - suffix.length) + suffix;
}

/** Cuts whole characters off the end until `octets` suffice. */
function shorten(text: string, octets: number): string {
  const characters = [...text];
  while (Buffer.byteLength(characters.join('')) > octets) characters.pop();
  return characters.join('');
}
