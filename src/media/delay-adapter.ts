/** Shortens or lengthens what is to be heard, where a jitter buffer is not as deep as it has to be. */
import type { JitterStatistics } from './jitter-statistics.js';
import type { PlayoutDepth } from './playout-depth.js';
import type { SampleTape } from './sample-tape.js';
import { TimeStretch } from './time-stretch.js';

/** Peak of a frame that is as good as silent: -48 dB of full scale. */
const SILENCE_PEAK = 128;
/** A splice in speech needs this much similarity at first, */
const FIRST_THRESHOLD = 0.9;
/** and this much after `PATIENCE_MS`. */
const LAST_THRESHOLD = 0.3;
const PATIENCE_MS = 300;
/** Between two splices in speech, */
const REST_MS = 80;
/** or where the delay is off by more than `FAR_MS`. */
const SHORT_REST_MS = 40;
const FAR_MS = 50;

export class DelayAdapter {
  readonly #samplesPerMs: number;
  readonly #frameSamples: number;
  readonly #depth: PlayoutDepth;
  readonly #tape: SampleTape;
  readonly #statistics: JitterStatistics;
  readonly #stretch: TimeStretch;
  #wantingSinceMs = Number.NaN;
  #restUntilMs = 0;

  constructor(
    sampleRate: number,
    frameSamples: number,
    depth: PlayoutDepth,
    tape: SampleTape,
    statistics: JitterStatistics,
  ) {
    this.#samplesPerMs = sampleRate / 1000;
    this.#frameSamples = frameSamples;
    this.#depth = depth;
    this.#tape = tape;
    this.#statistics = statistics;
    this.#stretch = new TimeStretch(sampleRate);
  }

  /**
   * A frame is on the tape, none of it made up.
   *
   * @param decodeAhead has so many samples unread, if it can
   */
  adapt(nowMs: number, decodeAhead: (samples: number, nowMs: number) => void): void {
    const long = this.#depth.isLong(true);
    if (!long && !this.#depth.isShort) {
      this.#wantingSinceMs = Number.NaN;
      return;
    }
    const tape = this.#tape;
    if (long) decodeAhead(this.#frameSamples + this.#stretch.maxLag, nowMs);
    const touched = long ? Math.min(tape.unread, 2 * this.#stretch.maxLag) : this.#frameSamples;
    const silent = tape.peak(touched) < SILENCE_PEAK;
    if (!silent) {
      if (nowMs < this.#restUntilMs) return;
      if (long && !this.#depth.isLong(false)) return;
    }
    if (Number.isNaN(this.#wantingSinceMs)) this.#wantingSinceMs = nowMs;
    const far = Math.abs(this.#depth.excessMs) > FAR_MS;
    const threshold = this.#threshold(silent, nowMs);
    const changed = long ? this.#shorten(threshold) : this.#lengthen(threshold);
    if (!changed) return;
    this.#wantingSinceMs = Number.NaN;
    this.#restUntilMs = nowMs + (far ? SHORT_REST_MS : REST_MS);
  }

  #shorten(threshold: number): boolean {
    const most = Math.floor(this.#depth.mostSpareMs * this.#samplesPerMs);
    const samples = this.#stretch.shorten(this.#tape, this.#frameSamples, most, threshold);
    if (samples === 0) return false;
    const ms = samples / this.#samplesPerMs;
    this.#statistics.compressedMs += ms;
    this.#depth.splice(-ms);
    return true;
  }

  #lengthen(threshold: number): boolean {
    const samples = this.#stretch.lengthen(this.#tape, threshold);
    if (samples === 0) return false;
    const ms = samples / this.#samplesPerMs;
    this.#statistics.stretchedMs += ms;
    this.#depth.splice(ms);
    return true;
  }

  #threshold(silent: boolean, nowMs: number): number {
    if (silent) return Number.NEGATIVE_INFINITY;
    const waited = Math.min(1, (nowMs - this.#wantingSinceMs) / PATIENCE_MS);
    return FIRST_THRESHOLD + (LAST_THRESHOLD - FIRST_THRESHOLD) * waited;
  }
}
