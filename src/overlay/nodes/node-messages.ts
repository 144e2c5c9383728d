/**
 * What a node and its super-node say to each other, and super-nodes about nodes: a closed union, beside that of the
 * members (messages.ts). Each request but `move` is one REGISTER; `move` is a REFER (RFC 3515). A node is no member of
 * the ring: it is attached to a member, and asks the ring through it.
 */
import type { Id } from '../ring/ids.js';
import type { RingAnswer } from '../ring/messages.js';
import type { Peer } from '../ring/peer.js';
import type { RingRecord } from '../ring/records.js';

/** Where a node is, as its super-node keeps it. */
export interface AttachedNode {
  readonly peer: Peer;
  /** SIP URI that reaches it. */
  readonly contact: string;
  /** In s. */
  readonly expiresS: number;
  /** Its bindings: put into the ring in its place, and again when they are missing. */
  readonly records: readonly RingRecord[];
}

export type NodeRequest =
  /** From a node: I am here now. It is said again before `expiresS` are over. */
  | ({ readonly type: 'attach' } & Omit<AttachedNode, 'peer'>)
  /** From a node that goes (`Expires: 0`). Its records are tombstones of what it had published. */
  | { readonly type: 'detach'; readonly records: readonly RingRecord[] }
  /** From a node: what is in the ring under this key? */
  | { readonly type: 'query'; readonly key: Id }
  /** From a node: put this into the ring. */
  | { readonly type: 'publish'; readonly records: readonly RingRecord[] }
  /** From a super-node that goes, to another: third-party registrations. */
  | { readonly type: 'hand-over'; readonly nodes: readonly AttachedNode[] }
  /** From a super-node to a node: attach there from now on. */
  | { readonly type: 'move'; readonly to: Peer };

export type NodeAnswer =
  /** 200: for so long, and where to go should I not answer any more, best first. */
  | {
      readonly type: 'attached';
      readonly expiresS: number;
      readonly others: readonly Peer[];
      /** How many nodes are with me: whether another super-node is needed. */
      readonly nodes?: number;
    }
  /** 302: I am no super-node, or have too many nodes; these are, best first. */
  | { readonly type: 'elsewhere'; readonly at: readonly Peer[] }
  /** `busy` 480 with Retry-After, `accepted` 200, `records` 200 or 404, `stored` 200, `refused` 4xx. */
  | Extract<RingAnswer, { readonly type: 'busy' | 'accepted' | 'records' | 'stored' | 'refused' }>;
