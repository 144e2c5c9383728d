/** Where this phone looks for super-nodes, and how it is made known as one, as the configuration has it. */
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { Network, NetworkWatcher } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { CandidateSource } from '../discovery/candidates/candidate.js';
import { DnsSource } from '../discovery/candidates/dns-source.js';
import { FixedSource } from '../discovery/candidates/fixed-source.js';
import { FloodSource } from '../discovery/candidates/flood-source.js';
import { MdnsSource } from '../discovery/candidates/mdns-source.js';
import { SlpSource } from '../discovery/candidates/slp-source.js';
import type { Advertiser } from '../discovery/discovery.js';
import { DynamicDns } from '../discovery/dns-update/dynamic-dns.js';
import type { MdnsLinks } from '../discovery/mdns/mdns-links.js';
import {
  SUPER_NODE_KEY,
  type SuperNode,
  SuperNodeAnnouncer,
  superNodePublication,
} from '../discovery/super-node-announcer.js';
import { linkTarget, type Peer } from '../overlay/ring/peer.js';
import type { Announcer } from '../overlay/seat.js';
import type { DnsClient } from '../sip/resolution/dns.js';
import type { HostLookup } from '../sip/resolution/target-resolver.js';
import type { UriResolver } from '../sip/resolver.js';
import type { OverlaySearch } from './config-overlay.js';

export interface DiscoverySeams {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly logger: Logger;
  readonly links: MdnsLinks;
  readonly watcher: NetworkWatcher;
  readonly resolve: UriResolver;
  readonly dns: DnsClient;
  readonly lookup: HostLookup;
}

/** All but what is remembered. */
export function overlaySources(seams: DiscoverySeams, search: OverlaySearch): CandidateSource[] {
  const { bootstrap = [], domain, slp = true, flood = true } = search;
  return [
    new MdnsSource(seams),
    ...(slp ? [new SlpSource(seams)] : []),
    ...(bootstrap.length > 0 ? [new FixedSource({ ...seams, bootstrap })] : []),
    ...(domain === undefined ? [] : [new DnsSource({ ...seams, domain })]),
    ...(flood ? [new FloodSource(seams)] : []),
  ];
}

export interface OverlayAnnouncerOptions extends DiscoverySeams {
  readonly search: OverlaySearch;
  /** Name of the overlay. */
  readonly overlay: string;
  /** The address the phone listens at. */
  readonly listen: string;
  readonly advertiser: Pick<Advertiser, 'publish' | 'withdraw'>;
  readonly onProblem: (error: Error) => void;
}

/** Announces a super-node that takes links over TLS, or by TCP alone. */
export class OverlayAnnouncer implements Announcer {
  readonly #options: OverlayAnnouncerOptions;
  #announcer: SuperNodeAnnouncer | undefined;
  #prepared: SuperNode | undefined;

  constructor(options: OverlayAnnouncerOptions) {
    this.#options = options;
  }

  /** The name is asked for now, so that others hear at once when this is a super-node (RFC 6762 §8.4). */
  prepare(peer: Peer): void {
    this.#prepared = this.#superNode(peer);
    const publication = superNodePublication(this.#prepared, 'node');
    this.#options.advertiser.publish(SUPER_NODE_KEY, publication);
  }

  async announce(peer: Peer): Promise<void> {
    const { search } = this.#options;
    const { dynamicDns: settings, slp = true } = search;
    this.#announcer ??= new SuperNodeAnnouncer({
      ...this.#options,
      slp,
      ...(settings && { domain: new DynamicDns({ ...this.#options, settings }) }),
    });
    await this.#announcer.start(this.#superNode(peer));
  }

  async withdraw(): Promise<void> {
    const announcer = this.#announcer;
    this.#announcer = undefined;
    await announcer?.stop();
    if (announcer && this.#prepared) {
      const publication = superNodePublication(this.#prepared, 'node');
      this.#options.advertiser.publish(SUPER_NODE_KEY, publication);
    }
  }

  #superNode({ id: nodeId, address }: Peer): SuperNode {
    const { protocol, endpoint } = linkTarget(address, 'TLS');
    const { port } = endpoint;
    const ports = protocol === 'TLS' ? { TLS: port } : { TCP: port };
    return { overlay: this.#options.overlay, nodeId, ports };
  }
}
