/** The records of nodes: put into the ring in their place, and again when they change or may be missing. */
import type { Id } from '../ring/ids.js';
import { compareVersions, type RingRecord, type StoreRefusal } from '../ring/records.js';
import { pauseMs } from './pace.js';
import { type HeldNode, type NodePut, type SuperNodeState, startTask } from './super-node-state.js';

/** Of one node. */
export const MAX_RECORDS = 16;
/** On their way at once. */
const PARALLEL = 16;
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;
/** Put again, though nothing changed, after half of the life that is left; within these bounds. */
const MIN_REPEAT_MS = 60_000;
const MAX_REPEAT_MS = 30 * 60_000;
/** Of nodes that went, and so often tried. */
const MAX_TAILS = 2_000;
const TAIL_TRIES = 6;

/** Undefined where all may be put for this node. What is held already is not verified again. */
export function refusalOf(
  { tools, nodes }: SuperNodeState,
  node: Id,
  records: readonly RingRecord[],
): StoreRefusal | undefined {
  if (records.length > MAX_RECORDS) return 'too-large';
  const puts = nodes.get(node)?.puts;
  const genuine = (record: RingRecord) => {
    if (puts?.get(nameOf(record))?.record.signature === record.signature) return true;
    return (record.publisher === node || tools.isVouched(record)) && tools.verifyRecord(record);
  };
  return records.every(genuine) ? undefined : 'bad-signature';
}

/** All that is to be in the ring for this node. `there`: it is in the ring already. */
export function keepRecords(
  state: SuperNodeState,
  node: HeldNode,
  records: readonly RingRecord[],
  there = false,
): void {
  const names = new Set(records.map(nameOf));
  for (const name of node.puts.keys()) if (!names.has(name)) drop(state, node.puts, name);
  for (const record of records) {
    const held = node.puts.get(nameOf(record));
    if (held && compareVersions(record, held.record) <= 0) continue;
    if (record.ageMs >= record.lifeMs) continue;
    drop(state, node.puts, nameOf(record));
    const put = newPut(state, record);
    node.puts.set(nameOf(record), put);
    if (there) put.dueAt = repeatAt(state, put);
    else enqueue(state, put);
  }
}

/** Of a node that goes: nobody else will see to them. */
export function keepTails(state: SuperNodeState, records: readonly RingRecord[]): void {
  for (const record of records) {
    const name = nameOf(record);
    const held = state.tails.get(name);
    if (held && compareVersions(record, held.record) <= 0) continue;
    if (!held && state.tails.size >= MAX_TAILS) {
      for (const oldest of state.tails.keys()) {
        drop(state, state.tails, oldest);
        break;
      }
    }
    drop(state, state.tails, name);
    const put = newPut(state, record);
    state.tails.set(name, put);
    enqueue(state, put);
  }
}

/** Nobody sees to them any more: they stay in the ring for as long as they live. */
export function dropRecords(state: SuperNodeState, { puts }: HeldNode): void {
  for (const name of puts.keys()) drop(state, puts, name);
}

/** As they are now, for who takes a node over. */
export function recordsOf(state: SuperNodeState, node: HeldNode): RingRecord[] {
  return [...node.puts.values()].map(put => aged(state, put));
}

/** Puts what waits, as many at once as are allowed. */
export function flush(state: SuperNodeState): void {
  while (state.putting < PARALLEL) {
    const [put] = state.queue;
    if (!put) return;
    state.queue.delete(put);
    state.putting++;
    const tag = startTask(state, { type: 'record', put });
    state.out.push({ type: 'put', tag, record: aged(state, put) });
  }
}

export function recordPut(
  state: SuperNodeState,
  put: NodePut,
  reason: StoreRefusal | 'no-answer' | undefined,
): void {
  state.putting--;
  put.busy = false;
  const tail = state.tails.get(nameOf(put.record)) === put;
  // A newer one is there: this one is of no use any more.
  const settled = reason === undefined || reason === 'outdated';
  if (settled || reason === 'bad-signature' || reason === 'too-large') {
    put.failures = 0;
    put.dueAt = repeatAt(state, put);
    if (tail) drop(state, state.tails, nameOf(put.record));
    return;
  }
  put.dueAt = state.now + pauseMs(put.failures, FIRST_RETRY_MS, MAX_RETRY_MS, state.tools.chance());
  put.failures++;
  if (tail && put.failures >= TAIL_TRIES) state.tails.delete(nameOf(put.record));
}

/** What is due joins the queue; what has outlived its life is forgotten. */
export function sweepRecords(state: SuperNodeState): void {
  for (const { puts } of state.nodes.values()) sweepPuts(state, puts);
  sweepPuts(state, state.tails);
}

function sweepPuts(state: SuperNodeState, puts: Map<string, NodePut>): void {
  for (const [name, put] of puts) {
    if (lifeLeft(state, put) <= 0) drop(state, puts, name);
    else if (put.dueAt <= state.now) enqueue(state, put);
  }
}

function drop(state: SuperNodeState, puts: Map<string, NodePut>, name: string): void {
  const put = puts.get(name);
  if (put) state.queue.delete(put);
  puts.delete(name);
}

function enqueue(state: SuperNodeState, put: NodePut): void {
  if (put.busy) return;
  put.busy = true;
  state.queue.add(put);
}

function newPut({ now }: SuperNodeState, record: RingRecord): NodePut {
  return { record, receivedAt: now, dueAt: now, failures: 0, busy: false };
}

function nameOf({ key, publisher }: RingRecord): string {
  return `${key} ${publisher}`;
}

function aged({ now }: SuperNodeState, { record, receivedAt }: NodePut): RingRecord {
  return { ...record, ageMs: Math.max(0, record.ageMs) + now - receivedAt };
}

function lifeLeft({ now }: SuperNodeState, { record, receivedAt }: NodePut): number {
  return record.lifeMs - Math.max(0, record.ageMs) - (now - receivedAt);
}

function repeatAt(state: SuperNodeState, put: NodePut): number {
  const half = lifeLeft(state, put) / 2;
  const repeat = Math.min(MAX_REPEAT_MS, Math.max(MIN_REPEAT_MS, half));
  return state.now + repeat * (0.9 + 0.2 * state.tools.chance());
}
