/**
 * Two rings that meet become one. A member looks up the place after its own id through somebody who may be of another
 * ring: a former member that was taken for dead, or somebody discovered. If the owner there is nearer
 * after it than its own successor, that owner, who has answered itself, becomes its successor, with its
 * list: as a joiner would do. The old successor is told of the other ring first, and does the same, so
 * that no member is left without a predecessor; word goes to fingers too, so that it goes quickly.
 *
 * Neither ring is the winner: of two candidates for a successor the nearer one is, and of two versions of
 * a record the later. The proof of Chord covers one ring, not this: while rings merge, a key may have
 * two owners, each with its own copies, until both have stabilised.
 */
import { between, idAfter } from './ids.js';
import { startLookup } from './lookup.js';
import type { FinishedLookup } from './lookup-state.js';
import type { MemberState } from './member-state.js';
import { type Peer, shareKind } from './peer.js';
import { aboutMs, remember, schedule, tell } from './requests.js';
import { replaceSuccessors } from './routing.js';
import { compareSoon } from './spread.js';

/** Word of another ring is followed once in so long. */
const FOLLOW_MS = 30_000;
/** For as long as until others look, in so many looks. */
const FIRST_SEEK_MS = 3_000;
const SEEK_MS = 6_000;
/** Beside the successor, so many others are told. */
const TOLD = 4;

/** A neighbour is taken for dead. Perhaps the network was cut: it is looked for soon, and often for a while. */
export function seekSoon(state: MemberState): void {
  state.seeks = 0;
  schedule(state, 'seek', aboutMs(state, FIRST_SEEK_MS));
}

/** One look, through whom we lost last; and one through another, who may be with those that we know no more. */
export function seek(state: MemberState): void {
  const lost = [...state.lost.values()];
  const last = lost.pop();
  const other = lost[Math.floor(state.tools.chance() * lost.length)];
  for (const peer of [last, other]) if (peer) lookThrough(state, peer);
  state.seeks++;
  const isSoon = state.seeks * SEEK_MS < state.options.mergeMs;
  if (last && isSoon) schedule(state, 'seek', aboutMs(state, SEEK_MS));
}

/** One look, through somebody who was lost or discovered. */
export function lookForRing(state: MemberState): void {
  schedule(state, 'merge', aboutMs(state, state.options.mergeMs));
  const candidates = [...state.contacts, ...state.lost.values()].filter(
    ({ address }) => address !== state.self.address,
  );
  if (candidates.length === 0) return;
  lookThrough(state, candidates[Math.floor(state.tools.chance() * candidates.length)]!);
}

export function lookThrough(state: MemberState, contact: Peer): void {
  if (state.phase !== 'member' || contact.address === state.self.address) return;
  const purpose = { type: 'merge', contact } as const;
  // Just after us: should they have us as one of theirs, our own id would lead back to us.
  startLookup(state, { key: idAfter(state.self.id, 1), purpose, from: [contact] });
}

/** A neighbour has found another ring. */
export function toldOfRing(state: MemberState, from: Peer, contact: Peer): void {
  const { self, predecessor, successors } = state;
  // It may have its place beside us, and can come to it only if somebody else has ours.
  const isNeighbour = [predecessor, ...successors].some(peer => peer?.id === from.id);
  if (isNeighbour && !shareKind(self, contact)) state.outOfReach = contact;
  followMerge(state, contact);
}

/** Whether it is news. */
function followMerge(state: MemberState, contact: Peer): boolean {
  if (state.now - state.mergedAt < FOLLOW_MS) return false;
  state.mergedAt = state.now;
  compareSoon(state);
  if (shareKind(state.self, contact)) lookThrough(state, contact);
  passOn(state, contact);
  return true;
}

export function foundRing(state: MemberState, contact: Peer, { result }: FinishedLookup): void {
  if (!result || state.phase !== 'member') return;
  state.lost.delete(contact.id);
  const { owner, successors } = result;
  const head = state.successors[0];
  if (owner.id === state.self.id || owner.id === head?.id) return;
  const known = state.successors.some(({ id }) => id === owner.id);
  const isNews = !known && followMerge(state, owner);
  if (head && !between(owner.id, state.self.id, head.id)) {
    // Its place is behind another, who is told: should the rings be two after that, we look again.
    if (!known) remember(state, owner);
    if (isNews) seekSoon(state);
    return;
  }
  replaceSuccessors(state, [owner, ...successors]);
  state.out.push({ type: 'merged', with: owner });
  schedule(state, 'again', 0);
}

function passOn(state: MemberState, contact: Peer): void {
  const [head] = state.successors;
  const others = [...state.fingers.values()].map(({ peer }) => peer);
  const told = head ? [head] : [];
  for (let i = 0; i < TOLD && others.length > 0; i++) {
    const index = Math.floor(state.tools.chance() * others.length);
    told.push(...others.splice(index, 1));
  }
  for (const peer of told) tell(state, peer, { type: 'merge', contact });
}
