/** Reads fields in network byte order; every error names the field and where it begins. */
import { SlpError } from './errors.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ByteReader {
  offset: number;
  readonly #data: Uint8Array;
  readonly #end: number;

  constructor(data: Uint8Array, offset = 0, end = data.length) {
    this.#data = data;
    this.offset = offset;
    this.#end = end;
  }

  /** Octets that are left. */
  get left(): number {
    return this.#end - this.offset;
  }

  /** An unsigned number of `octets` octets. */
  number(octets: 1 | 2 | 3 | 4, field: string): number {
    let value = 0;
    for (const octet of this.bytes(octets, field)) value = value * 256 + octet;
    return value;
  }

  /** A view, not a copy. */
  bytes(octets: number, field: string): Uint8Array {
    const from = this.offset;
    if (octets > this.left) {
      const message = `expected ${octets} octets, found ${Math.max(0, this.left)}`;
      throw new SlpError('TRUNCATED', field, from, message);
    }
    this.offset = from + octets;
    return this.#data.subarray(from, this.offset);
  }

  /** As `bytes`, but the caller's own. (`slice` of a Buffer would be a view.) */
  copy(octets: number, field: string): Uint8Array {
    return new Uint8Array(this.bytes(octets, field));
  }

  /** Two octets of length and so many octets of UTF-8. */
  text(field: string): string {
    return this.textOf(this.number(2, `length of ${field}`), field);
  }

  textOf(octets: number, field: string): string {
    const from = this.offset;
    const bytes = this.bytes(octets, field);
    try {
      return utf8.decode(bytes);
    } catch {
      throw new SlpError('BAD_TEXT', field, from, 'expected UTF-8, found other octets');
    }
  }
}
