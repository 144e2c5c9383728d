/** A bounded queue of samples between the tick and slower things. */
export class SampleRing {
  readonly #samples: Int16Array;
  #read = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#samples = new Int16Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get free(): number {
    return this.#samples.length - this.#length;
  }

  /** Adds all of `samples` or, where they do not fit, none. */
  push(samples: Int16Array): boolean {
    if (samples.length > this.free) return false;
    const capacity = this.#samples.length;
    let at = (this.#read + this.#length) % capacity;
    for (let i = 0; i < samples.length; i++) {
      this.#samples[at] = samples[i]!;
      if (++at === capacity) at = 0;
    }
    this.#length += samples.length;
    return true;
  }

  /** Moves up to `out.length` samples to the front of `out`; returns their number. */
  shift(out: Int16Array): number {
    const count = Math.min(out.length, this.#length);
    const capacity = this.#samples.length;
    for (let i = 0; i < count; i++) {
      out[i] = this.#samples[this.#read]!;
      if (++this.#read === capacity) this.#read = 0;
    }
    this.#length -= count;
    return count;
  }
}
