/** Records that are meant to last: on the cards of those who hold them, before anybody is told that they are kept. */
import t from 'tap';
import type { Clock } from '../../src/core/clock.js';
import { CodedError } from '../../src/core/errors.js';
import { silentLogger } from '../../src/core/logger.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { type LASTING_BOUNDS, LastingRecords } from '../../src/overlay/lasting-records.js';
import { idOf } from '../../src/overlay/ring/ids.js';
import { stepMember } from '../../src/overlay/ring/member.js';
import type { MemberAction, MemberEvent } from '../../src/overlay/ring/member-state.js';
import { newMember } from '../../src/overlay/ring/new-member.js';
import { recordIsSigned, recordSignatureBy } from '../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../src/storage/memory-store.js';
import type { Storable, Store } from '../../src/storage/store.js';
import { type Device, Village } from './village.js';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MONTH = 30 * DAY;
const verifier = new Ed25519Verifier();
const random = new SeededRandom(9);

/** A card that takes its time, may be full, and forgets what was not flushed when the power goes. */
class Card implements Store {
  readonly writes: string[] = [];
  failure: string | undefined;
  tooNew: string | undefined;
  readonly #clock: Clock;
  readonly #writeMs: number;
  readonly #flushed: MemoryStore;
  #power = true;

  constructor(clock: Clock, writeMs = 50, flushed = new MemoryStore()) {
    this.#clock = clock;
    this.#writeMs = writeMs;
    this.#flushed = flushed;
  }

  /** As who starts next finds it. */
  cutPower(): Card {
    this.#power = false;
    return new Card(this.#clock, this.#writeMs, this.#flushed);
  }

  async get<T extends Storable>(key: string): Promise<T | undefined> {
    if (this.tooNew !== undefined && key.includes(this.tooNew)) {
      throw new CodedError('STORE_TOO_NEW', 'as the test wants it');
    }
    return this.#flushed.get<T>(key);
  }

  async set(key: string, value: Storable): Promise<void> {
    if (JSON.stringify(await this.#flushed.get(key)) === JSON.stringify(value)) return;
    await this.#written();
    this.writes.push(key);
    await this.#flushed.set(key, value);
  }

  async add(key: string, value: Storable): Promise<boolean> {
    await this.#written();
    return this.#flushed.add(key, value);
  }

  async delete(key: string): Promise<void> {
    await this.#written();
    await this.#flushed.delete(key);
  }

  keys(prefix?: string): Promise<string[]> {
    return this.#flushed.keys(prefix);
  }

  async close(): Promise<void> {}

  async #written(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#clock.after(this.#writeMs, () => {
        if (this.#power) resolve();
      });
    });
    if (this.failure) throw new CodedError(this.failure, 'as the test wants it');
  }
}

const verifyRecord = (record: RingRecord) => recordIsSigned(verifier, record);

function load(clock: Clock, store: Store, more: { bounds?: typeof LASTING_BOUNDS } = {}) {
  const overlay = 'village';
  return LastingRecords.load({
    clock,
    store,
    overlay,
    logger: silentLogger,
    verifyRecord,
    ...more,
  });
}

function publisher() {
  const device = new Ed25519Signer(random.bytes(32));
  const id = deviceIdOf(device.publicKey);
  return (
    name: string,
    sequence = 1,
    more: { lifeMs?: number; value?: Uint8Array } = {},
  ): RingRecord => {
    const value = Buffer.from(`${name} ${sequence}`);
    const made = { key: idOf(name), publisher: id, sequence, lifeMs: MONTH, value, ...more };
    return { ...made, ageMs: 0, signature: recordSignatureBy(device, made) };
  };
}

/** A member alone, with its actions. */
function lonely(lasting: boolean) {
  const tools = { chance: () => 0.5, sign: () => '', verify: () => true, verifyRecord: () => true };
  const self = { id: idOf('self'), address: '10.0.0.1:5060' };
  const state = newMember(self, tools, {}, undefined, 1, lasting);
  const step = (event: MemberEvent) => stepMember(state, event);
  step({ type: 'start', now: 0, contacts: [] });
  const from = { id: idOf('other'), address: '10.0.0.2:5060' };
  const store = (records: readonly RingRecord[], now = 0, copy = false) =>
    step({
      type: 'message',
      now,
      message: { kind: 'request', from, number: now, request: { type: 'store', records, copy } },
    });
  const answers = (actions: readonly MemberAction[]) =>
    actions.flatMap(action =>
      action.type === 'send' && action.message.kind === 'answer' ? [action.message.answer] : [],
    );
  return { state, step, store, answers };
}

t.test('what is to last is acknowledged when it is written, all else at once', t => {
  const { state, step, store, answers } = lonely(true);
  const record = publisher();
  for (const copy of [false, true]) {
    const name = record('name', copy ? 2 : 1, { lifeMs: HOUR });
    t.match(answers(store([name], 1, copy)), [{ type: 'stored', copies: 1 }]);
    const list = record(`list ${copy}`);
    const actions = store([list, name], 2, copy);
    t.same(answers(actions), []);
    const [keep] = actions.filter(({ type }) => type === 'keep');
    t.match(keep, { records: [list] }, 'and nothing but that is written');
    const { number } = keep as Extract<MemberAction, { type: 'keep' }>;
    const again = store([list], 3, copy).filter(({ type }) => type === 'keep');
    t.equal(again.length, 1, 'who asks once more waits for it too');
    t.match(answers(step({ type: 'kept', now: 4, number, ok: true })), [
      { type: 'stored', copies: 1 },
    ]);
    t.match(answers(store([list], 5, copy)), [{ type: 'stored' }], 'it is there');

    const other = store([record(`other ${copy}`)], 6, copy);
    const failed = other.find(action => action.type === 'keep') as { number: number } | undefined;
    const told = step({ type: 'kept', now: 7, number: failed?.number ?? 0, ok: false });
    t.match(answers(told), [{ type: 'refused', reason: 'full' }], 'not acknowledged');
    t.ok(state.records.get(idOf(`other ${copy}`), 8)[0], 'but held');
    const retried = store([record(`other ${copy}`)], 9, copy);
    t.equal(
      retried.filter(({ type }) => type === 'keep').length,
      1,
      'and tried again when it is put again',
    );
  }
  const offering = step({ type: 'timer', now: 10, timer: { type: 'offer' } });
  const unwritten = offering.flatMap(action => (action.type === 'keep' ? action.records : []));
  t.same(
    unwritten.map(({ key }) => key),
    [idOf('other false'), idOf('other true')],
    'and from time to time',
  );
  const gone = (actions: readonly MemberAction[]) =>
    actions.flatMap(action =>
      action.type === 'forget' ? action.records.map(({ sequence }) => sequence) : [],
    );
  t.same(gone(store([record('list false', 5)], 10)), [1], 'the older one is of no use any more');
  t.same(gone(store([record('list false', 6, { lifeMs: HOUR })], 11)), [5]);
  state.records.expire(2 * MONTH);
  t.equal(gone(step({ type: 'timer', now: 2 * MONTH, timer: { type: 'stabilise' } })).length, 3);
  const { store: put } = lonely(false);
  t.notOk(
    put([record('list')]).some(({ type }) => type === 'keep'),
    'without a card there is nothing to wait for',
  );
  t.end();
});

t.test(
  'a life is counted on while the device runs; time without power counts for nothing',
  async t => {
    const clock = new VirtualClock();
    const record = publisher();
    let card = new Card(clock, 0);
    const during = async <T>(work: Promise<T>) => {
      let done = false;
      void work.finally(() => {
        done = true;
      });
      await clock.advanceUntil(() => done, 60_000);
      return work;
    };
    const first = await load(clock, card);
    const list = { ...record('list'), ageMs: 5 * DAY };
    await during(first.keep([list]));
    await clock.advance(10 * DAY + HOUR);
    t.equal(first.records[0]?.ageMs, 15 * DAY + HOUR);
    t.equal(card.writes.length, 41, 'one write of the record, and of the hours each 6 h');

    card = card.cutPower();
    await clock.advance(100 * DAY);
    const second = await load(clock, card);
    const age = second.records[0]?.ageMs ?? 0;
    t.ok(age >= 15 * DAY - 6 * HOUR && age <= 15 * DAY + HOUR, `${age / DAY} days`);
    t.same({ ...second.records[0], ageMs: 0 }, { ...list, ageMs: 0 }, 'as it was');
    await clock.advance(16 * DAY);
    t.same(second.records, [], 'its life is over');

    // Another in its place; one of a stranger's card; the hours are lost.
    await during(second.keep([record('list', 2)]));
    await during(second.keep([record('other')]));
    second.forget([list]);
    await clock.advance(HOUR);
    t.equal(second.status.records, 2, 'what is forgotten is not what took its place');
    await during(second.close());
    await during(card.delete('ring/village/ran'));
    const [key = ''] = (await card.keys('ring/village/')).filter(key =>
      key.includes(idOf('other')),
    );
    await during(card.set(key, { ...((await card.get<object>(key)) ?? {}), sequence: 7 }));
    await during(card.set('ring/village/nonsense', 1));
    const third = await load(clock, card);
    t.same(
      third.records.map(({ sequence, ageMs }) => [sequence, ageMs]),
      [[2, 0]],
      'at most a whole life',
    );
    await clock.advance(HOUR);
    t.notOk((await card.keys()).includes(key), 'what nobody signed is gone');
    await during(third.keep([record('new')]));
    card.tooNew = idOf('new');
    t.equal(
      (await load(clock, card)).status.records,
      1,
      'what a later version wrote is left alone',
    );
    t.end();
  },
);

t.test('a card is not filled or worn out, and what it does not take is told', async t => {
  const clock = new VirtualClock();
  const card = new Card(clock, 0);
  const bounds = { records: 3, bytes: 80_000, bytesWrittenADay: 210_000 };
  const lasting = await load(clock, card, { bounds });
  const [record, other] = [publisher(), publisher()];
  const keep = async (made: RingRecord) => {
    const kept = lasting.keep([made]);
    kept.catch(() => undefined);
    await clock.advance(10);
    return kept.then(
      () => 'kept',
      ({ code }: CodedError) => code,
    );
  };
  const big = (sequence: number) => record('big', sequence, { value: random.bytes(60_000) });
  t.equal(await keep(big(1)), 'kept');
  t.equal(await keep(other('big', 1, { value: random.bytes(60_000) })), 'RING_STORE_FULL');
  t.equal(await keep(big(2)), 'kept', 'in place of the older one');
  t.equal(await keep(record('a')), 'kept');
  t.equal(await keep(record('b')), 'kept');
  t.equal(await keep(record('c')), 'RING_STORE_FULL');
  t.equal(await keep(big(3)), 'kept');
  t.equal(await keep(big(4)), 'RING_STORE_FULL', 'so much may be written in a day');
  t.same(lasting.status, { records: 3, bytes: 64_096 + 2 * 4096 + 6, failures: 3 });
  await clock.advance(DAY);
  t.equal(await keep(big(4)), 'kept');
  card.failure = 'STORE_READ_ONLY';
  t.equal(await keep(record('a', 2)), 'STORE_READ_ONLY');
  t.equal(lasting.status.failures, 4);
  t.equal(
    lasting.records.find(({ key }) => key === idOf('a'))?.sequence,
    1,
    'the old one is there still',
  );
  card.failure = undefined;
  lasting.forget([record('a')]);
  await clock.advance(10);
  t.equal(await keep(record('c')), 'kept', 'room was made');
  const before = card.writes.length;
  t.equal(await keep(record('c')), 'kept');
  t.equal(card.writes.length, before, 'the same is not written twice');
  t.end();
});

t.test('a power cut of all at once loses nothing that was acknowledged and is to last', async t => {
  const village = new Village(41);
  const { clock } = village;
  let cards = Array.from({ length: 3 }, () => new Card(clock));
  const houses = async (generation: number, members: readonly number[]) => {
    const devices: Device[] = [];
    for (const [i, card] of cards.entries()) {
      const lasting = await load(clock, card);
      devices.push(await village.add(`10.0.${generation}.${i + 1}`, { lasting }));
    }
    for (const i of members) await village.during(devices[i]!.overlay.promote());
    const attached = () =>
      devices.every(
        ({ overlay }, i) => members.includes(i) || overlay.status.superNode !== undefined,
      );
    await village.until(attached, 60_000);
    return devices;
  };
  const cut = async (devices: readonly Device[]) => {
    for (const device of devices) village.unplug(device);
    cards = cards.map(card => card.cutPower());
    for (const device of devices) await device.stop();
  };
  const [one, two] = await houses(0, [0, 1]);
  const list = one!.record('list', random.bytes(40_000), MONTH);
  const name = one!.record('name');
  t.equal(await village.during(two!.overlay.put(list)), 2);
  await village.during(two!.overlay.put(name));
  // On its way to the cards when the power goes, and not acknowledged.
  const late = two!.overlay.put(one!.record('late', Buffer.from('late'), MONTH));
  late.catch(() => undefined);
  await clock.advance(20);
  await cut(village.devices.splice(0));

  // Other phones are super-nodes now: who kept it for the ring gives it to them.
  const [first, , third] = await houses(1, [2]);
  await clock.advance(5000);
  const found = async (name: string) => village.during(third!.overlay.get(idOf(name)));
  t.same(
    (await found('list')).map(({ signature }) => signature),
    [list.signature],
  );
  t.same(await found('name'), [], 'its publisher puts it again');
  t.same(await found('late'), []);
  await clock.advance(1000);
  const records = await Promise.all(cards.map(async card => (await load(clock, card)).records));
  t.same(
    records.map(({ length }) => length),
    [0, 0, 1],
    'on the card of who holds it, and no other',
  );

  // A member again, with what it kept; nobody else is left.
  await village.during(first!.overlay.promote());
  await clock.advance(30_000);
  await cut(village.devices.splice(0));
  cards = cards.slice(0, 1);
  const [again] = await houses(2, [0]);
  t.same(
    (await village.during(again!.overlay.get(idOf('list')))).map(({ sequence }) => sequence),
    [list.sequence],
  );
  await village.stop();
});
