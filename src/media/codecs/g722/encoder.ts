/** ITU-T G.722 encoder, 64 kbit/s: two samples at 16 kHz give an octet. */
import type { Encoder } from '../codec.js';
import { adapt, newBand, SCALE, SIGNAL } from './band.js';
import { HISTORY, splitBands } from './filters.js';
import {
  HIGH_DECISION,
  HIGH_STEPS,
  HIGH_VALUES,
  LOW_CODES,
  LOW_DECISIONS,
  LOW_STEPS,
  LOW_VALUES_4_BITS,
} from './tables.js';

export class G722Encoder implements Encoder {
  readonly #low = newBand(32);
  readonly #high = newBand(8);
  /** The samples before this frame, then the frame. */
  #samples = new Int32Array(HISTORY);
  /** Low and high in turn. */
  #bands = new Int32Array(0);

  encode(frame: Int16Array, out: Uint8Array, at: number): number {
    const octets = frame.length >> 1;
    if (this.#bands.length < octets * 2) this.#grow(octets * 2);
    const samples = this.#samples;
    for (let i = 0; i < frame.length; i++) samples[HISTORY + i] = frame[i]!;
    splitBands(samples, octets * 2, this.#bands);
    encodeLow(this.#low, this.#bands, out, at, octets);
    encodeHigh(this.#high, this.#bands, out, at, octets);
    return octets;
  }

  /**
   * Codes `count` samples from `at` on as an encoder in the state of these bands would, to `out`; the bands stay as
   * they are, and what this encoder coded before is forgotten.
   *
   * @param samples `HISTORY` of them have to lie before `at`
   */
  encodeFor(
    low: Int32Array,
    high: Int32Array,
    samples: Int16Array,
    at: number,
    count: number,
    out: Uint8Array,
  ): void {
    if (this.#bands.length < count) this.#grow(count);
    for (let i = 0; i < HISTORY + count; i++) this.#samples[i] = samples[at - HISTORY + i]!;
    this.#low.set(low);
    this.#high.set(high);
    splitBands(this.#samples, count, this.#bands);
    encodeLow(this.#low, this.#bands, out, 0, count >> 1);
    encodeHigh(this.#high, this.#bands, out, 0, count >> 1);
  }

  follow(other: Encoder): void {
    if (!(other instanceof G722Encoder)) return;
    this.#low.set(other.#low);
    this.#high.set(other.#high);
    for (let i = 0; i < HISTORY; i++) this.#samples[i] = other.#samples[i]!;
  }

  /** A longer frame than any before. */
  #grow(count: number): void {
    const samples = new Int32Array(HISTORY + count);
    samples.set(this.#samples.subarray(0, HISTORY));
    this.#samples = samples;
    this.#bands = new Int32Array(count);
  }
}

function encodeLow(
  state: Int32Array,
  bands: Int32Array,
  out: Uint8Array,
  at: number,
  octets: number,
): void {
  for (let i = 0; i < octets; i++) {
    const difference = saturate((bands[i * 2]! - state[SIGNAL]!) | 0);
    const scale = state[SCALE]!;
    const magnitude = difference < 0 ? ~difference : difference;
    // QUANTL: the last decision level that is not above the magnitude. Without branches, which
    // noise would mislead.
    let level = 16 & notAbove(LOW_DECISIONS[16]!, scale, magnitude);
    level |= 8 & notAbove(LOW_DECISIONS[level | 8]!, scale, magnitude);
    level |= 4 & notAbove(LOW_DECISIONS[level | 4]!, scale, magnitude);
    level |= 2 & notAbove(LOW_DECISIONS[level | 2]!, scale, magnitude);
    level |= 1 & notAbove(LOW_DECISIONS[level | 1]!, scale, magnitude);
    const code = LOW_CODES[((difference >> 31) & 32) | level]!;
    const upper = code >> 2;
    out[at + i] = code;
    const quantised = Math.imul(scale, LOW_VALUES_4_BITS[upper]!) >> 15;
    adapt(state, quantised, LOW_STEPS[upper]!, 18432, 8);
  }
}

function encodeHigh(
  state: Int32Array,
  bands: Int32Array,
  out: Uint8Array,
  at: number,
  octets: number,
): void {
  for (let i = 0; i < octets; i++) {
    const difference = saturate((bands[i * 2 + 1]! - state[SIGNAL]!) | 0);
    const scale = state[SCALE]!;
    const magnitude = difference < 0 ? ~difference : difference;
    // QUANTH
    const outer = magnitude >= Math.imul(HIGH_DECISION, scale) >> 12;
    const code = difference < 0 ? (outer ? 0 : 1) : outer ? 2 : 3;
    out[at + i] = out[at + i]! | (code << 6);
    const quantised = Math.imul(scale, HIGH_VALUES[code]!) >> 15;
    adapt(state, quantised, HIGH_STEPS[code]!, 22528, 10);
  }
}

/** -1 (all bits) where the decision level is at most the magnitude, else 0. */
function notAbove(level: number, scale: number, magnitude: number): number {
  return ((Math.imul(level, scale) >> 12) - 1 - magnitude) >> 31;
}

function saturate(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
