/** By which of their addresses others are reached: the first that there is a route to. */
import type { Endpoint } from '../core/network.js';
import type { Target } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import { type LinkProtocol, linkTargets, type Peer } from './ring/peer.js';

export interface LinkRoutesOptions {
  readonly userAgent: Pick<UserAgent, 'localEndpointFor'>;
  readonly protocol: LinkProtocol;
}

/** Where a link leads, and from where. */
export interface LinkRoute {
  readonly target: Target;
  readonly local: Endpoint;
}

/** Members and nodes of whom it is remembered that their first address leads nowhere, those asked last. */
const MAX_DETOURS = 512;

export class LinkRoutes {
  readonly #options: LinkRoutesOptions;
  /** By address, of who was asked at another last. */
  readonly #detours = new Map<string, Target>();

  constructor(options: LinkRoutesOptions) {
    this.#options = options;
  }

  /** Where the link to somebody leads who was asked before. */
  targetOf(peer: Peer): Target {
    return this.#detours.get(peer.address) ?? linkTargets(peer, this.#options.protocol)[0];
  }

  /**
   * By the first of its addresses that there is a route to: of a kind that we have too, that is.
   *
   * @throws {CodedError} `NO_ROUTE`, of the first
   */
  async find(to: Peer): Promise<LinkRoute> {
    const { userAgent, protocol } = this.#options;
    const targets = linkTargets(to, protocol);
    let failure: unknown;
    for (const target of targets) {
      try {
        const local = await userAgent.localEndpointFor(target.endpoint.address);
        this.#remember(to, target === targets[0] ? undefined : target);
        return { target, local };
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  #remember({ address }: Peer, detour: Target | undefined): void {
    this.#detours.delete(address);
    if (!detour) return;
    this.#detours.set(address, detour);
    for (const oldest of this.#detours.keys()) {
      if (this.#detours.size <= MAX_DETOURS) break;
      this.#detours.delete(oldest);
    }
  }
}
