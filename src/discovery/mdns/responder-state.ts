/** What the responder knows: what is to be announced, and how far it has come on each link. */
import type { Endpoint, InterfaceAddress } from '../../core/network.js';
import { foldName } from '../phone-name.js';
import type { DnsMessage, DnsQuestion, DnsRecord } from './dns-message.js';
import { recordKey } from './record-identity.js';
import { type Claimed, hostClaim, type ServiceSpec, serviceClaim } from './service-records.js';

/** Services of one name. */
export interface Publication {
  /** The wanted instance name, one label; what follows when it is taken is `nextName`'s. */
  readonly name: string;
  /** Of the first it is asked whose the name is; where somebody else has it for another, they keep it there. */
  readonly services: readonly ServiceSpec[];
}

export interface ResponderLink {
  readonly id: string;
  /** Of the interface; never empty. */
  readonly addresses: readonly InterfaceAddress[];
}

/** `now` is in milliseconds on one monotonic scale. */
export type ResponderEvent =
  /** Announce it under `key`, or what has changed of it. */
  | {
      readonly kind: 'publish';
      readonly now: number;
      readonly key: string;
      readonly publication: Publication;
    }
  | { readonly kind: 'withdraw'; readonly now: number; readonly key: string }
  /** These are our links now. */
  | { readonly kind: 'network'; readonly now: number; readonly links: readonly ResponderLink[] }
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly link: string;
      readonly source: Endpoint;
      /** Sent to us alone. */
      readonly unicast: boolean;
      readonly message: DnsMessage;
    }
  /** The time `wakeAt` gave has come. */
  | { readonly kind: 'due'; readonly now: number }
  /** Say goodbye to everything. */
  | { readonly kind: 'stop'; readonly now: number };

export type ResponderAction =
  /** To all on the link, or by unicast. */
  | {
      readonly kind: 'send';
      readonly link: string;
      readonly message: DnsMessage;
      readonly to?: Endpoint;
    }
  /** It has this name now, on all links. */
  | { readonly kind: 'named'; readonly key: string; readonly name: string }
  | {
      readonly kind: 'renamed';
      readonly key: string;
      readonly from: string;
      readonly to: string;
      /** Names are taken as fast as they are chosen: the next is tried later. */
      readonly contested: boolean;
    }
  /** Somebody else has the name for this service alone. */
  | {
      readonly kind: 'yielded';
      readonly key: string;
      readonly name: string;
      readonly type: string;
    };

export interface Entry {
  publication: Publication;
  label: string;
  /** Names that were taken since it had one last. */
  taken: number;
  named: string | undefined;
  /** Service types under which somebody else has the name. */
  readonly yielded: Set<string>;
}

/** A name on one link: first nobody must object, then it is made known, then it is answered for. */
export interface Claim extends Claimed {
  /** Of the entry it belongs to; the host's has none. */
  readonly entry: string | undefined;
  readonly type: string;
  phase: 'probing' | 'announcing' | 'done';
  /** Probes or announcements that went out. */
  sent: number;
  nextAt: number;
}

export interface Match {
  readonly record: DnsRecord;
  readonly shared: boolean;
}

export interface LinkState {
  readonly id: string;
  addresses: readonly InterfaceAddress[];
  /** By `claimKey`. */
  readonly claims: Map<string, Claim>;
  /** When our records were multicast last, by `recordKey`. */
  readonly sentAt: Map<string, number>;
  /** Answers about to be multicast, by `recordKey`. */
  readonly pending: Map<string, Match & { dueAt: number; spacingMs: number }>;
  readonly unicasts: { readonly to: Endpoint; readonly answers: DnsRecord[]; dueAt: number }[];
  /** Questions whose known answers come in further packets, by who asked. */
  readonly collecting: Map<string, Asked & { readonly dueAt: number }>;
  /** What may be answered, by folded name; undefined when it has to be looked up again. */
  index: Map<string, { claim: Claim; matches: Match[] }> | undefined;
}

export interface Asked {
  readonly source: Endpoint;
  readonly unicast: boolean;
  readonly id: number;
  readonly questions: readonly DnsQuestion[];
  readonly probing: boolean;
  /** Lifetimes the asker knows, by `recordKey`. */
  readonly known: Map<string, number>;
}

export interface ResponderState {
  readonly random: () => number;
  /** First label of the host name. */
  hostLabel: string;
  readonly entries: Map<string, Entry>;
  readonly links: Map<string, LinkState>;
  /** Of the last conflicts. */
  readonly conflictsAt: number[];
  /** Our unique records on any link, by `recordKey`. */
  ours: Set<string>;
  /** What we said lately and say no more is no conflict: packets of our own come back late. */
  readonly retired: Map<string, number>;
}

/**
 * @param hostLabel first label of the host name, e.g. `ringline-a1b2`
 * @param random gives numbers in [0, 1)
 */
export function newResponderState(hostLabel: string, random: () => number): ResponderState {
  return {
    random,
    hostLabel,
    entries: new Map(),
    links: new Map(),
    conflictsAt: [],
    ours: new Set(),
    retired: new Map(),
  };
}

export function newLinkState({ id, addresses }: ResponderLink): LinkState {
  return {
    id,
    addresses,
    claims: new Map(),
    sentAt: new Map(),
    pending: new Map(),
    unicasts: [],
    collecting: new Map(),
    index: undefined,
  };
}

const HOST_KEY = 'host';

/** What there should be on a link, by a key that stays when names change. */
export function wantedClaims(
  state: ResponderState,
  link: LinkState,
): Map<string, Claimed & Pick<Claim, 'entry' | 'type'>> {
  const host = `${state.hostLabel}.local`;
  const wanted = new Map<string, Claimed & Pick<Claim, 'entry' | 'type'>>();
  if (state.entries.size === 0) return wanted;
  wanted.set(HOST_KEY, { ...hostClaim(host, link.addresses), entry: undefined, type: '' });
  for (const [entry, { publication, label, yielded }] of state.entries) {
    for (const service of publication.services) {
      if (yielded.has(service.type)) continue;
      const claimed = serviceClaim(label, host, service);
      wanted.set(`${entry} ${service.type}`, { ...claimed, entry, type: service.type });
    }
  }
  return wanted;
}

/** Records that may be given as answers, by folded name. */
export function answersOn(link: LinkState): NonNullable<LinkState['index']> {
  if (link.index) return link.index;
  const index = new Map<string, { claim: Claim; matches: Match[] }>();
  const add = (claim: Claim, record: DnsRecord, shared: boolean) => {
    const name = foldName(record.name);
    const found = index.get(name) ?? { claim, matches: [] };
    index.set(name, found);
    const key = recordKey(record);
    // Two services of one type, or one type of two services, share a pointer.
    if (!found.matches.some(match => recordKey(match.record) === key))
      found.matches.push({ record, shared });
  };
  for (const claim of link.claims.values()) {
    if (claim.phase === 'probing') continue;
    for (const record of claim.unique) add(claim, record, false);
    for (const record of claim.shared) add(claim, record, true);
  }
  link.index = index;
  return index;
}
