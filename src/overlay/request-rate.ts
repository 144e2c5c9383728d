/**
 * How much anybody may ask of a member, by the address it comes from: judged before a signature is verified, since that is
 * what a flood would cost us.
 */
import { type Allowance, newAllowance, type Rate, take } from './nodes/pace.js';

/** Of one address: more than a member that looks after a large ring and its nodes ever needs. */
const RATE: Rate = { atOnce: 400, everyMs: 5 };
/** Addresses remembered; who was longest unheard of is forgotten, and begins anew. */
const MAX_ADDRESSES = 4096;

export class RequestRate {
  readonly #addresses = new Map<string, Allowance>();

  /** Whether one more request from there is taken. `now` in ms. */
  take(address: string, now: number): boolean {
    const allowance = this.#addresses.get(address) ?? newAllowance(RATE);
    this.#addresses.delete(address);
    this.#addresses.set(address, allowance);
    if (this.#addresses.size > MAX_ADDRESSES) {
      for (const oldest of this.#addresses.keys()) {
        this.#addresses.delete(oldest);
        break;
      }
    }
    return take(allowance, RATE, now);
  }
}
