/** What the browser knows: phones, the hosts they are on, and when to ask. */
import type { InterfaceAddress } from '../../core/network.js';
import type { PhonePorts, PhoneSighting } from '../discovery.js';
import { type PhoneRecord, SERVICE } from './dns-records.js';
import type { HostAddresses } from './host-addresses.js';
import type { Lifetime } from './record-lifetime.js';

/** RFC 6762 §5.2: intervals double from one second to an hour. */
export const FIRST_INTERVAL_MS = 1000;
export const LONGEST_INTERVAL_MS = 60 * 60_000;

export interface Question {
  readonly type: 'PTR' | 'SRV' | 'TXT' | 'A' | 'AAAA';
  readonly name: string;
}

/** An instance we know and the seconds we still shall: whoever announced it need not answer (RFC 6762 §7.1). */
export interface KnownAnswer {
  readonly instance: string;
  readonly ttl: number;
}

/** `now` is in milliseconds on one monotonic scale. */
export type BrowserEvent =
  /** These are our addresses now. */
  | {
      readonly kind: 'network';
      readonly now: number;
      readonly addresses: readonly InterfaceAddress[];
    }
  /** Someone wants to know: ask soon, and then at growing intervals. */
  | { readonly kind: 'ask'; readonly now: number }
  /** The phone of this name did not answer where it was seen. */
  | { readonly kind: 'doubt'; readonly now: number; readonly name: string }
  /** A response was heard on interface `link`. */
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly link: string;
      /** The address that it came from. */
      readonly source: string;
      readonly records: readonly PhoneRecord[];
      /** In answer to a direct question: lifetimes are short in these and say nothing (RFC 6762 §6.7). */
      readonly direct?: boolean;
    }
  /** Another host asked all of a link. */
  | {
      readonly kind: 'overheard';
      readonly now: number;
      /** Interface and family. */
      readonly linkId: string;
      readonly questions: readonly Question[];
      /** Instances it knows already. */
      readonly known: readonly string[];
    }
  /** The time `wakeAt` gave has come. */
  | { readonly kind: 'due'; readonly now: number };

export type BrowserAction =
  | {
      readonly kind: 'query';
      readonly questions: readonly Question[];
      readonly known: readonly KnownAnswer[];
      /** Links where another host has just asked the same (RFC 6762 §7.3). */
      readonly exceptOn: readonly string[];
      /** Hosts to be asked by unicast too: their multicast, or ours, seems not to get through. */
      readonly directly: readonly { readonly address: string; readonly link: string }[];
    }
  | { readonly kind: 'up' | 'changed' | 'down'; readonly phone: PhoneSighting };

export interface Instance {
  /** As announced, e.g. `Alice._sip._udp.local`. */
  readonly fullName: string;
  readonly name: string;
  pointer: Lifetime;
  server: (Lifetime & { readonly host: string; readonly port: number }) | undefined;
  text:
    | (Lifetime & {
        readonly deviceId: string | undefined;
        readonly ports: PhonePorts;
        readonly texts: PhoneSighting['texts'];
      })
    | undefined;
  link: string;
  /** The address that told of it first. */
  readonly source: string;
  /** Asking for what is missing: the next time, and the pause after that. */
  askAt: number;
  askPauseMs: number;
  /** Questions about it that nobody answered since, ours or those of others. */
  doubt: { readonly since: number; questions: number; readonly ours: boolean } | undefined;
  seen: PhoneSighting | undefined;
}

export interface BrowserState {
  /** What is looked for, in lower case, e.g. `_sip._udp.local`. */
  readonly service: string;
  /** Further keys of TXT records that are wanted, in lower case. */
  readonly keys: readonly string[];
  readonly random: () => number;
  /** By folded full name. */
  readonly instances: Map<string, Instance>;
  /** By folded host name; only hosts that an instance names. */
  readonly hosts: Map<string, HostAddresses>;
  /** Which instances are on a host. */
  readonly onHost: Map<string, Set<string>>;
  addresses: readonly InterfaceAddress[];
  /** Instances of which something was heard in this step, by folded full name. */
  readonly touched: Set<string>;
  /** Nothing is to be done before. */
  dueAt: number;
  /** When what is missing of newcomers is asked for, in one packet. */
  newcomersAt: number;
  /** When another host asked for phones last, by link. */
  readonly overheardAt: Map<string, number>;
  queriedAt: number;
  queryAt: number;
  queryPauseMs: number;
}

/** @param random gives numbers in [0, 1) */
export function newBrowserState(
  random: () => number,
  service = SERVICE,
  keys: readonly string[] = [],
): BrowserState {
  return {
    service,
    keys,
    random,
    instances: new Map(),
    hosts: new Map(),
    onHost: new Map(),
    addresses: [],
    touched: new Set(),
    dueAt: Number.POSITIVE_INFINITY,
    newcomersAt: Number.NEGATIVE_INFINITY,
    overheardAt: new Map(),
    queriedAt: Number.NEGATIVE_INFINITY,
    queryAt: Number.POSITIVE_INFINITY,
    queryPauseMs: FIRST_INTERVAL_MS,
  };
}
