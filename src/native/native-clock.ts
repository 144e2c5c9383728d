/** The system's monotonic clock, read without garbage: `performance.now()` makes a number on the heap each time. */
import { SystemClock } from '../core/clock.js';
import type { Native } from './index.js';

export class NativeClock extends SystemClock {
  readonly #cell = new Float64Array(1);
  readonly #read: () => void;

  constructor(native: Native) {
    super();
    this.#read = native.openClock(this.#cell);
  }

  /** Of another origin than that of `SystemClock`. */
  override now(): number {
    this.#read();
    return this.#cell[0]!;
  }
}
