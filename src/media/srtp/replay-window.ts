/** Which packets were seen already: a sliding window over packet indices, RFC 3711 §3.3.2. */

/** RFC 3711 §3.3.2 asks for 64; a burst that overtakes by more is voice nobody waits for. */
export const DEFAULT_WINDOW = 128;

export class ReplayWindow {
  /** Of the packets accepted; -1 before the first. */
  highest = -1;
  readonly #size: number;
  readonly #seen: Uint8Array;

  /** @param size in packets, a power of two of at least 64 */
  constructor(size = DEFAULT_WINDOW) {
    this.#size = size;
    this.#seen = new Uint8Array(size);
  }

  /** Neither seen nor too old to tell. */
  isFresh(index: number): boolean {
    if (index > this.highest) return true;
    return this.highest - index < this.#size && this.#seen[index % this.#size] === 0;
  }

  /** Of an authenticated packet that is fresh. */
  accept(index: number): void {
    if (index > this.highest) {
      if (index - this.highest >= this.#size) this.#seen.fill(0);
      else for (let i = this.highest + 1; i < index; i++) this.#seen[i % this.#size] = 0;
      this.highest = index;
    }
    this.#seen[index % this.#size] = 1;
  }
}
