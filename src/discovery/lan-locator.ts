/** Phones seen on the LAN: `sip:NAME@local` is the phone NAME, `sip:USER@NAME.local` is USER at that phone. */
import { type SipUri, sipUri } from '@sip-stack/parser';
import { withoutZone } from '../core/endpoint.js';
import type { Endpoint } from '../core/network.js';
import { directPlan, PROTOCOLS, type SipProtocol } from '../sip/resolution/plan.js';
import type { Browser, PhonePorts } from './discovery.js';
import type { Location, Locator } from './locator.js';

/** A phone that is there answers within a quarter of a second; three questions go out in this time. */
export const LAN_WITHIN_MS = 3000;

const LOCAL = 'local';

/** Gives up after `LAN_WITHIN_MS`. Throws `CodedError` `UNSUPPORTED_TRANSPORT`. */
export class LanLocator implements Locator {
  readonly #browser: Browser;

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const name = phoneOf(target);
    if (name === undefined) return [];
    const { protocol } = directPlan(target);
    const phone = await this.#browser.find(name, signal, LAN_WITHIN_MS);
    const unreached = () => this.#browser.doubt(name);
    return (phone?.endpoints ?? []).map(({ address, port: announced }) => {
      const port = target.port ?? portFor(protocol, announced, phone?.ports);
      const endpoint = { address, port };
      return {
        uri: uriAt(target, endpoint),
        endpoint,
        target: { protocol, endpoint },
        source: 'lan',
        unreached,
      };
    });
  }
}

/** A phone that does not say where it listens for a protocol is tried at the usual port. */
function portFor(protocol: SipProtocol, announced: number, ports: PhonePorts = {}): number {
  // The port announced is one of UDP, and has to be one of TCP too: RFC 3261 §18.2.1.
  if (protocol === 'UDP' || protocol === 'TCP') return announced;
  return ports[protocol] ?? PROTOCOLS[protocol].defaultPort;
}

function uriAt({ scheme, user, params }: SipUri, { address, port }: Endpoint): SipUri {
  // A zone means something on this host only (RFC 6874 §1), so it stays out of the URI.
  const uri = sipUri({ scheme, user, host: withoutZone(address), port });
  const transport = params.get('transport');
  if (transport !== undefined) uri.params.set('transport', transport);
  return uri;
}

function phoneOf({ user, host }: SipUri): string | undefined {
  const lower = host.toLowerCase();
  if (lower === LOCAL) return user;
  return lower.endsWith(`.${LOCAL}`) ? host.slice(0, -LOCAL.length - 1) : undefined;
}
