/** Things to come, by their instant: millions of them, without a promise or an object for each. */
export class EventQueue<T> {
  #now = 0;
  #order = 0;
  readonly #times: number[] = [];
  /** Events of one instant come in the order they were added. */
  readonly #orders: number[] = [];
  readonly #items: T[] = [];

  /** Milliseconds since the start. */
  get now(): number {
    return this.#now;
  }

  get size(): number {
    return this.#items.length;
  }

  add(delayMs: number, item: T): void {
    const time = this.#now + delayMs;
    const order = this.#order++;
    const times = this.#times;
    const orders = this.#orders;
    const items = this.#items;
    let index = items.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      // A new event comes after all others of its instant.
      if (times[parent]! <= time) break;
      times[index] = times[parent]!;
      orders[index] = orders[parent]!;
      items[index] = items[parent]!;
      index = parent;
    }
    times[index] = time;
    orders[index] = order;
    items[index] = item;
  }

  /** The next event up to `until`, whose instant it is from now on; undefined where there is none. */
  next(until: number): T | undefined {
    const times = this.#times;
    if (this.#items.length === 0 || times[0]! > until) {
      this.#now = Math.max(this.#now, until);
      return undefined;
    }
    this.#now = times[0]!;
    const item = this.#items[0]!;
    this.#removeFirst();
    return item;
  }

  #removeFirst(): void {
    const times = this.#times;
    const orders = this.#orders;
    const items = this.#items;
    const time = times.pop()!;
    const order = orders.pop()!;
    const item = items.pop()!;
    const length = items.length;
    if (length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      const right = child + 1;
      if (
        right < length &&
        (times[right]! < times[child]! ||
          (times[right]! === times[child]! && orders[right]! < orders[child]!))
      ) {
        child = right;
      }
      if (times[child]! > time || (times[child]! === time && orders[child]! > order)) break;
      times[index] = times[child]!;
      orders[index] = orders[child]!;
      items[index] = items[child]!;
      index = child;
    }
    times[index] = time;
    orders[index] = order;
    items[index] = item;
  }
}
