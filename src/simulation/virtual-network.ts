/**
 * A network in memory: hosts, links with latency, loss, duplication and reordering, and a trace of
 * every datagram and segment. Seeded: the same seed and the same doings give the same trace.
 */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Clock } from '../core/clock.js';
import { formatEndpoint, isWildcard } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type {
  ConnectOptions,
  DatagramOptions,
  DatagramSocket,
  Endpoint,
  InterfaceAddress,
  ListenOptions,
  MulticastOptions,
  MulticastSocket,
  Network,
  SecureOptions,
  StreamConnection,
  StreamListener,
} from '../core/network.js';
import { SeededRandom } from './seeded-random.js';
import { VirtualStreams } from './virtual-streams.js';

export interface LinkOptions {
  /** One-way delay in ms: this, plus up to `jitterMs`, uniformly drawn; jitter reorders. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Probability that a datagram is lost. */
  readonly loss: number;
  /** Probability that a datagram arrives twice. */
  readonly duplication: number;
}

const PERFECT_LINK: LinkOptions = { delayMs: 1, jitterMs: 0, loss: 0, duplication: 0 };

export type Fate = 'delivered' | 'lost' | 'unreachable';

export interface TraceEntry {
  /** Virtual ms at which it was sent. */
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly octets: number;
  readonly fate: Fate;
  /** A digest of the octets, and the first line of a text message. */
  readonly what: string;
}

export interface VirtualNetworkOptions {
  readonly clock: Clock;
  readonly seed: number;
  readonly link?: Partial<LinkOptions>;
}

const FIRST_EPHEMERAL_PORT = 49_152; // RFC 6335 §6
const RETRANSMISSION_MS = 200; // Linux' shortest

export class VirtualNetwork {
  readonly trace: TraceEntry[] = [];
  link: LinkOptions;
  /** As some access points do, for hosts that sleep. */
  dropMulticast = false;
  /** Told each datagram and segment that leaves a host whose link is up, as it leaves; `data` is valid only during the call. */
  onSent: (from: Endpoint, to: Endpoint, data: Uint8Array) => void = () => undefined;
  readonly streams: VirtualStreams;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #sockets = new Map<string, VirtualSocket>();
  /** By group: who has joined. */
  readonly #groups = new Map<string, Set<VirtualMember>>();
  readonly #cut = new Set<string>();
  readonly #hosts = new Map<string, VirtualHost>();

  constructor({ clock, seed, link }: VirtualNetworkOptions) {
    this.#clock = clock;
    this.#random = new SeededRandom(seed);
    this.link = { ...PERFECT_LINK, ...link };
    this.streams = new VirtualStreams({
      clock,
      isCut: address => !this.isReachable(address),
      delay: () => this.#streamDelay(),
      trace: (from, to, data, note) => this.#note(from, to, data, note),
    });
  }

  /** The network as a host with this address sees it; `further` are of the other kind, for who has only that. */
  host(address: string, ...further: readonly string[]): Network {
    const host = new VirtualHost(this, address, further);
    for (const each of host.all) this.#hosts.set(each, host);
    return host;
  }

  /**
   * A host gets another address in place of its first: sockets for all addresses go on at the new one; those
   * bound to the old are deaf and cannot send, and its connections are dead.
   */
  moveHost(from: string, to: string): void {
    const host = this.#hosts.get(from);
    if (!host || this.#hosts.has(to)) {
      throw new Error(`expected a host at ${from} and none at ${to}`);
    }
    this.#hosts.delete(from);
    this.#hosts.set(to, host);
    const wildcards = [...this.#sockets.values()].filter(
      socket => socket.host === host && socket.isWildcard,
    );
    for (const socket of wildcards) this.unbind(socket);
    host.address = to;
    for (const socket of wildcards) this.bind(socket);
    this.streams.moveListeners(from, to);
  }

  /** Takes a host's link down or up. While it is down nothing comes or goes, and sending fails. */
  setLink(address: string, up: boolean): void {
    for (const each of this.#hosts.get(address)?.all ?? [address]) {
      if (up) this.#cut.delete(each);
      else this.#cut.add(each);
    }
  }

  isCut(address: string): boolean {
    return this.#cut.has(address);
  }

  /** Whether anything comes to or goes from this address. */
  isReachable(address: string): boolean {
    return this.#hosts.has(address) && !this.#cut.has(address);
  }

  /** The trace as text, one datagram or segment a line. */
  traceText(): string {
    return this.trace
      .map(({ at, from, to, octets, fate, what }) =>
        [at.toFixed(3), from, to, octets, fate, what].join(' '),
      )
      .join('\n');
  }

  bind(socket: VirtualSocket): void {
    for (const place of socket.places) this.#sockets.set(formatEndpoint(place), socket);
  }

  unbind(socket: VirtualSocket): void {
    for (const place of socket.places) {
      const key = formatEndpoint(place);
      if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
    }
  }

  join(member: VirtualMember): void {
    const key = formatEndpoint(member.remoteGroup);
    const members = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, members.add(member));
  }

  leave(member: VirtualMember): void {
    this.#groups.get(formatEndpoint(member.remoteGroup))?.delete(member);
  }

  isBound(endpoint: Endpoint): boolean {
    return this.#sockets.has(formatEndpoint(endpoint));
  }

  carry(data: Uint8Array, from: Endpoint, to: Endpoint): Fate {
    const fate = this.#fate(from);
    this.#record(from, to, data.length, fate, describe(data));
    if (fate !== 'unreachable') this.onSent(from, to, data);
    if (fate !== 'delivered') return fate;
    // The sender may use its buffer again, as with a real socket.
    const copy = data.slice();
    const copies = this.#random.unit() < this.link.duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const { delayMs, jitterMs } = this.link;
      this.#clock.after(delayMs + this.#random.unit() * jitterMs, () => {
        for (const socket of this.#at(to)) {
          if (this.isReachable(socket.places[0].address)) socket.onMessage(copy, from);
        }
      });
    }
    return fate;
  }

  /** Members of a group hear its packets at one instant, whoever sent them among them. */
  #at(to: Endpoint): VirtualSocket[] {
    const key = formatEndpoint(to);
    const socket = this.#sockets.get(key);
    if (socket) return [socket];
    return this.dropMulticast ? [] : [...(this.#groups.get(key) ?? [])];
  }

  #record(from: Endpoint, to: Endpoint, octets: number, fate: Fate, what: string): void {
    const at = this.#clock.now();
    this.trace.push({ at, from: formatEndpoint(from), to: formatEndpoint(to), octets, fate, what });
  }

  #note(from: Endpoint, to: Endpoint, data: Uint8Array | undefined, note: string): void {
    const fate = this.isReachable(from.address) ? 'delivered' : 'unreachable';
    const what = data ? `${note} ${describe(data)}` : note;
    this.#record(from, to, data?.length ?? 0, fate, what);
    if (data && fate === 'delivered') this.onSent(from, to, data);
  }

  /** A segment that is lost comes later instead. */
  #streamDelay(): number {
    const { delayMs, jitterMs, loss } = this.link;
    let delay = delayMs + this.#random.unit() * jitterMs;
    while (loss > 0 && this.#random.unit() < Math.min(loss, 0.9)) delay += RETRANSMISSION_MS;
    return delay;
  }

  #fate(from: Endpoint): Fate {
    if (!this.isReachable(from.address)) return 'unreachable';
    return this.#random.unit() < this.link.loss ? 'lost' : 'delivered';
  }
}

class VirtualHost implements Network {
  address: string;
  readonly #network: VirtualNetwork;
  readonly #further: readonly string[];
  #nextPort = FIRST_EPHEMERAL_PORT;

  constructor(network: VirtualNetwork, address: string, further: readonly string[]) {
    this.#network = network;
    this.address = address;
    this.#further = further;
  }

  get all(): readonly [string, ...string[]] {
    return [this.address, ...this.#further];
  }

  /** That of ours which is of the kind of `remote`; undefined where we have none. */
  sourceFor(remote: string): string | undefined {
    return this.all.find(own => isIPv6(own) === isIPv6(remote));
  }

  async bindDatagram({ address, port, shared }: DatagramOptions): Promise<DatagramSocket> {
    const socket = new VirtualSocket(this.#network, this, this.#endpoint(address, port));
    const taken = socket.places.find(place => this.#network.isBound(place));
    if (taken && !shared) {
      throw new CodedError('ADDRESS_IN_USE', `${formatEndpoint(taken)} is in use`);
    }
    this.#network.bind(socket);
    return socket;
  }

  async joinMulticast({ group }: MulticastOptions): Promise<MulticastSocket> {
    const local = { address: this.address, port: group.port };
    return new VirtualMember(this.#network, this, local, group);
  }

  async connectStream({ to, signal }: ConnectOptions): Promise<StreamConnection> {
    const address = this.sourceFor(to.address);
    if (address === undefined) throw this.#noRoute(to.address);
    return this.#network.streams.connect({ address, port: this.#nextPort++ }, to, signal);
  }

  async listenStream({ address, port, onConnection }: ListenOptions): Promise<StreamListener> {
    const local = this.#endpoint(address, port);
    const at = isWildcard(address) ? this.all : [this.address];
    const listeners = at.map(each =>
      this.#network.streams.listen({ address: each, port: local.port }, onConnection),
    );
    return {
      local,
      close: () => {
        for (const listener of listeners) listener.close();
      },
    };
  }

  secureStream(connection: StreamConnection, options: SecureOptions): Promise<StreamConnection> {
    return this.#network.streams.secure(connection, options);
  }

  addresses(): readonly InterfaceAddress[] {
    if (this.#network.isCut(this.address)) return [];
    return this.all.map(address => {
      const family = isIPv6(address) ? 'IPv6' : 'IPv4';
      const prefix = family === 'IPv6' ? 64 : 24;
      return { name: 'virtual0', address, family, prefix, internal: false };
    });
  }

  #endpoint(address: string, port: number): Endpoint {
    if (address !== this.address && !isWildcard(address)) {
      throw new CodedError('ADDRESS_NOT_HERE', `${address} is not an address of this host`);
    }
    return { address, port: port === 0 ? this.#nextPort++ : port };
  }

  async sourceAddressFor(remote: string): Promise<string> {
    const address = this.sourceFor(remote);
    if (address === undefined || this.#network.isCut(address)) throw this.#noRoute(remote);
    return address;
  }

  #noRoute(remote: string): CodedError {
    return new CodedError('NO_ROUTE', `no route from ${this.address} to ${remote}`);
  }
}

class VirtualSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly host: VirtualHost;
  onMessage: (data: Uint8Array, from: Endpoint) => void = () => undefined;
  onError: (error: Error) => void = () => undefined;
  protected readonly network: VirtualNetwork;

  constructor(network: VirtualNetwork, host: VirtualHost, local: Endpoint) {
    this.network = network;
    this.host = host;
    this.local = local;
  }

  get isWildcard(): boolean {
    return isWildcard(this.local.address);
  }

  /** Where what is for it goes. */
  get places(): readonly [Endpoint, ...Endpoint[]] {
    if (!this.isWildcard) return [this.local];
    const { port } = this.local;
    const [first, ...further] = this.host.all;
    return [{ address: first, port }, ...further.map(address => ({ address, port }))];
  }

  send(data: Uint8Array, to: Endpoint, onFailure?: (error: Error) => void): void {
    const address = this.isWildcard ? this.host.sourceFor(to.address) : this.local.address;
    const from = address === undefined ? undefined : { address, port: this.local.port };
    if (from && this.network.carry(data, from, to) !== 'unreachable') return;
    const failed = onFailure ?? this.onError;
    const error = Object.assign(new Error('network is unreachable'), { code: 'ENETUNREACH' });
    // As a real socket does: never before `send` has returned.
    queueMicrotask(() => failed(asError(error)));
  }

  close(): void {
    this.network.unbind(this);
  }
}

class VirtualMember extends VirtualSocket implements MulticastSocket {
  readonly remoteGroup: Endpoint;

  constructor(network: VirtualNetwork, host: VirtualHost, local: Endpoint, group: Endpoint) {
    super(network, host, local);
    this.remoteGroup = group;
    network.join(this);
  }

  override close(): void {
    this.network.leave(this);
  }
}

/** A digest, so that no difference hides; for text its first line too, so that a person can follow. */
function describe(data: Uint8Array): string {
  const digest = createHash('sha256').update(data).digest('hex').slice(0, 16);
  const isText = data[0] !== undefined && data[0] >= 0x41 && data[0] <= 0x5a;
  if (!isText) return digest;
  const [firstLine] = Buffer.from(data).toString('latin1').split('\r\n', 1);
  return `${digest} ${firstLine}`;
}
