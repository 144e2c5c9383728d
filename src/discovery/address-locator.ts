/** A literal address is where it says. */
import { isIP } from 'node:net';
import type { SipUri } from '@sip-stack/parser';
import { directPlan, PROTOCOLS } from '../sip/resolution/plan.js';
import type { Location, Locator } from './locator.js';

export class AddressLocator implements Locator {
  /** Throws `CodedError` `UNSUPPORTED_TRANSPORT`. */
  async locate(target: SipUri, _signal: AbortSignal): Promise<readonly Location[]> {
    const location = literalLocation(target, 'address');
    return location ? [location] : [];
  }
}

/**
 * Where a URI with an address leads: by the protocol it names, to the port it has or that of the protocol.
 * Undefined where it has a name.
 *
 * @throws {CodedError} `UNSUPPORTED_TRANSPORT`
 */
export function literalLocation(uri: SipUri, source: string): Location | undefined {
  const { host: address, port, protocol, tlsName } = directPlan(uri);
  if (isIP(address) === 0) return undefined;
  const endpoint = { address, port };
  const proves = PROTOCOLS[protocol].secure && tlsName !== undefined;
  return { uri, endpoint, target: { protocol, endpoint, ...(proves && { tlsName }) }, source };
}

/** Where to send: `maddr` overrides the host (RFC 3261 §19.1.1). */
export function serverOf(target: SipUri): string {
  return target.params.get('maddr') ?? target.host;
}
