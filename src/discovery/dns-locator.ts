/** A host name, by its A and AAAA records: RFC 3263 §4.2 for a URI with a port, and port 5060 without one. */
import { isIP } from 'node:net';
import type { SipUri } from '@sip-stack/parser';
import { type Clock, SystemClock } from '../core/clock.js';
import { DEFAULT_SIP_PORT, type HostLookup } from '../sip/resolver.js';
import { serverOf } from './address-locator.js';
import type { Location, Locator } from './locator.js';
import { withinTime } from './within-time.js';

/** As long as most resolvers wait for their first server. */
export const DNS_WITHIN_MS = 5000;

/** Gives up after `DNS_WITHIN_MS`. */
export class DnsLocator implements Locator {
  readonly #lookup: HostLookup;
  readonly #clock: Clock;

  /** @param lookup rejects, or gives nothing, for a name that does not exist */
  constructor(lookup: HostLookup, clock: Clock = new SystemClock()) {
    this.#lookup = lookup;
    this.#clock = clock;
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const host = serverOf(target);
    // `local` alone stands for phones on this network, and is no host.
    if (target.scheme !== 'sip' || isIP(host) !== 0 || host.toLowerCase() === 'local') return [];
    const port = target.port ?? DEFAULT_SIP_PORT;
    const answer = this.#lookup(host).catch(() => []);
    const addresses = (await withinTime(this.#clock, DNS_WITHIN_MS, answer, signal)) ?? [];
    // The Request-URI keeps the name: the server there may serve several (RFC 3261 §8.1.1.1).
    return addresses.map(address => ({ uri: target, endpoint: { address, port }, source: 'dns' }));
  }
}
