/**
 * Who owns a key? Iterative: members nearer and nearer to the key are asked, until one says that the key
 * lies between its predecessor and itself. Nobody's word about somebody else is taken: a candidate that
 * does not own the key points back to its predecessor, and who gives no answer is passed over.
 *
 * Among liars several paths that share no member are taken, and what anybody says of members at or after
 * the key is gathered. Nobody can answer from a place nearer to the key than its own id, so the nearest one
 * that answers at all is the owner, whatever others claim, or the next after an owner that is silent: a
 * single honest path is enough.
 */
import { between, distance, type Id, RING_SIZE } from './ids.js';
import type { Candidate, Lookup, LookupPurpose, LookupResult, Path } from './lookup-state.js';
import type { MemberState, Purpose } from './member-state.js';
import type { RingAnswer } from './messages.js';
import type { Peer } from './peer.js';
import { ask, suspects } from './requests.js';
import { closerPeers, estimateSize, ownersNear, owns } from './routing.js';

/** A lookup ends after so long, answered or not. */
export const LOOKUP_MS = 30_000;
/** Pause before a lookup begins anew, doubled each time: neighbours of the dead need a moment. */
const PAUSE_MS = 500;
const MAX_PAUSE_MS = 4_000;
const MAX_CANDIDATES = 12;
/** Of the silent ones so many, the latest, are named to who is asked. */
const MAX_AVOIDED = 8;
/** Who was silent so often is not asked again by this lookup for some rounds. */
const MAX_SILENCES = 2;
/** Until then: perhaps messages were lost, and it is alive. */
const FORGIVEN_AFTER_ROUNDS = 3;
/** An owner from so many mean gaps away is none: e^-12 of honest ones are as far. */
const PLAUSIBLE_GAPS = 12;
/** Claims looked into after the paths have ended. */
const MAX_EXTRA_PATHS = 3;
/** Each member that asks on keeps so much for its own answer's way back. */
export const RELAY_MARGIN_MS = 500;

export interface LookupRequest {
  readonly key: Id;
  readonly purpose: LookupPurpose;
  readonly recursive?: boolean;
  readonly from?: readonly Peer[];
  /** Paths that share no member; as the member's options have it by default, and one with `from`. */
  readonly disjoint?: number;
}

export function startLookup(state: MemberState, request: LookupRequest): void {
  const { key, purpose, recursive = false, from, disjoint = state.options.paths } = request;
  const number = state.nextNumber++;
  const lookup: Lookup = {
    number,
    key,
    purpose,
    startedAt: state.now,
    deadline: state.now + LOOKUP_MS,
    recursive,
    from,
    disjoint: from ? 1 : disjoint,
    paths: [],
    asked: new Set(),
    silent: new Map(),
    near: new Map(),
    answered: new Set(),
    timeouts: 0,
    rounds: 0,
    waiting: false,
  };
  state.lookups.set(number, lookup);
  begin(state, lookup);
}

function begin(state: MemberState, lookup: Lookup): void {
  const { key, from, disjoint } = lookup;
  lookup.asked.clear();
  if (!from && owns(state, key)) {
    const { self, successors } = state;
    finish(state, lookup, { owner: self, successors, hops: 0 });
    return;
  }
  lookup.paths = Array.from({ length: disjoint }, newPath);
  const seeds = from ?? closerPeers(state, key, disjoint === 1 ? 2 : 3 * disjoint);
  seeds.forEach((peer, i) => {
    lookup.paths[i % disjoint]!.closer.push({ peer, depth: 1 });
  });
  if (!from) {
    for (const peer of ownersNear(state, key, 2)) {
      lookup.paths[0]!.owners.push({ peer, depth: 1 });
    }
  }
  advance(state, lookup);
}

function newPath(): Path {
  return { owners: [], closer: [], inFlight: 0, claim: undefined };
}

/** Asks on where a path has room, and ends the lookup when no path goes on. */
function advance(state: MemberState, lookup: Lookup): void {
  const width = lookup.timeouts > 0 ? state.options.parallel : 1;
  let going = 0;
  lookup.paths.forEach((path, index) => {
    while (!path.claim && path.inFlight < width) {
      const next = takeNext(state, lookup, path);
      if (!next) break;
      path.inFlight++;
      askCandidate(state, lookup, index, next.candidate, next.asOwner);
    }
    if (!path.claim && path.inFlight > 0) going++;
  });
  if (going === 0) conclude(state, lookup);
}

function askCandidate(
  state: MemberState,
  lookup: Lookup,
  path: number,
  { peer, depth }: Candidate,
  asOwner: boolean,
): void {
  lookup.asked.add(peer.id);
  const { number, rounds: round, key } = lookup;
  const withinMs = lookup.deadline - state.now - RELAY_MARGIN_MS;
  const purpose = { type: 'lookup', lookup: number, round, path, depth, asOwner } as const;
  const avoid = [...lookup.silent.keys()].slice(-MAX_AVOIDED);
  const request = { type: 'find', key, avoid } as const;
  ask(state, peer, lookup.recursive ? { ...request, withinMs } : request, purpose);
}

function takeNext(
  state: MemberState,
  lookup: Lookup,
  path: Path,
): { candidate: Candidate; asOwner: boolean } | undefined {
  for (const [list, asOwner] of [
    [path.owners, true],
    [path.closer, false],
  ] as const) {
    for (let candidate = list.shift(); candidate; candidate = list.shift()) {
      const { id } = candidate.peer;
      if (id === state.self.id || lookup.asked.has(id)) continue;
      if ((lookup.silent.get(id) ?? 0) >= MAX_SILENCES) continue;
      return { candidate, asOwner };
    }
  }
  return undefined;
}

type LookupPurposeOfRequest = Extract<Purpose, { type: 'lookup' }>;

/** `body` is undefined where no answer came. */
export function findAnswered(
  state: MemberState,
  from: Peer,
  purpose: LookupPurposeOfRequest,
  body: RingAnswer | undefined,
): void {
  const lookup = state.lookups.get(purpose.lookup);
  if (!lookup) return;
  if (!body) {
    lookup.timeouts++;
    lookup.silent.set(from.id, (lookup.silent.get(from.id) ?? 0) + 1);
  }
  if (purpose.round !== lookup.rounds) return;
  const path = lookup.paths[purpose.path];
  if (!path) return;
  path.inFlight--;
  if (body && body.type !== 'busy') lookup.answered.add(from.id);
  if (body?.type === 'owner') takeClaim(state, lookup, path, from, purpose.depth, body);
  if (body?.type === 'closer') takeCandidates(lookup, path, from, purpose, body);
  if (!lookup.waiting) advance(state, lookup);
}

function takeClaim(
  state: MemberState,
  lookup: Lookup,
  path: Path,
  from: Peer,
  depth: number,
  body: Extract<RingAnswer, { type: 'owner' }>,
): void {
  // Only who was asked to ask on speaks of another.
  const owner = (lookup.recursive ? body.owner : undefined) ?? from;
  if (lookup.disjoint > 1) {
    if (!isPlausible(state, lookup.key, owner)) return;
    lookup.near.set(owner.id, { peer: owner, depth });
    for (const peer of body.successors) {
      if (!lookup.near.has(peer.id)) lookup.near.set(peer.id, { peer, depth: depth + 1 });
    }
  }
  const hops = lookup.recursive ? (body.hops ?? 0) : 0;
  path.claim = { owner, answer: body, depth: depth + hops };
}

function takeCandidates(
  lookup: Lookup,
  path: Path,
  from: Peer,
  { depth, asOwner }: LookupPurposeOfRequest,
  body: Extract<RingAnswer, { type: 'closer' }>,
): void {
  const { key, asked } = lookup;
  const add = (list: Candidate[], peer: Peer) => {
    if (asked.has(peer.id) || list.some(known => known.peer.id === peer.id)) return;
    list.push({ peer, depth: depth + 1 });
  };
  for (const peer of body.closer) {
    if (asOwner || between(peer.id, from.id, key)) add(path.closer, peer);
  }
  const back = asOwner && body.predecessor ? [body.predecessor] : [];
  for (const peer of [...body.owners, ...back]) {
    add(path.owners, peer);
    if (!lookup.near.has(peer.id)) lookup.near.set(peer.id, { peer, depth: depth + 1 });
  }
  path.owners.sort((a, b) => distance(key, a.peer.id) - distance(key, b.peer.id));
  path.closer.sort((a, b) => distance(a.peer.id, key) - distance(b.peer.id, key));
  path.owners.length = Math.min(path.owners.length, MAX_CANDIDATES);
  path.closer.length = Math.min(path.closer.length, MAX_CANDIDATES);
}

/** All paths have ended: in a claim, or in none. */
function conclude(state: MemberState, lookup: Lookup): void {
  if (lookup.disjoint > 1) {
    concludeAmongLiars(state, lookup);
    return;
  }
  const claim = lookup.paths[0]?.claim;
  if (!claim) {
    pause(state, lookup);
    return;
  }
  const { owner, answer, depth } = claim;
  finish(state, lookup, { owner, successors: answer.successors, hops: depth });
}

function concludeAmongLiars(state: MemberState, lookup: Lookup): void {
  const { key, near, answered, asked, silent, paths, disjoint } = lookup;
  const byDistance = [...near.values()].sort(
    (a, b) => distance(key, a.peer.id) - distance(key, b.peer.id),
  );
  const best = byDistance.findIndex(({ peer }) => answered.has(peer.id));
  const nearer = byDistance
    .slice(0, best < 0 ? MAX_CANDIDATES : best)
    .filter(({ peer }) => !asked.has(peer.id));
  if (nearer.length > 0 && paths.length < disjoint + MAX_EXTRA_PATHS) {
    paths.push({ ...newPath(), owners: nearer });
    advance(state, lookup);
    return;
  }
  const owner = byDistance[best];
  if (!owner || !isPlausible(state, key, owner.peer)) {
    pause(state, lookup);
    return;
  }
  const successors = byDistance
    .slice(best + 1)
    .map(({ peer }) => peer)
    .filter(({ id }) => id !== state.self.id && !silent.has(id));
  finish(state, lookup, { owner: owner.peer, successors, hops: owner.depth });
}

function isPlausible(state: MemberState, key: Id, owner: Peer): boolean {
  return distance(key, owner.id) <= (PLAUSIBLE_GAPS * RING_SIZE) / estimateSize(state);
}

function pause(state: MemberState, lookup: Lookup): void {
  const ms = Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** lookup.rounds);
  if (state.now + ms >= lookup.deadline) {
    finish(state, lookup, undefined);
    return;
  }
  lookup.waiting = true;
  const { purpose } = lookup;
  const passedOver = suspects(state);
  // Who is suspected already was not asked by this lookup, and keeps it waiting all the same.
  if (passedOver.length > 0) state.signals.push({ type: 'doubted', ids: passedOver });
  if (purpose.type === 'get' && (lookup.silent.size > 0 || passedOver.length > 0)) {
    state.signals.push({ type: 'owner-silent', operation: purpose.operation });
  }
  const jitter = 0.75 + state.tools.chance() / 2;
  const timer = { type: 'lookup', number: lookup.number } as const;
  state.out.push({ type: 'set-timer', timer, ms: ms * jitter });
}

/** The pause is over: from the start, with what has been mended since. */
export function resumeLookup(state: MemberState, number: number): void {
  const lookup = state.lookups.get(number);
  if (!lookup?.waiting) return;
  lookup.waiting = false;
  lookup.rounds++;
  if (lookup.rounds % FORGIVEN_AFTER_ROUNDS === 0) lookup.silent.clear();
  begin(state, lookup);
}

function finish(state: MemberState, lookup: Lookup, result: LookupResult | undefined): void {
  state.lookups.delete(lookup.number);
  state.finished.push({ lookup, result });
}
