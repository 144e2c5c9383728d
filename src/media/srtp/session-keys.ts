/** Session keys from a master key, RFC 3711 §4.3 with a key derivation rate of 0: once for the whole session. */
import { AesCounter } from './aes.js';
import type { SrtpSuite } from './suites.js';

/** RFC 3711 §4.3.1, §4.3.2. */
const LABEL = { rtp: 0, rtcp: 3 } as const;
const AUTHENTICATION_KEY_OCTETS = 20;

export interface SessionKeys {
  readonly encryption: Uint8Array;
  /** Empty with authenticated encryption, which needs none. */
  readonly authentication: Uint8Array;
  readonly salt: Uint8Array;
}

/** @param master key and salt in one, as SDES has them (RFC 4568 §6.1) */
export function deriveSessionKeys(
  suite: SrtpSuite,
  master: Uint8Array,
  packets: 'rtp' | 'rtcp',
): SessionKeys {
  const prf = new AesCounter(master.subarray(0, suite.keyOctets));
  // RFC 7714 §11: a salt of 12 octets is filled up with zeros at its end.
  const salt = new Uint8Array(16);
  salt.set(master.subarray(suite.keyOctets, suite.keyOctets + suite.saltOctets));
  const derive = (label: number, octets: number) => {
    const x = salt.slice();
    x[7] = x[7]! ^ label;
    const out = new Uint8Array(octets);
    prf.apply(wordsOf(x), out, 0, octets);
    return out;
  };
  const first = LABEL[packets];
  return {
    encryption: derive(first, suite.keyOctets),
    authentication: derive(first + 1, suite.aead ? 0 : AUTHENTICATION_KEY_OCTETS),
    salt: derive(first + 2, suite.saltOctets),
  };
}

/** Four big-endian words; what is missing at the end is zero. */
export function wordsOf(octets: Uint8Array): Int32Array {
  const whole = new Uint8Array(16);
  whole.set(octets);
  const view = new DataView(whole.buffer);
  return Int32Array.of(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12));
}
