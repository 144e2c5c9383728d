/**
 * Requests of others that wait for our answer, by who asked and its number: machines answer by these. Whoever asked waits
 * no longer than a transaction lasts (RFC 3261 §17.1.2.2), so what is never answered is forgotten then.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { LinkAnswer } from './link-messages.js';
import type { Peer } from './ring/peer.js';
import type { Respond } from './ring-links.js';

const FORGOTTEN_AFTER_MS = 32_000;

interface Waiting {
  readonly respond: Respond;
  readonly at: number;
}

export class Responders {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #waiting = new Map<string, Waiting>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add({ id }: Peer, number: number, respond: Respond): void {
    this.#waiting.set(`${id} ${number}`, { respond, at: this.#clock.now() });
    this.#timer ??= this.#clock.after(FORGOTTEN_AFTER_MS, () => this.#forget());
  }

  /** Only "trying" leaves it waiting. */
  answer({ id }: Peer, number: number, answer: LinkAnswer): void {
    const key = `${id} ${number}`;
    const waiting = this.#waiting.get(key);
    if (answer.type !== 'trying') this.#waiting.delete(key);
    waiting?.respond(answer);
  }

  /** Nobody is answered any more. */
  clear(): void {
    this.#waiting.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #forget(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (const [key, { at }] of this.#waiting) {
      const leftMs = at + FORGOTTEN_AFTER_MS - now;
      if (leftMs > 0) {
        this.#timer = this.#clock.after(leftMs, () => this.#forget());
        return;
      }
      this.#waiting.delete(key);
    }
  }
}
