/**
 * Deterministic CBOR (RFC 8949 §4.2.1), as much of it as records need: unsigned integers, octets, text, booleans,
 * null and arrays. There is one encoding of each value, and no other is read.
 */
import { decode, encode, type Token, Tokenizer, Type } from 'cborg';
import { asError } from '../core/errors.js';
import { accept, type Outcome, refuse } from './refusal.js';

export type CborValue = number | string | boolean | null | Uint8Array | readonly CborValue[];

export interface CborBounds {
  readonly octets: number;
  /** Arrays in arrays: 1 for an array of numbers. */
  readonly depth: number;
  /** Values in all, arrays counted. */
  readonly items: number;
}

const STRICT = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
} as const;

const ALLOWED = [Type.uint, Type.bytes, Type.string, Type.array, Type.true, Type.false, Type.null];

export function encodeCbor(value: CborValue): Uint8Array {
  return encode(value);
}

/** Refused with `TOO_LARGE` or `MALFORMED`. */
export function decodeCbor(octets: Uint8Array, bounds: CborBounds): Outcome<CborValue> {
  if (octets.length > bounds.octets) {
    return refuse('TOO_LARGE', `expected at most ${bounds.octets} octets, found ${octets.length}`);
  }
  try {
    return accept(decode(octets, { ...STRICT, tokenizer: new BoundedTokenizer(octets, bounds) }));
  } catch (error) {
    return refuse('MALFORMED', `expected deterministic CBOR: ${asError(error).message}`);
  }
}

/** Stops before the decoder, which calls itself for each array, goes too deep. */
class BoundedTokenizer extends Tokenizer {
  readonly #bounds: CborBounds;
  /** How many values are still to come in each array that is open. */
  readonly #open: number[] = [];
  #items = 0;

  constructor(octets: Uint8Array, bounds: CborBounds) {
    // A plain view: of a Buffer, slices would be views of the pool they lie in.
    super(new Uint8Array(octets), STRICT);
    this.#bounds = bounds;
  }

  override next(): Token {
    const start = this.pos();
    const token = super.next();
    const { type, value } = token;
    if (!ALLOWED.some(each => Type.equals(each, type))) throw new Error(`found a ${type.name}`);
    if (++this.#items > this.#bounds.items) throw new Error('found too many values');
    if (Type.equals(type, Type.string)) this.#checkText(String(value), start);
    while (this.#open.at(-1) === 0) this.#open.pop();
    const above = this.#open.length - 1;
    if (above >= 0) this.#open[above] = (this.#open[above] ?? 0) - 1;
    if (Type.equals(type, Type.array)) {
      this.#open.push(Number(value));
      if (this.#open.length > this.#bounds.depth) throw new Error('found arrays too deep');
    }
    return token;
  }

  /** The decoder reads what is no UTF-8 as U+FFFD: such a value would have several encodings. */
  #checkText(text: string, start: number): void {
    const octets = Buffer.from(text);
    if (Buffer.compare(octets, this.data.subarray(this.pos() - octets.length, this.pos())) === 0) {
      if (this.pos() - octets.length > start) return;
    }
    throw new Error('found text that is no UTF-8');
  }
}
