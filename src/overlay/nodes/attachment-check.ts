/**
 * Whether our super-node puts our records into the ring: another one is asked for one of them now and then. Nobody would
 * find who is attached to one that does not, and nothing else would tell. Two others have to miss it before ours is left: of
 * one alone it is not known which of the two is wrong.
 */
import { UNKNOWN_ID } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import type { RingRecord } from '../ring/records.js';
import { leaveFor, ownRecords, send } from './attachment-search.js';
import type { AttachmentState, Pending } from './attachment-state.js';
import { failed, wasNamed } from './known-super-nodes.js';
import type { NodeAnswer } from './node-messages.js';

type Check = Extract<Pending, { type: 'check' }>;

/** After it has taken us, or what is ours has changed: it is in the ring by then. Later after each that was left. */
const FIRST_MS = 20_000;
const EVERY_MS = 600_000;
/** From the first that misses it to the second that is asked. */
const AGAIN_MS = 5_000;
const OPINIONS = 2;
/** Longer than a lookup takes where somebody on its way is dead. */
const PATIENCE_MS = 15_000;

export function check(state: AttachmentState): void {
  const { current, now, unpublished, chance } = state;
  if (!current) return;
  const firstMs = Math.min(EVERY_MS, FIRST_MS * 2 ** unpublished);
  current.checkAt ??= now + firstMs * (0.5 + chance());
  if (checkWakesAt(state) > now) return;
  const record = pick(
    state,
    ownRecords(state).filter(({ value }) => value !== undefined),
  );
  const to = pick(state, opinions(state));
  if (!record || !to) {
    settled(state);
    return;
  }
  const number = send(state, to, { type: 'query', key: record.key });
  const { version } = state;
  const dueAt = now + PATIENCE_MS;
  state.pending.set(number, { type: 'check', to, of: current.peer.id, record, version, dueAt });
}

export function checkWakesAt({ current, pending }: AttachmentState): number {
  if (current?.checkAt === undefined) return Number.POSITIVE_INFINITY;
  for (const { type } of pending.values()) if (type === 'check') return Number.POSITIVE_INFINITY;
  return current.checkAt;
}

export function checkAnswered(state: AttachmentState, asked: Check, answer: NodeAnswer): void {
  const { current, now, version } = state;
  if (current?.peer.id !== asked.of) return;
  if (version !== asked.version) {
    current.checkAt = undefined;
  } else if (answer.type !== 'records') {
    settled(state);
  } else if (answer.records.some(found => isAsNew(found, asked.record))) {
    state.unpublished = 0;
    settled(state);
  } else {
    current.missedBy.push(asked.to.id);
    current.checkAt = now + AGAIN_MS;
    if (current.missedBy.length < OPINIONS) return;
    state.unpublished++;
    leaveFor(state, 'unpublished', []);
  }
}

/** Somebody else is asked. */
export function checkFailed(state: AttachmentState, { to, of }: Check): void {
  failed(state.known, to.address, state.now, state.chance());
  if (state.current?.peer.id === of) state.current.checkAt = state.now + AGAIN_MS;
}

/** Until the next time. */
function settled(state: AttachmentState): void {
  if (!state.current) return;
  state.current.missedBy = [];
  state.current.checkAt = state.now + EVERY_MS * (0.8 + 0.4 * state.chance());
}

/** Those that our super-node has not named, where there are such: it would name its own. */
function opinions({ known, current }: AttachmentState): Peer[] {
  const others = [...known.values()].filter(
    ({ peer: { id }, failures }) =>
      failures === 0 &&
      id !== UNKNOWN_ID &&
      id !== current?.peer.id &&
      !current?.missedBy.includes(id),
  );
  const found = others.filter(each => !wasNamed(each));
  return (found.length > 0 ? found : others).map(({ peer }) => peer);
}

function isAsNew(found: RingRecord, own: RingRecord): boolean {
  return found.publisher === own.publisher && found.sequence >= own.sequence;
}

function pick<T>({ chance }: AttachmentState, all: readonly T[]): T | undefined {
  return all[Math.floor(chance() * all.length)];
}
