/**
 * What a suite does to one packet, in place: encrypts a part of it, authenticates all of it. Nothing is
 * allocated; the tag is compared in constant time.
 */
import { AesCounter } from './aes.js';
import { Ghash } from './ghash.js';
import { HmacSha1 } from './hmac-sha1.js';
import { MAX_SRTCP_OCTETS } from './packet-layout.js';
import { type SessionKeys, wordsOf } from './session-keys.js';
import type { SrtpSuite } from './suites.js';

/**
 * A packet is `octets` octets of `data`, of which those before `clear` stay readable. `high` and `low` are its
 * index: the upper 32 and lower 16 bits for RTP, 0 and the 31 bits for RTCP.
 */
export interface Transform {
  readonly tagOctets: number;
  /**
   * Encrypts and appends what proves the packet.
   *
   * @param trailer the word that follows an RTCP packet (flag and index); for RTP undefined
   */
  seal(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): number;
  /** Whether tag (and trailer, where there is one) prove the packet of `octets` octets before them. Changes nothing. */
  verify(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): boolean;
  /** Encrypts what is plain, and makes plain what is encrypted. */
  crypt(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
  ): void;
}

export function newTransform(suite: SrtpSuite, keys: SessionKeys, tagOctets: number): Transform {
  return suite.aead ? new Galois(keys) : new CounterHmac(keys, tagOctets);
}

/** AES in counter mode with HMAC-SHA1, RFC 3711 §4.1.1, §4.2.1. RTCP: text, trailer, tag. */
class CounterHmac implements Transform {
  readonly tagOctets: number;
  readonly #aes: AesCounter;
  readonly #hmac: HmacSha1;
  readonly #salt: Int32Array;
  readonly #counter = new Int32Array(4);

  constructor(keys: SessionKeys, tagOctets: number) {
    this.tagOctets = tagOctets;
    this.#aes = new AesCounter(keys.encryption);
    this.#hmac = new HmacSha1(keys.authentication);
    this.#salt = wordsOf(keys.salt);
  }

  seal(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): number {
    if (clear < octets) this.crypt(data, clear, octets, ssrc, high, low);
    let at = octets;
    if (trailer !== undefined) {
      writeWord(data, at, trailer);
      at += 4;
    }
    this.#authenticate(data, at, high, trailer);
    const { digest } = this.#hmac;
    for (let i = 0; i < this.tagOctets; i++) data[at + i] = octetOf(digest, i);
    return at + this.tagOctets;
  }

  verify(
    data: Uint8Array,
    _clear: number,
    octets: number,
    _ssrc: number,
    high: number,
    _low: number,
    trailer: number | undefined,
  ): boolean {
    const at = trailer === undefined ? octets : octets + 4;
    this.#authenticate(data, at, high, trailer);
    return tagMatches(this.#hmac.digest, this.tagOctets, data, at);
  }

  /** RFC 3711 §4.1.1: the index stands above 16 bits of block counter. */
  crypt(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
  ): void {
    const counter = this.#counter;
    const salt = this.#salt;
    counter[0] = salt[0]!;
    counter[1] = salt[1]! ^ ssrc;
    counter[2] = salt[2]! ^ upperWord(high, low);
    counter[3] = salt[3]! ^ (low << 16);
    this.#aes.apply(counter, data, clear, octets - clear);
  }

  /** RFC 3711 §4.2: RTP is authenticated with its roll-over counter, RTCP with its trailer. */
  #authenticate(data: Uint8Array, octets: number, high: number, trailer: number | undefined) {
    this.#hmac.update(data, octets, trailer === undefined ? high : undefined);
  }
}

/** AES-GCM, RFC 7714 §8, §9. RTCP: text, tag, trailer. */
class Galois implements Transform {
  readonly tagOctets = 16;
  readonly #aes: AesCounter;
  readonly #ghash: Ghash;
  readonly #salt: Int32Array;
  readonly #counter = new Int32Array(4);
  readonly #tag = new Int32Array(4);
  readonly #mask = new Uint8Array(16);
  /** Clear part and trailer, which are authenticated as one. */
  readonly #associated = new Uint8Array(MAX_SRTCP_OCTETS);

  constructor(keys: SessionKeys) {
    this.#aes = new AesCounter(keys.encryption);
    const hashKey = new Uint8Array(16);
    this.#aes.apply(this.#counter, hashKey, 0, 16);
    this.#ghash = new Ghash(hashKey);
    this.#salt = wordsOf(keys.salt);
  }

  seal(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): number {
    if (clear < octets) this.crypt(data, clear, octets, ssrc, high, low);
    this.#authenticate(data, clear, octets, ssrc, high, low, trailer);
    for (let i = 0; i < 16; i++) data[octets + i] = octetOf(this.#tag, i);
    if (trailer === undefined) return octets + 16;
    writeWord(data, octets + 16, trailer);
    return octets + 20;
  }

  verify(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): boolean {
    this.#authenticate(data, clear, octets, ssrc, high, low, trailer);
    return tagMatches(this.#tag, 16, data, octets);
  }

  crypt(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
  ): void {
    // Block 1 of the stream is the tag's, NIST SP 800-38D §7.1.
    this.#setCounter(ssrc, high, low, 2);
    this.#aes.apply(this.#counter, data, clear, octets - clear);
  }

  #authenticate(
    data: Uint8Array,
    clear: number,
    octets: number,
    ssrc: number,
    high: number,
    low: number,
    trailer: number | undefined,
  ): void {
    const ghash = this.#ghash;
    ghash.reset();
    let associated = clear;
    if (trailer === undefined) {
      ghash.update(data, 0, clear);
    } else {
      for (let i = 0; i < clear; i++) this.#associated[i] = data[i]!;
      writeWord(this.#associated, clear, trailer);
      associated += 4;
      ghash.update(this.#associated, 0, associated);
    }
    ghash.update(data, clear, octets - clear);
    ghash.updateWords(0, associated * 8, 0, (octets - clear) * 8);

    this.#setCounter(ssrc, high, low, 1);
    const mask = this.#mask;
    mask.fill(0);
    this.#aes.apply(this.#counter, mask, 0, 16);
    for (let i = 0; i < 4; i++) {
      const at = 4 * i;
      const word = (mask[at]! << 24) | (mask[at + 1]! << 16) | (mask[at + 2]! << 8) | mask[at + 3]!;
      this.#tag[i] = ghash.state[i]! ^ word;
    }
  }

  /** RFC 7714 §8.1, §9.1: two octets of zero, SSRC and six of index, XOR the salt. */
  #setCounter(ssrc: number, high: number, low: number, block: number): void {
    const counter = this.#counter;
    const salt = this.#salt;
    const upper = upperWord(high, low);
    counter[0] = salt[0]! ^ (ssrc >>> 16);
    counter[1] = salt[1]! ^ ((ssrc << 16) | (upper >>> 16));
    counter[2] = salt[2]! ^ ((upper << 16) | (low & 0xffff));
    counter[3] = block;
  }
}

/** The upper 32 of the 48 bits of an index. */
function upperWord(high: number, low: number): number {
  return high | (low >>> 16);
}

function octetOf(words: Int32Array, index: number): number {
  return (words[index >> 2]! >>> (24 - 8 * (index & 3))) & 255;
}

function tagMatches(tag: Int32Array, octets: number, data: Uint8Array, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < octets; i++) difference |= octetOf(tag, i) ^ data[at + i]!;
  return difference === 0;
}

function writeWord(out: Uint8Array, at: number, word: number): void {
  out[at] = word >>> 24;
  out[at + 1] = word >>> 16;
  out[at + 2] = word >>> 8;
  out[at + 3] = word;
}
