/** Simple concealment: the last frame over and over, faded out; then silence. */

/** From full level to nothing. */
const FADE_MS = 60;

export class Concealment {
  readonly #last: Int16Array;
  readonly #fadeSamples: number;
  /** Samples concealed since the last frame that was played. */
  #run: number;

  constructor(sampleRate: number, frameSamples: number) {
    this.#last = new Int16Array(frameSamples);
    this.#fadeSamples = (FADE_MS * sampleRate) / 1000;
    this.#run = this.#fadeSamples;
  }

  /** Keeps a frame that was wholly played. */
  remember(frame: Int16Array): void {
    this.#last.set(frame);
    this.#run = 0;
  }

  clear(): void {
    this.#run = this.#fadeSamples;
  }

  /** Writes `count` samples at `offset`. */
  conceal(frame: Int16Array, offset: number, count: number): void {
    for (let i = offset; i < offset + count; i++) {
      const left = this.#fadeSamples - this.#run;
      if (left <= 0) {
        frame[i] = 0;
        continue;
      }
      frame[i] = (this.#last[this.#run % this.#last.length]! * left) / this.#fadeSamples;
      this.#run++;
    }
  }
}
