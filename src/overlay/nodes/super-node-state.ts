/** What a super-node knows of its nodes, what happens to it, and what it does about it. */
import { type Id, positionOf } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import type { RingRecord, StoreRefusal } from '../ring/records.js';
import type { ListedNode } from './node-list.js';
import type { AttachedNode, NodeAnswer, NodeRequest } from './node-messages.js';
import { type Allowance, newAllowance, type Rate } from './pace.js';

export interface SuperNodeOptions {
  /** Over it nodes are sent to others. */
  readonly maxNodes: number;
  /** Longest grant, in s. */
  readonly expiresS: number;
}

export const SUPER_NODE_OPTIONS: SuperNodeOptions = { maxNodes: 500, expiresS: 600 };

/** What is handed in: keys and chance. */
export interface SuperNodeTools {
  /** A number in [0, 1). */
  readonly chance: () => number;
  /** Whether the publisher of a record signed it. */
  readonly verifyRecord: (record: RingRecord) => boolean;
  /** Whether it is a binding that a super-node vouches for, in the name of a phone that has no key. */
  readonly isVouched: (record: RingRecord) => boolean;
  /** A record of our own, with our next sequence; its publisher is our id. */
  readonly sign: (draft: Pick<RingRecord, 'key' | 'lifeMs' | 'value'>) => RingRecord;
}

export interface OtherSuperNode {
  readonly peer: Peer;
  /** Undefined where it did not say. */
  readonly nodes: number | undefined;
}

export type SuperNodeEvent = { readonly now: number } & (
  | {
      readonly type: 'request';
      readonly from: Peer;
      readonly number: number;
      readonly request: NodeRequest;
      /** The address that it came from. */
      readonly source?: string;
    }
  | {
      readonly type: 'put-done';
      readonly tag: number;
      readonly copies: number;
      readonly reason?: StoreRefusal | 'no-answer';
    }
  | {
      readonly type: 'get-done';
      readonly tag: number;
      /** Undefined where nobody answered. */
      readonly records: readonly RingRecord[] | undefined;
    }
  | {
      readonly type: 'answered';
      readonly number: number;
      readonly from: Peer;
      readonly answer: NodeAnswer | undefined;
    }
  | { readonly type: 'unreachable'; readonly number: number }
  | { readonly type: 'limits'; readonly maxNodes: number }
  /** Other super-nodes that are alive, as far as is known. */
  | { readonly type: 'others'; readonly others: readonly OtherSuperNode[] }
  /** Our successors in the ring, the next first. */
  | { readonly type: 'neighbours'; readonly successors: readonly Peer[] }
  /** Our predecessor died: what it looked after is ours. */
  | { readonly type: 'member-lost'; readonly peer: Peer }
  /** These are to attach here: we were their super-node at another address. */
  | { readonly type: 'call'; readonly nodes: readonly ListedNode[] }
  | { readonly type: 'leave' }
  | { readonly type: 'timer' }
);

export type SuperNodeAction =
  | {
      readonly type: 'answer';
      readonly to: Peer;
      readonly number: number;
      readonly answer: NodeAnswer;
    }
  /** Into the ring; ends with `put-done`. */
  | { readonly type: 'put'; readonly tag: number; readonly record: RingRecord }
  /** Ends with `get-done`; `doubting`: not on one member's word that nothing is there. */
  | { readonly type: 'get'; readonly tag: number; readonly key: Id; readonly doubting: boolean }
  /** `contact`: a SIP URI that reaches it, where there may be no link. */
  | {
      readonly type: 'send';
      readonly to: Peer;
      readonly contact: string | undefined;
      readonly number: number;
      readonly request: NodeRequest;
    }
  /** In place of the one set before. */
  | { readonly type: 'set-timer'; readonly ms: number }
  /** All nodes are told: the ring may be left. */
  | { readonly type: 'left' };

/** A record that is to be in the ring. */
export interface NodePut {
  readonly record: RingRecord;
  readonly receivedAt: number;
  /** When it is put, for the first time or again. */
  dueAt: number;
  failures: number;
  /** In the queue, or on its way. */
  busy: boolean;
}

export interface HeldNode {
  peer: Peer;
  contact: string;
  expiresAt: number;
  /** The address that it attached from; undefined of one that was handed over. */
  source: string | undefined;
  /** By key and publisher. */
  readonly puts: Map<string, NodePut>;
}

/** Why something is put or got: what its end leads to. */
export type RingTask =
  | { readonly type: 'record'; readonly put: NodePut }
  | { readonly type: 'page'; readonly page: number }
  | { readonly type: 'publish'; readonly request: OpenRequest }
  | { readonly type: 'query'; readonly request: OpenRequest }
  | {
      readonly type: 'adopt';
      readonly dead: Peer;
      readonly page: number;
      readonly attempt: number;
    };

/** A request of a node that waits for the ring. */
export interface OpenRequest {
  readonly from: Peer;
  readonly number: number;
  /** The address that it came from. */
  readonly source: string | undefined;
  readonly deadline: number;
  waiting: number;
  copies: number;
  refusal: StoreRefusal | undefined;
  unanswered: boolean;
}

/** A node that is to be told to go to another. */
export interface Move {
  readonly node: ListedNode;
  readonly to: Peer;
  attempts: number;
  /** It has a super-node, as it says. */
  declined: boolean;
}

/** Nodes that are handed to another, all at once. */
export interface Parcel {
  readonly nodes: readonly AttachedNode[];
  readonly tried: Set<Id>;
}

export type Sent =
  | { readonly type: 'move'; readonly move: Move; readonly dueAt: number }
  | {
      readonly type: 'hand-over';
      readonly to: Peer;
      readonly parcel: Parcel;
      readonly dueAt: number;
    };

/** Of requests to attach elsewhere: a hundred a second. */
export const TELL_RATE: Rate = { atOnce: 20, everyMs: 10 };
/** Of nodes listed by somebody who has died, and may have listed anybody: as many as a super-node has, then one a second. */
export const ADOPT_RATE: Rate = { atOnce: SUPER_NODE_OPTIONS.maxNodes, everyMs: 1_000 };

export interface SuperNodeState {
  readonly self: Peer;
  readonly tools: SuperNodeTools;
  options: SuperNodeOptions;
  phase: 'serving' | 'leaving' | 'left';
  now: number;
  readonly nodes: Map<Id, HeldNode>;
  others: readonly OtherSuperNode[];
  successors: readonly Peer[];
  readonly tasks: Map<number, RingTask>;
  nextTag: number;
  /** What waits for its turn to be put. */
  readonly queue: Set<NodePut>;
  /** Records on their way. */
  putting: number;
  /** What nodes that went have left: tombstones, put until they are kept. */
  readonly tails: Map<string, NodePut>;
  /** Requests of nodes that wait for the ring, by sender and number. */
  readonly open: Map<string, OpenRequest>;
  readonly dirtyPages: Set<number>;
  /** Pages that stand in the ring. */
  readonly listed: Set<number>;
  /** When dirty pages are put, and when all are put again. */
  pagesAt: number;
  relistAt: number;
  sweepAt: number;
  readonly moves: Move[];
  /** Of those who declined: told once more. */
  declined: { readonly move: Move; readonly at: number }[];
  readonly tellings: Allowance;
  readonly adoptions: Allowance;
  readonly sent: Map<number, Sent>;
  nextNumber: number;
  /** Dead neighbours whose lists are being read, and how many pages are missing. */
  adopting: { readonly dead: Peer; waiting: number }[];
  /** Pages that nobody could tell, or that were empty, to be read once more. */
  rereads: {
    readonly dead: Peer;
    readonly page: number;
    readonly attempt: number;
    readonly at: number;
  }[];
  readonly parcels: Parcel[];
  leaveBy: number;
  timerAt: number | undefined;
  /** Collected during a step. */
  out: SuperNodeAction[];
}

export function newSuperNode(
  self: Peer,
  tools: SuperNodeTools,
  options: Partial<SuperNodeOptions> = {},
): SuperNodeState {
  return {
    self,
    tools,
    options: { ...SUPER_NODE_OPTIONS, ...options },
    phase: 'serving',
    now: 0,
    nodes: new Map(),
    others: [],
    successors: [],
    tasks: new Map(),
    nextTag: 1,
    queue: new Set(),
    putting: 0,
    tails: new Map(),
    open: new Map(),
    dirtyPages: new Set(),
    listed: new Set(),
    pagesAt: Number.POSITIVE_INFINITY,
    relistAt: Number.POSITIVE_INFINITY,
    sweepAt: Number.POSITIVE_INFINITY,
    moves: [],
    declined: [],
    tellings: newAllowance(TELL_RATE),
    adoptions: newAllowance(ADOPT_RATE),
    sent: new Map(),
    nextNumber: 1,
    adopting: [],
    rereads: [],
    parcels: [],
    leaveBy: Number.POSITIVE_INFINITY,
    timerAt: undefined,
    out: [],
  };
}

/** The others, beginning at another one for each node, so that not all go to the same. */
export function othersFor(state: SuperNodeState, node: Id): OtherSuperNode[] {
  const { self, others, successors } = state;
  const all = new Map<Id, OtherSuperNode>();
  for (const peer of successors) all.set(peer.id, { peer, nodes: undefined });
  for (const other of others) all.set(other.peer.id, other);
  all.delete(self.id);
  all.delete(node);
  const list = [...all.values()];
  const start = list.length > 0 ? positionOf(node) % list.length : 0;
  return [...list.slice(start), ...list.slice(0, start)];
}

export function reply(state: SuperNodeState, to: Peer, number: number, answer: NodeAnswer): void {
  state.out.push({ type: 'answer', to, number, answer });
}

export function startTask(state: SuperNodeState, task: RingTask): number {
  const tag = state.nextTag++;
  state.tasks.set(tag, task);
  return tag;
}
