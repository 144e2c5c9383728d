/**
 * Comfort noise: RFC 3389. A payload describes the background noise of the talker, by its level and
 * reflection coefficients of its spectrum; it is heard until something else comes.
 */
import type { Codec, CodingOptions, Decoder, Encoder } from './codec.js';

const FRAMES_PER_SECOND = 50;
/** Of full scale, the overload point that levels are counted from (RFC 3389 §3.1). */
const OVERLOAD = 32_768;
const MAX_LEVEL = 127;
/** Coefficients that are sent, and the most that are made use of. */
const SENT_ORDER = 8;
const MAX_ORDER = 16;
/** Coefficients in steps of 258/32768 about 127 (RFC 3389 §3.2); 255 stands for none. */
const STEP = 258 / 32_768;
const ZERO = 127;
const MAX_CODE = 254;
/** Of the signal's power, so that a pure tone has no filter that rings for ever. */
const WHITENING = 1.0001;
/** In how many samples a change of level is nearly done. */
const GLIDE_SAMPLES = 200;

/** Static payload type 13. Its encoder describes the frame it is given. */
export const comfortNoise: Codec = {
  name: 'CN',
  payloadType: 13,
  clockRate: 8000,
  // G.722 has this clock too, and 16 000 samples a second.
  sampleRates: [8000, 16_000],
  maxPayloadOctets: 1 + SENT_ORDER,
  newEncoder: () => new NoiseEncoder(),
  newDecoder: options => new NoiseDecoder(options),
};

export class NoiseEncoder implements Encoder {
  readonly #correlation = new Float64Array(SENT_ORDER + 1);
  readonly #predictor = new Float64Array(SENT_ORDER + 1);
  readonly #before = new Float64Array(SENT_ORDER + 1);
  readonly #reflections = new Float64Array(SENT_ORDER);

  encode(frame: Int16Array, out: Uint8Array, at: number): number {
    this.#correlate(frame);
    const power = this.#correlation[0]! / frame.length / OVERLOAD ** 2;
    const level = power > 0 ? Math.round(-10 * Math.log10(power)) : MAX_LEVEL;
    out[at] = Math.min(MAX_LEVEL, Math.max(0, level));
    this.#predict();
    for (let i = 0; i < SENT_ORDER; i++) {
      const code = Math.round(ZERO + this.#reflections[i]! / STEP);
      out[at + 1 + i] = Math.min(MAX_CODE, Math.max(0, code));
    }
    return 1 + SENT_ORDER;
  }

  /** By how much a frame is above what its predictor leaves of it, in dB: 0 for white noise, much for a tone. */
  predictionGainDb(frame: Int16Array): number {
    this.#correlate(frame);
    const power = this.#correlation[0]!;
    return power > 0 ? 10 * Math.log10(power / this.#predict()) : 0;
  }

  #correlate(frame: Int16Array): void {
    for (let lag = 0; lag <= SENT_ORDER; lag++) {
      let sum = 0;
      for (let i = lag; i < frame.length; i++) sum += frame[i]! * frame[i - lag]!;
      this.#correlation[lag] = sum;
    }
  }

  /** Levinson and Durbin. @returns the power that is left */
  #predict(): number {
    const correlation = this.#correlation;
    const predictor = this.#predictor;
    let error = correlation[0]! * WHITENING;
    for (let order = 1; order <= SENT_ORDER; order++) {
      let sum = correlation[order]!;
      for (let i = 1; i < order; i++) sum += predictor[i]! * correlation[order - i]!;
      const reflection = error > 0 ? -sum / error : 0;
      this.#reflections[order - 1] = reflection;
      this.#before.set(predictor);
      for (let i = 1; i < order; i++) {
        predictor[i] = this.#before[i]! + reflection * this.#before[order - i]!;
      }
      predictor[order] = reflection;
      error *= 1 - reflection * reflection;
    }
    return error;
  }
}

class NoiseDecoder implements Decoder {
  readonly lasts = true;
  readonly #frameSamples: number;
  readonly #reflections = new Float64Array(MAX_ORDER);
  /** What the lattice holds. */
  readonly #backward = new Float64Array(MAX_ORDER + 1);
  #order = 0;
  /** Of the excitation: what it is, and what it becomes. */
  #gain = 0;
  #wantedGain = 0;
  #seed = 1;

  constructor({ sampleRate }: CodingOptions) {
    this.#frameSamples = sampleRate / FRAMES_PER_SECOND;
  }

  samplesIn(_data: Uint8Array, _from: number, octets: number): number {
    return octets > 0 ? this.#frameSamples : 0;
  }

  decode(data: Uint8Array, from: number, octets: number, out: Int16Array, at: number): number {
    if (octets === 0) return 0;
    this.#describe(data, from, octets);
    this.conceal(out, at, this.#frameSamples);
    return this.#frameSamples;
  }

  /** The noise goes on. */
  conceal(out: Int16Array, at: number, samples: number): void {
    for (let i = at; i < at + samples; i++) {
      this.#gain += (this.#wantedGain - this.#gain) / GLIDE_SAMPLES;
      const sample = Math.round(this.#filter(this.#gain * this.#random()));
      out[i] = sample > 32_767 ? 32_767 : sample < -32_768 ? -32_768 : sample;
    }
  }

  #describe(data: Uint8Array, from: number, octets: number): void {
    const fresh = this.#wantedGain === 0;
    const order = Math.min(MAX_ORDER, octets - 1);
    if (order !== this.#order) this.#backward.fill(0);
    this.#order = order;
    // The filter gives power: the excitation has as much less.
    let gain = OVERLOAD * 10 ** (-(data[from]! & MAX_LEVEL) / 20);
    for (let i = 0; i < order; i++) {
      const code = data[from + 1 + i]!;
      const reflection = code > MAX_CODE ? 0 : (code - ZERO) * STEP;
      this.#reflections[i] = reflection;
      gain *= Math.sqrt(1 - reflection * reflection);
    }
    this.#wantedGain = gain;
    if (fresh) this.#gain = gain;
  }

  /** The all-pole lattice. */
  #filter(excitation: number): number {
    const backward = this.#backward;
    let forward = excitation;
    for (let i = this.#order - 1; i >= 0; i--) {
      const reflection = this.#reflections[i]!;
      forward -= reflection * backward[i]!;
      backward[i + 1] = reflection * forward + backward[i]!;
    }
    backward[0] = forward;
    return forward;
  }

  /** White, of power 1: uniform numbers within the root of three (Numerical Recipes' generator). */
  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) | 0;
    return (this.#seed / 2 ** 31) * Math.sqrt(3);
  }
}
