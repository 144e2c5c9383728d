/**
 * Places on the ring: 160-bit numbers modulo 2^160, written as 40 lower-case hexadecimal digits.
 *
 * Strings of one length compare as the numbers they spell, in some 20 ns; a bigint takes 60 and a
 * typed array 35 (Node 20), and strings are Map keys as they are. Distances are needed for choosing
 * pointers and estimating sizes only, and then the first 52 bits say enough.
 */
import { createHash } from 'node:crypto';

export type Id = string;

export const ID_DIGITS = 40;
/** Whose id is not known yet: somebody reached by address alone. */
export const UNKNOWN_ID: Id = '';

const HEAD_DIGITS = 13;
/** The ring, measured by the first 13 digits of ids: exact in a JavaScript number. */
export const RING_SIZE = 2 ** 52;

/** SHA-1 as everywhere in Chord (RFC 6940 §10.2): it spreads names, it does not protect them. */
export function idOf(name: string | Uint8Array): Id {
  return createHash('sha1').update(name).digest('hex');
}

export function isId(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** Whether `id` lies in (after, upTo]; the whole ring where both are the same. */
export function within(id: Id, after: Id, upTo: Id): boolean {
  return after < upTo ? after < id && id <= upTo : after < id || id <= upTo;
}

/** Whether `id` lies in (after, before); all but that place where both are the same. */
export function between(id: Id, after: Id, before: Id): boolean {
  return after < before ? after < id && id < before : after < id || id < before;
}

/** Where on a ring of `RING_SIZE` places. */
export function positionOf(id: Id): number {
  return Number.parseInt(id.slice(0, HEAD_DIGITS), 16);
}

/** From `from` clockwise to `to`, in places of `RING_SIZE`. */
export function distance(from: Id, to: Id): number {
  const ahead = positionOf(to) - positionOf(from);
  return ahead < 0 ? ahead + RING_SIZE : ahead;
}

/** The id so many places of `RING_SIZE` after `id`. */
export function idAfter(id: Id, places: number): Id {
  const position = (positionOf(id) + places) % RING_SIZE;
  return position.toString(16).padStart(HEAD_DIGITS, '0') + id.slice(HEAD_DIGITS);
}

/** The index of the first of `sorted` at or after `id`, or its length. */
export function indexAtOrAfter(sorted: readonly { readonly id: Id }[], id: Id): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]!.id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first at or after `id`, round the end: the owner of a key among all members. */
export function ownerAmong<T extends { readonly id: Id }>(
  sorted: readonly T[],
  id: Id,
): T | undefined {
  return sorted[indexAtOrAfter(sorted, id)] ?? sorted[0];
}
