/** Sees the phones on every link this host has: drives `browser-cache.ts` over multicast DNS sockets. */
import { EventEmitter } from 'node:events';
import type { MulticastDNS, ResponsePacket } from 'multicast-dns';
import type { Clock, Timer } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { InterfaceAddress, NetworkWatcher } from '../core/network.js';
import { type Random, randomUnit, SystemRandom } from '../core/random.js';
import { systemAddresses } from '../core/system-network.js';
import {
  type BrowserAction,
  type BrowserEvent,
  type BrowserState,
  newBrowserState,
  step,
  wakeAt,
} from './browser-cache.js';
import type { Browser, BrowserEvents, PhoneSighting } from './discovery.js';
import { phoneRecords, SERVICE } from './dns-records.js';
import { isOnLink } from './endpoint-order.js';
import { foldName } from './phone-name.js';

/** RFC 6762 §3 */
const MDNS_PORT = 5353;

type MdnsFactory = typeof import('multicast-dns');

export interface MdnsBrowserOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without one, addresses that come later are noticed at the next query. */
  readonly watcher?: NetworkWatcher;
  readonly addresses?: () => readonly InterfaceAddress[];
  readonly random?: Random;
}

export class MdnsBrowser extends EventEmitter<BrowserEvents> implements Browser {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #watcher: NetworkWatcher | undefined;
  readonly #addresses: () => readonly InterfaceAddress[];
  readonly #state: BrowserState;
  /** By local address. */
  readonly #sockets = new Map<string, MulticastDNS>();
  #makeSocket: MdnsFactory | undefined;
  #running = false;
  #timer: Timer | undefined;

  constructor({ clock, logger, watcher, addresses, random }: MdnsBrowserOptions) {
    super();
    // Every `find` under way listens.
    this.setMaxListeners(0);
    this.#clock = clock;
    this.#logger = logger;
    this.#watcher = watcher;
    this.#addresses = addresses ?? systemAddresses;
    const source = random ?? new SystemRandom();
    this.#state = newBrowserState(() => randomUnit(source));
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#makeSocket = (await import('multicast-dns')).default;
    if (!this.#running) return;
    this.#watcher?.on('change', this.#networkChanged);
    this.#networkChanged();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#watcher?.off('change', this.#networkChanged);
    await Promise.all([...this.#sockets.keys()].map(address => this.#leave(address)));
  }

  phones(): readonly PhoneSighting[] {
    return [...this.#state.instances.values()].flatMap(({ seen }) => seen ?? []);
  }

  find(name: string, signal: AbortSignal, withinMs: number): Promise<PhoneSighting | undefined> {
    const wanted = foldName(name);
    const known = this.#state.instances.get(`${wanted}.${SERVICE}`)?.seen;
    if (known || !this.#running) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const settle = () => {
        timer.cancel();
        this.off('up', onUp);
        signal.removeEventListener('abort', onAbort);
      };
      const onUp = (phone: PhoneSighting) => {
        if (foldName(phone.name) !== wanted) return;
        settle();
        resolve(phone);
      };
      const onAbort = () => {
        settle();
        reject(signal.reason);
      };
      const timer = this.#clock.after(withinMs, () => {
        settle();
        resolve(undefined);
      });
      this.on('up', onUp);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#take({ kind: 'ask', now: this.#clock.now() });
    });
  }

  readonly #networkChanged = () => {
    this.#follow();
    this.#take({ kind: 'network', now: this.#clock.now(), addresses: this.#addresses() });
  };

  #take(event: BrowserEvent): void {
    if (!this.#running) return;
    for (const action of step(this.#state, event)) this.#perform(action);
    this.#timer?.cancel();
    const at = wakeAt(this.#state);
    if (at === Number.POSITIVE_INFINITY || !this.#running) return;
    const delayMs = Math.max(0, at - this.#clock.now());
    this.#timer = this.#clock.after(delayMs, () => {
      this.#take({ kind: 'due', now: this.#clock.now() });
    });
  }

  #perform(action: BrowserAction): void {
    switch (action.kind) {
      case 'query': {
        this.#follow();
        const answers = action.known.map(({ instance, ttl }) => {
          return { type: 'PTR', name: SERVICE, data: instance, ttl } as const;
        });
        for (const [address, socket] of this.#sockets) {
          socket.query({ questions: [...action.questions], answers }, error => {
            if (error) this.#logger.debug({ address, error }, 'mDNS question not sent');
          });
        }
        return;
      }
      case 'up':
      case 'changed':
      case 'down':
        this.emit(action.kind, action.phone);
    }
  }

  /** One socket for each IPv4 address this host has now. */
  #follow(): void {
    const own = this.#addresses().filter(each => each.family === 'IPv4');
    const wanted = new Set(own.map(each => each.address));
    for (const address of this.#sockets.keys()) {
      if (!wanted.has(address)) void this.#leave(address);
    }
    for (const each of own) if (!this.#sockets.has(each.address)) this.#join(each);
  }

  #join({ name, address }: InterfaceAddress): void {
    if (!this.#makeSocket) return;
    const socket = this.#makeSocket({ interface: address, bind: '0.0.0.0' });
    this.#sockets.set(address, socket);
    const log = (error: Error) => this.#logger.debug({ address, error }, 'mDNS socket');
    socket.on('warning', log);
    socket.on('error', error => {
      this.#logger.warn({ address, error }, 'mDNS socket could not be opened; trying again later');
      if (this.#sockets.get(address) === socket) void this.#leave(address);
    });
    socket.on('response', (response, from) => {
      // RFC 6762 §6: from any other port it is not multicast DNS.
      if (from.port === MDNS_PORT && this.#linkOf(from.address) === name) {
        this.#hear(response, name);
      }
    });
  }

  #hear(response: ResponsePacket, link: string): void {
    const records = phoneRecords(response);
    if (records.length === 0) return;
    this.#take({ kind: 'heard', now: this.#clock.now(), link, records });
  }

  /**
   * Linux hands a multicast packet to every socket of the group, whichever link it came in by: its source
   * tells. A host with an address foreign to all our links is taken to be on the first.
   */
  #linkOf(source: string): string | undefined {
    const own = this.#state.addresses.filter(each => each.family === 'IPv4');
    const link = own.find(each => isOnLink(source, each)) ?? own.find(each => !each.internal);
    return link?.name;
  }

  #leave(address: string): Promise<void> {
    const socket = this.#sockets.get(address);
    this.#sockets.delete(address);
    return new Promise(resolve => (socket ? socket.destroy(resolve) : resolve()));
  }
}
