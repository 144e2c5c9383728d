/** All that goes over links: what members say to each other, and nodes with super-nodes. */

import type { NodeAnswer, NodeRequest } from './nodes/node-messages.js';
import type { RingAnswer, RingRequest } from './ring/messages.js';
import type { Peer } from './ring/peer.js';

export type LinkRequest = RingRequest | NodeRequest;
export type LinkAnswer = RingAnswer | NodeAnswer;

export interface RequestMessage {
  readonly kind: 'request';
  readonly from: Peer;
  readonly number: number;
  readonly request: LinkRequest;
}

export interface AnswerMessage {
  readonly kind: 'answer';
  readonly from: Peer;
  readonly number: number;
  readonly answer: LinkAnswer;
}
