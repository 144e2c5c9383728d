/**
 * What a super-node does for the nodes attached to it, as a pure machine: `stepSuperNode` changes the state it is given
 * and returns what is to be done. It keeps their records in the ring, asks the ring for them, and sees that they are
 * with another when it goes.
 */
import { UNKNOWN_ID } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import type { RingRecord, StoreRefusal } from '../ring/records.js';
import type { AttachedNode, NodeAnswer, NodeRequest } from './node-messages.js';
import {
  dropRecords,
  flush,
  keepRecords,
  keepTails,
  MAX_RECORDS,
  recordPut,
  refusalOf,
  sweepRecords,
} from './node-records.js';
import { adopt, listChanged, pageGot, pagePut, putPages, readAgain } from './super-node-lists.js';
import {
  movesWakeAt,
  pursueMoves,
  queueMove,
  sentAnswered,
  startLeaving,
} from './super-node-moves.js';
import {
  type HeldNode,
  type OpenRequest,
  othersFor,
  reply,
  type SuperNodeAction,
  type SuperNodeEvent,
  type SuperNodeState,
  startTask,
} from './super-node-state.js';

export {
  newSuperNode,
  type OtherSuperNode,
  type SuperNodeAction,
  type SuperNodeEvent,
  type SuperNodeOptions,
  type SuperNodeState,
  type SuperNodeTools,
} from './super-node-state.js';

type RequestEvent = Extract<SuperNodeEvent, { readonly type: 'request' }>;
type Request<Type> = Extract<NodeRequest, { readonly type: Type }>;

/** Expiry and repetition are looked at so often. */
const SWEEP_MS = 1_000;
const MIN_EXPIRES_S = 60;
/** Where a node may go, in one answer. */
const MAX_OTHERS = 4;
/** Of one node, of all that come from one address, and of all, waiting for the ring. */
const MAX_OPEN_OF_NODE = 32;
const MAX_OPEN_OF_SOURCE = 128;
const MAX_OPEN = 512;
/** A node asks elsewhere then. */
const OPEN_MS = 15_000;
/** Texts of a node that are kept, in characters. */
const MAX_CONTACT = 512;

export function stepSuperNode(state: SuperNodeState, event: SuperNodeEvent): SuperNodeAction[] {
  state.now = event.now;
  state.out = [];
  handle(state, event);
  if (state.phase !== 'left') {
    pursue(state);
    setTimer(state);
  }
  return state.out;
}

function handle(state: SuperNodeState, event: SuperNodeEvent): void {
  switch (event.type) {
    case 'request':
      takeRequest(state, event);
      return;
    case 'put-done':
      putDone(state, event.tag, event.copies, event.reason);
      return;
    case 'get-done':
      getDone(state, event.tag, event.records);
      return;
    case 'answered': {
      const sent = state.sent.get(event.number);
      const from = sent?.type === 'move' ? sent.move.node.peer : sent?.to;
      if (sent && from?.id === event.from.id) sentEnded(state, event.number, event.answer);
      return;
    }
    case 'unreachable':
      sentEnded(state, event.number, undefined);
      return;
    case 'limits':
      state.options = { ...state.options, maxNodes: event.maxNodes };
      return;
    case 'others':
      state.others = event.others.filter(
        ({ peer }) => peer.id !== state.self.id && peer.id !== UNKNOWN_ID,
      );
      return;
    case 'neighbours':
      state.successors = event.successors.filter(({ id }) => id !== state.self.id);
      return;
    case 'member-lost':
      if (state.phase === 'serving') adopt(state, event.peer);
      return;
    case 'call':
      if (state.phase === 'serving') {
        for (const node of event.nodes) queueMove(state, node, state.self);
      }
      return;
    case 'leave':
      if (state.phase === 'serving') startLeaving(state);
      return;
    case 'timer':
      state.timerAt = undefined;
      return;
  }
}

function takeRequest(state: SuperNodeState, event: RequestEvent): void {
  const { from, number, request } = event;
  switch (request.type) {
    case 'attach':
      reply(state, from, number, attach(state, from, request, event.source));
      return;
    case 'detach':
      reply(state, from, number, detach(state, from, request.records));
      return;
    case 'hand-over':
      reply(state, from, number, takeOver(state, request.nodes));
      return;
    case 'move':
      // A super-node is attached to nobody.
      reply(state, from, number, { type: 'busy' });
      return;
    case 'query':
    case 'publish':
      ask(state, from, number, request, event.source);
      return;
  }
}

function attach(
  state: SuperNodeState,
  from: Peer,
  request: Request<'attach'>,
  source: string | undefined,
): NodeAnswer {
  const { nodes, options, phase } = state;
  const held = nodes.get(from.id);
  const full = nodes.size - (held ? 1 : 0) >= options.maxNodes;
  const over = full && !(phase === 'serving' && !held && makeRoom(state, source));
  if (phase !== 'serving' || over) {
    const at = lessLoaded(state, from.id);
    // Who is here already stays, unless there is somebody to go to.
    if (!held || phase !== 'serving' || at.length > 0) {
      if (held) remove(state, held);
      return { type: 'elsewhere', at };
    }
  }
  if (request.contact.length > MAX_CONTACT) return { type: 'refused', reason: 'too-large' };
  const refusal = refusalOf(state, from.id, request.records);
  if (refusal) return { type: 'refused', reason: refusal };
  const expiresS = clampS(request.expiresS, options.expiresS);
  keep(state, { ...request, peer: from, expiresS });
  const kept = nodes.get(from.id);
  if (kept) kept.source = source;
  const others = othersFor(state, from.id).map(({ peer }) => peer);
  return { type: 'attached', expiresS, others: others.slice(0, MAX_OTHERS), nodes: nodes.size };
}

/** Whoever makes keys could take all places: of the address that has most, one makes room for who comes from another. */
function makeRoom(state: SuperNodeState, source: string | undefined): boolean {
  if (source === undefined) return false;
  const bySource = new Map<string, HeldNode[]>();
  for (const node of state.nodes.values()) {
    if (node.source === undefined) continue;
    const there = bySource.get(node.source) ?? [];
    there.push(node);
    bySource.set(node.source, there);
  }
  let crowd: readonly HeldNode[] = [];
  for (const there of bySource.values()) if (there.length > crowd.length) crowd = there;
  const [first] = crowd;
  if (!first || crowd.length <= (bySource.get(source)?.length ?? 0) + 1) return false;
  remove(state, first);
  return true;
}

/** `there`: its records are in the ring. */
function keep(state: SuperNodeState, node: AttachedNode, there = false): void {
  const { peer, contact, expiresS, records } = node;
  const expiresAt = state.now + expiresS * 1000;
  const held = state.nodes.get(peer.id);
  const kept: HeldNode = held ?? {
    peer,
    contact,
    expiresAt,
    source: undefined,
    puts: new Map(),
  };
  if (!held || held.contact !== contact || held.peer.address !== peer.address) {
    listChanged(state, peer.id);
  }
  Object.assign(kept, { peer, contact, expiresAt });
  state.nodes.set(peer.id, kept);
  keepRecords(state, kept, records, there);
}

function remove(state: SuperNodeState, node: HeldNode): void {
  dropRecords(state, node);
  state.nodes.delete(node.peer.id);
  listChanged(state, node.peer.id);
}

function detach(state: SuperNodeState, from: Peer, records: readonly RingRecord[]): NodeAnswer {
  const refusal = refusalOf(state, from.id, records);
  const held = state.nodes.get(from.id);
  if (held) remove(state, held);
  if (refusal) return { type: 'refused', reason: refusal };
  keepTails(state, records);
  return { type: 'accepted' };
}

/** All of them or none. Who is here by its own word is not touched. */
function takeOver(state: SuperNodeState, handed: readonly AttachedNode[]): NodeAnswer {
  const fresh = handed.filter(
    ({ peer, contact }) =>
      peer.id !== state.self.id && contact.length <= MAX_CONTACT && !state.nodes.has(peer.id),
  );
  const room = state.options.maxNodes - state.nodes.size;
  if (state.phase !== 'serving' || fresh.length > room) return { type: 'busy' };
  for (const node of fresh) {
    const { peer } = node;
    const good = node.records
      .slice(0, MAX_RECORDS)
      .filter(record => refusalOf(state, peer.id, [record]) === undefined);
    const expiresS = clampS(node.expiresS, state.options.expiresS);
    keep(state, { ...node, expiresS, records: good }, true);
  }
  return { type: 'accepted' };
}

/** A question, or what is to be put: the ring answers. Said twice, it is asked once. */
function ask(
  state: SuperNodeState,
  from: Peer,
  number: number,
  request: Request<'query' | 'publish'>,
  source: string | undefined,
): void {
  const name = openName(from, number);
  if (state.open.has(name)) return;
  let ofNode = 0;
  let ofSource = 0;
  for (const open of state.open.values()) {
    if (open.from.id === from.id) ofNode++;
    if (source !== undefined && open.source === source) ofSource++;
  }
  const isMuch = ofNode >= MAX_OPEN_OF_NODE || ofSource >= MAX_OPEN_OF_SOURCE;
  if (state.phase === 'left' || state.open.size >= MAX_OPEN || isMuch) {
    reply(state, from, number, { type: 'busy' });
    return;
  }
  const records = request.type === 'publish' ? request.records : [];
  const refusal = publishRefusal(state, records);
  if (refusal) {
    reply(state, from, number, { type: 'refused', reason: refusal });
    return;
  }
  const open: OpenRequest = {
    from,
    number,
    source,
    deadline: state.now + OPEN_MS,
    waiting: request.type === 'query' ? 1 : records.length,
    copies: Number.POSITIVE_INFINITY,
    refusal: undefined,
    unanswered: false,
  };
  if (open.waiting === 0) {
    reply(state, from, number, { type: 'stored', copies: 0 });
    return;
  }
  state.open.set(name, open);
  if (request.type === 'query') {
    const tag = startTask(state, { type: 'query', request: open });
    state.out.push({ type: 'get', tag, key: request.key, doubting: true });
    return;
  }
  for (const record of records) {
    const tag = startTask(state, { type: 'publish', request: open });
    state.out.push({ type: 'put', tag, record });
  }
}

function publishRefusal(
  { tools }: SuperNodeState,
  records: readonly RingRecord[],
): StoreRefusal | undefined {
  if (records.length > MAX_RECORDS) return 'too-large';
  return records.every(record => tools.verifyRecord(record)) ? undefined : 'bad-signature';
}

function putDone(
  state: SuperNodeState,
  tag: number,
  copies: number,
  reason: StoreRefusal | 'no-answer' | undefined,
): void {
  const task = state.tasks.get(tag);
  if (!task || task.type === 'query' || task.type === 'adopt') return;
  state.tasks.delete(tag);
  switch (task.type) {
    case 'record':
      recordPut(state, task.put, reason);
      return;
    case 'page':
      pagePut(state, task.page, reason === undefined || reason === 'outdated');
      return;
    case 'publish': {
      const { request } = task;
      request.waiting--;
      if (reason === 'no-answer') request.unanswered = true;
      else if (reason !== undefined) request.refusal = reason;
      else request.copies = Math.min(request.copies, copies);
      if (request.waiting > 0) return;
      if (request.refusal) close(state, request, { type: 'refused', reason: request.refusal });
      else if (request.unanswered) close(state, request, { type: 'busy' });
      else close(state, request, { type: 'stored', copies: request.copies });
      return;
    }
  }
}

function getDone(
  state: SuperNodeState,
  tag: number,
  records: readonly RingRecord[] | undefined,
): void {
  const task = state.tasks.get(tag);
  if (task?.type !== 'query' && task?.type !== 'adopt') return;
  state.tasks.delete(tag);
  if (task.type === 'adopt') pageGot(state, task.dead, task.page, task.attempt, records);
  else close(state, task.request, records ? { type: 'records', records } : { type: 'busy' });
}

/** Answers it, unless it was answered when its time was over. */
function close(state: SuperNodeState, { from, number }: OpenRequest, answer: NodeAnswer): void {
  if (state.open.delete(openName(from, number))) reply(state, from, number, answer);
}

function sentEnded(state: SuperNodeState, number: number, answer: NodeAnswer | undefined): void {
  const sent = state.sent.get(number);
  if (!sent) return;
  state.sent.delete(number);
  sentAnswered(state, sent, answer);
}

/** Whatever is due now, whichever event came. */
function pursue(state: SuperNodeState): void {
  const { now } = state;
  for (const [number, { dueAt }] of state.sent)
    if (dueAt <= now) sentEnded(state, number, undefined);
  if (state.sweepAt <= now) sweep(state);
  flush(state);
  if (state.phase === 'serving') {
    putPages(state);
    readAgain(state);
  }
  pursueMoves(state);
}

function sweep(state: SuperNodeState): void {
  state.sweepAt = Number.POSITIVE_INFINITY;
  for (const node of state.nodes.values()) if (node.expiresAt <= state.now) remove(state, node);
  for (const open of state.open.values()) {
    if (open.deadline <= state.now) close(state, open, { type: 'busy' });
  }
  sweepRecords(state);
}

/** Wakes no later than anything is due. A timer that fires early finds nothing to do. */
function setTimer(state: SuperNodeState): void {
  if (state.phase === 'left') return;
  const { nodes, tails, open, rereads, now } = state;
  if (nodes.size + tails.size + open.size > 0) {
    state.sweepAt = Math.min(state.sweepAt, now + SWEEP_MS);
  }
  let wakes = Math.min(state.sweepAt, movesWakeAt(state));
  if (state.phase === 'serving') {
    wakes = Math.min(wakes, state.pagesAt, state.listed.size > 0 ? state.relistAt : wakes);
    for (const { at } of rereads) wakes = Math.min(wakes, at);
  }
  if (wakes === Number.POSITIVE_INFINITY || (state.timerAt ?? wakes + 1) <= wakes) return;
  state.timerAt = wakes;
  state.out.push({ type: 'set-timer', ms: Math.max(0, wakes - now) });
}

/** Who has room, beginning with who has much of it. */
function lessLoaded(state: SuperNodeState, node: string): Peer[] {
  const serving = state.phase === 'serving';
  const others = othersFor(state, node).filter(
    ({ nodes }) => !serving || nodes === undefined || nodes < state.nodes.size,
  );
  const load = ({ nodes }: (typeof others)[number]) => nodes ?? state.nodes.size;
  others.sort((one, other) => load(one) - load(other));
  return others.slice(0, MAX_OTHERS).map(({ peer }) => peer);
}

function clampS(expiresS: number, max: number): number {
  if (!Number.isFinite(expiresS)) return max;
  return Math.min(max, Math.max(MIN_EXPIRES_S, Math.round(expiresS)));
}

function openName({ id }: Peer, number: number): string {
  return `${id} ${number}`;
}
