/** A lookup under way. */
import type { Id } from './ids.js';
import type { RingAnswer } from './messages.js';
import type { Peer } from './peer.js';

export type LookupPurpose =
  | { readonly type: 'user'; readonly tag: number }
  | { readonly type: 'join' }
  | { readonly type: 'finger'; readonly slot: number }
  | { readonly type: 'put'; readonly operation: number }
  | { readonly type: 'get'; readonly operation: number }
  /** Our own id, in what may be another ring. */
  | { readonly type: 'merge'; readonly contact: Peer }
  /** A record that nobody has wanted here for long: where does it belong? */
  | { readonly type: 'home'; readonly key: Id };

export interface Candidate {
  readonly peer: Peer;
  readonly depth: number;
}

export interface Claim {
  readonly owner: Peer;
  readonly answer: Extract<RingAnswer, { type: 'owner' }>;
  readonly depth: number;
}

export interface Path {
  /** At or after the key, nearest first. */
  owners: Candidate[];
  /** Before the key, nearest first. */
  closer: Candidate[];
  inFlight: number;
  claim: Claim | undefined;
}

export interface Lookup {
  readonly number: number;
  readonly key: Id;
  readonly purpose: LookupPurpose;
  readonly startedAt: number;
  readonly deadline: number;
  readonly recursive: boolean;
  /** Where it starts, if not from what we know. */
  readonly from: readonly Peer[] | undefined;
  /** Paths that share no member; of one, the members are trusted. */
  readonly disjoint: number;
  paths: Path[];
  /** No member is asked twice in a round, nor by two paths. */
  readonly asked: Set<Id>;
  /** How often each gave no answer. */
  readonly silent: Map<Id, number>;
  /** At or after the key, by anybody's word, and how far off that was; kept where members may lie. */
  readonly near: Map<Id, Candidate>;
  /** Who gave any answer but "busy". */
  readonly answered: Set<Id>;
  timeouts: number;
  rounds: number;
  waiting: boolean;
}

export interface LookupResult {
  readonly owner: Peer;
  /** Who follow the owner, nearest first: they hold the copies. */
  readonly successors: readonly Peer[];
  readonly hops: number;
}

export interface FinishedLookup {
  readonly lookup: Lookup;
  readonly result: LookupResult | undefined;
}
