/** Phones seen on the LAN: `sip:NAME@local` is the phone NAME, `sip:USER@NAME.local` is USER at that phone. */
import { type SipUri, sipUri } from '@sip-stack/parser';
import type { Browser } from './discovery.js';
import type { Location, Locator } from './locator.js';

/** A phone that is there answers within a quarter of a second; three questions go out in this time. */
export const LAN_WITHIN_MS = 3000;

const LOCAL = 'local';

/** Gives up after `LAN_WITHIN_MS`. */
export class LanLocator implements Locator {
  readonly #browser: Browser;

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const name = phoneOf(target);
    if (name === undefined || target.scheme !== 'sip') return [];
    const phone = await this.#browser.find(name, signal, LAN_WITHIN_MS);
    const { user } = target;
    return (phone?.endpoints ?? []).map(endpoint => {
      const port = target.port ?? endpoint.port;
      // A zone means something on this host only (RFC 6874 §1), so it stays out of the URI.
      const [host = ''] = endpoint.address.split('%');
      const uri = sipUri({ user, host, port });
      return { uri, endpoint: { address: endpoint.address, port }, source: 'lan' };
    });
  }
}

function phoneOf({ user, host }: SipUri): string | undefined {
  const lower = host.toLowerCase();
  if (lower === LOCAL) return user;
  return lower.endsWith(`.${LOCAL}`) ? host.slice(0, -LOCAL.length - 1) : undefined;
}
