/** How this phone is reached from where requests come from and go to: what it writes into Via and Record-Route. */

import type { Endpoint } from '../../core/network.js';
import type { OwnAddress } from '../proxy/route.js';
import type { NextHop } from '../proxy/target.js';
import { PROTOCOLS } from '../resolution/plan.js';
import type { TransportManager } from '../transport/transport-manager.js';

/** Others are asked for again when they are needed. */
const MAX_REMEMBERED = 1024;

export interface OwnAddressesOptions {
  readonly transports: Pick<TransportManager, 'sentBy'>;
  /** As `UserAgent.localEndpointFor`. */
  readonly localEndpointFor: (remote: string) => Promise<Endpoint>;
  /** What stands for this phone where nothing is known. */
  readonly fallback: () => Endpoint;
}

export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  /** By the other side's address; the oldest first. */
  readonly #known = new Map<string, Endpoint>();

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  /** Asks how the other side of this hop sees us, for `toward`; a way that does not exist is not learnt. */
  async learn({ endpoint: { address } }: NextHop): Promise<void> {
    const local = await this.#options.localEndpointFor(address).catch(() => undefined);
    this.#known.delete(address);
    if (!local) return;
    this.#known.set(address, local);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
  }

  toward({ protocol, endpoint }: NextHop): OwnAddress {
    const { transports, fallback } = this.#options;
    const local = this.#known.get(endpoint.address) ?? fallback();
    const { host, port } = transports.sentBy(protocol, local);
    return { transport: protocol, host, port: port ?? PROTOCOLS[protocol].defaultPort };
  }
}
