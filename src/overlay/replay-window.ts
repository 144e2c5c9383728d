/** Which numbered requests of each sender were taken already: a copy of an old one is no news (as RFC 4303 §3.4.3). */
import type { Id } from './ring/ids.js';

/** Requests overtake each other where a link breaks and another takes its place. */
const WINDOW = 1024;
/** Senders remembered; who was longest unheard of is forgotten first. */
const MAX_SENDERS = 4096;

interface Seen {
  highest: number;
  /** Those of the window that were taken. */
  readonly taken: Set<number>;
}

export class ReplayWindow {
  readonly #senders = new Map<Id, Seen>();

  /** False where the request was taken before, or is older than what is remembered. */
  take(sender: Id, number: number): boolean {
    const seen = this.#senders.get(sender) ?? { highest: -1, taken: new Set<number>() };
    if (number <= seen.highest - WINDOW || seen.taken.has(number)) return false;
    seen.taken.add(number);
    seen.highest = Math.max(seen.highest, number);
    if (seen.taken.size > 2 * WINDOW) {
      for (const old of seen.taken) if (old <= seen.highest - WINDOW) seen.taken.delete(old);
    }
    this.#senders.delete(sender);
    this.#senders.set(sender, seen);
    if (this.#senders.size > MAX_SENDERS) {
      for (const oldest of this.#senders.keys()) {
        this.#senders.delete(oldest);
        break;
      }
    }
    return true;
  }
}
