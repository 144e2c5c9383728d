/** When the ring is asked for news that nobody sends: soon after there is a ring, or another, and from then on now and then. */
import type { Clock, Timer } from '../../core/clock.js';
import { type Random, randomUnit } from '../../core/random.js';

/** What was taken back is found out within this. */
export const LOOK_AGAIN_MS = 600_000;
/** After there is a ring, or another: first all names are put. */
const SOON_MS = 10_000;
/** Of all, taken off by chance. */
const SPREAD = 0.2;

export interface LookAgainOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Never fails. */
  readonly look: () => Promise<void>;
  /** From one look to the next, in ms; `LOOK_AGAIN_MS` by default. */
  readonly everyMs?: () => number;
  /** From the look that was soon to the next, in ms; the same by default. */
  readonly onceMoreMs?: number;
}

export class LookAgain {
  readonly #options: LookAgainOptions;
  #timer: Timer | undefined;
  #stopped = false;
  #wasSoon = false;

  constructor(options: LookAgainOptions) {
    this.#options = options;
  }

  soon(): void {
    this.#wasSoon = true;
    this.#after(SOON_MS);
  }

  later(): void {
    this.#after(this.#options.everyMs?.() ?? LOOK_AGAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #next(): void {
    const { onceMoreMs } = this.#options;
    if (this.#wasSoon && onceMoreMs !== undefined) this.#after(onceMoreMs);
    else this.later();
    this.#wasSoon = false;
  }

  #after(ms: number): void {
    if (this.#stopped) return;
    const { clock, random } = this.#options;
    this.#timer?.cancel();
    const timer = clock.after(ms * (1 - SPREAD * randomUnit(random)), () => {
      void this.#options.look().then(() => {
        // It was to be soon, since there is another ring than the one that was asked.
        if (this.#timer === timer) this.#next();
      });
    });
    this.#timer = timer;
  }
}
