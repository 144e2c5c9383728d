/** The real seams: this machine's time, network, randomness, media thread and discovery. */
import { lookup } from 'node:dns/promises';
import { SystemClock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { NetworkWatcher } from '../core/network.js';
import { PollingNetworkWatcher } from '../core/network-watcher.js';
import { SystemRandom } from '../core/random.js';
import { SystemNetwork } from '../core/system-network.js';
import { AddressLocator } from '../discovery/address-locator.js';
import { DnsLocator } from '../discovery/dns-locator.js';
import { LanLocator } from '../discovery/lan-locator.js';
import { LocatorChain } from '../discovery/locator.js';
import { MdnsBrowser } from '../discovery/mdns-browser.js';
import { WorkerMediaEngine } from '../media/worker-engine.js';
import { loadNative } from '../native/index.js';
import type { TelephoneSeams } from './telephone.js';

export interface System extends TelephoneSeams {
  readonly watcher: NetworkWatcher;
}

export function systemSeams(logger: Logger): System {
  const clock = new SystemClock();
  const network = new SystemNetwork(loadNative()?.openMarkedUdpSocket);
  const watcher = new PollingNetworkWatcher(clock, () => network.addresses());
  const browser = new MdnsBrowser({ clock, logger, watcher });
  return {
    clock,
    network,
    watcher,
    browser,
    logger,
    random: new SystemRandom(),
    media: new WorkerMediaEngine(),
    lookup: lookUpHost,
    locator: new LocatorChain([
      new AddressLocator(),
      new LanLocator(browser),
      new DnsLocator(lookUpHost),
    ]),
  };
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
