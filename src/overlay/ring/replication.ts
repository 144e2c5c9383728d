/**
 * Copies: the owner of a record and its next successors hold it, and an offer of what should be where
 * goes out as soon as the set changes. Who lacks something asks for it; who has it is spared the octets.
 */
import { type Id, within } from './ids.js';
import type { FinishedLookup } from './lookup-state.js';
import type { Confirm, MemberState, Purpose } from './member-state.js';
import type { RingAnswer } from './messages.js';
import type { Peer } from './peer.js';
import {
  type HeldRecord,
  LASTING_MS,
  type RecordVersion,
  type RingRecord,
  versionOf,
} from './records.js';
import { answer, ask, schedule } from './requests.js';
import { holdersOfCopies, owns } from './routing.js';

/** Versions in one offer: 40 digits of key, publisher and sequence each. */
const MAX_OFFERED = 200;
/** Octets of values in one message. */
const MAX_STORED_BYTES = 262_144;
const RETRY_MS = 5_000;
/** What its owner has not asked to be held for so many rounds of offers goes home. */
const UNWANTED_ROUNDS = 3;
/** Who has to write what it holds answers later than others: twice the timeout. */
const WRITE_ATTEMPT = 2;
/** Records taken home in one round, each by a lookup; written in one. */
const HOMEWARD = 20;
/** Whose it is now has offered it back by then, as one of those who hold copies. */
const HOMEWARD_AFTER_MS = 2_500;
const HOMEWARD_AGAIN_MS = 1_000;

/** A record from its publisher, or from who found it missing here. */
export function keepAsOwner(
  state: MemberState,
  from: Peer,
  number: number,
  records: readonly RingRecord[],
): void {
  const confirm: Confirm = { to: from, number, copies: 0, waiting: 1 };
  for (const record of records) {
    const refusal = !owns(state, record.key)
      ? 'not-owner'
      : !state.tools.verifyRecord(record)
        ? 'bad-signature'
        : state.records.put(record, state.now);
    if (refusal) {
      answer(state, from, number, { type: 'refused', reason: refusal });
      return;
    }
  }
  const attempt = records.some(({ lifeMs }) => lifeMs > LASTING_MS) ? WRITE_ATTEMPT : 1;
  for (const peer of holdersOfCopies(state)) {
    confirm.waiting++;
    const request = { type: 'store', records, copy: true } as const;
    ask(state, peer, request, { type: 'replicate', stamp: undefined, confirm }, attempt);
  }
  flush(state, records, confirm);
}

/** A copy, for whoever owns it. */
export function keepCopies(
  state: MemberState,
  from: Peer,
  number: number,
  records: readonly RingRecord[],
): void {
  for (const record of records) {
    const refusal = state.tools.verifyRecord(record)
      ? state.records.put(record, state.now)
      : 'bad-signature';
    if (refusal && refusal !== 'outdated') {
      answer(state, from, number, { type: 'refused', reason: refusal });
      return;
    }
  }
  flush(state, records, { to: from, number, copies: 0, waiting: 1 });
}

/** What is meant to last is acknowledged only when it would survive a power cut; all else at once. */
function flush(state: MemberState, records: readonly RingRecord[], confirm: Confirm): void {
  const unflushed = state.records.unflushed(records);
  if (unflushed.length === 0) {
    confirmed(state, confirm, true);
    return;
  }
  const number = state.nextNumber++;
  state.flushes.set(number, { records: unflushed, confirm });
  state.out.push({ type: 'keep', number, records: unflushed });
}

/** They are held in any case; where they could not be written, that is not said to be a copy. */
export function flushed(state: MemberState, number: number, ok: boolean): void {
  const written = state.flushes.get(number);
  if (!written) return;
  state.flushes.delete(number);
  if (ok) state.records.flushed(written.records);
  if (written.confirm) confirmed(state, written.confirm, ok);
}

/** What could not be written, or came while the day's share was used up: once more. */
function flushAgain(state: MemberState): void {
  const held = [...state.records.all()].map(({ record }) => record);
  const records = state.records.unflushed(held).slice(0, HOMEWARD);
  if (records.length === 0) return;
  const number = state.nextNumber++;
  state.flushes.set(number, { records, confirm: undefined });
  state.out.push({ type: 'keep', number, records });
}

/** One of those who are to keep it has, or has not. */
function confirmed(state: MemberState, confirm: Confirm, kept: boolean): void {
  if (kept) confirm.copies++;
  if (--confirm.waiting > 0) return;
  const { to, number, copies } = confirm;
  const body: RingAnswer =
    copies > 0 ? { type: 'stored', copies } : { type: 'refused', reason: 'full' };
  answer(state, to, number, body);
}

/** A holder has kept its copies, or has not answered. */
export function copiesAnswered(
  state: MemberState,
  holder: Peer,
  { stamp, confirm }: Extract<Purpose, { type: 'replicate' }>,
  body: RingAnswer | undefined,
): void {
  const kept = body?.type === 'stored';
  if (kept && stamp !== undefined) state.synced.set(holder.id, stamp);
  if (!kept) {
    state.synced.delete(holder.id);
    schedule(state, 'replicate', RETRY_MS);
    if (body?.type !== 'refused') oweTo(state, holder);
  }
  if (confirm) confirmed(state, confirm, kept);
}

/** Offers what we own to those holders who have not confirmed all of it. */
export function replicate(state: MemberState): void {
  if (state.phase !== 'member') return;
  const { predecessor, owedTo } = state;
  state.owedTo = undefined;
  if (predecessor && predecessor.id === owedTo) handOver(state, predecessor);
  const holders = holdersOfCopies(state);
  for (const id of state.synced.keys()) {
    if (!holders.some(holder => holder.id === id)) state.synced.delete(id);
  }
  const behind = holders.filter(({ id }) => state.synced.get(id) !== state.ownedStamp);
  if (behind.length === 0) return;
  const owned = versionsHeld(state, ({ record }) => owns(state, record.key));
  for (const holder of behind) offer(state, holder, owned, true);
}

/** Everything once more, whatever was confirmed; and what nobody wants here goes home. */
export function offerAll(state: MemberState): Id[] {
  state.records.expire(state.now);
  if (state.records.lasting) flushAgain(state);
  state.synced.clear();
  replicate(state);
  const unwantedSince = state.now - UNWANTED_ROUNDS * state.options.offerMs;
  const keys = new Set<Id>();
  for (const held of state.records.all()) {
    if (keys.size === HOMEWARD) break;
    if (held.wantedAt < unwantedSince && !owns(state, held.record.key)) {
      keys.add(held.record.key);
      held.wantedAt = state.now;
    }
  }
  return [...keys];
}

/** What was ours, and whose it is has not said that it has it: to be put where it belongs. */
export function homeward(state: MemberState): RingRecord[] {
  const records: RingRecord[] = [];
  for (const held of state.records.all()) {
    if (!held.isDisowned) continue;
    if (records.length === HOMEWARD) {
      schedule(state, 'homeward', HOMEWARD_AGAIN_MS);
      break;
    }
    held.isDisowned = false;
    if (owns(state, held.record.key)) continue;
    const record = state.records.find(held.record, state.now);
    if (record) records.push(record);
  }
  return records;
}

/** A new predecessor: what it owns now, and what it is to hold for those before it. */
export function handOver(state: MemberState, predecessor: Peer): void {
  const theirs = versionsHeld(state, ({ record }) => !owns(state, record.key));
  offer(state, predecessor, theirs, false);
  disown(state);
}

/** In a ring the new predecessor owns what was ours; where it came with another ring, others before it may. */
function disown(state: MemberState): void {
  const { previous, self, records } = state;
  if (!previous) return;
  for (const held of records.all()) {
    const { key } = held.record;
    const wasOurs = previous.id === self.id || within(key, previous.id, self.id);
    if (!wasOurs || owns(state, key)) continue;
    held.isDisowned = true;
    schedule(state, 'homeward', HOMEWARD_AFTER_MS);
  }
}

/** It has not got what it owns, or is no member yet: until it has, nobody sees to the copies of that. */
function oweTo(state: MemberState, to: Peer): void {
  if (state.predecessor?.id === to.id) state.owedTo = to.id;
}

/** We leave: our successor owns what was ours. */
export function handAllOver(state: MemberState): void {
  const [head] = state.successors;
  if (head)
    offer(
      state,
      head,
      versionsHeld(state, () => true),
      false,
    );
}

/** Where does a record belong that nobody has wanted here for long? */
export function foundHome(state: MemberState, key: Id, { result }: FinishedLookup): void {
  if (!result || result.owner.id === state.self.id) return;
  const versions = state.records.under(key, state.now).map(versionOf);
  const holders = [result.owner, ...result.successors.slice(0, state.options.copies - 1)];
  const drop = holders.some(({ id }) => id === state.self.id) ? [] : versions;
  ask(state, result.owner, { type: 'offer', versions }, { type: 'offer', stamp: undefined, drop });
}

export function offerAnswered(
  state: MemberState,
  to: Peer,
  { stamp, drop }: Extract<Purpose, { type: 'offer' }>,
  body: RingAnswer | undefined,
): void {
  if (body?.type !== 'wanted') {
    schedule(state, 'replicate', RETRY_MS);
    oweTo(state, to);
    return;
  }
  const records = body.versions.flatMap(version => state.records.find(version, state.now) ?? []);
  if (records.length === 0) {
    for (const version of drop) state.records.drop(version);
    if (stamp !== undefined) state.synced.set(to.id, stamp);
    return;
  }
  const batches = inBatches(records);
  batches.forEach((batch, i) => {
    const last = i === batches.length - 1;
    const request = { type: 'store', records: batch, copy: true } as const;
    const purpose = {
      type: 'replicate',
      stamp: last ? stamp : undefined,
      confirm: undefined,
    } as const;
    ask(state, to, request, purpose);
  });
}

/**
 * What of an offer is missing here. Of what is newer here who offers is told: it was put where somebody owned the key for a
 * moment, as while rings meet.
 */
export function takeOffer(
  state: MemberState,
  from: Peer,
  versions: readonly RecordVersion[],
): RecordVersion[] {
  const newer = versions.flatMap(version => {
    const held = state.records.find(version, state.now);
    return held && held.sequence > version.sequence ? versionOf(held) : [];
  });
  offer(state, from, newer, false);
  if (from.id === state.predecessor?.id) takenOver(state, versions);
  return wantedOf(state, versions);
}

/** Our predecessor has these of what was ours; where it owns them, all is well. */
function takenOver(state: MemberState, versions: readonly RecordVersion[]): void {
  const { predecessor, beyond, records } = state;
  if (!predecessor || !beyond) return;
  for (const version of versions) {
    if (within(version.key, beyond.id, predecessor.id)) records.takenOver(version);
  }
}

function wantedOf(state: MemberState, versions: readonly RecordVersion[]): RecordVersion[] {
  return versions.filter(version => !state.records.has(version, state.now));
}

/** `confirm`: the receiver counts as brought up to date after the last. */
function offer(
  state: MemberState,
  to: Peer,
  versions: readonly RecordVersion[],
  confirm: boolean,
): void {
  const stamp = confirm ? state.ownedStamp : undefined;
  if (versions.length === 0) {
    if (stamp !== undefined) state.synced.set(to.id, stamp);
    return;
  }
  for (let start = 0; start < versions.length; start += MAX_OFFERED) {
    const page = versions.slice(start, start + MAX_OFFERED);
    const last = start + MAX_OFFERED >= versions.length;
    const purpose = { type: 'offer', stamp: last ? stamp : undefined, drop: [] } as const;
    ask(state, to, { type: 'offer', versions: page }, purpose);
  }
}

function versionsHeld(state: MemberState, which: (held: HeldRecord) => boolean): RecordVersion[] {
  const versions: RecordVersion[] = [];
  for (const held of state.records.all()) {
    if (held.expiresAt > state.now && which(held)) versions.push(versionOf(held.record));
  }
  return versions;
}

function inBatches(records: readonly RingRecord[]): RingRecord[][] {
  const batches: RingRecord[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = record.value?.length ?? 0;
    if (bytes + size > MAX_STORED_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(record);
    bytes += size;
  }
  return batches;
}
