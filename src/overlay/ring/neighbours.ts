/**
 * Joining, stabilising, rectifying and leaving by the rules that were proved (P. Zave, "Reasoning about
 * identifier spaces: how to make Chord correct", IEEE TSE 43(12), 2017).
 *
 * A joiner has its successor's list before it is a member. A dead head of the list is dropped; of a live
 * one the list replaces ours. Its predecessor is adopted only once it has answered, and the successor is
 * always notified. Who is notified asks its old predecessor before it gives it up. While our own question
 * is open, others are told to come back.
 */
import { between, type Id } from './ids.js';
import type { FinishedLookup } from './lookup-state.js';
import type { MemberState, Purpose } from './member-state.js';
import type { RingAnswer, RingRequest } from './messages.js';
import type { Peer } from './peer.js';
import { aboutMs, answer, ask, isSuspect, remember, schedule, tell } from './requests.js';
import { changePredecessor, isAlone, replaceSuccessors } from './routing.js';

/** A silent member is asked so often before it is taken for dead: one lost message kills nobody. */
const ATTEMPTS = 2;
const PREDECESSOR_ATTEMPTS = 3;
/** Who is told to come back does so within this. */
const AGAIN_MS = 400;
/** Between two attempts to join; doubled up to the limit. */
const REJOIN_MS = 2_000;
const MAX_REJOIN_MS = 60_000;
/** New neighbours found one before the other in one round. */
const MAX_CANDIDATES = 8;
/** A predecessor not heard of for so many rounds is asked. */
const SILENT_ROUNDS = 2.5;

/** Begins a ring of one. */
export function beginRing(state: MemberState): void {
  state.successors = [];
  state.predecessor = undefined;
  becomeMember(state);
}

/** Our own id was looked up in the ring that we want to join. */
export function joinFound(state: MemberState, { result }: FinishedLookup): void {
  if (state.phase !== 'joining') return;
  if (!result) {
    joinFailed(state, 'no-answer');
    return;
  }
  if (result.owner.id === state.self.id) {
    joinFailed(state, 'id-in-use');
    return;
  }
  ask(state, result.owner, { type: 'join' }, { type: 'join' });
}

export function joinFailed(state: MemberState, reason: 'no-answer' | 'id-in-use'): void {
  state.out.push({ type: 'join-failed', reason });
  joinLater(state);
}

function joinLater(state: MemberState): void {
  const ms = Math.min(MAX_REJOIN_MS, REJOIN_MS * 2 ** state.joinAttempts++);
  schedule(state, 'rejoin', aboutMs(state, ms));
}

export function welcomed(state: MemberState, from: Peer, body: RingAnswer | undefined): void {
  if (state.phase !== 'joining') return;
  if (body?.type !== 'links') {
    schedule(state, 'rejoin', aboutMs(state, AGAIN_MS));
    return;
  }
  replaceSuccessors(state, [from, ...body.successors]);
  notify(state, from);
}

/** One round: is our successor alive, and is it still the nearest? */
export function stabilise(state: MemberState): void {
  if (state.stabilising || state.phase !== 'member') return;
  const head = state.successors[0];
  if (head) askHead(state, head, 1);
  else if (state.predecessor) loseSuccessors(state, state.predecessor);
  checkPredecessor(state);
}

/** All of the list is dead. In a ring of two the predecessor is the successor too. */
function loseSuccessors(state: MemberState, predecessor: Peer): void {
  if (isSuspect(state, predecessor)) {
    state.signals.push({ type: 'alone' });
    return;
  }
  replaceSuccessors(state, [predecessor]);
  askHead(state, predecessor, 1);
}

function askHead(state: MemberState, head: Peer, attempt: number): void {
  state.stabilising = true;
  ask(state, head, { type: 'neighbours' }, { type: 'stabilise', attempt }, attempt);
}

/** `body` is undefined where no answer came. */
export function headAnswered(
  state: MemberState,
  head: Peer,
  attempt: number,
  body: RingAnswer | undefined,
): void {
  state.stabilising = false;
  if (state.phase !== 'member') return;
  if (state.successors[0]?.id !== head.id) {
    stabilise(state);
    return;
  }
  if (!body) {
    if (attempt < ATTEMPTS) {
      askHead(state, head, attempt + 1);
      return;
    }
    remember(state, head);
    state.signals.push({ type: 'died', peer: head });
    replaceSuccessors(state, state.successors.slice(1));
    stabilise(state);
    return;
  }
  if (body.type !== 'links') {
    again(state);
    return;
  }
  replaceSuccessors(state, [head, ...body.successors]);
  askCandidate(state, head, body.predecessor, 0);
}

function askCandidate(
  state: MemberState,
  head: Peer,
  candidate: Peer | undefined,
  rounds: number,
): void {
  if (
    candidate &&
    rounds < MAX_CANDIDATES &&
    between(candidate.id, state.self.id, head.id) &&
    !isSuspect(state, candidate)
  ) {
    state.stabilising = true;
    ask(state, candidate, { type: 'neighbours' }, { type: 'candidate', head, rounds });
    return;
  }
  notify(state, head);
}

/** The successor's predecessor has answered, and may be adopted; or it has not. */
export function candidateAnswered(
  state: MemberState,
  candidate: Peer,
  { head, rounds }: Extract<Purpose, { type: 'candidate' }>,
  body: RingAnswer | undefined,
): void {
  state.stabilising = false;
  if (state.phase !== 'member') return;
  if (state.successors[0]?.id !== head.id) {
    stabilise(state);
    return;
  }
  if (body?.type === 'links') {
    replaceSuccessors(state, [candidate, ...body.successors]);
    askCandidate(state, candidate, body.predecessor, rounds + 1);
    return;
  }
  notify(state, head);
  if (body) again(state);
}

/** Soon, but not in step with whom we got in the way of. */
function again(state: MemberState): void {
  schedule(state, 'again', AGAIN_MS * (0.25 + 0.75 * state.tools.chance()));
}

export function notifyAnswered(state: MemberState, from: Peer, body: RingAnswer | undefined): void {
  if (state.successors[0]?.id !== from.id) return;
  if (body?.type !== 'notified') {
    if (state.phase === 'joining') schedule(state, 'rejoin', aboutMs(state, AGAIN_MS));
    return;
  }
  const { predecessor, previous, beyond } = body;
  if (predecessor?.id === state.self.id) {
    if (state.phase === 'joining') {
      // What lies after `previous` was our successor's until now: the two parts never overlap.
      changePredecessor(state, previous);
      state.beyond = beyond;
      becomeMember(state);
    }
    // Until its next round it would not know of us, and should others die, nor would anybody.
    const isOther = previous && previous.id !== from.id && previous.id !== state.self.id;
    if (isOther) tell(state, previous, { type: 'ping' });
    return;
  }
  if (predecessor && between(predecessor.id, state.self.id, from.id)) {
    if (state.phase === 'joining') {
      ask(state, predecessor, { type: 'join' }, { type: 'join' });
    } else again(state);
  } else if (state.phase === 'joining') schedule(state, 'rejoin', aboutMs(state, AGAIN_MS));
}

/** From here on we answer for our part of the ring, and keep it up. */
export function becomeMember(state: MemberState): void {
  state.phase = 'member';
  state.joinAttempts = 0;
  state.returning = false;
  state.out.push({ type: 'joined' });
  state.signals.push({ type: 'member' });
  const { stabiliseMs, fingerMs, offerMs, mergeMs } = state.options;
  schedule(state, 'stabilise', aboutMs(state, stabiliseMs) * state.tools.chance());
  schedule(state, 'finger', aboutMs(state, fingerMs) * state.tools.chance());
  schedule(state, 'offer', aboutMs(state, offerMs));
  schedule(state, 'merge', aboutMs(state, mergeMs));
}

function notify(state: MemberState, successor: Peer): void {
  const { predecessor, phase } = state;
  const request = { type: 'notify', joining: phase === 'joining', predecessor } as const;
  ask(state, successor, request, { type: 'notify' });
}

/** Somebody between us and our successor: has it joined there? */
export function heardOfNearer(state: MemberState, from: Peer): void {
  const head = state.successors[0];
  if (state.phase !== 'member' || !head || !between(from.id, state.self.id, head.id)) return;
  // Whoever was dead a moment ago is back.
  state.suspects.delete(from.id);
  if (state.stabilising) again(state);
  else stabilise(state);
}

/** Somebody thinks that it is our predecessor. */
export function notified(
  state: MemberState,
  from: Peer,
  number: number,
  { joining, predecessor: beyond }: Extract<RingRequest, { type: 'notify' }>,
): void {
  if (state.phase !== 'member') {
    answer(state, from, number, { type: 'busy' });
    return;
  }
  const { predecessor } = state;
  if (isAlone(state)) {
    changePredecessor(state, from);
    state.previous = state.self;
    replaceSuccessors(state, [from]);
    state.signals.push({ type: 'neighbour', peer: from });
    // It may have others before it already, nearer to us.
    again(state);
  } else if (!predecessor || between(from.id, predecessor.id, state.self.id)) {
    changePredecessor(state, from);
    state.signals.push({ type: 'neighbour', peer: from });
    // Should we die, our successor is to know of it.
    if (state.successors[0]) notify(state, state.successors[0]);
  } else if (predecessor.id === from.id) {
    state.predecessor = from;
    state.predecessorHeardAt = state.now;
    // It has been a member: where its part begins is for itself to say, and should it come back it has said so.
    if (!joining) state.previous = undefined;
    else state.previous ??= state.beyond;
  } else {
    const { newcomer } = state;
    if (!newcomer || between(from.id, newcomer.peer.id, state.self.id)) {
      state.newcomer = { peer: from, beyond };
    } else if (newcomer.peer.id === from.id) newcomer.beyond = beyond;
    rectify(state);
  }
  // Who joins has no predecessor yet: before it comes whom we had until now.
  if (state.predecessor?.id === from.id) state.beyond = joining ? state.previous : beyond;
  answer(state, from, number, {
    type: 'notified',
    predecessor: state.predecessor,
    previous: state.previous,
    beyond: state.previousBeyond,
  });
}

/** Gives up the predecessor only when it is dead. */
function rectify(state: MemberState): void {
  const { predecessor } = state;
  if (predecessor && !state.checkingPredecessor) askPredecessor(state, predecessor, 1);
}

function askPredecessor(state: MemberState, predecessor: Peer, attempt: number): void {
  state.checkingPredecessor = true;
  ask(state, predecessor, { type: 'ping' }, { type: 'rectify', attempt }, attempt);
}

export function predecessorAnswered(
  state: MemberState,
  asked: Peer,
  { attempt }: Extract<Purpose, { type: 'rectify' }>,
  alive: boolean,
): void {
  state.checkingPredecessor = false;
  if (state.predecessor?.id !== asked.id) return;
  if (alive) {
    state.predecessorHeardAt = state.now;
    state.newcomer = undefined;
    return;
  }
  if (attempt < PREDECESSOR_ATTEMPTS) {
    askPredecessor(state, asked, attempt + 1);
    return;
  }
  remember(state, asked);
  state.signals.push({ type: 'died', peer: asked });
  const { beyond, newcomer, self } = state;
  // A newcomer farther off may just not know yet of the one that the dead had before it.
  const isNearer = beyond && (!newcomer || between(beyond.id, newcomer.peer.id, self.id));
  if (isNearer && beyond.id !== self.id) {
    state.checkingPredecessor = true;
    ask(state, beyond, { type: 'neighbours' }, { type: 'beyond', dead: asked });
    return;
  }
  succeedPredecessor(state, newcomer);
}

/** Whoever was before the dead predecessor is alive, or not. */
export function beyondAnswered(
  state: MemberState,
  beyond: Peer,
  dead: Peer,
  body: RingAnswer | undefined,
): void {
  state.checkingPredecessor = false;
  if (state.predecessor?.id !== dead.id) return;
  state.beyond = undefined;
  if (!body) {
    succeedPredecessor(state, state.newcomer);
    return;
  }
  const before = body.type === 'links' ? body.predecessor : undefined;
  succeedPredecessor(state, { peer: beyond, beyond: before });
}

function succeedPredecessor(state: MemberState, next: MemberState['newcomer']): void {
  if (next) {
    changePredecessor(state, next.peer);
    state.beyond = next.beyond;
    if (state.successors[0]) notify(state, state.successors[0]);
  } else if (state.successors.length === 0) state.signals.push({ type: 'alone' });
}

function checkPredecessor(state: MemberState): void {
  const silentMs = state.now - state.predecessorHeardAt;
  if (silentMs > SILENT_ROUNDS * state.options.stabiliseMs) rectify(state);
}

/** Somebody got no answer from these: if we rely on one of them, we look. */
export function verify(state: MemberState, silent: readonly Id[]): void {
  if (state.phase !== 'member') return;
  const head = state.successors[0];
  if (head && silent.includes(head.id)) stabilise(state);
  if (state.predecessor && silent.includes(state.predecessor.id)) rectify(state);
}

/** A neighbour goes, and says who is beyond it. */
export function neighbourLeft(
  state: MemberState,
  from: Peer,
  { predecessor }: Extract<RingRequest, { type: 'leave' }>,
): void {
  if (state.phase !== 'member') return;
  if (state.predecessor?.id === from.id) {
    // Its part of the ring is ours from here on: it has stopped answering for it. Whom it names is before it.
    const isBetween = predecessor && between(predecessor.id, from.id, state.self.id);
    const next = isBetween ? state.beyond : predecessor;
    changePredecessor(state, next?.id === state.self.id ? undefined : next);
  }
  if (state.successors.some(({ id }) => id === from.id)) {
    replaceSuccessors(
      state,
      state.successors.filter(({ id }) => id !== from.id),
    );
    again(state);
  }
}

export function leave(state: MemberState): void {
  const { predecessor, successors, phase } = state;
  if (phase === 'member') {
    const request = { type: 'leave', predecessor, successors } as const;
    const [head] = successors;
    if (head) tell(state, head, request);
    if (predecessor && predecessor.id !== head?.id) tell(state, predecessor, request);
  }
  state.phase = 'left';
  state.out.push({ type: 'left' });
}
