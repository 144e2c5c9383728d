/** A host name or domain, by its DNS records: RFC 3263. */
import { isIP } from 'node:net';
import type { SipUri } from '@sip-stack/parser';
import { type Clock, SystemClock } from '../core/clock.js';
import type { UriResolver } from '../sip/resolver.js';
import { serverOf } from './address-locator.js';
import type { Location, Locator } from './locator.js';
import { withinTime } from './within-time.js';

/** As long as a resolution takes at most. */
export const DNS_WITHIN_MS = 5000;

/** Gives up after `DNS_WITHIN_MS`. */
export class DnsLocator implements Locator {
  readonly #resolve: UriResolver;
  readonly #clock: Clock;

  /** @param resolve rejects, or gives nothing, for a name that does not exist */
  constructor(resolve: UriResolver, clock: Clock = new SystemClock()) {
    this.#resolve = resolve;
    this.#clock = clock;
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const host = serverOf(target);
    // `local` alone stands for phones on this network, and is no host.
    if (isIP(host) !== 0 || host.toLowerCase() === 'local') return [];
    const answer = this.#resolve(target).catch(() => []);
    const targets = (await withinTime(this.#clock, DNS_WITHIN_MS, answer, signal)) ?? [];
    // The Request-URI keeps the name: the server there may serve several (RFC 3261 §8.1.1.1).
    return targets.map(found => ({
      uri: target,
      endpoint: found.endpoint,
      target: found,
      source: 'dns',
    }));
  }
}
