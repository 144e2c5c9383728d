/** What a member knows, what happens to it, and what it does about it. */
import type { Id } from './ids.js';
import type { FinishedLookup, Lookup, LookupResult } from './lookup-state.js';
import type { Membership } from './membership.js';
import type { MembershipEntry } from './membership-entry.js';
import type { RingMessage, RingRequest } from './messages.js';
import type { Peer } from './peer.js';
import type { RecordStore, RecordVersion, RingRecord, StoreRefusal } from './records.js';

/** How far pointers are chosen: all members, or fingers at powers of 16 or 2. */
export type Routing = 'table' | 'base16' | 'binary';

export interface MemberOptions {
  /** `auto`: a table, until its upkeep costs more than `tableBudget`; then base 16. */
  readonly routing: Routing | 'auto';
  /** Members that hold a record, the owner among them. */
  readonly copies: number;
  /** Between two rounds of stabilisation, give or take a fifth. */
  readonly stabiliseMs: number;
  /** Between two fingers looked after. */
  readonly fingerMs: number;
  /** Between two offers of all that is owned to those who hold the copies. */
  readonly offerMs: number;
  /** Between two looks for another ring. */
  readonly mergeMs: number;
  /** How long changes of membership are gathered before they are passed on. */
  readonly gatherMs: number;
  /** Octets a second, of membership messages sent, that a table may cost. */
  readonly tableBudget: number;
  /** Requests of one lookup under way at once, when there is trouble. */
  readonly parallel: number;
  /** Paths that share no member, for lookups among liars; 1 where members trust each other. */
  readonly paths: number;
  /** The same of a second lookup for what is said not to be there; 1: there is none. */
  readonly pathsOfAbsent: number;
}

export const MEMBER_OPTIONS: MemberOptions = {
  routing: 'auto',
  copies: 5,
  stabiliseMs: 15_000,
  fingerMs: 20_000,
  offerMs: 600_000,
  mergeMs: 60_000,
  gatherMs: 3_000,
  tableBudget: 1_000,
  parallel: 3,
  paths: 1,
  pathsOfAbsent: 4,
};

/** What is handed in: keys and chance. */
export interface MemberTools {
  /** A number in [0, 1). */
  readonly chance: () => number;
  /** By this member's own key. */
  readonly sign: (text: string) => string;
  /** Whether the member of that id signed this. */
  readonly verify: (signer: Id, text: string, signature: string) => boolean;
  /** Whether the publisher of a record signed it. */
  readonly verifyRecord: (record: RingRecord) => boolean;
}

export interface Finger {
  readonly peer: Peer;
  readonly rttMs: number;
}

/** Why a request was sent: what its answer, or its absence, leads to. */
export type Purpose =
  | {
      readonly type: 'lookup';
      readonly lookup: number;
      readonly round: number;
      readonly path: number;
      readonly depth: number;
      /** Asked since it may be the owner, not since it may know who is. */
      readonly asOwner: boolean;
    }
  | { readonly type: 'stabilise'; readonly attempt: number }
  /** The successor's predecessor, before it is adopted. */
  | { readonly type: 'candidate'; readonly head: Peer; readonly rounds: number }
  | { readonly type: 'notify' }
  /** Is the old predecessor alive? */
  | { readonly type: 'rectify'; readonly attempt: number }
  /** The old predecessor is dead: is the one before it alive? */
  | { readonly type: 'beyond'; readonly dead: Peer }
  | { readonly type: 'join' }
  | { readonly type: 'finger'; readonly slot: number }
  | { readonly type: 'relay'; readonly relay: Relay }
  | { readonly type: 'put'; readonly operation: number }
  | { readonly type: 'get'; readonly operation: number }
  /** A copy: part of bringing the receiver to `stamp`, or of keeping a record that is new. */
  | {
      readonly type: 'replicate';
      readonly stamp: number | undefined;
      readonly confirm: Confirm | undefined;
    }
  /** `stamp` where this is the last of what is owned; `drop`: forgotten here once it is there. */
  | {
      readonly type: 'offer';
      readonly stamp: number | undefined;
      readonly drop: readonly RecordVersion[];
    }
  /** How many before it taught us nothing. */
  | { readonly type: 'compare'; readonly fruitless: number }
  | { readonly type: 'spread'; readonly attempt: number };

/** A request of somebody else that waits for copies to be kept. */
export interface Confirm {
  readonly to: Peer;
  readonly number: number;
  copies: number;
  waiting: number;
}

/** Records being written, and who is answered when they are. */
export interface Flush {
  readonly records: readonly RingRecord[];
  readonly confirm: Confirm | undefined;
}

/** A recursive lookup passed on; `tried` are not asked again. */
export interface Relay {
  readonly to: Peer;
  readonly number: number;
  readonly key: Id;
  readonly tried: Set<Id>;
  readonly deadline: number;
}

export interface Pending {
  readonly to: Peer;
  readonly request: RingRequest;
  readonly purpose: Purpose;
  readonly sentAt: number;
  /** Waited for until then, since its receiver has said that it sees to it. */
  until?: number;
}

export type TimerName =
  | 'stabilise'
  /** Stabilise before the round is due. */
  | 'again'
  | 'finger'
  | 'offer'
  | 'replicate'
  | 'merge'
  | 'seek'
  | 'homeward'
  | 'spread'
  | 'compare'
  /** Compare before that is due. */
  | 'catch-up'
  | 'rejoin'
  | 'give-up';

export type Timer =
  | { readonly type: TimerName }
  | { readonly type: 'request'; readonly number: number }
  | { readonly type: 'lookup'; readonly number: number }
  /** Of a `GetOperation`. */
  | { readonly type: 'doubt'; readonly number: number };

export type MemberEvent =
  /** Joins through the first of `contacts` that answers; begins a ring of its own where none is given. */
  | { readonly type: 'start'; readonly now: number; readonly contacts: readonly Peer[] }
  | { readonly type: 'message'; readonly now: number; readonly message: RingMessage }
  | { readonly type: 'timer'; readonly now: number; readonly timer: Timer }
  /** The request of that number could not be sent, or was refused: no answer will come. */
  | { readonly type: 'unreachable'; readonly now: number; readonly number: number }
  /** `recursive` goes from member to member instead of back and forth. */
  | {
      readonly type: 'lookup';
      readonly now: number;
      readonly key: Id;
      readonly tag: number;
      readonly recursive?: boolean;
    }
  | {
      readonly type: 'put';
      readonly now: number;
      readonly record: RingRecord;
      readonly tag: number;
    }
  /** `doubting`, as it is by default: not on one member's word that nothing is there. */
  | {
      readonly type: 'get';
      readonly now: number;
      readonly key: Id;
      readonly tag: number;
      readonly doubting?: boolean;
    }
  /** A value of up to 1 MiB, as `valueRecords` made it; ends with `put-done` too. */
  | {
      readonly type: 'put-value';
      readonly now: number;
      readonly records: readonly RingRecord[];
      readonly tag: number;
    }
  | {
      readonly type: 'get-value';
      readonly now: number;
      readonly key: Id;
      readonly publisher: string;
      readonly tag: number;
    }
  /** Members seen by discovery: perhaps of another ring. */
  | { readonly type: 'contacts'; readonly now: number; readonly contacts: readonly Peer[] }
  /** Where we are reached, at the same address as before and perhaps at another further one. */
  | { readonly type: 'reached'; readonly now: number; readonly self: Peer }
  /** What was to be kept of that number would survive a power cut, or could not be written. */
  | { readonly type: 'kept'; readonly now: number; readonly number: number; readonly ok: boolean }
  | { readonly type: 'leave'; readonly now: number };

/** Who is told of the end: whoever gave the tag, or a larger value of which this is a part. */
/** `homeward`: nobody waits; it was ours, and is put where it belongs. */
export type PutAsker = { readonly tag: number } | { readonly transfer: number } | 'homeward';
export type GetAsker =
  | { readonly tag: number }
  | { readonly transfer: number; readonly part: number | undefined };

/** `incomplete`: parts are missing, or are not what was published. */
export type ValueFailure = 'absent' | 'no-answer' | 'incomplete';

/** A value in parts, on its way. */
export type Transfer =
  | {
      readonly type: 'put';
      readonly tag: number;
      readonly waiting: RingRecord[];
      named: RingRecord | undefined;
      inFlight: number;
      copies: number;
    }
  | {
      readonly type: 'get';
      readonly tag: number;
      readonly publisher: string;
      inFlight: number;
      parts: ValueParts | undefined;
    };

export interface ValueParts {
  /** What names them. */
  readonly of: RingRecord;
  readonly size: number;
  readonly hash: Buffer;
  readonly count: number;
  next: number;
  readonly got: Map<number, Uint8Array>;
}

/** A record on its way to its owner. */
export interface PutOperation {
  readonly record: RingRecord;
  readonly asker: PutAsker;
  readonly deadline: number;
}

/** A key asked of those who hold it. */
export interface GetOperation {
  readonly key: Id;
  readonly asker: GetAsker;
  readonly startedAt: number;
  owner: Peer | undefined;
  /** Those who hold copies were asked already, since the owner was silent. */
  early: boolean;
  /** Yet to be asked. */
  holders: Peer[];
  waiting: number;
  ownerEmpty: boolean;
  /** That it is not there is not, or not any more, asked of others. */
  doubted: boolean;
  readonly answered: Set<Id>;
  readonly newest: Map<string, RingRecord>;
}

export type MemberAction =
  | { readonly type: 'send'; readonly to: Peer; readonly message: RingMessage }
  | { readonly type: 'set-timer'; readonly timer: Timer; readonly ms: number }
  | { readonly type: 'joined' }
  /** No contact answered in time; tried again until told to leave. */
  | { readonly type: 'join-failed'; readonly reason: 'no-answer' | 'id-in-use' }
  | { readonly type: 'left' }
  | {
      readonly type: 'lookup-done';
      readonly tag: number;
      readonly key: Id;
      readonly result: LookupResult | undefined;
      readonly tookMs: number;
      readonly timeouts: number;
    }
  /** `copies` of 0: not kept, and why. */
  | {
      readonly type: 'put-done';
      readonly tag: number;
      readonly copies: number;
      readonly reason?: StoreRefusal | 'no-answer';
    }
  /** Newest of each publisher; undefined where no holder could be reached. */
  | {
      readonly type: 'get-done';
      readonly tag: number;
      readonly records: readonly RingRecord[] | undefined;
    }
  | {
      readonly type: 'value-done';
      readonly tag: number;
      readonly value: Uint8Array | undefined;
      readonly failure?: ValueFailure;
    }
  /** To be written where a power cut does not reach it; `kept` tells how it went. */
  | { readonly type: 'keep'; readonly number: number; readonly records: readonly RingRecord[] }
  /** These are held no more, if they are what is written there. */
  | { readonly type: 'forget'; readonly records: readonly RingRecord[] }
  | { readonly type: 'merged'; readonly with: Peer }
  | { readonly type: 'routing'; readonly routing: Routing };

/** What one part of a member tells the others. */
export type Signal =
  /** We have become a member. */
  | { readonly type: 'member' }
  /** A neighbour was found dead. */
  | { readonly type: 'died'; readonly peer: Peer }
  /** A new predecessor, nearer than the last. */
  | { readonly type: 'neighbour'; readonly peer: Peer }
  | {
      readonly type: 'part-put';
      readonly transfer: number;
      readonly copies: number;
      readonly reason: StoreRefusal | 'no-answer' | undefined;
    }
  | {
      readonly type: 'part-got';
      readonly transfer: number;
      readonly part: number | undefined;
      readonly records: readonly RingRecord[] | undefined;
    }
  /** Who is asked for has to wait until a new owner has taken over. */
  | { readonly type: 'owner-silent'; readonly operation: number }
  /** A lookup waits, and these were passed over: if we rely on one of them, we look. */
  | { readonly type: 'doubted'; readonly ids: readonly Id[] }
  /** Neither successor nor predecessor is left. */
  | { readonly type: 'alone' };

export interface MemberState {
  self: Peer;
  readonly options: MemberOptions;
  readonly tools: MemberTools;
  phase: 'idle' | 'joining' | 'member' | 'left';
  now: number;
  /** A predecessor found dead stays as a place: what lies before it is not ours until somebody says so. */
  predecessor: Peer | undefined;
  /** Who was before the predecessor when that came: where its part of the ring begins. */
  previous: Peer | undefined;
  /** Who was before `previous` then. */
  previousBeyond: Peer | undefined;
  /** Our predecessor's predecessor, by its own word: asked, should our predecessor die. */
  beyond: Peer | undefined;
  /** The nearest of those who notified us while the predecessor was being asked, and who is before it. */
  newcomer: { readonly peer: Peer; beyond: Peer | undefined } | undefined;
  predecessorHeardAt: number;
  successors: Peer[];
  routing: Routing;
  readonly fingers: Map<number, Finger>;
  nextSlot: number;
  /** The fingers by id. */
  far: readonly Peer[];
  farStale: boolean;
  membership: Membership | undefined;
  /** Members in a row that were asked to compare and keep no table. */
  withoutTable: number;
  /** Everybody was told that we are here; we know everybody first, since they are told in a tree over all. */
  announced: boolean;
  /** Present in our own entry; raised to refute who says that we are gone. */
  version: number;
  /** Who gave no answer, and until when they are passed over. */
  readonly suspects: Map<Id, number>;
  /** Who was in the ring and did not answer any more: where another part of it may be. */
  readonly lost: Map<Id, Peer>;
  /** Looks for them since one was lost last, or another ring was found behind a neighbour. */
  seeks: number;
  contacts: readonly Peer[];
  /** The last of another ring that we were told of and can have no link to, for want of its kind of address. */
  outOfReach: Peer | undefined;
  readonly pending: Map<number, Pending>;
  nextNumber: number;
  rttMs: number | undefined;
  rttVariationMs: number;
  stabilising: boolean;
  checkingPredecessor: boolean;
  readonly lookups: Map<number, Lookup>;
  readonly finished: FinishedLookup[];
  readonly puts: Map<number, PutOperation>;
  readonly gets: Map<number, GetOperation>;
  readonly transfers: Map<number, Transfer>;
  readonly records: RecordStore;
  /** By number. */
  readonly flushes: Map<number, Flush>;
  /** Raised when what is owned, or by how many others it is to be held, changes. */
  ownedStamp: number;
  /** A predecessor that has not got all that it owns: some seconds later it is offered again. */
  owedTo: Id | undefined;
  /** Which stamp each holder of copies has confirmed. */
  readonly synced: Map<Id, number>;
  readonly timersSet: Set<TimerName>;
  joinAttempts: number;
  /** It was a member until it lost all its neighbours, and looks for its place: some may have it as theirs still. */
  returning: boolean;
  /** To be passed on, by hops left. */
  readonly news: Map<number, Map<Id, MembershipEntry>>;
  membershipBytes: number;
  membershipSince: number;
  /** When another ring was last looked for on somebody's word. */
  mergedAt: number;
  /** Collected during a step. */
  out: MemberAction[];
  readonly signals: Signal[];
}
