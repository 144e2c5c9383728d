/** The real seams: this machine's time, network, randomness, media thread and discovery. */
import { lookup } from 'node:dns/promises';
import type { Uri } from '@sip-stack/parser';
import { SystemClock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { InterfaceAddress, NetworkWatcher } from '../core/network.js';
import { PollingNetworkWatcher } from '../core/network-watcher.js';
import { SystemRandom } from '../core/random.js';
import { SystemNetwork } from '../core/system-network.js';
import { AddressLocator } from '../discovery/address-locator.js';
import { DnsLocator } from '../discovery/dns-locator.js';
import { FirstToKnow } from '../discovery/first-to-know.js';
import { LanLocator } from '../discovery/lan-locator.js';
import { type Locator, LocatorChain } from '../discovery/locator.js';
import { MdnsBrowser } from '../discovery/mdns/mdns-browser.js';
import { MdnsLinks } from '../discovery/mdns/mdns-links.js';
import type { MediaEngine } from '../media/engine.js';
import { SpreadMediaEngine } from '../media/spread-engine.js';
import { WorkerMediaEngine } from '../media/worker-engine.js';
import { loadNative } from '../native/index.js';
import { CachingDns } from '../sip/resolution/caching-dns.js';
import type { DnsClient } from '../sip/resolution/dns.js';
import { SystemDns } from '../sip/resolution/system-dns.js';
import {
  type AddressFamily,
  type HostLookup,
  TargetResolver,
} from '../sip/resolution/target-resolver.js';
import type { TelephoneSeams } from './telephone.js';

export interface System extends TelephoneSeams {
  readonly watcher: NetworkWatcher;
  /** Multicast DNS, for whoever speaks it here. */
  readonly links: MdnsLinks;
  readonly dns: DnsClient;
  /** The system's way to addresses of a name. */
  readonly lookup: HostLookup;
}

export interface SystemOptions {
  /** Knows where people are by their names in the overlay; nobody by default. */
  readonly ring?: Locator;
  /** That voice is spread over; 1 by default. */
  readonly mediaThreads?: number;
}

export function systemSeams(logger: Logger, options: SystemOptions = {}): System {
  const { ring = new LocatorChain([]), mediaThreads = 1 } = options;
  const clock = new SystemClock();
  const network = new SystemNetwork(loadNative()?.openMarkedUdpSocket);
  const watcher = new PollingNetworkWatcher(clock, () => network.addresses());
  const random = new SystemRandom();
  const dns = new SystemDns();
  const cache = new CachingDns(dns, clock);
  watcher.on('change', () => {
    network.forgetRoutes();
    // Another network has other name servers, and perhaps other answers.
    dns.refresh();
    cache.clear();
  });
  const resolver = new TargetResolver({
    dns: cache,
    lookup: lookUpHost,
    clock,
    random,
    protocols: ['UDP', 'TCP', 'TLS', 'WS', 'WSS'],
    families: () => familiesOf(network.addresses()),
  });
  const resolve = (uri: Uri) => resolver.resolve(uri);
  const links = new MdnsLinks({ clock, logger, network, random, watcher });
  const browser = new MdnsBrowser({ clock, random, links });
  return {
    clock,
    network,
    watcher,
    links,
    dns: cache,
    lookup: lookUpHost,
    browser,
    logger,
    random,
    media: mediaEngine(logger, mediaThreads),
    resolve,
    locator: new LocatorChain([
      new AddressLocator(),
      // Neither waits for the other: the LAN knows at once, or never.
      new FirstToKnow([new LanLocator(browser), ring]),
      new DnsLocator(resolve),
    ]),
  };
}

function mediaEngine(logger: Logger, threads: number): MediaEngine {
  const onError = (error: Error) => logger.error({ reason: error.message }, 'voice failed');
  if (threads === 1) return new WorkerMediaEngine({ onError });
  const engines = Array.from({ length: threads }, () => new WorkerMediaEngine({ onError }));
  return new SpreadMediaEngine(engines, onError);
}

/** IPv4 first: fewer networks carry IPv6 all the way. */
function familiesOf(addresses: readonly InterfaceAddress[]): AddressFamily[] {
  const here = new Set(addresses.filter(({ internal }) => !internal).map(({ family }) => family));
  const families = (['IPv4', 'IPv6'] as const).filter(family => here.has(family));
  return families.length > 0 ? families : ['IPv4'];
}

/** By the system's resolver: hosts file, DNS, and mDNS where nss-mdns is set up. */
async function lookUpHost(host: string): Promise<readonly string[]> {
  try {
    const found = await lookup(host, { all: true });
    return found.map(({ address }) => address);
  } catch {
    return [];
  }
}
