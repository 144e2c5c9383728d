/**
 * Makes what is to be heard a little shorter or longer: a stretch as long as a pitch period (or a few)
 * is cross-faded with the one it resembles most, which then is left out or said twice.
 */
import type { SampleTape } from './sample-tape.js';
import { LagSearch, similarity } from './similarity.js';

/** Twice the shortest of pitch periods: a high voice's periods go by twos and threes. */
const MIN_LAG_MS = 5;
/** The pitch period of a deep voice, 66 Hz: ITU-T G.711 Appendix I §2.3. */
const MAX_LAG_MS = 15;

export class TimeStretch {
  /** Samples that have to be there beyond the frame for the longest cut. */
  readonly maxLag: number;
  readonly #minLag: number;
  readonly #search: LagSearch;

  /** @param sampleRate in Hz */
  constructor(sampleRate: number) {
    this.#minLag = (MIN_LAG_MS * sampleRate) / 1000;
    this.maxLag = (MAX_LAG_MS * sampleRate) / 1000;
    this.#search = new LagSearch(sampleRate);
  }

  /**
   * Leaves out some of the next samples, where a splice of at least `threshold` similarity is found.
   *
   * @param keep samples that have to stay unread
   * @param most samples that may go
   * @returns samples left out
   */
  shorten(tape: SampleTape, keep: number, most: number, threshold: number): number {
    const { samples, read } = tape;
    const maxLag = Math.min(this.maxLag, most, tape.unread - keep, tape.unread >> 1);
    if (maxLag < this.#minLag) return 0;
    const lag = this.#search.find(samples, read, this.#minLag, this.#minLag, maxLag, 1);
    if (similarity(samples, read, read + lag, lag) < threshold) return 0;
    for (let i = 0; i < lag; i++) {
      const from = samples[read + i]!;
      samples[read + i] = from + ((samples[read + lag + i]! - from) * (i + 0.5)) / lag;
    }
    tape.cut(read + lag, lag);
    return lag;
  }

  /** As `shorten`, but says some of the last samples again. @returns samples inserted */
  lengthen(tape: SampleTape, threshold: number): number {
    tape.makeRoom(this.maxLag);
    const { samples, read } = tape;
    const maxLag = Math.min(this.maxLag, tape.unread);
    if (maxLag < this.#minLag) return 0;
    const lag = this.#search.find(samples, read, this.#minLag, this.#minLag, maxLag, -1);
    if (similarity(samples, read, read - lag, lag) < threshold) return 0;
    tape.part(read, lag);
    for (let i = 0; i < lag; i++) {
      const from = samples[read + lag + i]!;
      samples[read + i] = from + ((samples[read - lag + i]! - from) * (i + 0.5)) / lag;
    }
    return lag;
  }
}
