/**
 * What the house asks of discovery on the local network: announce this phone, and see the others.
 * `MdnsAdvertiser` and `MdnsBrowser` do it by multicast DNS (RFC 6762) and DNS-SD (RFC 6763).
 */
import type { EventEmitter } from 'node:events';
import type { Endpoint } from '../core/network.js';
import type { Publication } from './mdns/responder-state.js';

/** Where a phone takes SIP by other protocols than the usual ones; left out where it does not, or does not say. */
export type PhonePorts = Readonly<Partial<Record<'TLS' | 'WS' | 'WSS', number>>>;

/** A phone another host announces. */
export interface PhoneSighting {
  /** The instance name, as people dial it; compared without regard to ASCII case. */
  readonly name: string;
  /** The `id` of its TXT record; an ordinary SIP phone has none. */
  readonly deviceId: string | undefined;
  /**
   * Literal addresses with the SIP port, best first: IPv4 on one of our own links, other IPv4,
   * routable IPv6, link-local IPv6 (with its zone). Never empty.
   */
  readonly endpoints: readonly Endpoint[];
  readonly ports?: PhonePorts;
  /** The host name in its SRV record, e.g. `alice.local`. */
  readonly host: string;
  /** Our interface it was last heard on, e.g. `eth0`. */
  readonly interfaceName?: string;
  /** What else its TXT record says, of what was asked for. */
  readonly texts?: Readonly<Partial<Record<string, string>>> | undefined;
}

/** What this phone says of itself. */
export interface Advertisement {
  /** Wanted name; see `isPhoneName`. */
  readonly name: string;
  /** Where it listens, and so which of its addresses are told: at all there are by default, or as of a socket. */
  readonly address?: string;
  /** Where it listens for SIP over UDP. */
  readonly port: number;
  /** Whether it takes SIP over TCP at the same port. */
  readonly tcp?: boolean;
  readonly ports?: PhonePorts;
  readonly deviceId: string;
}

export interface AdvertiserEvents {
  /** The name it was given after probing, and again whenever a conflict changes it. */
  named: [name: string];
  /** What was published under `key` has this name now. */
  published: [key: string, name: string];
  /** It is not announced for now, for example because no socket could be opened; it keeps trying. */
  problem: [error: Error];
}

export interface Advertiser extends EventEmitter<AdvertiserEvents> {
  /**
   * Resolves when it has begun to ask whether the name is free, not when it is done: `named` tells that within
   * seconds, or `problem` tells why not. Called again, it announces what has changed.
   *
   * @throws {CodedError} `BAD_PHONE_NAME`
   */
  start(advertisement: Advertisement): Promise<void>;
  /**
   * Announces another service of this device, once started, or what has changed of it: one key, one service.
   * `published` tells the name it has.
   */
  publish(key: string, publication: Publication): void;
  withdraw(key: string): void;
  /** Says goodbye to everything, in a bounded time; idempotent. */
  stop(): Promise<void>;
  /** The name others see; undefined while it is not settled. */
  readonly name: string | undefined;
  /** The same for what was published under `key`. */
  nameOf(key: string): string | undefined;
}

export interface BrowserEvents {
  up: [phone: PhoneSighting];
  /** Its endpoints, host or device ID are other than before. */
  changed: [phone: PhoneSighting];
  down: [phone: PhoneSighting];
}

export interface Browser extends EventEmitter<BrowserEvents> {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Every phone known now, this one included if it announces itself. */
  phones(): readonly PhoneSighting[];
  /**
   * Answers at once what is known; else asks the network and waits `withinMs` at most.
   * Rejects with the signal's reason if it is aborted.
   */
  find(name: string, signal: AbortSignal, withinMs: number): Promise<PhoneSighting | undefined>;
  /** The phone did not answer where it was seen: unless it does within ten seconds, it is forgotten. */
  doubt(name: string): void;
}
