/**
 * Makes up what did not arrive, in the spirit of ITU-T G.711 Appendix I: the last pitch periods again
 * and again, faded out. Where the sound after the gap is known already, its first period is also
 * continued backwards, and the two are cross-faded: nothing of what did arrive is touched.
 */
import { LagSearch, similarity } from './similarity.js';

/** Pitch periods from 200 to 66 Hz: G.711 Appendix I §2.3. */
const MIN_LAG_MS = 5;
const MAX_LAG_MS = 15;
/** The stretch that is looked for in what was heard before. */
const TEMPLATE_MS = 10;
/** The stretch after a gap that is looked for in what follows it. */
const SHORT_TEMPLATE_MS = 5;
/** At full level for this long, */
const HOLD_MS = 10;
/** and silent after this: G.711 Appendix I §2.8. */
const SILENT_MS = 60;
/** A step where made-up sound begins is smoothed over this. */
const SMOOTH_MS = 2;
/** Cross-fade from made-up sound into what arrived after all. */
const JOIN_MS = 5;
/** Below this it is noise, whose repetition would buzz: the longest stretch is repeated. */
const VOICED_SIMILARITY = 0.5;

/** Samples before a gap that have to be at hand. */
export function historySamples(sampleRate: number): number {
  return ((TEMPLATE_MS + MAX_LAG_MS) * sampleRate) / 1000;
}

export class Concealment {
  readonly #search: LagSearch;
  readonly #minLag: number;
  readonly #maxLag: number;
  readonly #template: number;
  readonly #shortTemplate: number;
  readonly #hold: number;
  readonly #silent: number;
  readonly #smooth: number;
  readonly #join: number;

  /** What is repeated. */
  readonly #period: Int16Array;
  #lag = 1;
  /** Where it began, what was heard last lay above what is repeated by this. */
  #step = 0;
  /** Samples made up since the last that arrived. */
  #run = 0;

  /** @param sampleRate in Hz */
  constructor(sampleRate: number) {
    const samples = (ms: number) => Math.round((ms * sampleRate) / 1000);
    this.#search = new LagSearch(sampleRate);
    this.#minLag = samples(MIN_LAG_MS);
    this.#maxLag = samples(MAX_LAG_MS);
    this.#template = samples(TEMPLATE_MS);
    this.#shortTemplate = samples(SHORT_TEMPLATE_MS);
    this.#hold = samples(HOLD_MS);
    this.#silent = samples(SILENT_MS);
    this.#smooth = samples(SMOOTH_MS);
    this.#join = samples(JOIN_MS);
    this.#period = new Int16Array(this.#maxLag);
  }

  /** Whether the last samples were made up. */
  get running(): boolean {
    return this.#run > 0;
  }

  /** What comes next arrived, and needs no joining. */
  reset(): void {
    this.#run = 0;
  }

  /** Makes up `count` samples from `at` on; what was heard lies before. */
  extend(samples: Int16Array, at: number, count: number): void {
    if (this.#run === 0) this.#begin(samples, at);
    for (let i = 0; i < count; i++) samples[at + i] = this.#next();
  }

  /** As `extend`, but the next call writes the same again. */
  lookAhead(samples: Int16Array, at: number, count: number): void {
    const run = this.#run;
    this.extend(samples, at, count);
    this.#run = run;
  }

  /** Cross-fades from made-up sound into the `count` samples at `at`, which arrived. */
  join(samples: Int16Array, at: number, count: number): void {
    if (this.#run === 0) this.#begin(samples, at);
    const length = Math.min(count, this.#join);
    for (let i = 0; i < length; i++) {
      const from = this.#next();
      samples[at + i] = from + ((samples[at + i]! - from) * (i + 0.5)) / length;
    }
    this.#run = 0;
  }

  /** `gap` samples were made up at `at` and `count` samples after them arrived: the gap is filled from both sides. */
  bridge(samples: Int16Array, at: number, gap: number, count: number): void {
    const after = at + gap;
    const template = Math.min(this.#shortTemplate, count >> 1);
    const maxLag = Math.min(this.#maxLag, count - template);
    if (maxLag < this.#minLag) {
      this.join(samples, after, count);
      return;
    }
    let lag = this.#search.find(samples, after, template, this.#minLag, maxLag, 1);
    if (similarity(samples, after, after + lag, template) < VOICED_SIMILARITY) lag = maxLag;
    const step = samples[after]! - samples[after + lag]!;
    for (let back = 1; back <= gap; back++) {
      const i = after - back;
      let value = samples[after + lag - 1 - ((back - 1) % lag)]!;
      if (back < this.#smooth) value += step * (1 - back / this.#smooth);
      const from = samples[i]!;
      samples[i] = clip(from + (value - from) * (1 - (back - 0.5) / gap));
    }
    this.#run = 0;
  }

  #begin(samples: Int16Array, at: number): void {
    const from = at - this.#template;
    let lag = this.#search.find(samples, from, this.#template, this.#minLag, this.#maxLag, -1);
    const found = similarity(samples, from, from - lag, this.#template);
    if (found < VOICED_SIMILARITY) lag = this.#maxLag;
    this.#lag = lag;
    for (let i = 0; i < lag; i++) this.#period[i] = samples[at - lag + i]!;
    this.#step = samples[at - 1]! - samples[at - 1 - lag]!;
  }

  #next(): number {
    const run = this.#run++;
    if (run >= this.#silent) return 0;
    let value = this.#period[run % this.#lag]!;
    if (run < this.#smooth) value += this.#step * (1 - (run + 1) / this.#smooth);
    if (run > this.#hold) value *= (this.#silent - run) / (this.#silent - this.#hold);
    return clip(value);
  }
}

function clip(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
