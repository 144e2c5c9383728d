/** Which hashes a device is offered when it is asked for a password (RFC 8760 §2.3). */
import { From, isSipUri, type SipRequest } from '@sip-stack/parser';
import type { DigestAlgorithm } from '../digest/computation.js';
import type { Source } from '../transport/transport.js';

/**
 * - `strongest`: what the RFC asks for; MD5 comes last also because libraries for browsers know nothing
 *   else and read the last challenge only;
 * - `oldest`: for devices that give up at a challenge they do not know.
 */
export type Offer = 'strongest' | 'oldest';

export const OFFERS: Readonly<Record<Offer, readonly DigestAlgorithm[]>> = {
  strongest: ['SHA-256', 'MD5'],
  oldest: ['MD5'],
};

/** Who has not answered a challenge in this time, and comes again without credentials, cannot answer it. */
export const ANSWERS_WITHIN_MS = 1000;

/** Devices remembered; of others it is found out again. */
const MAX_REMEMBERED = 1024;

export class Challenges {
  /** By address and user, the oldest first: since when an answer is waited for, or that none will come. */
  readonly #waiting = new Map<string, number | 'unanswered'>();

  /**
   * What this request is judged by, and asked for where that fails.
   *
   * @param tried whether it has credentials
   * @param now in ms
   */
  offerTo(
    request: SipRequest,
    { endpoint }: Source,
    { tried, now }: { tried: boolean; now: number },
  ): Offer {
    const { uri } = request.headers.require(From);
    const key = `${endpoint.address} ${isSipUri(uri) ? uri.user : ''}`;
    const since = this.#waiting.get(key);
    if (since === 'unanswered') return 'oldest';
    if (tried) {
      this.#waiting.delete(key);
      return 'strongest';
    }
    if (since === undefined) this.#remember(key, now);
    else if (now - since >= ANSWERS_WITHIN_MS) this.#waiting.set(key, 'unanswered');
    return this.#waiting.get(key) === 'unanswered' ? 'oldest' : 'strongest';
  }

  #remember(key: string, since: number): void {
    this.#waiting.set(key, since);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MAX_REMEMBERED && oldest !== undefined) this.#waiting.delete(oldest);
  }
}
