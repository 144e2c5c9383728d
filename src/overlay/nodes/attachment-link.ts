/**
 * Staying attached: refreshes, and pings that notice a super-node that has fallen silent.
 *
 * A link that carried nothing for 2 s is pinged, and again 450 ms later; 450 ms after that its super-node is lost: 2.9 s
 * after the last octet, more only where round trips are long. That costs an idle node a ping each 2 s: 4 octets, their
 * answer 2, in all about 270 octets on the wire with TLS, TCP and its acknowledgement, 135 octets a second.
 */

import { attachRequest, granted, leaveFor, send } from './attachment-search.js';
import type { AttachmentState, Pending } from './attachment-state.js';
import { ATTACH_RATE } from './attachment-state.js';
import type { NodeAnswer } from './node-messages.js';
import { allowedAt, measure, patienceMs, take } from './pace.js';

type Refresh = Extract<Pending, { type: 'refresh' }>;

const PING_PATIENCE = { firstMs: 450, minMs: 450, maxMs: 2_000 };
const PINGS = 2;
const REFRESH_PATIENCE = { firstMs: 1_000, minMs: 450, maxMs: 2_000 };
const REFRESHES = 2;
const BUSY_MS = 1_000;

/** Pings and refreshes that are due. */
export function keep(state: AttachmentState): void {
  const { current, now } = state;
  if (!current) return;
  if (current.pingDueAt <= now && current.pings >= PINGS) {
    leaveFor(state, 'silent', []);
    return;
  }
  if (current.pings === 0 ? current.pingAt <= now : current.pingDueAt <= now) {
    current.pings++;
    current.pingedAt = now;
    current.pingDueAt = now + patienceMs(state.pingTrip, PING_PATIENCE);
    state.out.push({ type: 'ping', to: current.peer });
  }
  if (refreshAt(state) > now || !take(state.attempts, ATTACH_RATE, now)) return;
  const number = send(state, current.peer, attachRequest(state));
  const dueAt = now + patienceMs(state.attachTrip, REFRESH_PATIENCE);
  const { version } = state;
  state.pending.set(number, { type: 'refresh', to: current.peer, sentAt: now, version, dueAt });
}

export function keepWakesAt(state: AttachmentState): number {
  const { current } = state;
  if (!current) return Number.POSITIVE_INFINITY;
  const ping = current.pings === 0 ? current.pingAt : current.pingDueAt;
  const refresh = Math.max(refreshAt(state), allowedAt(state.attempts, ATTACH_RATE));
  return Math.min(ping, refresh);
}

export function refreshAnswered(
  state: AttachmentState,
  pending: Refresh,
  answer: NodeAnswer,
): void {
  const { current, now } = state;
  if (current?.peer.address !== pending.to.address) return;
  switch (answer.type) {
    case 'attached':
      measure(state.attachTrip, now - pending.sentAt);
      current.version = pending.version;
      state.published ||= state.records.length > 0;
      granted(state, answer);
      return;
    case 'elsewhere':
      leaveFor(state, 'elsewhere', answer.at);
      return;
    case 'busy':
      current.busyUntil = now + BUSY_MS;
      return;
    case 'refused':
    case 'accepted':
    case 'records':
    case 'stored':
      leaveFor(state, 'elsewhere', []);
      return;
  }
}

export function refreshOverdue(state: AttachmentState): void {
  const { current } = state;
  if (!current) return;
  current.unanswered++;
  if (current.unanswered >= REFRESHES) leaveFor(state, 'silent', []);
}

/** At its time; at once where what the super-node has is not what we are, or where it did not answer. */
function refreshAt(state: AttachmentState): number {
  const { current } = state;
  if (!current) return Number.POSITIVE_INFINITY;
  for (const { type } of state.pending.values()) {
    if (type === 'refresh') return Number.POSITIVE_INFINITY;
  }
  const atOnce = current.version !== state.version || current.unanswered > 0;
  return Math.max(current.busyUntil, atOnce ? state.now : current.refreshAt);
}
