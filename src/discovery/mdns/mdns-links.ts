/**
 * Multicast DNS sockets on every interface this host has, IPv4 and IPv6 each by itself (RFC 6762 §3, §5.1), for
 * all who speak it here. They follow the addresses as they come and go, and need no route.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { isLinkLocal, withoutZone } from '../../core/endpoint.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type {
  DatagramSocket,
  Endpoint,
  InterfaceAddress,
  MulticastSocket,
  Network,
  NetworkWatcher,
} from '../../core/network.js';
import { type Random, randomUint32 } from '../../core/random.js';
import { isInSubnet } from '../subnet.js';
import { decodeMessage, encodeMessage } from './dns-codec.js';
import type { DnsMessage } from './dns-message.js';

/** RFC 6762 §3 */
export const MDNS_PORT = 5353;
const GROUPS = { IPv4: '224.0.0.251', IPv6: 'ff02::fb' } as const;
/** Where a socket could not be opened: an IPv6 address that is still being checked is usable after a second. */
const RETRY_MS = 2000;
/** A host that is there answers a question by unicast within this time. */
const DIRECT_ANSWER_MS = 3000;
const MAX_DIRECT_QUESTIONS = 32;

export interface MdnsLink {
  /** E.g. `eth0 IPv4`: the same while the interface is there. */
  readonly id: string;
  readonly interfaceName: string;
  readonly family: InterfaceAddress['family'];
  /** Of the interface, whatever the family. */
  readonly addresses: readonly InterfaceAddress[];
}

export interface Heard {
  readonly link: MdnsLink;
  readonly source: Endpoint;
  readonly message: DnsMessage;
  /** It came from an address of this host: from this process or another. */
  readonly own: boolean;
  /** Sent to the group, to port 5353 of this host alone, or in answer to `askDirectly`. */
  readonly via: 'group' | 'unicast' | 'direct';
}

/** Whoever speaks multicast DNS here; the calls come one at a time. */
export interface MdnsListener {
  /** Whether it wants what is sent to port 5353 of this host alone: of several programs, the last to start gets it. */
  readonly wantsUnicast: boolean;
  /** @param problem why there is no link where there should be some */
  linksChanged(links: readonly MdnsLink[], problem: Error | undefined): void;
  heard(heard: Heard): void;
}

export interface MdnsLinksOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly network: Network;
  readonly random: Random;
  /** Without one, addresses that come later are not noticed. */
  readonly watcher?: NetworkWatcher;
}

/** One interface and family, as it should be. */
interface Place extends MdnsLink {
  /** The address to join by. */
  readonly on: InterfaceAddress;
}

interface OpenLink {
  place: Place;
  readonly member: MulticastSocket;
  unicast: DatagramSocket | undefined;
  direct: Promise<DirectSocket> | undefined;
}

/** Asks single hosts from a port of its own, so that nobody else on this host gets the answers. */
interface DirectSocket {
  readonly socket: DatagramSocket;
  /** Message ID by address. */
  readonly asked: Map<string, number>;
  idle: Timer;
}

export class MdnsLinks {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #network: Network;
  readonly #random: Random;
  readonly #watcher: NetworkWatcher | undefined;
  readonly #listeners = new Set<MdnsListener>();
  readonly #open = new Map<string, OpenLink>();
  #ownAddresses: ReadonlySet<string> = new Set();
  #problem: Error | undefined;
  #retry: Timer | undefined;
  /** Changes follow one another. */
  #turn: Promise<void> = Promise.resolve();

  constructor({ clock, logger, network, random, watcher }: MdnsLinksOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#network = network;
    this.#random = random;
    this.#watcher = watcher;
  }

  /** Opens the sockets for the first listener; resolves when it has been told of the links there are. */
  async listen(listener: MdnsListener): Promise<void> {
    if (this.#listeners.size === 0) this.#watcher?.on('change', this.#follow);
    this.#listeners.add(listener);
    await this.#follow();
  }

  /** Closes the sockets after the last listener. */
  async unlisten(listener: MdnsListener): Promise<void> {
    if (!this.#listeners.delete(listener)) return;
    if (this.#listeners.size === 0) this.#watcher?.off('change', this.#follow);
    await this.#follow();
  }

  /** To all on the link, or by unicast to one of them. */
  send(linkId: string, message: DnsMessage, to?: Endpoint): void {
    const link = this.#open.get(linkId);
    if (!link) return;
    this.#write(link.member, message, to ?? link.member.remoteGroup, linkId);
  }

  /** Asks one host on the link (RFC 6762 §5.5): some networks drop multicast to hosts that sleep. */
  askDirectly(linkId: string, message: DnsMessage, address: string): void {
    const link = this.#open.get(linkId);
    if (link) void this.#askDirectly(link, message, address).catch(this.#logFailure(linkId));
  }

  readonly #follow = (): Promise<void> => {
    this.#turn = this.#turn.then(() => this.#reconcile());
    return this.#turn;
  };

  async #reconcile(): Promise<void> {
    this.#retry?.cancel();
    const wanted = this.#listeners.size > 0 ? this.#places() : new Map<string, Place>();
    for (const [id, link] of this.#open) {
      const place = wanted.get(id);
      if (place?.on.address === link.place.on.address) link.place = place;
      else this.#close(id, link);
    }
    this.#problem = undefined;
    const missing = [...wanted.values()].filter(place => !this.#open.has(place.id));
    await Promise.all(missing.map(place => this.#join(place)));
    await Promise.all([...this.#open.values()].map(link => this.#bindUnicast(link)));
    if (this.#problem && this.#listeners.size > 0)
      this.#retry = this.#clock.after(RETRY_MS, () => void this.#follow());
    this.#tell();
  }

  #tell(): void {
    const links = [...this.#open.values()].map(({ place }) => place);
    const problem = links.length === 0 ? this.#problem : undefined;
    for (const listener of this.#listeners) listener.linksChanged(links, problem);
  }

  /** Loopback is spoken on too, in IPv4: phones on one machine see each other without any network. */
  #places(): Map<string, Place> {
    const all = this.#network.addresses();
    const usable = this.#watcher?.usable;
    const addresses = usable ? [...usable, ...all.filter(each => each.internal)] : all;
    this.#ownAddresses = new Set(addresses.map(each => withoutZone(each.address)));
    const places = new Map<string, Place>();
    for (const on of addresses) {
      const { name: interfaceName, family } = on;
      const id = `${interfaceName} ${family}`;
      const isUsable = family === 'IPv4' || isLinkLocal(on.address);
      if (places.has(id) || !isUsable) continue;
      const here = addresses.filter(each => each.name === interfaceName);
      places.set(id, { id, interfaceName, family, on, addresses: here });
    }
    return places;
  }

  async #join(place: Place): Promise<void> {
    const group = { address: GROUPS[place.family], port: MDNS_PORT };
    try {
      const member = await this.#network.joinMulticast({ group, on: place.on });
      const link: OpenLink = { place, member, unicast: undefined, direct: undefined };
      member.onMessage = (data, from) => this.#heardFromGroup(link, data, from);
      member.onError = this.#logFailure(place.id);
      this.#open.set(place.id, link);
    } catch (error) {
      this.#problem = asError(error);
      this.#logger.debug({ link: place.id, error }, 'no multicast DNS on this link');
    }
  }

  async #bindUnicast(link: OpenLink): Promise<void> {
    const isWanted = [...this.#listeners].some(({ wantsUnicast }) => wantsUnicast);
    if (link.unicast || !isWanted) return;
    try {
      const socket = await this.#bind(link.place.on, MDNS_PORT);
      socket.onMessage = (data, from) => this.#heardByUnicast(link, data, from);
      socket.onError = this.#logFailure(link.place.id);
      link.unicast = socket;
    } catch (error) {
      this.#problem = asError(error);
      this.#logger.debug({ link: link.place.id, error }, 'no unicast DNS on this link');
    }
  }

  #bind({ address, family, name }: InterfaceAddress, port: number): Promise<DatagramSocket> {
    const zone = family === 'IPv6' && !address.includes('%') ? `%${name}` : '';
    const options = { port, trafficClass: 'default', shared: port !== 0 } as const;
    return this.#network.bindDatagram({ address: address + zone, ...options });
  }

  #close(id: string, { member, unicast, direct }: OpenLink): void {
    this.#open.delete(id);
    for (const socket of [member, unicast]) socket?.close();
    void direct?.then(closeDirect, () => undefined);
  }

  #heardFromGroup(link: OpenLink, data: Uint8Array, source: Endpoint): void {
    // RFC 6762 §11: what was sent to the group comes from its link, whatever the source; but IPv4 sockets hear
    // the groups of all links.
    if (link.place.family === 'IPv4' && !this.#isFrom(link, source.address)) return;
    this.#hear(link, data, source, 'group');
  }

  #heardByUnicast(link: OpenLink, data: Uint8Array, source: Endpoint): void {
    if (isOnLink(link.place, source.address)) this.#hear(link, data, source, 'unicast');
  }

  /** A host with an address foreign to all our links is taken to be on the first. */
  #isFrom({ place }: OpenLink, source: string): boolean {
    if (this.#ownAddresses.has(source))
      return place.addresses.some(({ address }) => address === source);
    if (isOnLink(place, source)) return true;
    const places = [...this.#open.values()].map(open => open.place);
    if (places.some(each => isOnLink(each, source))) return false;
    const first = places.find(({ family, on }) => family === 'IPv4' && !on.internal);
    return first?.id === place.id;
  }

  #hear({ place: link }: OpenLink, data: Uint8Array, source: Endpoint, via: Heard['via']): void {
    const message = decodeMessage(data);
    if (!message) return;
    // RFC 6762 §6: a response from another port is none.
    if (message.response && source.port !== MDNS_PORT) return;
    const own = this.#ownAddresses.has(withoutZone(source.address));
    for (const listener of this.#listeners) listener.heard({ link, source, message, own, via });
  }

  async #askDirectly(link: OpenLink, message: DnsMessage, address: string): Promise<void> {
    link.direct ??= this.#openDirect(link).catch(error => {
      link.direct = undefined;
      throw error;
    });
    const direct = await link.direct;
    if (this.#open.get(link.place.id) !== link || direct.asked.size >= MAX_DIRECT_QUESTIONS) return;
    const id = 1 + (randomUint32(this.#random) % 0xffff);
    direct.asked.set(address, id);
    direct.idle.cancel();
    direct.idle = this.#clock.after(DIRECT_ANSWER_MS, () => {
      link.direct = undefined;
      closeDirect(direct);
    });
    this.#write(direct.socket, { ...message, id }, { address, port: MDNS_PORT }, link.place.id);
  }

  async #openDirect(link: OpenLink): Promise<DirectSocket> {
    const socket = await this.#bind(link.place.on, 0);
    const asked = new Map<string, number>();
    socket.onError = this.#logFailure(link.place.id);
    socket.onMessage = (data, source) => {
      const id =
        data.length < 2 ? undefined : new DataView(data.buffer, data.byteOffset).getUint16(0);
      if (id !== undefined && asked.get(source.address) === id)
        this.#hear(link, data, source, 'direct');
    };
    return { socket, asked, idle: this.#clock.after(0, () => undefined) };
  }

  #write(socket: DatagramSocket, message: DnsMessage, to: Endpoint, linkId: string): void {
    const failed = this.#logFailure(linkId);
    try {
      for (const packet of encodeMessage(message)) socket.send(packet, to, failed);
    } catch (error) {
      // A name that came out of a broken packet cannot be asked for.
      failed(asError(error));
    }
  }

  #logFailure(link: string): (error: Error) => void {
    return error => this.#logger.debug({ link, error }, 'multicast DNS packet not sent');
  }
}

function isOnLink({ addresses }: Place, source: string): boolean {
  return addresses.some(own => isInSubnet(source, own));
}

function closeDirect({ socket, idle }: DirectSocket): void {
  idle.cancel();
  socket.close();
}
