/** A literal address is where it says. */
import { isIP } from 'node:net';
import type { SipUri } from '@sip-stack/parser';
import { DEFAULT_SIP_PORT } from '../sip/resolver.js';
import type { Location, Locator } from './locator.js';

export class AddressLocator implements Locator {
  async locate(target: SipUri, _signal: AbortSignal): Promise<readonly Location[]> {
    const address = serverOf(target);
    if (target.scheme !== 'sip' || isIP(address) === 0) return [];
    const endpoint = { address, port: target.port ?? DEFAULT_SIP_PORT };
    return [{ uri: target, endpoint, source: 'address' }];
  }
}

/** Where to send: `maddr` overrides the host (RFC 3261 §19.1.1). */
export function serverOf(target: SipUri): string {
  return target.params.get('maddr') ?? target.host;
}
