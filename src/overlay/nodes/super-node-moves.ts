/** Telling nodes to attach elsewhere, so many a second, and going: first their records to another, then the nodes. */

import type { Peer } from '../ring/peer.js';
import type { ListedNode } from './node-list.js';
import type { NodeAnswer, NodeRequest } from './node-messages.js';
import { recordsOf } from './node-records.js';
import { allowedAt, take } from './pace.js';
import {
  type Move,
  othersFor,
  type Parcel,
  type Sent,
  type SuperNodeState,
  TELL_RATE,
} from './super-node-state.js';

const ANSWER_MS = 1_000;
const MOVE_ATTEMPTS = 2;
/** Who is told where to go before it has noticed that its super-node is dead declines: it has by then. */
const NOTICED_MS = 4_000;
/** Waiting to be told: as many as there may be nodes. */
const MAX_MOVES = 4_000;
/** Going takes no longer. */
const LEAVE_MS = 5_000;
/** Up to so many nodes all go to the next successor; more are spread. */
const ALL_TO_ONE = 50;
/** In one hand-over, and hand-overs under way at once. */
const PARCEL_NODES = 25;
const PARALLEL = 4;
/** Super-nodes a parcel is offered to; then its nodes are told where to go all the same. */
const PARCEL_TRIES = 3;

export function queueMove(state: SuperNodeState, node: ListedNode, to: Peer): void {
  if (state.moves.length + state.declined.length >= MAX_MOVES) return;
  state.moves.push({ node, to, attempts: 0, declined: false });
}

/** Sends what may be sent now, and ends when all is said. */
export function pursueMoves(state: SuperNodeState): void {
  if (state.phase === 'leaving') sendParcels(state);
  while (state.declined[0] && state.declined[0].at <= state.now) {
    state.moves.push(state.declined.shift()!.move);
  }
  while (state.moves.length > 0 && take(state.tellings, TELL_RATE, state.now)) {
    const move = state.moves.shift()!;
    if (isAway(state, move)) continue;
    move.attempts++;
    const { peer, contact } = move.node;
    const number = send(state, peer, contact, { type: 'move', to: move.to });
    state.sent.set(number, { type: 'move', move, dueAt: state.now + ANSWER_MS });
  }
  if (state.phase !== 'leaving') return;
  const { moves, parcels, sent, tails } = state;
  const said = moves.length + parcels.length + sent.size + tails.size === 0;
  if (!said && state.now < state.leaveBy) return;
  state.phase = 'left';
  state.out.push({ type: 'left' });
}

export function movesWakeAt(state: SuperNodeState): number {
  let wakes = Math.min(state.leaveBy, state.declined[0]?.at ?? Number.POSITIVE_INFINITY);
  if (state.moves.length > 0) {
    wakes = Math.min(wakes, Math.max(state.now, allowedAt(state.tellings, TELL_RATE)));
  }
  for (const { dueAt } of state.sent.values()) wakes = Math.min(wakes, dueAt);
  return wakes;
}

export function startLeaving(state: SuperNodeState): void {
  state.phase = 'leaving';
  state.leaveBy = state.now + LEAVE_MS;
  // Those who were to come here do not any more.
  state.moves.length = 0;
  state.declined.length = 0;
  const nodes = [...state.nodes.values()].map(node => ({
    peer: node.peer,
    contact: node.contact,
    expiresS: Math.max(1, Math.round((node.expiresAt - state.now) / 1000)),
    records: recordsOf(state, node),
  }));
  for (let first = 0; first < nodes.length; first += PARCEL_NODES) {
    state.parcels.push({ nodes: nodes.slice(first, first + PARCEL_NODES), tried: new Set() });
  }
}

/** `answer` is undefined where none came. */
export function sentAnswered(
  state: SuperNodeState,
  sent: Sent,
  answer: NodeAnswer | undefined,
): void {
  switch (sent.type) {
    case 'move':
      moveAnswered(state, sent.move, answer);
      return;
    case 'hand-over': {
      const { parcel, to } = sent;
      if (answer?.type === 'accepted') {
        for (const node of parcel.nodes) queueMove(state, node, to);
      } else state.parcels.push(parcel);
      return;
    }
  }
}

function moveAnswered(state: SuperNodeState, move: Move, answer: NodeAnswer | undefined): void {
  if (answer === undefined) {
    if (move.attempts < MOVE_ATTEMPTS) state.moves.push(move);
  } else if (answer.type === 'busy' && !move.declined && state.phase === 'serving') {
    move.declined = true;
    move.attempts = 0;
    state.declined.push({ move, at: state.now + NOTICED_MS });
  }
}

function sendParcels(state: SuperNodeState): void {
  let underWay = 0;
  for (const { type } of state.sent.values()) if (type === 'hand-over') underWay++;
  while (underWay < PARALLEL) {
    const parcel = state.parcels.shift();
    if (!parcel) return;
    const to = targetOf(state, parcel);
    if (!to) {
      tellWithout(state, parcel);
      continue;
    }
    parcel.tried.add(to.id);
    const number = send(state, to, undefined, { type: 'hand-over', nodes: parcel.nodes });
    const dueAt = state.now + ANSWER_MS;
    state.sent.set(number, { type: 'hand-over', to, parcel, dueAt });
    underWay++;
  }
}

/** The next successor for a few nodes, somebody else for each parcel of many. */
function targetOf(state: SuperNodeState, { tried, nodes }: Parcel): Peer | undefined {
  if (tried.size >= PARCEL_TRIES) return undefined;
  const [successor] = state.successors;
  const { self } = state;
  if (successor && successor.id !== self.id && !tried.has(successor.id)) {
    if (state.nodes.size <= ALL_TO_ONE) return successor;
  }
  const others = othersFor(state, nodes[0]!.peer.id).filter(({ peer }) => !tried.has(peer.id));
  return others[0]?.peer;
}

/** Nobody has taken them over: each finds somebody by itself, beginning where it is told. */
function tellWithout(state: SuperNodeState, { nodes }: Parcel): void {
  for (const node of nodes) {
    const [other] = othersFor(state, node.peer.id);
    if (other) queueMove(state, node, other.peer);
  }
}

/** It has found somebody meanwhile. */
function isAway(state: SuperNodeState, { node, to }: Move): boolean {
  const held = state.nodes.has(node.peer.id);
  return to.id === state.self.id ? held : state.phase === 'leaving' && !held;
}

function send(
  state: SuperNodeState,
  to: Peer,
  contact: string | undefined,
  request: NodeRequest,
): number {
  const number = state.nextNumber++;
  state.out.push({ type: 'send', to, contact, number, request });
  return number;
}
