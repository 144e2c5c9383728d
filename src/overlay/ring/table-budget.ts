/** When a ring has grown too big for everybody to know everybody. */

import { setFinger, slotOf } from './fingers.js';
import { distance } from './ids.js';
import type { MemberState } from './member-state.js';

/** Upkeep is judged over at least so long: a swarm of joins is no steady state. */
const JUDGED_MS = 300_000;
/** A table of so many is kept whatever it costs: it is hardly more than a successor list. */
const MIN_MEMBERS = 64;

/** So many in a row who keep no table, and we keep none either. */
const MAX_WITHOUT = 3;

/** Goes over to fingers where the table has cost more than its budget. */
export function judgeTable(state: MemberState): void {
  const { membership, options, now } = state;
  const tookMs = now - state.membershipSince;
  if (!membership || tookMs < JUDGED_MS) return;
  const perSecond = state.membershipBytes / (tookMs / 1000);
  state.membershipBytes = 0;
  state.membershipSince = now;
  if (perSecond > options.tableBudget && membership.present.length >= MIN_MEMBERS) {
    leaveTable(state);
  }
}

/** Another member keeps no table: then news reaches us no more, and a joiner has nobody to learn from. */
export function metWithoutTable(state: MemberState): void {
  state.withoutTable++;
  if (!state.announced || state.withoutTable >= MAX_WITHOUT) leaveTable(state);
}

/** Fingers start from the table. */
function leaveTable(state: MemberState): void {
  const { membership, options, self } = state;
  if (!membership || options.routing !== 'auto') return;
  state.routing = 'base16';
  state.membership = undefined;
  state.news.clear();
  const covered = distance(self.id, state.successors.at(-1)?.id ?? self.id);
  for (const peer of membership.present) {
    const slot = slotOf(self.id, peer.id, 'base16');
    if (slot === undefined || distance(self.id, peer.id) <= covered || state.fingers.has(slot))
      continue;
    // How far it is will be known when it has answered; until then any that has is quicker.
    setFinger(state, slot, { peer, rttMs: Number.POSITIVE_INFINITY });
  }
  state.out.push({ type: 'routing', routing: 'base16' });
}
