/** What an attached node knows, what happens to it, and what it does about it. */
import type { Id } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import type { RingRecord, StoreRefusal } from '../ring/records.js';
import type { KnownSuperNodes } from './known-super-nodes.js';
import type { NodeAnswer, NodeRequest } from './node-messages.js';
import { type Allowance, newAllowance, newRoundTrip, type Rate, type RoundTrip } from './pace.js';

/** Asked for. Loss is noticed by pings, so this only bounds how long a super-node remembers who is gone. */
export const EXPIRES_S = 600;
/** Of all attempts to attach: what a long list of dead super-nodes costs at most. */
export const ATTACH_RATE: Rate = { atOnce: 6, everyMs: 100 };
/** Of being sent elsewhere by super-nodes. */
export const MOVE_RATE: Rate = { atOnce: 5, everyMs: 12_000 };

export type LossReason =
  /** Neither ping nor refresh was answered. */
  | 'silent'
  /** The link broke, or a new one was refused. */
  | 'closed'
  /** It would not keep us. */
  | 'elsewhere'
  /** It sent us to another, which did not take us. */
  | 'moved'
  /** What is ours is not in the ring, as two others say. */
  | 'unpublished'
  /** Our address is another: what it knows of us is wrong. */
  | 'network-changed';

export type NodeResult =
  | { readonly type: 'records'; readonly records: readonly RingRecord[] }
  | { readonly type: 'stored'; readonly copies: number }
  | { readonly type: 'refused'; readonly reason: StoreRefusal }
  | { readonly type: 'failed'; readonly why: NodeFailure };

/** `no-ring`: not attached all the time; `no-answer`: nobody answered; `too-many` are under way. */
export type NodeFailure = 'no-ring' | 'no-answer' | 'too-many' | 'stopped';

/** What is asked of the ring in somebody's place. */
export type NodeAsk = Extract<NodeRequest, { readonly type: 'query' | 'publish' }>;

interface At {
  /** In ms, by a clock that never goes back. */
  readonly now: number;
}

export type AttachmentEvent = At &
  (
    | { readonly type: 'start' }
    /** Seen by discovery; its id may be `UNKNOWN_ID`. */
    | { readonly type: 'candidate'; readonly peer: Peer }
    /** `from` by the link it came by; undefined where none will come. */
    | {
        readonly type: 'answered';
        readonly number: number;
        readonly from: Peer;
        readonly answer: NodeAnswer | undefined;
      }
    /** Something else came from it: the answer to a ping, for one. */
    | { readonly type: 'heard'; readonly from: Peer }
    /** What was asked under that number cannot be sent: refused, or no route. */
    /** `mistaken`: another device has that address now. */
    | { readonly type: 'unreachable'; readonly number: number; readonly mistaken?: boolean }
    /** A request to us: attach to `to` from now on. */
    | {
        readonly type: 'moved';
        readonly number: number;
        readonly from: Peer;
        readonly to: Peer;
      }
    /** The link to it broke, or it closed it. */
    | { readonly type: 'flow-lost'; readonly peer: Peer }
    /** Our address is another: links of the old one are not to be used any more. */
    | { readonly type: 'network-changed'; readonly contact: string }
    /** All records that are to be in the ring for us. */
    | { readonly type: 'records-changed'; readonly records: readonly RingRecord[] }
    | {
        readonly type: 'query';
        readonly tag: number;
        readonly key: Id;
        readonly withinMs?: number;
      }
    | {
        readonly type: 'publish';
        readonly tag: number;
        readonly records: readonly RingRecord[];
        readonly withinMs?: number;
      }
    | { readonly type: 'timer' }
    /** Goes; tombstones of what it had published. */
    | { readonly type: 'stop'; readonly tombstones: readonly RingRecord[] }
  );

export type AttachmentAction =
  /** By a link to that address, opened where there is none. Numbers are never used twice. */
  | {
      readonly type: 'send';
      readonly to: Peer;
      readonly number: number;
      readonly request: NodeRequest;
    }
  /** CRLF CRLF by the link that is there (RFC 5626 §4.4.1); what comes back is told as `heard`. */
  | { readonly type: 'ping'; readonly to: Peer }
  /** To a request of that number. */
  | {
      readonly type: 'answer';
      readonly to: Peer;
      readonly number: number;
      readonly answer: NodeAnswer;
    }
  /** In place of the one set before. */
  | { readonly type: 'set-timer'; readonly ms: number }
  /** Discovery is to look; again where `attempt` is above 0. */
  | { readonly type: 'want-candidates'; readonly attempt: number }
  /** `nodes`: how many are with it, where it says so. */
  | { readonly type: 'attached'; readonly to: Peer; readonly nodes: number | undefined }
  | { readonly type: 'lost'; readonly from: Peer; readonly reason: LossReason }
  /** Looked long enough: `silent`, no super-node answers; `full`, some do, and none takes us. */
  | { readonly type: 'nobody'; readonly reason: 'silent' | 'full' }
  | { readonly type: 'done'; readonly tag: number; readonly result: NodeResult }
  /** After `stop`. */
  | { readonly type: 'gone' };

/** A request under way. */
export type Pending =
  | {
      readonly type: 'attach';
      readonly to: Peer;
      readonly sentAt: number;
      /** Of contact and records, as sent. */
      readonly version: number;
      /** No answer in time, so others are asked; late is better than never. */
      slow: boolean;
      dueAt: number;
    }
  | {
      readonly type: 'refresh';
      readonly to: Peer;
      readonly sentAt: number;
      readonly version: number;
      dueAt: number;
    }
  | {
      readonly type: 'ask';
      readonly to: Peer;
      readonly sentAt: number;
      readonly tag: number;
      dueAt: number;
    }
  | {
      readonly type: 'check';
      readonly to: Peer;
      /** Whose nodes we are. */
      readonly of: Id;
      readonly record: RingRecord;
      /** As sent. */
      readonly version: number;
      dueAt: number;
    }
  | { readonly type: 'detach'; readonly to: Peer; dueAt: number };

/** The super-node we are attached to. */
export interface Current {
  readonly peer: Peer;
  /** When something last came from it. */
  heardAt: number;
  refreshAt: number;
  /** Refreshes without an answer. */
  unanswered: number;
  /** It was busy: not refreshed before. */
  busyUntil: number;
  /** Of contact and records, as it has them. */
  version: number;
  /** When it is pinged, unless something comes from it before. */
  pingAt: number;
  /** Pings since something came from it, and when the last goes unanswered. */
  pings: number;
  pingDueAt: number;
  pingedAt: number;
  /** When somebody else is asked for a record of ours; undefined until that is known of what is new. */
  checkAt: number | undefined;
  /** Who was asked, and did not find it. */
  missedBy: Id[];
}

export interface Operation {
  readonly request: NodeAsk;
  deadline: number;
  /** One has said that nothing is there: another is asked before that is believed. */
  nothing: boolean;
  /** Whom it was sent to, by address. */
  readonly tried: string[];
  /** Sent to the next one then, unless there is an answer before. */
  nextAt: number;
  /** Asked, and not given up yet. */
  waiting: number;
}

export interface AttachmentState {
  readonly self: Id;
  /** A number in [0, 1). */
  readonly chance: () => number;
  phase: 'idle' | 'searching' | 'attached' | 'leaving' | 'gone';
  now: number;
  contact: string;
  records: readonly RingRecord[];
  /** When they were handed in: they age from then on. */
  recordsAt: number | undefined;
  /** Raised when contact or records change. */
  version: number;
  current: Current | undefined;
  /** Where we have been sent, and have not arrived. */
  moving: Peer | undefined;
  /** Somebody may hold bindings of ours. */
  published: boolean;
  /** Super-nodes left in a row since what is ours was not in the ring. */
  unpublished: number;
  readonly known: KnownSuperNodes;
  readonly pending: Map<number, Pending>;
  readonly operations: Map<number, Operation>;
  nextNumber: number;
  /** The next attempt starts no earlier. */
  nextAttemptAt: number;
  readonly attempts: Allowance;
  readonly moves: Allowance;
  /** Of pings, of attempts to attach, and of what is asked of the ring. */
  readonly pingTrip: RoundTrip;
  readonly attachTrip: RoundTrip;
  readonly askTrip: RoundTrip;
  searchSince: number;
  /** A super-node has answered during the search, whatever it said. */
  somebody: boolean;
  toldNobody: boolean;
  wantAt: number;
  wanted: number;
  tombstones: readonly RingRecord[];
  /** Who is yet to be told that we go, until one answers. */
  goodbyes: Peer[];
  timerAt: number | undefined;
  /** Collected during a step. */
  out: AttachmentAction[];
}

export function newAttachment(
  self: Id,
  own: { readonly contact: string; readonly records: readonly RingRecord[] },
  chance: () => number,
): AttachmentState {
  return {
    self,
    chance,
    phase: 'idle',
    now: 0,
    contact: own.contact,
    records: own.records,
    recordsAt: undefined,
    version: 1,
    current: undefined,
    moving: undefined,
    published: false,
    unpublished: 0,
    known: new Map(),
    pending: new Map(),
    operations: new Map(),
    nextNumber: 1,
    nextAttemptAt: 0,
    attempts: newAllowance(ATTACH_RATE),
    moves: newAllowance(MOVE_RATE),
    pingTrip: newRoundTrip(),
    attachTrip: newRoundTrip(),
    askTrip: newRoundTrip(),
    searchSince: 0,
    somebody: false,
    toldNobody: false,
    wantAt: Number.POSITIVE_INFINITY,
    wanted: 0,
    tombstones: [],
    goodbyes: [],
    timerAt: undefined,
    out: [],
  };
}
