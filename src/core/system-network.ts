/** The real network: sockets of `node:dgram` and `node:net`, and the operating system's addresses. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ANY, ANY_IPV4, isLinkLocal, MAPPED, withoutMapping } from './endpoint.js';
import { asError, CodedError, errorCode } from './errors.js';
import {
  type ConnectOptions,
  type DatagramOptions,
  type DatagramSocket,
  DSCP,
  type Endpoint,
  type InterfaceAddress,
  type ListenOptions,
  type MulticastOptions,
  type MulticastSocket,
  type Network,
  type SecureOptions,
  type StreamConnection,
  type StreamListener,
} from './network.js';
import { connectSystemStream, listenSystemStream, secureSystemStream } from './system-streams.js';

/** Opens and binds a UDP socket whose packets carry `dscp`; returns its file descriptor. */
export type MarkedSocketOpener = (address: string, port: number, dscp: number) => number;

/**
 * So long an address of ours counts as the one a remote host sees, without a look at the routes: as
 * long as the network watcher takes to notice a change.
 */
const SOURCE_ADDRESS_MS = 1000;
/** Hosts whose source address is remembered. */
const MOST_SOURCE_ADDRESSES = 256;
const MOST_NEIGHBOURS = 1024;

/** The discard port (RFC 863): nothing is sent to it, the route to it is only looked up. */
const ROUTE_PROBE_PORT = 9;
/** Of packets that are not to be forwarded: who hears them can tell that they come from its own link (RFC 6762 §11). */
const HOP_LIMIT = 255;

export class SystemNetwork implements Network {
  readonly #openMarked: MarkedSocketOpener | undefined;
  readonly #neighbours = new Neighbours();
  readonly #sources = new Map<string, { readonly at: number; readonly address: string }>();

  /** @param openMarked Node cannot set DSCP by itself; without this, packets leave unmarked. */
  constructor(openMarked?: MarkedSocketOpener) {
    this.#openMarked = openMarked;
  }

  async bindDatagram(options: DatagramOptions): Promise<DatagramSocket> {
    try {
      return await this.#bindDatagram(options);
    } catch (error) {
      if (options.address !== ANY || !isWithoutIPv6(error)) throw error;
      return this.#bindDatagram({ ...options, address: ANY_IPV4 });
    }
  }

  async #bindDatagram(options: DatagramOptions): Promise<DatagramSocket> {
    const socket = newSocket(options.address, options.shared);
    try {
      if (this.#openMarked && options.trafficClass !== 'default') {
        const fd = this.#openMarked(options.address, options.port, DSCP[options.trafficClass]);
        await settled(socket, done => socket.bind({ fd }, done));
      } else {
        const { address, port } = options;
        await settled(socket, done => socket.bind({ address, port, exclusive: true }, done));
      }
    } catch (error) {
      socket.close();
      throw bindFailure(error, 'UDP', options);
    }
    return new SystemDatagramSocket(socket, this.#neighbours);
  }

  async joinMulticast({ group, on }: MulticastOptions): Promise<MulticastSocket> {
    const isV6 = on.family === 'IPv6';
    const remoteGroup = isV6 ? { ...group, address: `${group.address}%${on.name}` } : group;
    const socket = newSocket(group.address, true);
    try {
      // Bound to the group, so that packets to this machine alone go to whoever wants those. With its zone,
      // Linux ties the socket to the interface; IPv4 knows no zones.
      await settled(socket, done => socket.bind({ ...remoteGroup, exclusive: true }, done));
      const place = isV6 ? `::%${on.name}` : on.address;
      socket.addMembership(group.address, place);
      socket.setMulticastInterface(place);
      socket.setMulticastTTL(HOP_LIMIT);
      socket.setTTL(HOP_LIMIT);
    } catch (error) {
      socket.close();
      throw bindFailure(error, 'UDP', remoteGroup);
    }
    return new SystemMulticastSocket(socket, this.#neighbours, remoteGroup);
  }

  connectStream(options: ConnectOptions): Promise<StreamConnection> {
    const { address, port } = options.to;
    return connectSystemStream({
      ...options,
      to: { address: this.#neighbours.place(address), port },
    });
  }

  async listenStream(options: ListenOptions): Promise<StreamListener> {
    try {
      return await listenSystemStream(options);
    } catch (error) {
      if (options.address === ANY && isWithoutIPv6(error)) {
        return this.listenStream({ ...options, address: ANY_IPV4 });
      }
      throw bindFailure(error, 'TCP', options);
    }
  }

  secureStream(connection: StreamConnection, options: SecureOptions): Promise<StreamConnection> {
    return secureSystemStream(connection, options);
  }

  addresses(): readonly InterfaceAddress[] {
    return systemAddresses();
  }

  async sourceAddressFor(remote: string): Promise<string> {
    const known = this.#sources.get(remote);
    const now = performance.now();
    if (known && now - known.at < SOURCE_ADDRESS_MS) return known.address;
    const address = await this.#lookUpSource(remote);
    if (this.#sources.size >= MOST_SOURCE_ADDRESSES) this.#sources.clear();
    this.#sources.set(remote, { at: now, address });
    return address;
  }

  /** Routes have changed: what was known of them is asked again. */
  forgetRoutes(): void {
    this.#sources.clear();
  }

  async #lookUpSource(remote: string): Promise<string> {
    const socket = newSocket(remote);
    try {
      const placed = this.#neighbours.place(remote);
      await settled(socket, done => socket.connect(ROUTE_PROBE_PORT, placed, done));
      return socket.address().address;
    } catch (error) {
      throw noRoute(remote, error);
    } finally {
      socket.close();
    }
  }
}

function noRoute(remote: string, cause: unknown): CodedError {
  const [kind, other] = isIPv6(remote) ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6'];
  const own = systemAddresses().filter(({ internal }) => !internal);
  const isOfOtherKind = own.length > 0 && own.every(({ family }) => family !== kind);
  return isOfOtherKind
    ? new CodedError('NO_ROUTE', `${remote} is of ${kind}, and this machine has ${other} alone`, {
        cause,
        remedy: `Switch ${kind} on for this machine, or ${other} for the other one.`,
      })
    : new CodedError('NO_ROUTE', `no route from this machine to ${remote}`, {
        cause,
        remedy:
          'Check that the network cable or Wi-Fi is connected and that both machines are on the same network.',
      });
}

function newSocket(address: string, reuseAddr = false): Socket {
  return isIPv6(address)
    ? createSocket({ type: 'udp6', ipv6Only: address !== ANY, reuseAddr })
    : createSocket({ type: 'udp4', reuseAddr });
}

/** Whether it failed since the kernel has no IPv6: then IPv4 is all there is. */
function isWithoutIPv6(error: unknown): boolean {
  const { cause = error } = asError(error);
  return errorCode(cause) === 'EAFNOSUPPORT';
}

/** Runs one callback-style socket call; rejects on the socket's `error` event. */
function settled(socket: Socket, call: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    // `connect` hands its error to the callback, `bind` emits it.
    call((error?: Error) => {
      socket.off('error', reject);
      if (error) reject(error);
      else resolve();
    });
  });
}

/**
 * On which of our links a link-local address is (RFC 4007 §6): what others say of themselves, in SIP as in records of the
 * ring, has no zone.
 */
class Neighbours {
  readonly #heardOn = new Map<string, string>();

  /** Something came from there: `fe80::1%eth0`, or an address that needs no zone. */
  heard(from: string): void {
    const zone = from.indexOf('%');
    if (zone < 0) return;
    if (this.#heardOn.size >= MOST_NEIGHBOURS) this.#heardOn.clear();
    this.#heardOn.set(from.slice(0, zone), from.slice(zone));
  }

  /** With the zone where it was heard last; of who was never heard, that of our first link. */
  place(address: string): string {
    if (!isLinkLocal(address) || address.includes('%')) return address;
    const zone = this.#heardOn.get(address);
    if (zone !== undefined) return address + zone;
    const link = systemAddresses().find(own => !own.internal && isLinkLocal(own.address));
    return link ? `${address}%${link.name}` : address;
  }
}

/** What a socket that could not be bound is told as. */
export function bindFailure(
  error: unknown,
  kind: 'UDP' | 'TCP',
  { address, port }: Endpoint,
): Error {
  const where = `${kind} port ${port} on ${address}`;
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new CodedError('ADDRESS_IN_USE', `${where} is in use by another program`, {
        cause: error,
        remedy: 'Stop that program, or choose another port (port 0 takes any free one).',
      });
    case 'EADDRNOTAVAIL':
      return new CodedError('ADDRESS_NOT_HERE', `${address} is not an address of this machine`, {
        cause: error,
        remedy: 'Use one that `ip address` shows, or 0.0.0.0 for all of them.',
      });
    case 'EACCES':
      return new CodedError('PORT_FORBIDDEN', `${where} needs privileges this user does not have`, {
        cause: error,
        remedy: 'Use a port above 1023.',
      });
    default:
      return new CodedError('BIND_FAILED', `${where} could not be opened`, { cause: error });
  }
}

export function systemAddresses(): InterfaceAddress[] {
  const found: InterfaceAddress[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { address, family, cidr, internal } of addresses ?? []) {
      const prefix = Number(cidr?.split('/')[1] ?? (family === 'IPv6' ? 128 : 32));
      found.push({ name, address, family, prefix, internal });
    }
  }
  return found;
}

class SystemDatagramSocket implements DatagramSocket {
  readonly local: Endpoint;
  onMessage: (data: Uint8Array, from: Endpoint) => void = () => undefined;
  onError: (error: Error) => void = () => undefined;
  readonly #socket: Socket;
  /** Of both kinds: IPv4 addresses are written as IPv6 ones to the system, and by it (RFC 4291 §2.5.5.2). */
  readonly #mapped: boolean;
  readonly #neighbours: Neighbours;
  #open = true;
  readonly #sent = (error: Error | null) => {
    if (error) this.onError(error);
  };

  constructor(socket: Socket, neighbours: Neighbours) {
    this.#socket = socket;
    this.#neighbours = neighbours;
    const { address, port } = socket.address();
    this.local = { address, port };
    this.#mapped = address === ANY;
    socket.on('message', (data, from) => {
      // A field of theirs, so that nothing is made anew for each packet.
      if (this.#mapped) from.address = withoutMapping(from.address);
      this.onMessage(data, from);
    });
    socket.on('error', error => this.onError(error));
  }

  send(data: Uint8Array, to: Endpoint, onFailure?: (error: Error) => void): void {
    if (!this.#open) return;
    const failed = onFailure ?? this.onError;
    try {
      // No closure for the voice path, which sends fifty times a second and names no `onFailure`.
      const sent = onFailure ? (error: Error | null) => error && onFailure(error) : this.#sent;
      const address =
        this.#mapped && isIPv4(to.address)
          ? MAPPED + to.address
          : this.#neighbours.place(to.address);
      this.#socket.send(data, to.port, address, sent);
    } catch (error) {
      // dgram throws at once for port 0 and the like: an answer to a forged source must not stop the phone.
      failed(asError(error));
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
  }
}

class SystemMulticastSocket extends SystemDatagramSocket implements MulticastSocket {
  readonly remoteGroup: Endpoint;

  constructor(socket: Socket, neighbours: Neighbours, remoteGroup: Endpoint) {
    super(socket, neighbours);
    this.remoteGroup = remoteGroup;
    socket.on('message', (_, from) => neighbours.heard(from.address));
  }
}
