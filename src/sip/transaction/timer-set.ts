import type { Clock, Timer } from '../../core/clock.js';

/** The named timers of one transaction; all of them also in the layer's set, so that closing ends them. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #all: Set<Timer>;
  readonly #named = new Map<string, Timer>();

  constructor(clock: Clock, all: Set<Timer>) {
    this.#clock = clock;
    this.#all = all;
  }

  set(name: string, ms: number, fire: () => void): void {
    this.cancel(name);
    const timer = this.#clock.after(ms, () => {
      this.#all.delete(timer);
      this.#named.delete(name);
      fire();
    });
    this.#named.set(name, timer);
    this.#all.add(timer);
  }

  cancel(name: string): void {
    const timer = this.#named.get(name);
    if (!timer) return;
    timer.cancel();
    this.#named.delete(name);
    this.#all.delete(timer);
  }

  clear(): void {
    for (const name of [...this.#named.keys()]) this.cancel(name);
  }
}
