/**
 * An ordinary node at its super-node, as a pure machine: `stepAttachment` changes the state it is given and returns
 * what is to be done. It finds a super-node, stays attached to it, and goes to the next when that is lost.
 */

import { UNKNOWN_ID } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import {
  askAgain,
  askAnswered,
  askFailed,
  endAll,
  operationsWakeAt,
  pursueOperations,
  startOperation,
} from './attachment-asks.js';
import { check, checkAnswered, checkFailed, checkWakesAt } from './attachment-check.js';
import { keep, keepWakesAt, refreshAnswered, refreshOverdue } from './attachment-link.js';
import {
  attempt,
  attemptAnswered,
  attemptOverdue,
  beginSearch,
  candidate,
  heardFrom,
  leaveFor,
  notTaken,
  search,
  searchWakesAt,
  send,
} from './attachment-search.js';
import {
  type AttachmentAction,
  type AttachmentEvent,
  type AttachmentState,
  MOVE_RATE,
  type Pending,
} from './attachment-state.js';
import { failed, forgetFailures, forgetId, inOrder, named, TOLD } from './known-super-nodes.js';
import { take } from './pace.js';

export {
  type AttachmentAction,
  type AttachmentEvent,
  type AttachmentState,
  newAttachment,
} from './attachment-state.js';

type Answered = Extract<AttachmentEvent, { type: 'answered' }>;
type Moved = Extract<AttachmentEvent, { type: 'moved' }>;

/** Super-nodes that are told that we go, one after the other, until one answers. */
const MAX_DETACHES = 3;
const DETACH_MS = 700;

export function stepAttachment(state: AttachmentState, event: AttachmentEvent): AttachmentAction[] {
  state.now = event.now;
  state.out = [];
  const before = state.current?.peer;
  handle(state, event);
  if (state.phase !== 'gone') {
    pursue(state, before);
    setTimer(state);
  }
  return state.out;
}

function handle(state: AttachmentState, event: AttachmentEvent): void {
  switch (event.type) {
    case 'start':
      if (state.phase !== 'idle') return;
      state.recordsAt ??= event.now;
      beginSearch(state);
      return;
    case 'candidate':
      candidate(state, event.peer);
      return;
    case 'answered':
      heardFrom(state, event.from);
      answered(state, event);
      return;
    case 'heard':
      heardFrom(state, event.from);
      return;
    case 'unreachable': {
      const pending = state.pending.get(event.number);
      fail(state, event.number, 'closed');
      if (pending && event.mistaken) forgetId(state.known, pending.to);
      return;
    }
    case 'moved':
      heardFrom(state, event.from);
      moved(state, event);
      return;
    case 'flow-lost': {
      const { address } = event.peer;
      for (const [number, pending] of state.pending) {
        if (pending.to.address === address) fail(state, number, 'closed');
      }
      if (state.current?.peer.address === address) leaveFor(state, 'closed', []);
      return;
    }
    case 'network-changed':
      networkChanged(state, event.contact);
      return;
    case 'records-changed':
      state.records = event.records;
      state.recordsAt = event.now;
      state.version++;
      if (state.current) state.current.checkAt = undefined;
      return;
    case 'query': {
      const { tag, key, withinMs } = event;
      startOperation(state, tag, { type: 'query', key }, withinMs);
      return;
    }
    case 'publish': {
      const { tag, records, withinMs } = event;
      startOperation(state, tag, { type: 'publish', records }, withinMs);
      return;
    }
    case 'timer':
      state.timerAt = undefined;
      return;
    case 'stop':
      stop(state, event.tombstones);
      return;
  }
}

function answered(state: AttachmentState, { number, from, answer }: Answered): void {
  const pending = state.pending.get(number);
  if (!pending) return;
  if (answer === undefined) {
    fail(state, number, 'silent');
    return;
  }
  const { to } = pending;
  // Who answers is known from its link. To an attempt anybody at that address may, since it is who attaches us.
  if (pending.type !== 'attach' && to.id !== UNKNOWN_ID && to.id !== from.id) return;
  state.pending.delete(number);
  switch (pending.type) {
    case 'attach':
      attemptAnswered(state, from, pending, answer);
      return;
    case 'refresh':
      refreshAnswered(state, pending, answer);
      return;
    case 'ask':
      askAnswered(state, pending, answer);
      return;
    case 'check':
      checkAnswered(state, pending, answer);
      return;
    case 'detach':
      // Who is busy has not put the tombstones.
      if (answer.type === 'accepted') state.goodbyes = [];
      return;
  }
}

/** No answer will come. */
function fail(state: AttachmentState, number: number, reason: 'closed' | 'silent'): void {
  const pending = state.pending.get(number);
  if (!pending) return;
  state.pending.delete(number);
  switch (pending.type) {
    case 'attach':
      notTaken(state, pending.to);
      return;
    case 'refresh':
      if (reason === 'closed') leaveFor(state, 'closed', []);
      else refreshOverdue(state);
      return;
    case 'ask':
      failed(state.known, pending.to.address, state.now, state.chance());
      askFailed(state, pending);
      return;
    case 'check':
      checkFailed(state, pending);
      return;
    case 'detach':
      return;
  }
}

function moved(state: AttachmentState, { number, from, to }: Moved): void {
  const { phase, current } = state;
  // Ours may send us on, and while we have none whoever speaks may help.
  const listens = phase === 'searching' || (phase === 'attached' && current?.peer.id === from.id);
  // Its own super-node may be at another address now.
  const already = to.address === current?.peer.address || to.id === state.self;
  if (listens && state.moving?.address === to.address) {
    state.out.push({ type: 'answer', to: from, number, answer: { type: 'accepted' } });
    return;
  }
  if (!listens || already || !take(state.moves, MOVE_RATE, state.now)) {
    state.out.push({ type: 'answer', to: from, number, answer: { type: 'busy' } });
    return;
  }
  state.out.push({ type: 'answer', to: from, number, answer: { type: 'accepted' } });
  named(state.known, [to], state.now, TOLD);
  const entry = state.known.get(to.address);
  if (entry) {
    entry.retryAt = 0;
    entry.failures = 0;
  }
  if (phase === 'searching') {
    state.nextAttemptAt = state.now;
    return;
  }
  state.moving = to;
  attempt(state, to);
}

/** What was sent tells of an address that is no more, by links that are no more. */
function networkChanged(state: AttachmentState, contact: string): void {
  state.contact = contact;
  state.version++;
  if (state.phase !== 'searching' && state.phase !== 'attached') return;
  for (const [number, pending] of state.pending) {
    if (pending.type === 'ask') continue;
    state.pending.delete(number);
  }
  for (const { to } of [...state.pending.values()]) askAgain(state, to);
  forgetFailures(state.known);
  const { current } = state;
  if (current) {
    leaveFor(state, 'network-changed', []);
    named(state.known, [current.peer], state.now, TOLD);
  } else beginSearch(state);
}

function stop(state: AttachmentState, tombstones: AttachmentState['tombstones']): void {
  if (state.phase === 'leaving' || state.phase === 'gone') return;
  endAll(state);
  const { current, pending, known } = state;
  const attaching = [...pending.values()].some(({ type }) => type === 'attach');
  const others = inOrder(known).filter(({ peer }) => peer.address !== current?.peer.address);
  const rest = others.map(({ peer }) => peer);
  const held = current !== undefined || attaching || state.published;
  state.goodbyes = held ? [...(current ? [current.peer] : []), ...rest].slice(0, MAX_DETACHES) : [];
  state.tombstones = tombstones;
  state.current = undefined;
  state.moving = undefined;
  pending.clear();
  state.phase = 'leaving';
}

/** Whatever is due now, whichever event came. `before`: who had us then. */
function pursue(state: AttachmentState, before: Peer | undefined): void {
  for (const [number, pending] of state.pending) {
    if (pending.dueAt <= state.now) overdue(state, number, pending);
  }
  if (state.phase === 'attached') {
    keep(state);
    check(state);
  }
  if (before && !state.current) askAgain(state, before);
  if (state.phase === 'searching') search(state);
  pursueOperations(state);
  if (state.phase === 'leaving') detach(state);
}

function overdue(state: AttachmentState, number: number, pending: Pending): void {
  switch (pending.type) {
    case 'attach':
      attemptOverdue(state, number, pending);
      return;
    case 'refresh':
      state.pending.delete(number);
      refreshOverdue(state);
      return;
    case 'ask':
    case 'check':
    case 'detach':
      fail(state, number, 'silent');
      return;
  }
}

/** Says that we go, to who has us, or else to who answers. */
function detach(state: AttachmentState): void {
  for (const { type } of state.pending.values()) if (type === 'detach') return;
  const to = state.goodbyes.shift();
  if (!to) {
    state.phase = 'gone';
    state.out.push({ type: 'gone' });
    return;
  }
  const number = send(state, to, { type: 'detach', records: state.tombstones });
  state.pending.set(number, { type: 'detach', to, dueAt: state.now + DETACH_MS });
}

/** Wakes no later than anything is due. A timer that fires early finds nothing to do. */
function setTimer(state: AttachmentState): void {
  let wakes = operationsWakeAt(state);
  for (const { dueAt } of state.pending.values()) wakes = Math.min(wakes, dueAt);
  if (state.phase === 'searching') wakes = Math.min(wakes, searchWakesAt(state));
  if (state.phase === 'attached') wakes = Math.min(wakes, keepWakesAt(state), checkWakesAt(state));
  if (wakes === Number.POSITIVE_INFINITY || (state.timerAt ?? wakes + 1) <= wakes) return;
  state.timerAt = wakes;
  state.out.push({ type: 'set-timer', ms: Math.max(0, wakes - state.now) });
}
