/** Finding a super-node that takes us: up to three are asked at once, the first to say yes has us. */
import { UNKNOWN_ID } from '../ring/ids.js';
import { foundAt, type Peer } from '../ring/peer.js';
import type { RingRecord } from '../ring/records.js';
import {
  ATTACH_RATE,
  type AttachmentState,
  EXPIRES_S,
  type LossReason,
  type Pending,
} from './attachment-state.js';
import {
  answeredWell,
  failed,
  forgetOrder,
  inOrder,
  named,
  nextKnown,
  sighted,
} from './known-super-nodes.js';
import type { NodeAnswer, NodeRequest } from './node-messages.js';
import { allowedAt, measure, patienceMs, pauseMs, take } from './pace.js';

type Attempt = Extract<Pending, { type: 'attach' }>;
type Attached = Extract<NodeAnswer, { type: 'attached' }>;

/** At once, within the time in which an answer is expected. */
const PARALLEL = 3;
/** The next is asked when the one before has not answered for so long, or at once when it has refused; as RFC 8305 §5. */
const STAGGER_MS = 200;
const PATIENCE = { firstMs: 1_000, minMs: 400, maxMs: 2_000 };
/** A late answer is taken for so long. */
const GIVE_UP_MS = 5_000;
/** Without any answer: there is no super-node. mDNS answers within a second (RFC 6762 §6). */
const SEARCH_MS = 2_000;
/** Between two requests to discovery, once all that are known have failed. */
const FIRST_WANT_MS = 1_000;
const MAX_WANT_MS = 30_000;
/** Others are known: they answer before discovery is asked, by many at once when a super-node dies. */
const HOPEFUL_MS = 1_000;
/** What a super-node grants, within reason. */
const MIN_EXPIRES_S = 20;
const MAX_EXPIRES_S = 86_400;
/** A link is pinged that carried nothing for so long, less a tenth by chance (attachment-link.ts). */
export const PING_MS = 2_000;

export function send(state: AttachmentState, to: Peer, request: NodeRequest): number {
  const number = state.nextNumber++;
  state.out.push({ type: 'send', to, number, request });
  return number;
}

export function attachRequest(state: AttachmentState): NodeRequest {
  const { contact } = state;
  return { type: 'attach', contact, expiresS: EXPIRES_S, records: ownRecords(state) };
}

/** As old as they are by now. */
export function ownRecords({ records, recordsAt, now }: AttachmentState): RingRecord[] {
  const passed = now - (recordsAt ?? now);
  return records
    .map(record => ({ ...record, ageMs: Math.max(0, record.ageMs) + passed }))
    .filter(({ ageMs, lifeMs }) => ageMs < lifeMs);
}

export function beginSearch(state: AttachmentState): void {
  state.phase = 'searching';
  state.searchSince = state.now;
  state.somebody = false;
  state.toldNobody = false;
  state.nextAttemptAt = 0;
  state.wanted = 0;
  state.wantAt = state.now;
  const hopeful = [...state.known.values()].some(({ failures }) => failures === 0);
  if (hopeful) state.wantAt += HOPEFUL_MS * (0.5 + state.chance());
}

/** Asks whom it is time to ask, and says what is missing. */
export function search(state: AttachmentState): void {
  while (state.now >= state.nextAttemptAt && expected(state) < PARALLEL) {
    const next = nextKnown(state.known, state.now, ({ peer }) => isAsked(state, peer));
    if (!next) break;
    if (!take(state.attempts, ATTACH_RATE, state.now)) {
      state.nextAttemptAt = allowedAt(state.attempts, ATTACH_RATE);
      break;
    }
    attempt(state, next.peer);
    state.nextAttemptAt = state.now + STAGGER_MS;
  }
  if (nobodyAt(state) <= state.now) {
    state.toldNobody = true;
    const reason = state.somebody ? 'full' : 'silent';
    state.out.push({ type: 'nobody', reason });
  }
  if (wantsAt(state) <= state.now) {
    state.out.push({ type: 'want-candidates', attempt: state.wanted });
    const pause = pauseMs(state.wanted, 2 * FIRST_WANT_MS, MAX_WANT_MS, state.chance());
    state.wantAt = state.now + pause;
    state.wanted++;
  }
}

/** When `search` has something to do, beside what answers and timeouts bring. */
export function searchWakesAt(state: AttachmentState): number {
  let wakes = Math.min(nobodyAt(state), wantsAt(state));
  if (expected(state) >= PARALLEL) return wakes;
  for (const { peer, retryAt } of state.known.values()) {
    if (isAsked(state, peer)) continue;
    wakes = Math.min(wakes, Math.max(retryAt, state.nextAttemptAt));
  }
  return wakes;
}

export function attempt(state: AttachmentState, to: Peer): void {
  const number = send(state, to, attachRequest(state));
  const dueAt = state.now + patienceMs(state.attachTrip, PATIENCE);
  const { version, now } = state;
  const entry = state.known.get(to.address);
  if (entry) entry.triedAt = now;
  state.pending.set(number, { type: 'attach', to, sentAt: now, version, slow: false, dueAt });
}

/** First it is only slow, then it has failed. */
export function attemptOverdue(state: AttachmentState, number: number, pending: Attempt): void {
  if (!pending.slow) {
    pending.slow = true;
    pending.dueAt = pending.sentAt + GIVE_UP_MS;
    if (pending.dueAt > state.now) {
      if (pending.to.address === state.moving?.address) notTaken(state, pending.to);
      return;
    }
  }
  state.pending.delete(number);
  notTaken(state, pending.to);
}

/** Not there, or not willing. The next is asked at once. */
export function notTaken(state: AttachmentState, peer: Peer): void {
  failed(state.known, peer.address, state.now, state.chance());
  state.nextAttemptAt = Math.min(state.nextAttemptAt, state.now);
  if (state.moving?.address !== peer.address) return;
  state.moving = undefined;
  leaveFor(state, 'moved', []);
}

/** An answer to an attempt that was waited for. */
export function attemptAnswered(
  state: AttachmentState,
  from: Peer,
  pending: Attempt,
  answer: NodeAnswer,
): void {
  if (from.id === state.self) {
    // An address of our own, found without its id.
    notTaken(state, pending.to);
    return;
  }
  state.somebody = true;
  if (answer.type !== 'attached') {
    if (answer.type === 'elsewhere') named(state.known, others(state, answer.at), state.now);
    notTaken(state, pending.to);
    return;
  }
  measure(state.attachTrip, state.now - pending.sentAt);
  answeredWell(state.known, foundAt(pending.to.address, from), state.now);
  const { current, moving } = state;
  const wanted = state.phase === 'searching' || moving?.address === pending.to.address;
  if (wanted) {
    settleWith(state, from, pending, answer, current);
    return;
  }
  // Too late: another has us, and this one is not to keep us on its list.
  if (current?.peer.id !== from.id) letGo(state, pending.to);
}

/** Attached to `to`, which was current before or is from now on. */
function settleWith(
  state: AttachmentState,
  from: Peer,
  pending: Attempt,
  answer: Attached,
  before: AttachmentState['current'],
): void {
  const peer = foundAt(pending.to.address, from);
  state.phase = 'attached';
  state.moving = undefined;
  state.published ||= state.records.length > 0;
  state.current = {
    peer,
    heardAt: state.now,
    refreshAt: 0,
    unanswered: 0,
    busyUntil: 0,
    version: pending.version,
    pingAt: 0,
    pings: 0,
    pingDueAt: Number.POSITIVE_INFINITY,
    pingedAt: 0,
    checkAt: undefined,
    missedBy: [],
  };
  granted(state, answer);
  // What else was asked may have us too: their answers are waited for, and let go of.
  if (before && before.peer.id !== peer.id) letGo(state, before.peer);
  state.out.push({ type: 'attached', to: peer, nodes: answer.nodes });
}

/** What a current super-node says of itself: for how long, and who comes next. */
export function granted(state: AttachmentState, answer: Attached): void {
  const { current } = state;
  if (!current) return;
  const asked = Number.isFinite(answer.expiresS) ? answer.expiresS : EXPIRES_S;
  const expiresS = Math.min(MAX_EXPIRES_S, Math.max(MIN_EXPIRES_S, asked));
  current.refreshAt = state.now + expiresS * 500 * (0.8 + 0.4 * state.chance());
  current.unanswered = 0;
  forgetOrder(state.known);
  named(state.known, others(state, answer.others), state.now);
  heardFrom(state, current.peer);
}

export function heardFrom(state: AttachmentState, peer: Peer): void {
  const { current } = state;
  if (!current || current.peer.id !== peer.id) return;
  if (current.pings === 1) measure(state.pingTrip, state.now - current.pingedAt);
  current.heardAt = state.now;
  current.pings = 0;
  current.pingDueAt = Number.POSITIVE_INFINITY;
  current.pingAt = state.now + PING_MS * (1 - 0.1 * state.chance());
}

/** The current super-node is given up; `at` are asked first. */
export function leaveFor(state: AttachmentState, reason: LossReason, at: readonly Peer[]): void {
  const { current } = state;
  if (!current) return;
  state.current = undefined;
  state.moving = undefined;
  for (const [number, { type }] of state.pending) {
    if (type === 'refresh') state.pending.delete(number);
  }
  if (reason !== 'network-changed') {
    failed(state.known, current.peer.address, state.now, state.chance());
  }
  named(state.known, others(state, at), state.now);
  state.out.push({ type: 'lost', from: current.peer, reason });
  beginSearch(state);
}

export function candidate(state: AttachmentState, peer: Peer): void {
  if (peer.id === state.self) return;
  sighted(state.known, peer, state.now);
  if (expected(state) === 0) state.nextAttemptAt = Math.min(state.nextAttemptAt, state.now);
}

function others(state: AttachmentState, peers: readonly Peer[]): Peer[] {
  return peers.filter(({ id }) => id !== state.self);
}

/** Off its list; what is in the ring stays there. */
function letGo(state: AttachmentState, peer: Peer): void {
  send(state, peer, { type: 'detach', records: [] });
}

/** Attempts that may be answered any moment. */
function expected(state: AttachmentState): number {
  let count = 0;
  for (const pending of state.pending.values()) {
    if (pending.type === 'attach' && !pending.slow) count++;
  }
  return count;
}

function isAsked(state: AttachmentState, peer: Peer): boolean {
  for (const pending of state.pending.values()) {
    if (pending.type !== 'attach') continue;
    const { to, slow } = pending;
    if (to.address === peer.address) return true;
    // It may have several addresses, of which some are no good.
    if (!slow && to.id !== UNKNOWN_ID && to.id === peer.id) return true;
  }
  return false;
}

function nobodyAt(state: AttachmentState): number {
  if (state.toldNobody) return Number.POSITIVE_INFINITY;
  return state.searchSince + SEARCH_MS;
}

/** At the start, and when all that are known have failed. */
function wantsAt(state: AttachmentState): number {
  if (state.wanted === 0) return state.wantAt;
  const hopeful = inOrder(state.known).some(({ failures }) => failures === 0);
  return hopeful || expected(state) > 0 ? Number.POSITIVE_INFINITY : state.wantAt;
}
