/**
 * The nonces of a server: each proves by itself when it was issued and by whom, so that a challenge
 * costs no memory. Only nonces that came back with the right password are remembered (RFC 7616 §5.4, §5.12).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../core/random.js';

/** How long a nonce is good for. */
export const NONCE_LIFETIME_MS = 300_000;

/** Nonces in use that are remembered; each costs about 200 octets. */
export const MAX_NONCES = 4096;

/** Requests may overtake one another by this many uses of a nonce. */
export const COUNT_WINDOW = 32;

const TIME_OCTETS = 6;
const SERIAL_OCTETS = 6;
const PROOF_OCTETS = 16;
const CLAIM_OCTETS = TIME_OCTETS + SERIAL_OCTETS;

interface Use {
  readonly issuedAt: number;
  readonly serial: number;
  highest: number;
  /** Bit n: `highest - n` was used. */
  seen: number;
}

export class Nonces {
  readonly #key: Uint8Array;
  readonly #capacity: number;
  /** In order of their first use. */
  readonly #uses = new Map<string, Use>();
  #serial = 0;
  /** Nonces up to this serial number that are not in `uses` may have been, and are refused. */
  #forgottenUpTo = 0;

  constructor(random: Random, capacity = MAX_NONCES) {
    this.#key = random.bytes(32);
    this.#capacity = capacity;
  }

  /** @param now in ms, never going back */
  issue(now: number): string {
    const claim = Buffer.alloc(CLAIM_OCTETS);
    claim.writeUIntBE(Math.floor(now), 0, TIME_OCTETS);
    claim.writeUIntBE(++this.#serial, TIME_OCTETS, SERIAL_OCTETS);
    return Buffer.concat([claim, this.#proof(claim)]).toString('base64url');
  }

  /**
   * Uses a nonce for the `count`th time. Call it for right credentials only.
   *
   * @returns false for a nonce not of ours, too old, or used so often already: a new one is due.
   */
  use(nonce: string, count: number, now: number): boolean {
    const use = this.#uses.get(nonce) ?? this.#read(nonce);
    if (!use || now - use.issuedAt > NONCE_LIFETIME_MS || !advance(use, count)) return false;
    if (!this.#uses.has(nonce)) this.#keep(nonce, use, now);
    return true;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#uses.size;
  }

  #keep(nonce: string, use: Use, now: number): void {
    this.#uses.set(nonce, use);
    for (const [oldest, { issuedAt, serial }] of this.#uses) {
      if (now - issuedAt <= NONCE_LIFETIME_MS) {
        if (this.#uses.size <= this.#capacity) return;
        this.#forgottenUpTo = Math.max(this.#forgottenUpTo, serial);
      }
      this.#uses.delete(oldest);
    }
  }

  /** A nonce of ours that was not used yet. */
  #read(nonce: string): Use | undefined {
    const octets = Buffer.from(nonce, 'base64url');
    if (octets.length !== CLAIM_OCTETS + PROOF_OCTETS) return undefined;
    // Several texts may stand for the same octets; a second one would be a second life.
    if (octets.toString('base64url') !== nonce) return undefined;
    const claim = octets.subarray(0, CLAIM_OCTETS);
    if (!timingSafeEqual(octets.subarray(CLAIM_OCTETS), this.#proof(claim))) return undefined;
    const serial = claim.readUIntBE(TIME_OCTETS, SERIAL_OCTETS);
    if (serial <= this.#forgottenUpTo) return undefined;
    return { issuedAt: claim.readUIntBE(0, TIME_OCTETS), serial, highest: 0, seen: 0 };
  }

  #proof(claim: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(claim).digest().subarray(0, PROOF_OCTETS);
  }
}

/** Marks `count` as used; false where it was, or is too far behind to tell. */
function advance(use: Use, count: number): boolean {
  if (count < 1) return false;
  const ahead = count - use.highest;
  if (ahead > 0) {
    use.seen = (ahead < COUNT_WINDOW ? use.seen << ahead : 0) | 1;
    use.highest = count;
    return true;
  }
  const bit = -ahead < COUNT_WINDOW ? 1 << -ahead : 0;
  if (bit === 0 || (use.seen & bit) !== 0) return false;
  use.seen |= bit;
  return true;
}
