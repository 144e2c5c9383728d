/**
 * How much anybody may ask of a member, by the address it comes from: judged before a signature is verified, since that is
 * what a flood would cost us.
 */
import { type Allowance, newAllowance, type Rate, take } from './nodes/pace.js';

/** Of one address: more than a member that looks after a large ring and its nodes ever needs. */
const RATE: Rate = { atOnce: 400, everyMs: 5 };
/**
 * What it has us do beside that, counted in signatures to be verified, each 0.15 ms of this processor and three times that on
 * a small board: more than whoever hands over the records of 200 nodes needs.
 */
const WORK: Rate = { atOnce: 4_000, everyMs: 1 };
/** Asking other members in its place: 200 times at once, then 50 a second. Else they would refuse what we ask ourselves. */
export const ASKED_ON_WORK = 20;
/** Addresses remembered; who was longest unheard of is forgotten, and begins anew. */
const MAX_ADDRESSES = 4096;

interface Allowances {
  readonly requests: Allowance;
  readonly work: Allowance;
}

export class RequestRate {
  readonly #addresses = new Map<string, Allowances>();

  /** Whether one more request from there is taken. `now` in ms. */
  take(address: string, now: number): boolean {
    return take(this.#of(address).requests, RATE, now);
  }

  /** Whether a request from there may have us do so much. */
  work(address: string, work: number, now: number): boolean {
    return work === 0 || take(this.#of(address).work, WORK, now, work);
  }

  #of(address: string): Allowances {
    const known = this.#addresses.get(address);
    const of = known ?? { requests: newAllowance(RATE), work: newAllowance(WORK) };
    this.#addresses.delete(address);
    this.#addresses.set(address, of);
    if (this.#addresses.size > MAX_ADDRESSES) {
      for (const oldest of this.#addresses.keys()) {
        this.#addresses.delete(oldest);
        break;
      }
    }
    return of;
  }
}
