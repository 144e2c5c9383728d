/** Putting a record where it belongs, and getting what is held under a key. */
import type { Id } from './ids.js';
import { LOOKUP_MS, startLookup } from './lookup.js';
import type { FinishedLookup } from './lookup-state.js';
import type {
  GetAsker,
  GetOperation,
  MemberState,
  PutAsker,
  PutOperation,
} from './member-state.js';
import type { RingAnswer } from './messages.js';
import type { Peer } from './peer.js';
import { compareVersions, type RingRecord } from './records.js';
import { ask } from './requests.js';
import { ownersNear } from './routing.js';

/** Holders asked at once when the owner has nothing, or when members may lie. */
const ASKED_AT_ONCE = 2;
/** The owner answers after those who hold the copies: a timeout of theirs, and its own way. */
const PUT_ATTEMPT = 3;
/**
 * How long others are asked for what is said not to be there: those of the table by the time it took to hear that; over
 * several paths some are silent, and others asked instead.
 */
const DOUBT_MS = { least: 250, times: 3, most: 1000, paths: 6000 };

export function startPut(state: MemberState, record: RingRecord, asker: PutAsker): void {
  const number = state.nextNumber++;
  state.puts.set(number, { record, asker, deadline: state.now + LOOKUP_MS });
  startLookup(state, { key: record.key, purpose: { type: 'put', operation: number } });
}

export function putFound(state: MemberState, operation: number, { result }: FinishedLookup): void {
  const put = state.puts.get(operation);
  if (!put) return;
  if (!result) {
    endPut(state, operation, put, 0, 'no-answer');
    return;
  }
  const request = { type: 'store', records: [put.record], copy: false } as const;
  ask(state, result.owner, request, { type: 'put', operation }, PUT_ATTEMPT);
}

export function putAnswered(
  state: MemberState,
  operation: number,
  body: RingAnswer | undefined,
): void {
  const put = state.puts.get(operation);
  if (!put) return;
  if (body?.type === 'stored') {
    endPut(state, operation, put, body.copies);
    return;
  }
  const refused = body?.type === 'refused' && body.reason !== 'no-table' ? body.reason : undefined;
  if ((refused && refused !== 'not-owner') || state.now >= put.deadline) {
    endPut(state, operation, put, 0, refused ?? 'no-answer');
    return;
  }
  // The owner has changed, or has died: who is it now?
  startLookup(state, { key: put.record.key, purpose: { type: 'put', operation } });
}

type PutFailure = Extract<MemberState['out'][number], { type: 'put-done' }>['reason'];

function endPut(
  state: MemberState,
  operation: number,
  { asker }: PutOperation,
  copies: number,
  reason?: PutFailure,
): void {
  state.puts.delete(operation);
  if (asker === 'homeward') return;
  if ('transfer' in asker) {
    state.signals.push({ type: 'part-put', transfer: asker.transfer, copies, reason });
    return;
  }
  state.out.push({ type: 'put-done', tag: asker.tag, copies, ...(reason && { reason }) });
}

export function startGet(state: MemberState, key: Id, asker: GetAsker, doubting = true): void {
  const number = state.nextNumber++;
  state.gets.set(number, {
    key,
    asker,
    startedAt: state.now,
    owner: undefined,
    early: false,
    holders: [],
    waiting: 0,
    ownerEmpty: false,
    doubted: !doubting || state.options.pathsOfAbsent === 1,
    answered: new Set(),
    newest: new Map(),
  });
  startLookup(state, { key, purpose: { type: 'get', operation: number } });
}

export function getFound(
  state: MemberState,
  operation: number,
  { lookup, result }: FinishedLookup,
): void {
  const get = state.gets.get(operation);
  if (!get) return;
  if (!result) {
    endGet(state, operation, get);
    return;
  }
  const { copies } = state.options;
  const amongLiars = lookup.disjoint > 1;
  get.owner = result.owner;
  const holders = [
    result.owner,
    ...result.successors.slice(0, amongLiars ? 2 * copies : copies - 1),
  ];
  get.holders = amongLiars ? unheard(get, holders) : holders;
  fetchNext(state, operation, get, amongLiars ? copies : 1);
}

/**
 * What is there proves itself, by who signed it; that nothing is there is the word of the member that was found, and of
 * those whom it names. So others are asked: whoever has it by what is known here, or else is found over several paths. Not
 * for long: where members have just died, the dead would be waited for, and who asked looks again sooner than that.
 */
function doubt(state: MemberState, operation: number, get: GetOperation): void {
  const { copies, pathsOfAbsent: disjoint } = state.options;
  get.doubted = true;
  for (const record of state.records.get(get.key, state.now)) take(get, record);
  if (get.newest.size > 0) {
    endGet(state, operation, get);
    return;
  }
  const { least, times, most, paths } = DOUBT_MS;
  const ms = Math.min(most, Math.max(least, times * (state.now - get.startedAt)));
  const timer = { type: 'doubt', number: operation } as const;
  state.out.push({ type: 'set-timer', timer, ms: state.membership ? ms : paths });
  if (state.membership) {
    get.holders = unheard(get, ownersNear(state, get.key, copies));
    fetchNext(state, operation, get, copies);
  } else {
    startLookup(state, { key: get.key, purpose: { type: 'get', operation }, disjoint });
  }
}

/** Whoever was asked last is silent. */
export function doubtedEnough(state: MemberState, operation: number): void {
  const get = state.gets.get(operation);
  if (get) endGet(state, operation, get);
}

/**
 * The owner is silent, and it takes seconds until another has taken over: a copy will do. What was put in these seconds
 * is not seen.
 */
export function askCopies(state: MemberState, operation: number): void {
  const get = state.gets.get(operation);
  if (!get || get.early || get.owner || state.options.paths > 1) return;
  get.early = true;
  for (const record of state.records.get(get.key, state.now)) take(get, record);
  if (get.newest.size > 0) {
    get.answered.add(state.self.id);
    endGet(state, operation, get);
    return;
  }
  for (const holder of ownersNear(state, get.key, ASKED_AT_ONCE)) {
    get.waiting++;
    ask(state, holder, { type: 'fetch', key: get.key }, { type: 'get', operation });
  }
}

function take({ newest }: GetOperation, record: RingRecord): void {
  const known = newest.get(record.publisher);
  if (!known || compareVersions(record, known) > 0) newest.set(record.publisher, record);
}

function unheard({ answered }: GetOperation, holders: readonly Peer[]): Peer[] {
  return holders.filter(({ id }) => !answered.has(id));
}

/** Asks the next `count` holders. */
function fetchNext(state: MemberState, operation: number, get: GetOperation, count: number): void {
  for (const holder of get.holders.splice(0, count)) {
    get.waiting++;
    ask(state, holder, { type: 'fetch', key: get.key }, { type: 'get', operation });
  }
  if (get.waiting === 0) endGet(state, operation, get);
}

export function getAnswered(
  state: MemberState,
  operation: number,
  from: Peer,
  body: RingAnswer | undefined,
): void {
  const get = state.gets.get(operation);
  if (!get) return;
  get.waiting--;
  if (body?.type === 'records') {
    get.answered.add(from.id);
    const genuine = body.records.filter(
      record => record.key === get.key && state.tools.verifyRecord(record),
    );
    if (genuine.length === 0 && from.id === get.owner?.id) get.ownerEmpty = true;
    for (const record of genuine) take(get, record);
  }
  if (get.waiting > 0) return;
  if (get.newest.size > 0) {
    endGet(state, operation, get);
    return;
  }
  // Where there is no owner yet, it is still being looked for.
  if (get.owner) fetchNext(state, operation, get, ASKED_AT_ONCE);
}

function endGet(state: MemberState, operation: number, get: GetOperation): void {
  // Where no owner was found, it is in trouble enough.
  if (!get.doubted && get.newest.size === 0 && get.answered.size > 0 && get.owner) {
    doubt(state, operation, get);
    return;
  }
  state.gets.delete(operation);
  const records = [...get.newest.values()];
  if (get.ownerEmpty && get.owner && records.length > 0) {
    // It lacks what others hold for it.
    const request = { type: 'store', records, copy: false } as const;
    ask(state, get.owner, request, { type: 'replicate', stamp: undefined, confirm: undefined });
  }
  const known = get.answered.size > 0 ? records : undefined;
  const { asker } = get;
  if ('transfer' in asker) state.signals.push({ type: 'part-got', ...asker, records: known });
  else state.out.push({ type: 'get-done', tag: asker.tag, records: known });
}
