/**
 * HMAC (RFC 2104) with SHA-1 (FIPS 180-4), for one key: what the key alone decides is computed once, and a
 * packet costs no garbage.
 */

const BLOCK_OCTETS = 64;
/** FIPS 180-4 §5.3.1. */
const INITIAL = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);

export class HmacSha1 {
  /** Of the last message: five big-endian words. */
  readonly digest = new Int32Array(5);
  readonly #inner: Int32Array;
  readonly #outer: Int32Array;
  readonly #tail = new Uint8Array(2 * BLOCK_OCTETS);
  readonly #words = new Int32Array(80);

  /** @param key at most 64 octets */
  constructor(key: Uint8Array) {
    this.#inner = this.#keyed(key, 0x36);
    this.#outer = this.#keyed(key, 0x5c);
  }

  /** Of `octets` octets of `data` from 0 on, followed by the big-endian word `suffix` where there is one. */
  update(data: Uint8Array, octets: number, suffix?: number): void {
    const { digest } = this;
    const tail = this.#tail;
    digest.set(this.#inner);
    let at = 0;
    for (; at + BLOCK_OCTETS <= octets; at += BLOCK_OCTETS) this.#compress(digest, data, at);
    let length = octets - at;
    for (let i = 0; i < length; i++) tail[i] = data[at + i]!;
    let total = octets;
    if (suffix !== undefined) {
      writeWord(tail, length, suffix);
      length += 4;
      total += 4;
    }
    this.#finish(digest, length, total);

    for (let i = 0; i < 5; i++) writeWord(tail, 4 * i, digest[i]!);
    digest.set(this.#outer);
    this.#finish(digest, 20, 20);
  }

  /** The last blocks: what is left of the message, padding and length (FIPS 180-4 §5.1.1). */
  #finish(state: Int32Array, length: number, total: number): void {
    const tail = this.#tail;
    const end = length + 9 > BLOCK_OCTETS ? 2 * BLOCK_OCTETS : BLOCK_OCTETS;
    tail[length] = 0x80;
    tail.fill(0, length + 1, end);
    // One block went into the state beforehand.
    writeWord(tail, end - 4, (total + BLOCK_OCTETS) * 8);
    this.#compress(state, tail, 0);
    if (end > BLOCK_OCTETS) this.#compress(state, tail, BLOCK_OCTETS);
  }

  #keyed(key: Uint8Array, pad: number): Int32Array {
    const block = new Uint8Array(BLOCK_OCTETS).fill(pad);
    for (let i = 0; i < key.length; i++) block[i] = key[i]! ^ pad;
    const state = INITIAL.slice();
    this.#compress(state, block, 0);
    return state;
  }

  /** FIPS 180-4 §6.1.2. */
  #compress(state: Int32Array, data: Uint8Array, at: number): void {
    const w = this.#words;
    for (let i = 0, j = at; i < 16; i++, j += 4) {
      w[i] = (data[j]! << 24) | (data[j + 1]! << 16) | (data[j + 2]! << 8) | data[j + 3]!;
    }
    for (let i = 16; i < 80; i++) {
      const x = w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!;
      w[i] = (x << 1) | (x >>> 31);
    }
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    for (let i = 0; i < 20; i++) {
      const next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + w[i]! + 0x5a827999) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    for (let i = 20; i < 40; i++) {
      const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + w[i]! + 0x6ed9eba1) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    for (let i = 40; i < 60; i++) {
      const next =
        (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e + w[i]! - 0x70e44324) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    for (let i = 60; i < 80; i++) {
      const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + w[i]! - 0x359d3e2a) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    state[0] = (state[0]! + a) | 0;
    state[1] = (state[1]! + b) | 0;
    state[2] = (state[2]! + c) | 0;
    state[3] = (state[3]! + d) | 0;
    state[4] = (state[4]! + e) | 0;
  }
}

function writeWord(out: Uint8Array, at: number, word: number): void {
  out[at] = word >>> 24;
  out[at + 1] = word >>> 16;
  out[at + 2] = word >>> 8;
  out[at + 3] = word;
}
