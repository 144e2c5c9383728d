/**
 * Decoded samples of one stream on a tape: what is still to be heard and, before it, what was heard a
 * moment ago, for those who make up what is missing. Its memory is taken once.
 */

export class SampleTape {
  /** What is to be heard lies from `read` to `end`; at least `historySamples` that were heard lie before it. */
  readonly samples: Int16Array;
  read: number;
  end: number;
  readonly #historySamples: number;

  /** @param capacity samples, history included */
  constructor(historySamples: number, capacity: number) {
    this.samples = new Int16Array(capacity);
    this.#historySamples = historySamples;
    this.read = historySamples;
    this.end = historySamples;
  }

  get unread(): number {
    return this.end - this.read;
  }

  /** Forgets everything; the history is silence. */
  clear(): void {
    this.read = this.#historySamples;
    this.end = this.#historySamples;
    this.samples.fill(0, 0, this.#historySamples);
  }

  /** After this, `count` samples can be written from `end`. */
  makeRoom(count: number): void {
    if (this.end + count <= this.samples.length) return;
    const from = this.read - this.#historySamples;
    this.samples.copyWithin(0, from, this.end);
    this.read -= from;
    this.end -= from;
  }

  /** Fills `frame`, which is no longer than what is unread. */
  take(frame: Int16Array): void {
    const { samples, read } = this;
    for (let i = 0; i < frame.length; i++) frame[i] = samples[read + i]!;
    this.read = read + frame.length;
  }

  silence(count: number): void {
    this.makeRoom(count);
    this.samples.fill(0, this.end, this.end + count);
    this.end += count;
  }

  /** The largest magnitude among the next `count` samples. */
  peak(count: number): number {
    let peak = 0;
    for (let i = this.read; i < this.read + count; i++) {
      const sample = this.samples[i]!;
      const magnitude = sample < 0 ? -sample : sample;
      if (magnitude > peak) peak = magnitude;
    }
    return peak;
  }

  cut(at: number, count: number): void {
    this.samples.copyWithin(at, at + count, this.end);
    this.end -= count;
  }

  /** Opens a gap of `count` samples, of any content, at `at`. */
  part(at: number, count: number): void {
    this.samples.copyWithin(at + count, at, this.end);
    this.end += count;
  }
}
