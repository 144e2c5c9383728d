/** Whether what was decoded is what a record should hold there. */
import type { CborValue } from './cbor.js';

export function itemsOf(value: CborValue | undefined): readonly CborValue[] {
  return Array.isArray(value) ? value : [];
}

export function isOctets(value: CborValue | undefined, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

export function isCount(value: CborValue | undefined, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

/** Half of a character: UTF-8 has no octets for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export function isText(value: CborValue | undefined, octets: number): value is string {
  return (
    typeof value === 'string' && !LONE_SURROGATE.test(value) && Buffer.byteLength(value) <= octets
  );
}

export function sameOctets(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
