/** Whose a key is, as far as one member knows, and whom to ask else. */
import { between, distance, type Id, indexAtOrAfter, RING_SIZE, within } from './ids.js';
import type { MemberState } from './member-state.js';
import type { Peer } from './peer.js';
import { askThere, isSuspect, schedule } from './requests.js';

const MIN_SUCCESSORS = 8;
/** Copies follow a change of neighbours after so long: changes come in swarms. */
const REPLICATE_AFTER_MS = 1000;

/** Whether a key is ours: only what lies after our predecessor. */
export function owns(state: MemberState, key: Id): boolean {
  if (state.phase !== 'member') return false;
  if (state.predecessor) return within(key, state.predecessor.id, state.self.id);
  return isAlone(state);
}

export function isAlone(state: MemberState): boolean {
  return state.phase === 'member' && !state.predecessor && state.successors.length === 0;
}

/** Members in all: counted where the list goes round, else from how dense it lies (RFC 7363 §6.1). */
export function estimateSize(state: MemberState): number {
  const { successors, membership, self } = state;
  const last = successors.at(-1);
  if (!last) return 1;
  if (membership && membership.present.length > successors.length) return membership.present.length;
  const covered = distance(self.id, last.id) / RING_SIZE;
  return Math.max(successors.length + 1, Math.round(successors.length / covered));
}

export function successorListLength(size: number): number {
  return Math.max(MIN_SUCCESSORS, Math.ceil(2 * Math.log2(Math.max(1, size))));
}

/** Takes a whole list: it is replaced, never patched (Zave). It ends before it comes round to us. */
export function replaceSuccessors(state: MemberState, list: readonly Peer[]): void {
  const before = holdersOfCopies(state);
  const next: Peer[] = [];
  for (const peer of list) {
    if (peer.id === state.self.id) break;
    const last = next.at(-1);
    if (last && !between(peer.id, last.id, state.self.id)) break;
    next.push(peer);
  }
  state.successors = next;
  next.length = Math.min(next.length, successorListLength(estimateSize(state)));
  const after = holdersOfCopies(state);
  if (after.length !== before.length || after.some((peer, i) => peer.id !== before[i]?.id)) {
    schedule(state, 'replicate', REPLICATE_AFTER_MS);
  }
}

/** A member says itself that it is at another address now: its place is the same, and nobody need miss it. */
export function readdress(state: MemberState, peer: Peer): void {
  const now = (each: Peer) => (each.id === peer.id ? peer : each);
  state.successors = state.successors.map(now);
  if (state.predecessor) state.predecessor = now(state.predecessor);
  for (const [slot, finger] of state.fingers) {
    if (finger.peer.id === peer.id) state.fingers.set(slot, { ...finger, peer });
  }
  state.suspects.delete(peer.id);
  askThere(state, peer);
}

export function changePredecessor(state: MemberState, peer: Peer | undefined): void {
  state.previous = state.predecessor;
  state.previousBeyond = state.beyond;
  state.predecessor = peer;
  state.beyond = undefined;
  state.newcomer = undefined;
  state.predecessorHeardAt = state.now;
  state.ownedStamp++;
  schedule(state, 'replicate', REPLICATE_AFTER_MS);
}

/** Who hold copies of what we own. */
export function holdersOfCopies({ successors, options }: MemberState): readonly Peer[] {
  return successors.slice(0, options.copies - 1);
}

/** Members at or after `key`, nearest first, where we know them all: its owner is the first alive. */
export function ownersNear(
  state: MemberState,
  key: Id,
  count: number,
  avoid: readonly Id[] = [],
): Peer[] {
  const { successors, self, membership } = state;
  const last = successors.at(-1);
  const owners: Peer[] = [];
  if (last && within(key, self.id, last.id)) {
    for (const peer of successors) {
      if (owners.length === count) break;
      if (within(key, self.id, peer.id) && !passedOver(state, peer, avoid)) owners.push(peer);
    }
    return owners;
  }
  if (!membership) return owners;
  const { present } = membership;
  const start = indexAtOrAfter(present, key);
  for (
    let i = 0;
    i < Math.min(present.length, count + avoid.length + 4) && owners.length < count;
    i++
  ) {
    const peer = present[(start + i) % present.length]!;
    if (peer.id === self.id) break;
    if (!passedOver(state, peer, avoid)) owners.push(peer);
  }
  return owners;
}

/** Members between us and `key`, nearest to it first. */
export function closerPeers(
  state: MemberState,
  key: Id,
  count: number,
  avoid: readonly Id[] = [],
): Peer[] {
  const { self, successors } = state;
  const far = farPeers(state);
  const found: Peer[] = [];
  let index = indexAtOrAfter(far, key) - 1;
  for (let seen = 0; seen < far.length && found.length < count; seen++, index--) {
    if (index < 0) index += far.length;
    const peer = far[index]!;
    if (!between(peer.id, self.id, key)) break;
    if (!passedOver(state, peer, avoid)) found.push(peer);
  }
  let near = 0;
  for (let i = successors.length - 1; i >= 0 && near < count; i--) {
    const peer = successors[i]!;
    if (!between(peer.id, self.id, key) || passedOver(state, peer, avoid)) continue;
    near++;
    if (!found.some(({ id }) => id === peer.id)) found.push(peer);
  }
  found.sort((a, b) => distance(a.id, key) - distance(b.id, key));
  return found.slice(0, count);
}

function passedOver(state: MemberState, peer: Peer, avoid: readonly Id[]): boolean {
  return isSuspect(state, peer) || avoid.includes(peer.id);
}

function farPeers(state: MemberState): readonly Peer[] {
  if (state.membership) return state.membership.present;
  if (state.farStale) {
    state.far = [...state.fingers.values()]
      .map(({ peer }) => peer)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    state.farStale = false;
  }
  return state.far;
}
