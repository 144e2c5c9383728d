/**
 * A member of the ring, as a pure machine: `stepMember` changes the state it is given and returns what is
 * to be done. No socket, clock, promise or chance of its own.
 */
import { considerFinger, dropFinger, nextFinger, probeFingers } from './fingers.js';
import { idAfter } from './ids.js';
import { findAnswered, resumeLookup, startLookup } from './lookup.js';
import type { FinishedLookup } from './lookup-state.js';
import type {
  MemberAction,
  MemberEvent,
  MemberState,
  Pending,
  Signal,
  Timer,
} from './member-state.js';
import { foundRing, lookForRing, lookThrough, seek, seekSoon, toldOfRing } from './merge.js';
import type { RingAnswer, RingMessage, RingRequest } from './messages.js';
import {
  beginRing,
  beyondAnswered,
  candidateAnswered,
  headAnswered,
  heardOfNearer,
  joinFailed,
  joinFound,
  leave,
  neighbourLeft,
  notified,
  notifyAnswered,
  predecessorAnswered,
  stabilise,
  verify,
  welcomed,
} from './neighbours.js';
import {
  askCopies,
  doubtedEnough,
  getAnswered,
  getFound,
  putAnswered,
  putFound,
  startGet,
  startPut,
} from './operations.js';
import type { Peer } from './peer.js';
import { answerFind, relayAnswered } from './relay.js';
import {
  copiesAnswered,
  flushed,
  foundHome,
  handAllOver,
  handOver,
  homeward,
  keepAsOwner,
  keepCopies,
  offerAll,
  offerAnswered,
  replicate,
  takeOffer,
} from './replication.js';
import {
  aboutMs,
  answer,
  isSuspect,
  schedule,
  takeAnswered,
  takeOverdue,
  takeTrying,
} from './requests.js';
import { changePredecessor, readdress } from './routing.js';
import {
  beginTable,
  compare,
  compared,
  membershipTold,
  reachedAt,
  reportGone,
  spread,
  spreadUnanswered,
} from './spread.js';
import { judgeTable, metWithoutTable } from './table-budget.js';
import { partGot, partPut, startGetValue, startPutValue } from './values.js';

export function stepMember(state: MemberState, event: MemberEvent): MemberAction[] {
  state.now = event.now;
  state.out = [];
  if (state.phase !== 'left') {
    handle(state, event);
    settle(state);
    const gone = state.records.takeGone();
    if (gone.length > 0) state.out.push({ type: 'forget', records: gone });
  } else if (event.type === 'message') handOverWanted(state, event.message);
  return state.out;
}

/** We have left: what our successor lacks of what it was offered is all that is still to be said. */
function handOverWanted(state: MemberState, message: RingMessage): void {
  if (message.kind !== 'answer') return;
  const { from, number, answer } = message;
  const pending = takeAnswered(state, from, number);
  if (pending?.purpose.type === 'offer') offerAnswered(state, from, pending.purpose, answer);
}

function handle(state: MemberState, event: MemberEvent): void {
  switch (event.type) {
    case 'start':
      state.contacts = event.contacts;
      if (event.contacts.length === 0) {
        beginRing(state);
        return;
      }
      state.phase = 'joining';
      join(state);
      return;
    case 'message': {
      const { message } = event;
      const { from, number } = message;
      if (message.kind === 'request') {
        takeRequest(state, from, number, message.request);
        return;
      }
      if (message.answer.type === 'trying') {
        takeTrying(state, from, number);
        return;
      }
      const pending = takeAnswered(state, from, number);
      if (!pending) return;
      state.suspects.delete(from.id);
      if (pending.until === undefined) considerFinger(state, from, state.now - pending.sentAt);
      takeAnswer(state, from, pending, message.answer);
      return;
    }
    case 'timer':
      takeTimer(state, event.timer);
      return;
    case 'unreachable':
      takeSilence(state, event.number);
      return;
    case 'lookup':
      startLookup(state, {
        key: event.key,
        purpose: { type: 'user', tag: event.tag },
        recursive: event.recursive ?? false,
      });
      return;
    case 'put':
      startPut(state, event.record, { tag: event.tag });
      return;
    case 'get':
      startGet(state, event.key, { tag: event.tag }, event.doubting);
      return;
    case 'put-value':
      startPutValue(state, event.records, event.tag);
      return;
    case 'get-value':
      startGetValue(state, event.key, event.publisher, event.tag);
      return;
    case 'contacts':
      state.contacts = event.contacts;
      for (const contact of event.contacts) lookThrough(state, contact);
      return;
    case 'reached':
      reachedAt(state, event.self);
      return;
    case 'kept':
      flushed(state, event.number, event.ok);
      return;
    case 'leave':
      if (state.phase === 'member') {
        if (state.membership) reportGone(state, state.self);
        spread(state);
        handAllOver(state);
      }
      leave(state);
      return;
  }
}

/** What one part has told the others, until all is said. */
function settle(state: MemberState): void {
  for (;;) {
    const signal = state.signals.shift();
    if (signal) {
      takeSignal(state, signal);
      continue;
    }
    const finished = state.finished.shift();
    if (!finished) return;
    takeFinished(state, finished);
  }
}

function takeSignal(state: MemberState, signal: Signal): void {
  switch (signal.type) {
    case 'died':
      seekSoon(state);
      dropFinger(state, signal.peer);
      reportGone(state, signal.peer);
      return;
    case 'neighbour':
      handOver(state, signal.peer);
      return;
    case 'part-put':
      partPut(state, signal.transfer, signal.copies, signal.reason);
      return;
    case 'part-got':
      partGot(state, signal.transfer, signal.part, signal.records);
      return;
    case 'owner-silent':
      askCopies(state, signal.operation);
      return;
    case 'doubted':
      verify(state, signal.ids);
      return;
    case 'alone':
      recover(state);
      return;
    case 'member':
      if (state.routing === 'table') beginTable(state);
      return;
  }
}

/** A lookup that meets some of the dead has ended by then; meanwhile we answer for nothing. */
const RETURN_MS = 3_000;
/** Then so many of those we knew are tried, as those of another ring. */
const LOOKED_THROUGH = 4;

/** Neither neighbour is left: back in through whom we know, or soon on as a ring of one. */
function recover(state: MemberState): void {
  const known = [...state.fingers.values()].map(({ peer }) => peer);
  for (const peer of state.membership?.present ?? []) {
    if (known.length >= 16) break;
    if (peer.id !== state.self.id) known.push(peer);
  }
  const contacts = known.filter(peer => !isSuspect(state, peer));
  changePredecessor(state, undefined);
  if (contacts.length === 0) return;
  state.phase = 'joining';
  state.returning = true;
  state.contacts = contacts;
  schedule(state, 'give-up', aboutMs(state, RETURN_MS));
  join(state);
}

/** They may all be dead, or look for their place through us as we do through them. */
function giveUpReturning(state: MemberState): void {
  if (state.phase !== 'joining' || !state.returning) return;
  beginRing(state);
  for (const contact of state.contacts.slice(0, LOOKED_THROUGH)) lookThrough(state, contact);
}

function join(state: MemberState): void {
  const { contacts, self } = state;
  const from = contacts.filter(({ address }) => address !== self.address);
  if (from.length === 0) {
    beginRing(state);
    return;
  }
  // Whoever has us as a neighbour still would say of our place that it is taken, by ourselves: so who is after it?
  const key = state.returning ? idAfter(self.id, 1) : self.id;
  startLookup(state, { key, purpose: { type: 'join' }, from });
}

function takeFinished(state: MemberState, finished: FinishedLookup): void {
  const { purpose, key, startedAt, timeouts } = finished.lookup;
  switch (purpose.type) {
    case 'user': {
      const { tag } = purpose;
      const { result } = finished;
      const tookMs = state.now - startedAt;
      state.out.push({ type: 'lookup-done', tag, key, result, tookMs, timeouts });
      return;
    }
    case 'join':
      joinFound(state, finished);
      return;
    case 'finger':
      probeFingers(state, purpose.slot, finished);
      return;
    case 'put':
      putFound(state, purpose.operation, finished);
      return;
    case 'get':
      getFound(state, purpose.operation, finished);
      return;
    case 'merge':
      foundRing(state, purpose.contact, finished);
      return;
    case 'home':
      foundHome(state, purpose.key, finished);
      return;
  }
}

function takeTimer(state: MemberState, timer: Timer): void {
  const { options } = state;
  switch (timer.type) {
    case 'request':
      takeSilence(state, timer.number);
      return;
    case 'lookup':
      resumeLookup(state, timer.number);
      return;
    case 'doubt':
      doubtedEnough(state, timer.number);
      return;
    default:
      state.timersSet.delete(timer.type);
  }
  switch (timer.type) {
    case 'stabilise':
      schedule(state, 'stabilise', aboutMs(state, options.stabiliseMs));
      judgeTable(state);
      stabilise(state);
      return;
    case 'again':
      stabilise(state);
      return;
    case 'finger': {
      schedule(state, 'finger', aboutMs(state, options.fingerMs));
      const next = nextFinger(state);
      if (!next) return;
      const purpose = { type: 'finger', slot: next.slot } as const;
      startLookup(state, { key: next.key, purpose });
      return;
    }
    case 'offer':
      schedule(state, 'offer', aboutMs(state, options.offerMs));
      for (const key of offerAll(state))
        startLookup(state, { key, purpose: { type: 'home', key } });
      return;
    case 'homeward':
      for (const record of homeward(state)) startPut(state, record, 'homeward');
      return;
    case 'replicate':
      replicate(state);
      return;
    case 'merge':
      lookForRing(state);
      return;
    case 'seek':
      seek(state);
      return;
    case 'spread':
      spread(state);
      return;
    case 'compare':
    case 'catch-up':
      compare(state);
      return;
    case 'rejoin':
      if (state.phase === 'joining') join(state);
      return;
    case 'give-up':
      giveUpReturning(state);
      return;
  }
}

/** No answer came in time, or none can come. */
function takeSilence(state: MemberState, number: number): void {
  const overdue = takeOverdue(state, number);
  if (!overdue) return;
  dropFinger(state, overdue.to);
  takeAnswer(state, overdue.to, overdue, undefined);
}

function takeRequest(state: MemberState, from: Peer, number: number, request: RingRequest): void {
  switch (request.type) {
    case 'ping':
      answer(state, from, number, { type: 'pong' });
      heardOfNearer(state, from);
      return;
    case 'find':
      verify(state, request.avoid);
      answerFind(state, from, number, request);
      return;
    case 'neighbours':
    case 'join': {
      // Who joins is there, and wherever it was before it is no more.
      if (request.type === 'join') readdress(state, from);
      const { predecessor, successors, phase, stabilising } = state;
      if (phase !== 'member' || stabilising) {
        answer(state, from, number, { type: 'busy' });
        return;
      }
      answer(state, from, number, { type: 'links', predecessor, successors });
      return;
    }
    case 'notify':
      notified(state, from, number, request);
      return;
    case 'leave':
      neighbourLeft(state, from, request);
      answer(state, from, number, { type: 'accepted' });
      return;
    case 'store':
      if (state.phase !== 'member') {
        answer(state, from, number, { type: 'busy' });
        return;
      }
      request.copy
        ? keepCopies(state, from, number, request.records)
        : keepAsOwner(state, from, number, request.records);
      return;
    case 'fetch': {
      const records = state.records.get(request.key, state.now);
      answer(state, from, number, { type: 'records', records });
      return;
    }
    case 'offer': {
      const versions = takeOffer(state, from, request.versions);
      answer(state, from, number, { type: 'wanted', versions });
      return;
    }
    case 'membership':
      membershipTold(state, request.entries, request.hops);
      answer(state, from, number, { type: 'accepted' });
      return;
    case 'compare': {
      const { membership } = state;
      if (membership) {
        const differing = membership.differing(request.digests);
        answer(state, from, number, { type: 'compared', ...differing });
      } else answer(state, from, number, { type: 'refused', reason: 'no-table' });
      return;
    }
    case 'merge':
      toldOfRing(state, from, request.contact);
      answer(state, from, number, { type: 'accepted' });
      return;
  }
}

/** `body` is undefined where no answer came in time. */
function takeAnswer(
  state: MemberState,
  from: Peer,
  { purpose, request }: Pending,
  body: RingAnswer | undefined,
): void {
  switch (purpose.type) {
    case 'lookup':
      findAnswered(state, from, purpose, body);
      return;
    case 'stabilise':
      headAnswered(state, from, purpose.attempt, body);
      return;
    case 'candidate':
      candidateAnswered(state, from, purpose, body);
      return;
    case 'notify':
      notifyAnswered(state, from, body);
      return;
    case 'rectify':
      predecessorAnswered(state, from, purpose, body !== undefined);
      return;
    case 'beyond':
      beyondAnswered(state, from, purpose.dead, body);
      return;
    case 'join':
      if (body) {
        welcomed(state, from, body);
        return;
      }
      if (state.phase === 'joining') joinFailed(state, 'no-answer');
      return;
    case 'finger':
      // What was measured is noted of every answer.
      return;
    case 'relay':
      relayAnswered(state, from, purpose.relay, body);
      return;
    case 'put':
      putAnswered(state, purpose.operation, body);
      return;
    case 'get':
      getAnswered(state, purpose.operation, from, body);
      return;
    case 'replicate':
      copiesAnswered(state, from, purpose, body);
      return;
    case 'offer':
      offerAnswered(state, from, purpose, body);
      return;
    case 'compare':
      if (body?.type === 'refused') metWithoutTable(state);
      else compared(state, from, purpose, body);
      return;
    case 'spread':
      if (!body) spreadUnanswered(state, from, request, purpose);
      return;
  }
}
