/**
 * Conversion between the sampling rates of the graph (8, 16 and 48 kHz) while a call runs: a polyphase FIR filter, one
 * frame in, one frame out, the same delay always. Allocates nothing per frame. Files of any rate are another matter
 * (`resampler.ts`).
 */

/** Flat to 0.425 and 80 dB down from 0.575 of the lower rate: 3.4 kHz passes whole, what would fold below it does not. */
const CUTOFF = 0.5;
const TRANSITION = 0.15;
const STOPBAND_DB = 80;

/** Taps of a filter that runs at `factor` times the lower rate; a multiple of `factor`, and one. */
function tapsOf(factor: number): number {
  const width = (2 * Math.PI * TRANSITION) / factor;
  const needed = (STOPBAND_DB - 8) / (2.285 * width);
  return Math.ceil(needed / (2 * factor)) * 2 * factor + 1;
}

/** Windowed sinc by Kaiser's design; sums to 1. */
function lowPass(factor: number): Float64Array {
  const taps = tapsOf(factor);
  const middle = (taps - 1) / 2;
  const beta = 0.1102 * (STOPBAND_DB - 8.7);
  const filter = Float64Array.from({ length: taps }, (_, i) => {
    const x = ((i - middle) * 2 * CUTOFF) / factor;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    const place = (i - middle) / middle;
    return sinc * bessel0(beta * Math.sqrt(1 - place * place));
  });
  const sum = filter.reduce((total, tap) => total + tap, 0);
  return filter.map(tap => tap / sum);
}

function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

export class RateConverter {
  readonly #up: number;
  readonly #down: number;
  /** Raising: one sub-filter after the other, each reversed. Lowering: one filter, symmetric. */
  readonly #taps: Float64Array;
  readonly #tapsEach: number;
  /** What the filter still needs of earlier frames, then the frame. */
  readonly #line: Float64Array;
  readonly #inputSamples: number;

  /** Rates in Hz, one a multiple of the other. */
  constructor(fromRate: number, toRate: number, frameMs: number) {
    this.#up = Math.max(1, toRate / fromRate);
    this.#down = Math.max(1, fromRate / toRate);
    const factor = Math.max(this.#up, this.#down);
    if (!Number.isInteger(factor)) {
      throw new RangeError(`expected rates of which one divides the other: ${fromRate}, ${toRate}`);
    }
    const filter = lowPass(factor);
    this.#tapsEach = Math.ceil(filter.length / this.#up);
    this.#taps = new Float64Array(this.#tapsEach * this.#up);
    for (let phase = 0; phase < this.#up; phase++) {
      for (let k = 0; k < this.#tapsEach; k++) {
        const tap = filter[phase + k * this.#up] ?? 0;
        this.#taps[phase * this.#tapsEach + this.#tapsEach - 1 - k] = tap * this.#up;
      }
    }
    this.#inputSamples = (fromRate * frameMs) / 1000;
    this.#line = new Float64Array(this.#tapsEach - 1 + this.#inputSamples);
  }

  /** @param input one frame, of which `output` is one frame at the other rate */
  process(input: Int16Array | Int32Array, output: Int32Array): void {
    const line = this.#line;
    const kept = this.#tapsEach - 1;
    line.copyWithin(0, this.#inputSamples);
    for (let i = 0; i < input.length; i++) line[kept + i] = input[i]!;
    const step = this.#down;
    const phases = this.#up;
    for (let at = 0, out = 0; at < input.length; at += step) {
      for (let phase = 0; phase < phases; phase++) {
        output[out++] = Math.round(this.#filter(at, phase * this.#tapsEach));
      }
    }
  }

  #filter(at: number, from: number): number {
    const line = this.#line;
    const taps = this.#taps;
    let sum = 0;
    for (let k = 0; k < this.#tapsEach; k++) sum += line[at + k]! * taps[from + k]!;
    return sum;
  }
}
