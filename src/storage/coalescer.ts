/** One change at a time for each key; changes that pile up meanwhile become one, the latest. */

interface Waiting<Change> {
  change: Change;
  readonly done: Promise<void>;
}

interface Lane<Change> {
  /** Settles, without error, when everything submitted so far has been dealt with. */
  settled: Promise<void>;
  waiting: Waiting<Change> | undefined;
}

export class Coalescer<Change> {
  readonly #apply: (key: string, change: Change) => Promise<void>;
  readonly #lanes = new Map<string, Lane<Change>>();

  constructor(apply: (key: string, change: Change) => Promise<void>) {
    this.#apply = apply;
  }

  /** Settles as the change that was applied did: this one, or a later one in its place. */
  submit(key: string, change: Change): Promise<void> {
    const lane = this.#lane(key);
    if (lane.waiting) {
      lane.waiting.change = change;
      return lane.waiting.done;
    }
    const done = lane.settled.then(() => {
      lane.waiting = undefined;
      return this.#apply(key, waiting.change);
    });
    const waiting: Waiting<Change> = { change, done };
    lane.waiting = waiting;
    const leave = () => {
      if (lane.settled === settled) this.#lanes.delete(key);
    };
    const settled: Promise<void> = done.then(leave, leave);
    lane.settled = settled;
    return done;
  }

  /** Whether a change to `key` is under way or waits. */
  isBusy(key: string): boolean {
    return this.#lanes.has(key);
  }

  /** Resolves when everything submitted for `key` so far has been applied or has failed. */
  settled(key: string): Promise<void> {
    return this.#lanes.get(key)?.settled ?? Promise.resolve();
  }

  /** As `settled`, for all keys. */
  async allSettled(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(lane => lane.settled));
  }

  #lane(key: string): Lane<Change> {
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = { settled: Promise.resolve(), waiting: undefined };
      this.#lanes.set(key, lane);
    }
    return lane;
  }
}
