/** Which numbered requests of each sender were taken already: a copy of an old one is no news (as RFC 4303 §3.4.3). */
import type { Id } from './ring/ids.js';

/** Requests overtake each other where a link breaks and another takes its place. A multiple of 32. */
const WINDOW = 1024;
/** Senders remembered; who was longest unheard of is forgotten first. */
const MAX_SENDERS = 4096;

interface Seen {
  highest: number;
  /** Those of the window that were taken: a bit for each, by the number modulo the window. 128 octets, whatever is sent. */
  readonly taken: Uint32Array;
}

export class ReplayWindow {
  readonly #senders = new Map<Id, Seen>();

  /** False where the request was taken before, or is older than what is remembered. */
  take(sender: Id, number: number): boolean {
    const seen = this.#senders.get(sender) ?? {
      highest: number - 1,
      taken: new Uint32Array(WINDOW / 32),
    };
    if (number <= seen.highest - WINDOW || (number <= seen.highest && isTaken(seen, number))) {
      return false;
    }
    if (number - seen.highest >= WINDOW) seen.taken.fill(0);
    else for (let next = seen.highest + 1; next < number; next++) setTaken(seen, next, false);
    setTaken(seen, number, true);
    seen.highest = Math.max(seen.highest, number);
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

function isTaken({ taken }: Seen, number: number): boolean {
  const place = number % WINDOW;
  return ((taken[place >>> 5]! >>> (place & 31)) & 1) === 1;
}

function setTaken({ taken }: Seen, number: number, isSet: boolean): void {
  const place = number % WINDOW;
  const bit = 1 << (place & 31);
  if (isSet) taken[place >>> 5]! |= bit;
  else taken[place >>> 5]! &= ~bit;
}
