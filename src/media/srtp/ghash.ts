/** GHASH of NIST SP 800-38D §6.4, for one key: by tables of 4 KiB, an octet at a time. */

/** What the octet that falls out at the low end of a shift by eight adds at the high end, in 16 bits. */
const REDUCTION = new Int32Array(256);
for (let octet = 0; octet < 256; octet++) {
  let value = octet;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ (0xe1 << 8) : value >>> 1;
  REDUCTION[octet] = value << 16;
}

export class Ghash {
  /** The four big-endian words so far. */
  readonly state = new Int32Array(4);
  /** The products of the hash key and each octet. */
  readonly #products = new Int32Array(256 * 4);

  /** @param key 16 octets: an encrypted block of zeros */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    let [a, b, c, d] = [0, 4, 8, 12].map(at => view.getInt32(at)) as [
      number,
      number,
      number,
      number,
    ];
    const products = this.#products;
    for (let octet = 0x80; octet > 0; octet >>= 1) {
      products.set([a, b, c, d], 4 * octet);
      const out = d & 1;
      d = (d >>> 1) | (c << 31);
      c = (c >>> 1) | (b << 31);
      b = (b >>> 1) | (a << 31);
      a = (a >>> 1) ^ (out ? 0xe1 << 24 : 0);
    }
    for (let high = 2; high < 256; high <<= 1) {
      for (let low = 1; low < high; low++) {
        for (let i = 0; i < 4; i++) {
          products[4 * (high + low) + i] = products[4 * high + i]! ^ products[4 * low + i]!;
        }
      }
    }
  }

  reset(): void {
    this.state.fill(0);
  }

  /** Takes in `octets` octets of `data` from `from`, filled up with zeros to whole blocks. */
  update(data: Uint8Array, from: number, octets: number): void {
    const { state } = this;
    const end = from + octets;
    for (let at = from; at < end; at += 16) {
      if (at + 16 <= end) {
        state[0] = state[0]! ^ wordAt(data, at);
        state[1] = state[1]! ^ wordAt(data, at + 4);
        state[2] = state[2]! ^ wordAt(data, at + 8);
        state[3] = state[3]! ^ wordAt(data, at + 12);
      } else {
        for (let i = 0; at + i < end; i++) {
          state[i >> 2] = state[i >> 2]! ^ (data[at + i]! << (24 - 8 * (i & 3)));
        }
      }
      this.#multiply();
    }
  }

  /** Takes in one block of four words. */
  updateWords(a: number, b: number, c: number, d: number): void {
    const { state } = this;
    state[0] = state[0]! ^ a;
    state[1] = state[1]! ^ b;
    state[2] = state[2]! ^ c;
    state[3] = state[3]! ^ d;
    this.#multiply();
  }

  /** The state times the key, from the last octet to the first. */
  #multiply(): void {
    const { state } = this;
    const products = this.#products;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let word = 3; word >= 0; word--) {
      const x = state[word]!;
      for (let shift = 0; shift < 32; shift += 8) {
        const reduction = REDUCTION[d & 255]!;
        const at = ((x >>> shift) & 255) << 2;
        d = ((d >>> 8) | (c << 24)) ^ products[at + 3]!;
        c = ((c >>> 8) | (b << 24)) ^ products[at + 2]!;
        b = ((b >>> 8) | (a << 24)) ^ products[at + 1]!;
        a = (a >>> 8) ^ reduction ^ products[at]!;
      }
    }
    state[0] = a;
    state[1] = b;
    state[2] = c;
    state[3] = d;
  }
}

function wordAt(data: Uint8Array, at: number): number {
  return (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
}
