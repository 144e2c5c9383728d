/** Writes fields in network byte order. */
import { SlpError } from './errors.js';

const utf8 = new TextEncoder();

export class ByteWriter {
  #data = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  number(octets: 1 | 2 | 3 | 4, value: number, field: string): void {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** octets) {
      const message = `expected an unsigned number of ${octets} octets, found ${value}`;
      throw new SlpError('BAD_VALUE', field, this.#length, message);
    }
    const at = this.#grow(octets);
    for (let i = 0; i < octets; i++) this.#data[at + i] = (value / 256 ** (octets - 1 - i)) & 0xff;
  }

  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#data.set(value, at);
  }

  /** Two octets of length and the text in UTF-8. */
  text(value: string, field: string): void {
    const octets = utf8.encode(value);
    if (octets.length > 0xffff) {
      const message = `expected up to 65535 octets, found ${octets.length}`;
      throw new SlpError('TOO_LARGE', field, this.#length, message);
    }
    this.number(2, octets.length, field);
    this.bytes(octets);
  }

  /** Overwrites a number written before. */
  patch(octets: 1 | 2 | 3 | 4, value: number, at: number): void {
    for (let i = 0; i < octets; i++) this.#data[at + i] = (value / 256 ** (octets - 1 - i)) & 0xff;
  }

  done(): Uint8Array {
    return this.#data.slice(0, this.#length);
  }

  #grow(octets: number): number {
    const at = this.#length;
    this.#length = at + octets;
    if (this.#length > this.#data.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#data.length * 2));
      larger.set(this.#data);
      this.#data = larger;
    }
    return at;
  }
}
