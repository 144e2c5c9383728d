/**
 * AES (FIPS 197) forwards, in counter mode, for 128 and 256-bit keys: a stream of packets costs no garbage,
 * which `node:crypto` cannot offer (each of its calls makes a Buffer).
 */

/** The S-box, FIPS 197 §5.1.1, and with it the columns that SubBytes, ShiftRows and MixColumns make of an octet. */
const SBOX = new Uint8Array(256);
const [T0, T1, T2, T3] = [0, 1, 2, 3].map(() => new Int32Array(256)) as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
fillTables();

export class AesCounter {
  readonly #keys: Int32Array;
  readonly #rounds: number;

  /** @param key 16 or 32 octets */
  constructor(key: Uint8Array) {
    this.#keys = expandKey(key);
    this.#rounds = this.#keys.length / 4 - 1;
  }

  /**
   * Adds (XOR) the key stream to `octets` octets of `data` from `from`. The first block of the stream is the
   * encrypted `counter`, of four big-endian words; the last word grows by one with each block.
   */
  apply(counter: Int32Array, data: Uint8Array, from: number, octets: number): void {
    const keys = this.#keys;
    const last = this.#rounds * 4;
    const end = from + octets;
    const c0 = counter[0]!;
    const c1 = counter[1]!;
    const c2 = counter[2]!;
    const c3 = counter[3]!;
    let block = 0;
    for (let at = from; at < end; at += 16, block++) {
      let a = c0 ^ keys[0]!;
      let b = c1 ^ keys[1]!;
      let c = c2 ^ keys[2]!;
      let d = ((c3 + block) | 0) ^ keys[3]!;
      for (let k = 4; k < last; k += 4) {
        const e =
          T0[a >>> 24]! ^ T1[(b >>> 16) & 255]! ^ T2[(c >>> 8) & 255]! ^ T3[d & 255]! ^ keys[k]!;
        const f =
          T0[b >>> 24]! ^
          T1[(c >>> 16) & 255]! ^
          T2[(d >>> 8) & 255]! ^
          T3[a & 255]! ^
          keys[k + 1]!;
        const g =
          T0[c >>> 24]! ^
          T1[(d >>> 16) & 255]! ^
          T2[(a >>> 8) & 255]! ^
          T3[b & 255]! ^
          keys[k + 2]!;
        d =
          T0[d >>> 24]! ^
          T1[(a >>> 16) & 255]! ^
          T2[(b >>> 8) & 255]! ^
          T3[c & 255]! ^
          keys[k + 3]!;
        a = e;
        b = f;
        c = g;
      }
      const w = finalColumn(a, b, c, d) ^ keys[last]!;
      const x = finalColumn(b, c, d, a) ^ keys[last + 1]!;
      const y = finalColumn(c, d, a, b) ^ keys[last + 2]!;
      const z = finalColumn(d, a, b, c) ^ keys[last + 3]!;
      const rest = end - at;
      if (rest >= 16) {
        xorWord(data, at, w);
        xorWord(data, at + 4, x);
        xorWord(data, at + 8, y);
        xorWord(data, at + 12, z);
      } else {
        for (let i = 0; i < rest; i++) {
          const word = i < 4 ? w : i < 8 ? x : i < 12 ? y : z;
          data[at + i] = data[at + i]! ^ (word >>> (24 - 8 * (i & 3)));
        }
      }
    }
  }
}

/** The last round has no MixColumns, FIPS 197 §5.1. */
function finalColumn(a: number, b: number, c: number, d: number): number {
  return (
    (SBOX[a >>> 24]! << 24) |
    (SBOX[(b >>> 16) & 255]! << 16) |
    (SBOX[(c >>> 8) & 255]! << 8) |
    SBOX[d & 255]!
  );
}

function xorWord(data: Uint8Array, at: number, word: number): void {
  data[at] = data[at]! ^ (word >>> 24);
  data[at + 1] = data[at + 1]! ^ (word >>> 16);
  data[at + 2] = data[at + 2]! ^ (word >>> 8);
  data[at + 3] = data[at + 3]! ^ word;
}

/** FIPS 197 §5.2. */
function expandKey(key: Uint8Array): Int32Array {
  const words = key.length / 4;
  const keys = new Int32Array(4 * (words + 7));
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  for (let i = 0; i < words; i++) keys[i] = view.getInt32(4 * i);
  let roundConstant = 1;
  for (let i = words; i < keys.length; i++) {
    let word = keys[i - 1]!;
    if (i % words === 0) {
      word = substitute((word << 8) | (word >>> 24)) ^ (roundConstant << 24);
      roundConstant = double(roundConstant);
    } else if (words > 6 && i % words === 4) {
      word = substitute(word);
    }
    keys[i] = keys[i - words]! ^ word;
  }
  return keys;
}

function substitute(word: number): number {
  return finalColumn(word, word, word, word);
}

/** Times x in the field of FIPS 197 §4.2. */
function double(octet: number): number {
  return ((octet << 1) ^ (octet & 0x80 ? 0x11b : 0)) & 255;
}

function fillTables(): void {
  // p runs through all powers of the generator x + 1, q through their inverses.
  let p = 1;
  let q = 1;
  do {
    p ^= double(p);
    q ^= q << 1;
    q ^= q << 2;
    q ^= q << 4;
    q = (q ^ (q & 0x80 ? 0x09 : 0)) & 255;
    const turned = q | (q << 8);
    SBOX[p] = q ^ (turned >> 7) ^ (turned >> 6) ^ (turned >> 5) ^ (turned >> 4) ^ 0x63;
  } while (p !== 1);
  SBOX[0] = 0x63;
  for (let octet = 0; octet < 256; octet++) {
    const s = SBOX[octet]!;
    const column = (double(s) << 24) | (s << 16) | (s << 8) | (double(s) ^ s);
    T0[octet] = column;
    T1[octet] = (column >>> 8) | (column << 24);
    T2[octet] = (column >>> 16) | (column << 16);
    T3[octet] = (column >>> 24) | (column << 8);
  }
}
