/** Telephones in the simulator: the very rooms that run on a board, on virtual time and network. */
import type { Logger } from '../core/logger.js';
import { silentLogger } from '../core/logger.js';
import { PollingNetworkWatcher } from '../core/network-watcher.js';
import { AddressLocator } from '../discovery/address-locator.js';
import { LanLocator } from '../discovery/lan-locator.js';
import { type Locator, LocatorChain } from '../discovery/locator.js';
import { MdnsAdvertiser } from '../discovery/mdns/mdns-advertiser.js';
import { MdnsBrowser } from '../discovery/mdns/mdns-browser.js';
import { MdnsLinks } from '../discovery/mdns/mdns-links.js';
import { LocalMediaEngine } from '../media/local-engine.js';
import { Telephone, type TelephoneOptions } from '../runtime/telephone.js';
import { resolverByLookup } from '../sip/resolver.js';
import { SeededRandom } from './seeded-random.js';
import { VirtualClock } from './virtual-clock.js';
import { VirtualLan } from './virtual-lan.js';
import { type LinkOptions, VirtualNetwork } from './virtual-network.js';

export interface SimulationOptions {
  /** Everything drawn by chance follows from it: the same seed, the same run. */
  readonly seed: number;
  readonly link?: Partial<LinkOptions>;
  readonly logger?: Logger;
  /** Phones find each other by multicast DNS, which takes them a second; else they know each other at once. */
  readonly mdns?: boolean;
}

/** Others cost time for real, and Opus would be loaded in it. */
const SIMULATED_CODECS = ['pcmu', 'pcma'] as const;

export class Simulation {
  readonly clock = new VirtualClock();
  readonly network: VirtualNetwork;
  readonly lan: VirtualLan;
  readonly #random: SeededRandom;
  readonly #logger: Logger;
  readonly #mdns: boolean;
  readonly #phones: Telephone[] = [];
  readonly #advertisers: MdnsAdvertiser[] = [];
  readonly #watchers: PollingNetworkWatcher[] = [];

  constructor({ seed, link, logger, mdns = false }: SimulationOptions) {
    this.#mdns = mdns;
    this.#random = new SeededRandom(seed);
    this.#logger = logger ?? silentLogger;
    const networkSeed = this.#random.uint32();
    this.network = new VirtualNetwork({
      clock: this.clock,
      seed: networkSeed,
      ...(link && { link }),
    });
    this.lan = new VirtualLan(this.clock);
  }

  /** Starts a phone at an address, and announces it under its name. */
  async addPhone(
    name: string,
    address: string,
    options: Pick<
      TelephoneOptions,
      | 'codecs'
      | 'users'
      | 'store'
      | 'tls'
      | 'accounts'
      | 'instance'
      | 'watchers'
      | 'srtp'
      | 'silence'
      | 'clickToDial'
      | 'maxCalls'
      | 'overlay'
    > & {
      /** It listens at whatever address it has, and notices when that changes: see `VirtualNetwork.moveHost`. */
      readonly roams?: boolean;
      /** Asked first where somebody is. */
      readonly locator?: Locator;
    } = {},
  ): Promise<Telephone> {
    const { clock } = this;
    const network = this.network.host(address);
    const random = new SeededRandom(this.#random.uint32());
    const watcher = options.roams
      ? new PollingNetworkWatcher(
          clock,
          () => network.addresses(),
          () => true,
        )
      : undefined;
    await watcher?.start();
    const links = new MdnsLinks({
      clock,
      logger: this.#logger,
      network,
      random,
      ...(watcher && { watcher }),
    });
    const browser = this.#mdns ? new MdnsBrowser({ clock, random, links }) : this.lan.browser();
    const seams = {
      clock,
      network,
      random,
      browser,
      logger: this.#logger,
      media: new LocalMediaEngine({ clock, network, random }),
      resolve: resolverByLookup(async () => []),
      ...(watcher && { watcher }),
      locator: new LocatorChain([
        ...(options.locator ? [options.locator] : []),
        new AddressLocator(),
        new LanLocator(browser),
      ]),
    };
    const listen = { address: options.roams ? '0.0.0.0' : address, port: 5060 };
    const tlsPort = 5071;
    const phone = new Telephone(seams, {
      codecs: SIMULATED_CODECS,
      ...options,
      name,
      listen,
      ...(options.tls && { listenToo: { TLS: { ...listen, port: tlsPort } } }),
      product: 'Ringline/simulated',
    });
    await phone.start();
    this.#phones.push(phone);
    if (watcher) this.#watchers.push(watcher);
    const host = `${name}.local`;
    const ports = options.tls ? { TLS: tlsPort } : {};
    if (this.#mdns) {
      const advertiser = new MdnsAdvertiser({ clock, logger: this.#logger, random, links });
      this.#advertisers.push(advertiser);
      advertiser.on('named', given => phone.rename(given));
      const deviceId = address.replaceAll('.', 'x');
      await advertiser.start({ name, ...listen, ports, deviceId });
    } else
      this.lan.announce({
        name,
        deviceId: undefined,
        endpoints: [{ ...listen, address }],
        ports,
        host,
      });
    return phone;
  }

  /** Stops every phone, giving it the virtual time it takes. */
  async stop(): Promise<void> {
    const all = [...this.#watchers, ...this.#advertisers, ...this.#phones];
    const stopped = Promise.all(all.map(each => each.stop()));
    await this.clock.advance(5000);
    await stopped;
  }
}
