/** Randomness that repeats: the same seed, the same run. Never for keys. */
import type { Random } from '../core/random.js';

/** The small fast counter generator sfc32: 128 bits of state, passes PractRand. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param stream of one seed there are 2^32, each as if of a seed of its own */
  constructor(seed: number, stream = 0) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = stream >>> 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.uint32() / 2 ** 32;
  }

  bytes(size: number): Uint8Array {
    const octets = new Uint8Array(size);
    for (let i = 0; i < size; i++) octets[i] = this.uint32() >>> 24;
    return octets;
  }
}
