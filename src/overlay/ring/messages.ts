/**
 * What members say to each other: a closed union of requests, and of their answers. Each request is one
 * SIP REGISTER and each answer its final response (sip/status.ts tells its status). Who sent a message
 * is known from the link it came by, which authenticates both ends: `from` is not what somebody claims.
 */
import type { Id } from './ids.js';
import type { MembershipEntry } from './membership-entry.js';
import type { Peer } from './peer.js';
import type { RecordVersion, RingRecord, StoreRefusal } from './records.js';

export type RingRequest =
  | { readonly type: 'ping' }
  /** Who owns `key`? `avoid` gave the asker no answer: they are not named, and who relies on them looks. */
  | {
      readonly type: 'find';
      readonly key: Id;
      readonly avoid: readonly Id[];
      /** Recursive: ask on, and answer within so many milliseconds. */
      readonly withinMs?: number;
    }
  | { readonly type: 'neighbours' }
  /** From one who found us to be its successor: may it have our successor list? */
  | { readonly type: 'join' }
  /** "I think that I am your predecessor", and `joining`: with that I become a member. */
  | {
      readonly type: 'notify';
      readonly joining: boolean;
      /** Who is next should the sender die. */
      readonly predecessor: Peer | undefined;
    }
  | {
      readonly type: 'leave';
      readonly predecessor: Peer | undefined;
      readonly successors: readonly Peer[];
    }
  /** `copy`: kept for the owner, who sent it; else the receiver is to own it and see to the copies. */
  | { readonly type: 'store'; readonly records: readonly RingRecord[]; readonly copy: boolean }
  | { readonly type: 'fetch'; readonly key: Id }
  /** These versions are held here and belong there too: which are missing? */
  | { readonly type: 'offer'; readonly versions: readonly RecordVersion[] }
  /** Members who came and went; passed on by those who have `hops` left (membership.ts). */
  | {
      readonly type: 'membership';
      readonly hops: number;
      readonly entries: readonly MembershipEntry[];
    }
  /** How the membership sets compare, by parts of the ring. */
  | { readonly type: 'compare'; readonly digests: readonly number[] }
  /** Another ring was found: `contact` belongs to it. */
  | { readonly type: 'merge'; readonly contact: Peer };

export type RingAnswer =
  /** A recursive lookup has been passed on; the answer follows. */
  | { readonly type: 'trying' }
  | { readonly type: 'pong' }
  /** The key is mine, with what proves it and who holds the copies. */
  | {
      readonly type: 'owner';
      readonly predecessor: Peer | undefined;
      readonly successors: readonly Peer[];
      /** Recursive: the owner, and how many asked on before it. */
      readonly owner?: Peer;
      readonly hops?: number;
    }
  /** `closer` precede the key, nearest first; `owners` follow it, nearest first. */
  | {
      readonly type: 'closer';
      readonly closer: readonly Peer[];
      readonly owners: readonly Peer[];
      readonly predecessor: Peer | undefined;
    }
  | {
      readonly type: 'links';
      readonly predecessor: Peer | undefined;
      readonly successors: readonly Peer[];
    }
  /** No member yet, or its own successors are in doubt. */
  | { readonly type: 'busy' }
  /** This is my predecessor now, and `previous` was before it: what lies between went over; `beyond` before that. */
  | {
      readonly type: 'notified';
      readonly predecessor: Peer | undefined;
      readonly previous: Peer | undefined;
      readonly beyond: Peer | undefined;
    }
  /** Kept, by so many members. */
  | { readonly type: 'stored'; readonly copies: number }
  /** Not kept, and why; to `compare`: no table is kept here. */
  | { readonly type: 'refused'; readonly reason: StoreRefusal | 'no-table' }
  | { readonly type: 'records'; readonly records: readonly RingRecord[] }
  /** What of the offer is missing here. */
  | { readonly type: 'wanted'; readonly versions: readonly RecordVersion[] }
  /** What differs, as far as one message holds; `entries` of the parts whose digests differ. */
  | {
      readonly type: 'compared';
      readonly parts: readonly number[];
      readonly entries: readonly MembershipEntry[];
    }
  | { readonly type: 'accepted' };

export type RingMessage =
  | {
      readonly kind: 'request';
      readonly from: Peer;
      readonly number: number;
      readonly request: RingRequest;
    }
  | {
      readonly kind: 'answer';
      readonly from: Peer;
      readonly number: number;
      readonly answer: RingAnswer;
    };
