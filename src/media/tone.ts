/** Tones as a source: up to four sines at a time, in sequences. */
import { CodedError } from '../core/errors.js';
import type { ToneSpec } from './engine.js';
import type { NodeBehaviour } from './graph.js';

/** A full-scale sine in µ-law, G.711 §4 and Table 2. */
const FULL_SCALE_DBM0 = 3.17;
const FULL_SCALE = 32767;
const MAX_FREQUENCIES = 4;
/** Of each frequency; the usual level of call-progress tones. */
const DEFAULT_LEVEL_DBM0 = -13;

export interface ToneOptions {
  readonly tones: ToneSpec;
  readonly loop?: boolean;
  /** Of each frequency. */
  readonly levelDbm0?: number;
  /** In Hz. */
  readonly sampleRate: number;
  /** Told once, after the last sample was handed on. */
  readonly onEnded: () => void;
}

export class Tone implements NodeBehaviour {
  readonly #tones: ToneSpec;
  readonly #loop: boolean;
  readonly #amplitude: number;
  readonly #sampleRate: number;
  readonly #onEnded: () => void;
  /** In cycles, 0 up to 1. */
  readonly #phases = new Float64Array(MAX_FREQUENCIES);
  /** Where a loop goes on; -1 where nothing is played again. */
  readonly #again: number;
  #index = 0;
  /** It has been played through once. */
  #rounds = false;
  /** Samples of the present tone still to come. */
  #left: number;
  #ended = false;

  /** @throws {CodedError} `BAD_TONE` */
  constructor(options: ToneOptions) {
    const { tones, loop = false, levelDbm0 = DEFAULT_LEVEL_DBM0, sampleRate, onEnded } = options;
    check(tones, loop, sampleRate);
    this.#tones = tones;
    this.#loop = loop;
    this.#again = tones.findIndex(({ once }) => !once);
    this.#amplitude = FULL_SCALE * 10 ** ((levelDbm0 - FULL_SCALE_DBM0) / 20);
    this.#sampleRate = sampleRate;
    this.#onEnded = onEnded;
    this.#left = this.#samplesOf(0);
  }

  /** A tone nobody hears waits. */
  produce(frame: Int16Array, _nowMs: number, heard: boolean): void {
    if (!heard || this.#ended) {
      frame.fill(0);
      return;
    }
    for (let i = 0; i < frame.length; i++) {
      while (this.#left === 0 && !this.#ended) this.#next();
      frame[i] = this.#ended ? 0 : this.#sample();
      this.#left--;
    }
    if (this.#left === 0) this.#next();
    if (this.#ended) this.#onEnded();
  }

  #sample(): number {
    const { frequencies } = this.#tones[this.#index]!;
    let sum = 0;
    for (let i = 0; i < frequencies.length; i++) {
      const phase = this.#phases[i]!;
      sum += Math.sin(2 * Math.PI * phase);
      const next = phase + frequencies[i]! / this.#sampleRate;
      this.#phases[i] = next >= 1 ? next - 1 : next;
    }
    return Math.max(-FULL_SCALE - 1, Math.min(FULL_SCALE, Math.round(sum * this.#amplitude)));
  }

  #next(): void {
    this.#rounds ||= this.#index + 1 === this.#tones.length;
    let next = this.#index + 1;
    while (this.#rounds && this.#tones[next]?.once) next++;
    if (next < this.#tones.length) this.#index = next;
    else if (this.#loop && this.#again >= 0) this.#index = this.#again;
    else this.#ended = true;
    this.#phases.fill(0);
    if (!this.#ended) this.#left = this.#samplesOf(this.#index);
  }

  #samplesOf(index: number): number {
    const { ms } = this.#tones[index]!;
    return ms === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.round((ms * this.#sampleRate) / 1000));
  }
}

function check(tones: ToneSpec, loop: boolean, sampleRate: number): void {
  const remedy = `Give up to ${MAX_FREQUENCIES} frequencies between 0 and ${sampleRate / 2} Hz, and a length in ms above 0.`;
  if (tones.length === 0) {
    throw new CodedError('BAD_TONE', 'expected at least one tone, found none', { remedy });
  }
  for (const { frequencies, ms } of tones) {
    const fits = frequencies.every(hz => hz >= 0 && hz < sampleRate / 2);
    if (!fits || frequencies.length > MAX_FREQUENCIES || (ms !== undefined && !(ms > 0))) {
      const found = `${frequencies.join('+') || 'silence'} Hz for ${ms ?? 'unlimited'} ms`;
      throw new CodedError('BAD_TONE', `expected a tone that can be played, found ${found}`, {
        remedy,
      });
    }
  }
  if (loop && tones.slice(0, -1).some(tone => tone.ms === undefined)) {
    throw new CodedError('BAD_TONE', 'expected tones of limited length before others', { remedy });
  }
}
