/**
 * The network as every room sees it: datagrams between endpoints, and the addresses this host has.
 * `SystemNetwork` is the real one; the simulator brings a virtual one.
 */
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
  /** A literal local address; `0.0.0.0` or `::` for all. */
  address: string;
  /** 0 lets the system choose. */
  port: number;
  trafficClass: TrafficClass;
}

export interface DatagramSocket {
  readonly local: Endpoint;
  /** Called for each datagram. `data` is valid only during the call. Set it once, right after binding. */
  onMessage: (data: Uint8Array, from: Endpoint) => void;
  /** Called when a datagram could not be sent (`ENETUNREACH`, `ECONNREFUSED`, …). The socket stays usable. */
  onError: (error: Error) => void;
  /**
   * Queues one datagram; a failure goes to `onFailure` where given, else to `onError`.
   * The caller leaves `data` alone until the next event-loop turn.
   */
  send(data: Uint8Array, to: Endpoint, onFailure?: (error: Error) => void): void;
  close(): void;
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
  start(): Promise<void>;
  stop(): Promise<void>;
}
