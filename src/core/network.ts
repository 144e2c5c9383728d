/**
 * The network as every room sees it: datagrams and streams between endpoints, and the addresses this
 * host has. `SystemNetwork` is the real one; the simulator brings a virtual one.
 */
import type { X509Certificate } from 'node:crypto';
import type { EventEmitter } from 'node:events';

/** A literal IP address (IPv6 without brackets, zone after `%`) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What the packets carry; decides their DSCP mark (RFC 4594). */
export type TrafficClass = 'default' | 'signalling' | 'voice';

/** Differentiated services code points, RFC 4594 §2.3: CS5 for signalling, EF for telephony. */
export const DSCP: Readonly<Record<TrafficClass, number>> = {
  default: 0,
  signalling: 40,
  voice: 46,
};

export interface DatagramOptions {
  /** A literal local address; `0.0.0.0` for all of IPv4, `::` for all there are, of both kinds. */
  address: string;
  /** 0 lets the system choose. */
  port: number;
  trafficClass: TrafficClass;
  /** Other programs may have the same port; of several, the last one hears what comes. */
  shared?: boolean;
}

export interface MulticastOptions {
  /** The group, without zone, and its port, which is shared with all who join it on this machine. */
  readonly group: Endpoint;
  /** An address of the interface to hear and send on, of the group's family. */
  readonly on: InterfaceAddress;
}

export interface DatagramSocket {
  readonly local: Endpoint;
  /**
   * Called for each datagram, which came `ageUs` µs ago (just now, by default; whole, so that it costs no garbage). `data` is valid only during the call.
   * Set it once, right after binding.
   */
  onMessage: (data: Uint8Array, from: Endpoint, ageUs?: number) => void;
  /** Called when a datagram could not be sent (`ENETUNREACH`, `ECONNREFUSED`, …). The socket stays usable. */
  onError: (error: Error) => void;
  /**
   * Queues one datagram; a failure goes to `onFailure` where given, else to `onError`.
   * The caller leaves `data` alone until the next event-loop turn.
   */
  send(data: Uint8Array, to: Endpoint, onFailure?: (error: Error) => void): void;
  close(): void;
}

export interface MulticastSocket extends DatagramSocket {
  /** The group, with the zone of the interface where it needs one. */
  readonly remoteGroup: Endpoint;
}

/** One TCP connection, or a TLS connection on it. Ordered and reliable until it closes. */
export interface StreamConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** What the other side proved to own the key of; only after `secureStream`, and if it showed one. */
  readonly certificate: X509Certificate | undefined;
  /** Octets written that the network has not taken yet. */
  readonly backlog: number;
  /** Octets as they come; they wait until this is set. `data` is valid only during the call. */
  onData: (data: Uint8Array) => void;
  /** Called once, and last; with the error where the connection did not end in order. */
  onClose: (error?: Error) => void;
  /** Called when the backlog is gone after `write` has answered false. */
  onDrain: () => void;
  /** Queues octets, which stay the connection's. Answers false when more should wait for `onDrain`. */
  write(data: Uint8Array): boolean;
  /** Sends what is queued, within a moment, and closes. */
  end(): void;
  /** Closes at once; with an error, `onClose` hears it. */
  destroy(error?: Error): void;
}

export interface ConnectOptions {
  readonly to: Endpoint;
  /** A literal local address to connect from; by default the one the route to `to` has. */
  readonly from?: string;
  /** Gives up. Without it, the operating system does after some minutes. */
  readonly signal?: AbortSignal;
}

export interface ListenOptions {
  /** As of a datagram socket. */
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly onConnection: (connection: StreamConnection) => void;
}

export interface StreamListener {
  readonly local: Endpoint;
  /** Takes no more connections; those there are stay. */
  close(): void;
}

/** A private key and the certificate for it (and its chain), both PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

/** Who is at the other end of a TLS connection, for judgement. */
export interface TlsPeer {
  /** Absent where it showed none. */
  readonly certificate: X509Certificate | undefined;
  /** Why its certificate does not lead to one of `authorities`; absent where it does. */
  readonly chainProblem: string | undefined;
}

export interface SecureOptions {
  readonly role: 'client' | 'server';
  /** A server needs one; a client shows it when asked. */
  readonly identity?: TlsIdentity;
  /** Client: the name asked for (SNI, RFC 6066 §3), no IP address. */
  readonly serverName?: string;
  /** Root certificates, PEM; by default those of the runtime. */
  readonly authorities?: readonly string[];
  /** The only judge of the other side. Whatever it throws, the connection is refused with. */
  readonly verify: (peer: TlsPeer) => void;
}

export interface InterfaceAddress {
  /** Interface name, e.g. `eth0`. */
  readonly name: string;
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  /** Prefix length in bits. */
  readonly prefix: number;
  readonly internal: boolean;
}

export interface Network {
  /** Throws `CodedError` `ADDRESS_IN_USE`, `ADDRESS_NOT_HERE` or `PORT_FORBIDDEN`. */
  bindDatagram(options: DatagramOptions): Promise<DatagramSocket>;
  /**
   * Joins a link-local multicast group on one interface. The socket hears what is sent to the group alone, this
   * machine's own packets too; IPv4 packets perhaps from other interfaces, of which their source tells. What it
   * sends leaves by that interface with hop limit 255, whatever routes there are; its `remoteGroup` is where to.
   * Throws as `bindDatagram` does.
   */
  joinMulticast(options: MulticastOptions): Promise<MulticastSocket>;
  /**
   * Opens a TCP connection. Throws the signal's reason, or `CodedError` `CONNECTION_REFUSED`,
   * `CONNECTION_TIMEOUT`, `NO_ROUTE`, `CONNECTION_FAILED`.
   */
  connectStream(options: ConnectOptions): Promise<StreamConnection>;
  /** Accepts TCP connections. Throws as `bindDatagram` does. */
  listenStream(options: ListenOptions): Promise<StreamListener>;
  /**
   * Turns a connection from which nothing was read yet into a TLS connection (1.2 or later), and
   * takes it over. Throws what `verify` throws, or `CodedError` `TLS_FAILED`; it is closed then.
   */
  secureStream(connection: StreamConnection, options: SecureOptions): Promise<StreamConnection>;
  addresses(): readonly InterfaceAddress[];
  /** The local address packets to `remote` leave from. Throws `CodedError` `NO_ROUTE`. */
  sourceAddressFor(remote: string): Promise<string>;
}

export interface NetworkWatcherEvents {
  /** Addresses or links came or went. `now` is the whole new set. */
  change: [now: readonly InterfaceAddress[]];
}

/** Tells when addresses and links come and go. */
export interface NetworkWatcher extends EventEmitter<NetworkWatcherEvents> {
  /** What the last `change` said, or would have said at the start; undefined before `start` is done. */
  readonly usable: readonly InterfaceAddress[] | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
}
