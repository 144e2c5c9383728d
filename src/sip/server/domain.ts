/** Which URIs name this host: by any address it has and any name it is called, at a port it listens at. */
import type { SipUri } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { withoutZone } from '../../core/endpoint.js';
import type { Endpoint, Network } from '../../core/network.js';
import { PROTOCOLS, type SipProtocol } from '../resolution/plan.js';
import type { TransportManager } from '../transport/transport-manager.js';

/** Addresses come and go seldom, and to ask for them for each request is dear. */
const REMEMBERED_MS = 1000;

export interface DomainOptions {
  readonly clock: Clock;
  readonly network: Pick<Network, 'addresses'>;
  readonly transports: Pick<TransportManager, 'local'>;
  /** Host names of this phone now, such as `kitchen.local`; compared without regard to case. */
  readonly names: () => readonly string[];
}

export class Domain {
  readonly #options: DomainOptions;
  #addresses: { readonly at: number; readonly known: ReadonlySet<string> } | undefined;

  constructor(options: DomainOptions) {
    this.#options = options;
  }

  /** Whether this is an address of somebody here. Another port of this machine is another program's. */
  includes({ host, port }: SipUri): boolean {
    if (port !== undefined && !this.#ports().includes(port)) return false;
    return this.#isHere(host) || this.#isName(host);
  }

  /** Whether a request that is sent by this URI comes to this phone. */
  leadsHere(uri: SipUri): boolean {
    if (this.#isName(uri.host)) return this.includes(uri);
    return this.#isHere(uri.host) && this.#ports().includes(portOf(uri));
  }

  /** Whether what is sent there comes back to this phone. */
  listensAt({ address, port }: Endpoint): boolean {
    return this.#ports().includes(port) && this.#isHere(address);
  }

  #isName(host: string): boolean {
    const called = host.toLowerCase();
    return this.#options.names().some(name => name.toLowerCase() === called);
  }

  #isHere(address: string): boolean {
    return this.#known().has(withoutZone(address).toLowerCase());
  }

  #known(): ReadonlySet<string> {
    const { clock, network } = this.#options;
    const at = clock.now();
    if (this.#addresses && at - this.#addresses.at < REMEMBERED_MS) return this.#addresses.known;
    const own = [...network.addresses(), ...this.#bound()].map(({ address }) => address);
    const known = new Set(['localhost', ...own.map(withoutZone)].map(host => host.toLowerCase()));
    this.#addresses = { at, known };
    return known;
  }

  #ports(): number[] {
    return this.#bound().map(({ port }) => port);
  }

  #bound(): Endpoint[] {
    const { transports } = this.#options;
    const protocols = Object.keys(PROTOCOLS) as SipProtocol[];
    return protocols
      .map(protocol => transports.local(protocol))
      .filter(local => local !== undefined);
  }
}

function portOf(uri: SipUri): number {
  const named = uri.params.get('transport')?.toUpperCase();
  const facts = Object.entries(PROTOCOLS).find(([protocol]) => protocol === named)?.[1];
  return uri.port ?? (facts ?? PROTOCOLS.UDP).defaultPort;
}
