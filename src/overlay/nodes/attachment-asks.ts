/** What others ask of the ring through us: by the super-node we are attached to, or by the next when it is slow. */

import type { Peer } from '../ring/peer.js';
import { leaveFor, send } from './attachment-search.js';
import type {
  AttachmentState,
  NodeAsk,
  NodeFailure,
  NodeResult,
  Operation,
  Pending,
} from './attachment-state.js';
import { inOrder } from './known-super-nodes.js';
import type { NodeAnswer } from './node-messages.js';
import { measure, patienceMs } from './pace.js';

type Asked = Extract<Pending, { type: 'ask' }>;

const MAX_OPERATIONS = 64;
const DEADLINE_MS = 15_000;
/** Super-nodes asked for one thing, the same ones again where there are not so many. */
const MAX_TRIES = 4;
const PATIENCE = { firstMs: 1_000, minMs: 400, maxMs: 4_000 };
/** Before it is asked again after "busy". */
const BUSY_MS = 300;

export function startOperation(
  state: AttachmentState,
  tag: number,
  request: NodeAsk,
  withinMs = DEADLINE_MS,
): void {
  if (state.phase === 'leaving' || state.phase === 'gone') {
    done(state, tag, failure('stopped'));
    return;
  }
  if (state.operations.size >= MAX_OPERATIONS || state.operations.has(tag)) {
    done(state, tag, failure('too-many'));
    return;
  }
  const deadline = state.now + withinMs;
  const { now: nextAt } = state;
  state.operations.set(tag, { request, deadline, nothing: false, tried: [], nextAt, waiting: 0 });
}

/** Sends what is due to be sent, while attached, and ends what has taken too long. */
export function pursueOperations(state: AttachmentState): void {
  for (const [tag, operation] of state.operations) {
    if (operation.deadline <= state.now) {
      giveUp(state, tag, operation, operation.tried.length > 0 ? 'no-answer' : 'no-ring');
    } else if (state.current && operation.nextAt <= state.now) {
      sendNext(state, tag, operation, state.current.peer);
    }
  }
}

export function operationsWakeAt(state: AttachmentState): number {
  let wakes = Number.POSITIVE_INFINITY;
  for (const { deadline, nextAt } of state.operations.values()) {
    wakes = Math.min(wakes, deadline, state.current ? nextAt : wakes);
  }
  return wakes;
}

export function askAnswered(state: AttachmentState, asked: Asked, answer: NodeAnswer): void {
  const operation = state.operations.get(asked.tag);
  if (!operation) return;
  switch (answer.type) {
    case 'records':
      if (operation.request.type !== 'query') break;
      measure(state.askTrip, state.now - asked.sentAt);
      if (answer.records.length === 0 && asksAnother(state, asked, operation)) return;
      end(state, asked.tag, answer);
      return;
    case 'stored':
      if (operation.request.type !== 'publish') break;
      measure(state.askTrip, state.now - asked.sentAt);
      end(state, asked.tag, answer);
      return;
    case 'refused': {
      const { reason } = answer;
      // Whose it is changes while the ring does.
      if (reason === 'not-owner' || reason === 'no-table') break;
      end(state, asked.tag, { type: 'refused', reason });
      return;
    }
    case 'elsewhere':
      operation.waiting--;
      goOn(state, asked.tag, operation, 0);
      // It is a super-node no longer, and did not say goodbye.
      if (state.current?.peer.address === asked.to.address) {
        leaveFor(state, 'elsewhere', answer.at);
      }
      return;
    case 'attached':
    case 'busy':
    case 'accepted':
      break;
  }
  operation.waiting--;
  goOn(state, asked.tag, operation, BUSY_MS);
}

/** Not answered in time: it may answer yet, and `PATIENCE` has asked the next already; or it cannot be reached. */
export function askFailed(state: AttachmentState, { tag }: Asked): void {
  const operation = state.operations.get(tag);
  if (!operation) return;
  operation.waiting--;
  goOn(state, tag, operation, 0);
}

/** The super-node is lost: what it was asked is asked the next one. */
export function askAgain(state: AttachmentState, peer: Peer): void {
  for (const [number, pending] of state.pending) {
    if (pending.type !== 'ask' || pending.to.address !== peer.address) continue;
    state.pending.delete(number);
    askFailed(state, pending);
  }
}

export function endAll(state: AttachmentState): void {
  for (const tag of [...state.operations.keys()]) end(state, tag, failure('stopped'));
}

function sendNext(state: AttachmentState, tag: number, operation: Operation, current: Peer): void {
  const { tried, request } = operation;
  if (tried.length >= MAX_TRIES) {
    // Who was asked may answer until the deadline.
    operation.nextAt = Number.POSITIVE_INFINITY;
    if (operation.waiting === 0) giveUp(state, tag, operation, 'no-answer');
    return;
  }
  const to = nextFor(state, operation, current);
  const number = send(state, to, request);
  const { now: sentAt } = state;
  state.pending.set(number, { type: 'ask', to, sentAt, tag, dueAt: operation.deadline });
  operation.nextAt = sentAt + patienceMs(state.askTrip, PATIENCE) * 2 ** tried.length;
  tried.push(to.address);
  operation.waiting++;
}

/** A super-node that says of everybody that they are not there would be believed by all that are attached to it. */
function asksAnother(state: AttachmentState, asked: Asked, operation: Operation): boolean {
  const { current } = state;
  if (operation.nothing || current?.peer.address !== asked.to.address) return false;
  operation.nothing = true;
  const isAsked = operation.waiting > 1;
  if (!isAsked && !another(state, operation, current.peer)) return false;
  operation.waiting--;
  operation.nextAt = isAsked ? Number.POSITIVE_INFINITY : state.now;
  const patience = 2 * patienceMs(state.askTrip, PATIENCE);
  operation.deadline = Math.min(operation.deadline, state.now + patience);
  // What was asked of others besides is waited for no more.
  for (const pending of state.pending.values()) {
    if (pending.type === 'ask' && pending.tag === asked.tag) pending.dueAt = operation.deadline;
  }
  return true;
}

/** Ours first, then the others, none twice; then ours again. */
function nextFor(state: AttachmentState, operation: Operation, current: Peer): Peer {
  if (!operation.tried.includes(current.address)) return current;
  return another(state, operation, current) ?? current;
}

/** Where nothing was found, rather one whom ours has not named. */
function another(
  state: AttachmentState,
  { tried, nothing }: Operation,
  current: Peer,
): Peer | undefined {
  const others = inOrder(state.known).filter(
    ({ peer, failures }) =>
      failures === 0 && peer.id !== current.id && !tried.includes(peer.address),
  );
  return (nothing ? others.at(-1) : others[0])?.peer;
}

function goOn(state: AttachmentState, tag: number, operation: Operation, pauseMs: number): void {
  if (operation.tried.length >= MAX_TRIES) {
    if (operation.waiting === 0) giveUp(state, tag, operation, 'no-answer');
    return;
  }
  const pause = pauseMs * 2 ** operation.tried.length * (0.5 + state.chance() / 2);
  operation.nextAt = Math.min(operation.nextAt, state.now + pause);
}

/** Nobody else has said otherwise. */
function giveUp(
  state: AttachmentState,
  tag: number,
  { nothing }: Operation,
  why: NodeFailure,
): void {
  end(state, tag, nothing ? { type: 'records', records: [] } : failure(why));
}

function end(state: AttachmentState, tag: number, result: NodeResult): void {
  state.operations.delete(tag);
  for (const [number, pending] of state.pending) {
    if (pending.type === 'ask' && pending.tag === tag) state.pending.delete(number);
  }
  done(state, tag, result);
}

function done(state: AttachmentState, tag: number, result: NodeResult): void {
  state.out.push({ type: 'done', tag, result });
}

function failure(why: NodeFailure): NodeResult {
  return { type: 'failed', why };
}
