/** A clock that stands still until it is told to move: the simulator's, and every protocol test's. */
import type { Clock, Timer } from '../core/clock.js';

interface PendingTimer {
  readonly at: number;
  /** Timers due at the same instant fire in the order they were set. */
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

/** Virtual time starts here: a fixed day, so that runs repeat. */
const EPOCH_MS = Date.UTC(2020, 0, 1);

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  /** A binary heap, earliest first. */
  readonly #heap: PendingTimer[] = [];

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return EPOCH_MS + this.#now;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer: PendingTimer = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      fire,
      cancelled: false,
    };
    this.#push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  /** Timers set and not yet fired or cancelled. */
  get pending(): number {
    return this.#heap.filter(timer => !timer.cancelled).length;
  }

  /** Fires everything due within `ms`, letting promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let timer = this.#next(until); timer; timer = this.#next(until)) {
      this.#now = timer.at;
      timer.fire();
      await settle();
    }
    this.#now = until;
  }

  /** Advances until `done()`; throws when that takes longer than `withinMs` of virtual time. */
  async advanceUntil(done: () => boolean, withinMs: number): Promise<void> {
    const until = this.#now + withinMs;
    await settle();
    while (!done()) {
      const timer = this.#next(until);
      if (!timer) throw new Error(`still not so after ${withinMs} ms of virtual time`);
      this.#now = timer.at;
      timer.fire();
      await settle();
    }
  }

  #next(until: number): PendingTimer | undefined {
    for (;;) {
      const [first] = this.#heap;
      if (!first || first.at > until) return undefined;
      this.#pop();
      if (!first.cancelled) return first;
    }
  }

  #push(timer: PendingTimer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!earlier(heap[index]!, heap[parent]!)) return;
      [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
      index = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = index;
      if (left < heap.length && earlier(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && earlier(heap[right]!, heap[least]!)) least = right;
      if (least === index) return;
      [heap[index], heap[least]] = [heap[least]!, heap[index]!];
      index = least;
    }
  }
}

function earlier(a: PendingTimer, b: PendingTimer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** One turn of the event loop: every promise that can settle without outside help has settled. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
