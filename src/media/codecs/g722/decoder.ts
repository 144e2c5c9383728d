/** ITU-T G.722 decoder, 64 kbit/s (mode 1): an octet gives two samples at 16 kHz. */
import { type Decoder, FOLLOW_SAMPLES } from '../codec.js';
import { adapt, LOG_SCALE, newBand, SCALE, SIGNAL } from './band.js';
import { G722Encoder } from './encoder.js';
import { HISTORY, joinBands } from './filters.js';
import {
  HIGH_STEPS,
  HIGH_VALUES,
  LOW_STEPS,
  LOW_VALUES_4_BITS,
  LOW_VALUES_6_BITS,
} from './tables.js';

/** Samples followed at a time. */
const MAX_FOLLOWED = 320;

class Follower {
  readonly encoder = new G722Encoder();
  readonly payload = new Uint8Array(MAX_FOLLOWED / 2);
  readonly decoded = new Int16Array(MAX_FOLLOWED);
  readonly high = newBand(8);
}

export class G722Decoder implements Decoder {
  readonly #low = newBand(32);
  readonly #high = newBand(8);
  /** The bands' sums and differences before this payload, then its own. */
  #bands = new Int32Array(HISTORY);
  /** Made when something is lost for the first time. */
  #follower: Follower | undefined;

  samplesIn(_data: Uint8Array, _from: number, octets: number): number {
    return octets * 2;
  }

  decode(data: Uint8Array, from: number, octets: number, out: Int16Array, at: number): number {
    if (this.#bands.length < HISTORY + octets * 2) this.#grow(octets);
    decodeLow(this.#low, data, from, octets, this.#bands);
    decodeHigh(this.#high, data, from, octets, this.#bands);
    joinBands(this.#bands, octets * 2, out, at);
    return octets * 2;
  }

  /**
   * Codes what was made up and decodes it, so that the lower band's predictor and the filters are about where the
   * sender's are. What was made up says too little of the higher band and of loudness: these stay as they were
   * (measured: 0.2 dB of log-spectral distance each).
   */
  follow(samples: Int16Array, at: number, count: number): void {
    this.#follower ??= new Follower();
    const { encoder, payload, decoded, high } = this.#follower;
    high.set(this.#high);
    const scale = this.#low[SCALE]!;
    const logScale = this.#low[LOG_SCALE]!;
    // What is decoded is what went into the encoder as much earlier as both filters take.
    for (let from = at + FOLLOW_SAMPLES, left = count & ~1; left > 0; ) {
      const now = Math.min(left, MAX_FOLLOWED);
      encoder.encodeFor(this.#low, this.#high, samples, from, now, payload);
      this.decode(payload, 0, now >> 1, decoded, 0);
      from += now;
      left -= now;
    }
    this.#high.set(high);
    this.#low[SCALE] = scale;
    this.#low[LOG_SCALE] = logScale;
  }

  /** A longer payload than any before. */
  #grow(octets: number): void {
    const bands = new Int32Array(HISTORY + octets * 2);
    bands.set(this.#bands.subarray(0, HISTORY));
    this.#bands = bands;
  }
}

function decodeLow(
  state: Int32Array,
  data: Uint8Array,
  from: number,
  octets: number,
  bands: Int32Array,
): void {
  for (let i = 0; i < octets; i++) {
    const code = data[from + i]! & 63;
    const upper = code >> 2;
    const scale = state[SCALE]!;
    const exact = Math.imul(scale, LOW_VALUES_6_BITS[code]!) >> 15;
    bands[HISTORY + i * 2] = limit((state[SIGNAL]! + exact) | 0);
    const quantised = Math.imul(scale, LOW_VALUES_4_BITS[upper]!) >> 15;
    adapt(state, quantised, LOW_STEPS[upper]!, 18432, 8);
  }
}

/** Leaves the sum and the difference of both bands, which the filter takes. */
function decodeHigh(
  state: Int32Array,
  data: Uint8Array,
  from: number,
  octets: number,
  bands: Int32Array,
): void {
  for (let i = 0; i < octets; i++) {
    const code = data[from + i]! >> 6;
    const quantised = Math.imul(state[SCALE]!, HIGH_VALUES[code]!) >> 15;
    const high = limit((state[SIGNAL]! + quantised) | 0);
    const place = HISTORY + i * 2;
    const low = bands[place]!;
    bands[place] = (low + high) | 0;
    bands[place + 1] = (low - high) | 0;
    adapt(state, quantised, HIGH_STEPS[code]!, 22528, 10);
  }
}

/** LIMIT: 15 bits. */
function limit(value: number): number {
  return value > 16383 ? 16383 : value < -16384 ? -16384 : value;
}
