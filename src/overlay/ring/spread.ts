/**
 * How changes of the membership set reach everybody: each is passed on in a tree, once to each member.
 * What a member has with `hops` left, it sends to the members 1, 2, 4 … 2^(hops-1) places after it
 * (L. Monnerat, C. Amorim, "D1HT: a distributed one hop hash table", 2006), gathered for a few seconds.
 * What is lost on the way is mended by comparing with anybody, soon again by who was far behind.
 */
import type { Id } from './ids.js';
import type { MemberState, Purpose } from './member-state.js';
import { Membership } from './membership.js';
import { entryText, type MembershipEntry } from './membership-entry.js';
import type { RingAnswer, RingRequest } from './messages.js';
import { type Peer, sameWays } from './peer.js';
import { aboutMs, ask, isSuspect, schedule, tell } from './requests.js';
import { readdress } from './routing.js';

/** Between two comparisons. */
const COMPARE_MS = 60_000;
/** After joining. */
const FIRST_COMPARE_MS = 50;
/** After a comparison that brought more than this part of the table, or more than a few. */
const CATCH_UP_MS = 3_000;
/** After rings have met as often, for so long. */
const MEETING_MS = 60_000;
const FAR_BEHIND = 0.02;
const FEW = 2;
/** On the wire, both measured: a signed REGISTER with its answer, and each DHT-Link in it. */
const MESSAGE_BYTES = 1_660;
const LINK_BYTES = 113;
/** More of each that has a further address. */
const FURTHER_BYTES = 38;
/** A tree over more members than there can be. */
const MAX_HOPS = 32;
/** Nobody misses so many versions of a member: who says that it is gone with a higher one has made it up. */
const MAX_AHEAD = 1_024;
/** Of one message; what is left out is brought by a comparison. */
const MAX_TOLD = 500;
/** Comparisons one after the other that teach us nothing: a whole table takes as many. Then not before the next is due. */
const MAX_FRUITLESS = 64;

/** We are a member: we are to know everybody, and then everybody us. */
export function beginTable(state: MemberState): void {
  state.membership ??= new Membership();
  state.membership.apply(ownEntry(state));
  state.announced = state.successors.length === 0;
  schedule(state, 'compare', FIRST_COMPARE_MS);
}

function announce(state: MemberState): void {
  const entry = ownEntry(state);
  state.announced = true;
  state.membership?.apply(entry);
  originate(state, entry);
}

/** Another further address is news for the table; neighbours hear it as they are spoken to. */
export function reachedAt(state: MemberState, self: Peer): void {
  if (sameWays(state.self, self)) return;
  state.self = self;
  if (state.phase !== 'member' || !state.announced) return;
  state.version++;
  announce(state);
}

function ownEntry({ self, version, tools }: MemberState): MembershipEntry {
  const said = { peer: self, version, state: 'present' } as const;
  return { ...said, signature: tools.sign(entryText(said)), signer: self.id };
}

/** A neighbour was found dead, or we go. */
export function reportGone(state: MemberState, peer: Peer): void {
  const known = state.membership?.entry(peer.id);
  if (!known || known.state === 'gone') return;
  const said = { peer, version: known.version, state: 'gone' } as const;
  const signature = state.tools.sign(entryText(said));
  const entry: MembershipEntry = { ...said, signature, signer: state.self.id };
  state.membership?.apply(entry);
  originate(state, entry);
}

function originate(state: MemberState, entry: MembershipEntry): void {
  const size = state.membership?.present.length ?? 1;
  gather(state, [entry], Math.ceil(Math.log2(Math.max(2, size))));
}

function gather(state: MemberState, entries: readonly MembershipEntry[], hops: number): void {
  if (hops <= 0 || entries.length === 0) return;
  const ofHops = state.news.get(hops) ?? new Map<Id, MembershipEntry>();
  for (const entry of entries) ofHops.set(entry.peer.id, entry);
  state.news.set(hops, ofHops);
  schedule(state, 'spread', aboutMs(state, state.options.gatherMs));
}

/** Passes on what was gathered. */
export function spread(state: MemberState): void {
  const { membership, news, self } = state;
  if (!membership || state.phase === 'joining') return;
  const highest = Math.max(0, ...news.keys());
  const reach = membership.present.length;
  for (let hops = 0; hops < highest && 2 ** hops < reach; hops++) {
    const all: MembershipEntry[] = [];
    for (const [left, ofHops] of news) if (left > hops) all.push(...ofHops.values());
    const entries = all.slice(0, MAX_TOLD);
    const to = aliveAfter(state, membership, 2 ** hops);
    if (to && to.id !== self.id) {
      const further = entries.filter(({ peer }) => peer.also !== undefined).length;
      state.membershipBytes +=
        MESSAGE_BYTES + LINK_BYTES * entries.length + FURTHER_BYTES * further;
      ask(state, to, { type: 'membership', hops, entries }, { type: 'spread', attempt: 1 });
    }
  }
  news.clear();
}

function aliveAfter(state: MemberState, membership: Membership, steps: number): Peer | undefined {
  for (let more = 0; more < 4; more++) {
    const peer = membership.after(state.self.id, steps + more);
    if (!peer || !isSuspect(state, peer)) return peer;
  }
  return undefined;
}

/** No answer: the next one takes its place in the tree. */
export function spreadUnanswered(
  state: MemberState,
  silent: Peer,
  request: RingRequest,
  { attempt }: Extract<Purpose, { type: 'spread' }>,
): void {
  if (request.type !== 'membership' || attempt > 2) return;
  const next = state.membership?.after(silent.id, 1);
  if (next && next.id !== state.self.id) {
    ask(state, next, request, { type: 'spread', attempt: attempt + 1 });
  }
}

export function membershipTold(
  state: MemberState,
  entries: readonly MembershipEntry[],
  hops: number,
): void {
  // What a comparison has brought before is passed on all the same: others in the tree wait for it.
  const news = entries.filter(entry => take(state, entry) || isKnown(state, entry));
  gather(state, news, Math.min(hops, MAX_HOPS));
}

function isKnown({ membership, self }: MemberState, entry: MembershipEntry): boolean {
  const known = membership?.entry(entry.peer.id);
  return (
    entry.peer.id !== self.id && known?.version === entry.version && known.state === entry.state
  );
}

function take(state: MemberState, entry: MembershipEntry): boolean {
  const { membership, self } = state;
  if (!membership) return false;
  // Only a member itself says that it is there.
  if (entry.state === 'present' && entry.signer !== entry.peer.id) return false;
  if (entry.peer.id === self.id) {
    if (entry.state !== 'gone' || entry.version < state.version) return false;
    if (entry.version > state.version + MAX_AHEAD || !isSigned(state, entry)) return false;
    // Somebody takes us for dead: not so.
    state.version = entry.version + 1;
    announce(state);
    return false;
  }
  const known = membership.entry(entry.peer.id);
  if (known && known.version === entry.version && known.state === entry.state) return false;
  // Of whom we do not know anybody could say so.
  if (entry.state === 'gone' && !(known && entry.version <= known.version + MAX_AHEAD))
    return false;
  if (!isSigned(state, entry)) return false;
  const isNews = membership.apply(entry);
  if (isNews && entry.state === 'gone') tellNeighbour(state, entry);
  const hasMoved = known !== undefined && isElsewhere(entry.peer, known.peer);
  if (isNews && hasMoved && entry.state === 'present') readdress(state, entry.peer);
  return isNews;
}

/** Others say that a neighbour of ours is gone, which lives as far as we know: only itself can say that it is not so. */
function tellNeighbour(state: MemberState, entry: MembershipEntry): void {
  const { id } = entry.peer;
  if (entry.signer === id) return;
  const own = [state.predecessor, ...state.successors].find(peer => peer?.id === id);
  if (!own || isSuspect(state, own)) return;
  tell(state, own, { type: 'membership', hops: 0, entries: [entry] });
}

function isSigned({ tools }: MemberState, entry: MembershipEntry): boolean {
  return tools.verify(entry.signer, entryText(entry), entry.signature);
}

/** That it has no further address any more may be a word that was lost on the way. */
function isElsewhere(peer: Peer, known: Peer): boolean {
  return peer.also === undefined ? peer.address !== known.address : !sameWays(peer, known);
}

/** Another ring was met: nobody of it is known here, and others of ours will meet it too. */
export function compareSoon(state: MemberState): void {
  if (state.membership) schedule(state, 'catch-up', aboutMs(state, CATCH_UP_MS));
}

/** With the successor until everybody has been told of us, or while it is of another ring; then with anybody. */
export function compare(state: MemberState): void {
  if (!state.membership) return;
  schedule(state, 'compare', aboutMs(state, COMPARE_MS));
  if (state.now - state.mergedAt < MEETING_MS) compareSoon(state);
  const { present, digests } = state.membership;
  const [head] = state.successors;
  const isForeign = head && state.membership.entry(head.id)?.state !== 'present';
  const anybody = present[Math.floor(state.tools.chance() * present.length)];
  const fit = state.announced && !isForeign && anybody && anybody.id !== state.self.id;
  const to = fit && !isSuspect(state, anybody) ? anybody : head;
  if (to) ask(state, to, { type: 'compare', digests }, { type: 'compare', fruitless: 0 });
}

/** What differs was sent: taken over, and what the other lacks goes back. */
export function compared(
  state: MemberState,
  from: Peer,
  { fruitless }: Extract<Purpose, { type: 'compare' }>,
  body: RingAnswer | undefined,
): void {
  if (body?.type !== 'compared' || !state.membership) return;
  state.withoutTable = 0;
  if (body.parts.length === 0) {
    if (!state.announced) announce(state);
    return;
  }
  const learnt = body.entries.filter(entry => take(state, entry)).length;
  if (learnt > Math.max(FEW, FAR_BEHIND * state.membership.present.length)) {
    schedule(state, 'catch-up', aboutMs(state, CATCH_UP_MS));
  }
  const theirs = new Map(body.entries.map(entry => [entry.peer.id, entry]));
  const missing = state.membership.inParts(body.parts).filter(entry => {
    const known = theirs.get(entry.peer.id);
    return known?.version !== entry.version || known.state !== entry.state;
  });
  if (missing.length > 0) {
    const entries = missing.slice(0, MAX_TOLD);
    tell(state, from, { type: 'membership', hops: 0, entries });
  }
  const inVain = learnt > 0 ? 0 : fruitless + 1;
  if (inVain > MAX_FRUITLESS) return;
  const request = { type: 'compare', digests: state.membership.digests } as const;
  ask(state, from, request, { type: 'compare', fruitless: inVain });
}
