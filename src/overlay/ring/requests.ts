/** Requests under way: numbers, timeouts that adapt, and who is suspected of being dead. */
import { type Id, UNKNOWN_ID } from './ids.js';
import type { MemberState, Pending, Purpose, TimerName } from './member-state.js';
import type { RingAnswer, RingRequest } from './messages.js';
import type { Peer } from './peer.js';

/** Before anything was measured; RFC 6298 §2 (2.1). */
export const FIRST_TIMEOUT_MS = 1000;
const MIN_TIMEOUT_MS = 400;
const MAX_TIMEOUT_MS = 4000;
/** Who gave no answer is passed over for so long, unless heard of. */
const SUSPECT_MS = 30_000;
/** Former members remembered, to find another part of a ring that was cut. */
const MAX_LOST = 32;

export function ask(
  state: MemberState,
  to: Peer,
  request: RingRequest,
  purpose: Purpose,
  attempt = 1,
): void {
  const number = state.nextNumber++;
  state.pending.set(number, { to, request, purpose, sentAt: state.now });
  send(state, to, number, request);
  const ms = Math.min(MAX_TIMEOUT_MS, timeoutMs(state) * 2 ** (attempt - 1));
  state.out.push({ type: 'set-timer', timer: { type: 'request', number }, ms });
}

/** Says something whose answer changes nothing. */
export function tell(state: MemberState, to: Peer, request: RingRequest): void {
  send(state, to, state.nextNumber++, request);
}

export function answer(state: MemberState, to: Peer, number: number, body: RingAnswer): void {
  const message = { kind: 'answer', from: state.self, number, answer: body } as const;
  state.out.push({ type: 'send', to, message });
}

/** Somebody is at another address now: what it was asked where it was, and has not answered, it is asked there. */
export function askThere(state: MemberState, peer: Peer): void {
  for (const [number, { to, request, purpose }] of [...state.pending]) {
    if (to.id !== peer.id || to.address === peer.address) continue;
    state.pending.delete(number);
    ask(state, peer, request, purpose);
  }
}

/** The request that was answered, if it was waited for and this is who was asked. */
export function takeAnswered(state: MemberState, from: Peer, number: number): Pending | undefined {
  const pending = state.pending.get(number);
  if (!pending || (pending.to.id !== UNKNOWN_ID && pending.to.id !== from.id)) return undefined;
  state.pending.delete(number);
  if (pending.until === undefined) measure(state, state.now - pending.sentAt);
  return pending;
}

/** It is being seen to (100): who is asked is alive, and answers within `withinMs`. */
export function takeTrying(state: MemberState, from: Peer, number: number): void {
  const pending = state.pending.get(number);
  if (pending?.to.id !== from.id || pending.request.type !== 'find') return;
  const { withinMs = 0 } = pending.request;
  if (pending.until !== undefined || withinMs <= 0) return;
  measure(state, state.now - pending.sentAt);
  pending.until = pending.sentAt + withinMs;
  const ms = Math.max(0, pending.until - state.now);
  state.out.push({ type: 'set-timer', timer: { type: 'request', number }, ms });
}

/** The request that was not answered, if it still waits; its receiver is suspected from now on. */
export function takeOverdue(state: MemberState, number: number): Pending | undefined {
  const pending = state.pending.get(number);
  if (!pending || (pending.until ?? 0) > state.now) return undefined;
  state.pending.delete(number);
  if (pending.to.id !== UNKNOWN_ID) suspect(state, pending.to);
  return pending;
}

export function suspect(state: MemberState, peer: Peer): void {
  for (const [id, until] of state.suspects) {
    if (until > state.now) break;
    state.suspects.delete(id);
  }
  state.suspects.delete(peer.id);
  state.suspects.set(peer.id, state.now + SUSPECT_MS);
}

export function isSuspect(state: MemberState, peer: Peer): boolean {
  return (state.suspects.get(peer.id) ?? 0) > state.now;
}

/** Who is passed over now. */
export function suspects(state: MemberState): Id[] {
  return [...state.suspects].flatMap(([id, until]) => (until > state.now ? [id] : []));
}

/** Remembers a member that is taken for dead, the newest last. */
export function remember(state: MemberState, peer: Peer): void {
  state.lost.delete(peer.id);
  state.lost.set(peer.id, peer);
  for (const id of state.lost.keys()) {
    if (state.lost.size <= MAX_LOST) break;
    state.lost.delete(id);
  }
}

/** A timer of which there is one at a time; setting it again changes nothing. */
export function schedule(state: MemberState, name: TimerName, ms: number): void {
  if (state.timersSet.has(name)) return;
  state.timersSet.add(name);
  state.out.push({ type: 'set-timer', timer: { type: name }, ms });
}

/** A period, give or take a fifth, so that members do not fall into step. */
export function aboutMs(state: MemberState, ms: number): number {
  return ms * (0.8 + 0.4 * state.tools.chance());
}

function send(state: MemberState, to: Peer, number: number, request: RingRequest): void {
  const message = { kind: 'request', from: state.self, number, request } as const;
  state.out.push({ type: 'send', to, message });
}

/** RFC 6298 §2: smoothed time and variation, over all members. */
function measure(state: MemberState, rtt: number): void {
  if (state.rttMs === undefined) {
    state.rttMs = rtt;
    state.rttVariationMs = rtt / 2;
    return;
  }
  state.rttVariationMs += (Math.abs(rtt - state.rttMs) - state.rttVariationMs) / 4;
  state.rttMs += (rtt - state.rttMs) / 8;
}

function timeoutMs({ rttMs, rttVariationMs }: MemberState): number {
  if (rttMs === undefined) return FIRST_TIMEOUT_MS;
  return Math.max(MIN_TIMEOUT_MS, rttMs + 4 * rttVariationMs);
}
