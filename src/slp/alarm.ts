/** One timer, set to when a state machine wants to be woken. */
import type { Clock, Timer } from './network.js';

export class Alarm {
  readonly #clock: Clock;
  readonly #fire: () => void;
  #timer: Timer | undefined;
  #at: number | undefined;

  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** @param at on the scale of the clock; undefined: never */
  set(at: number | undefined): void {
    if (at === this.#at) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#at = at;
    if (at === undefined) return;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#at = undefined;
      this.#fire();
    });
  }
}
