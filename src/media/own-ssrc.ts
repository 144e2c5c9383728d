/**
 * Our SSRC, and what happens when somebody else has it: RFC 3550 §8.2. Pure. The first time it is theirs by chance, and
 * we take another. Should that one come back too, what comes is our own voice.
 */
import { type Random, randomUint32 } from '../core/random.js';

/** RFC 3550 §8.2: a conflict is remembered for ten reporting intervals of 5 s or more. */
const REMEMBERED_MS = 50_000;

export type Conflict =
  /** Not ours. */
  | 'none'
  /** Another took the place of ours; to be followed by a BYE for `previous`. */
  | 'changed'
  /** Our own packets come back: nobody is there. */
  | 'loop';

/** 31 random bits: a number of 32 would be boxed with each packet. */
function newSsrc(random: Random): number {
  return randomUint32(random) >>> 1;
}

export class OwnSsrc {
  current: number;
  /** The one before. */
  previous: number | undefined;
  readonly #random: Random;
  #conflictMs = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
    this.current = newSsrc(random);
  }

  /** Whether `check` would say anything but `none`. @param ssrc signed or not */
  concerns(ssrc: number): boolean {
    return ssrc === this.current || ssrc === this.previous;
  }

  /** @param ssrc of a packet from elsewhere; signed or not */
  check(ssrc: number, nowMs: number): Conflict {
    if (!this.concerns(ssrc)) return 'none';
    const remembered = nowMs - this.#conflictMs < REMEMBERED_MS;
    if (remembered) {
      this.#conflictMs = nowMs;
      // Whoever has had our old one is somebody, unless ours comes back as well.
      return ssrc === this.current ? 'loop' : 'none';
    }
    if (ssrc !== this.current) return 'none';
    this.#conflictMs = nowMs;
    this.previous = this.current;
    this.current = newSsrc(this.#random);
    return 'changed';
  }
}
