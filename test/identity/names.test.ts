import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { encodeCbor } from '../../src/identity/cbor.js';
import {
  Enrolments,
  issueEnrolment,
  issueExpulsions,
  readEnrolment,
  readExpulsions,
} from '../../src/identity/enrolment.js';
import { type NameClaim, NameJudge } from '../../src/identity/name-judge.js';
import { NameRegistry } from '../../src/identity/name-registry.js';
import { foldedName } from '../../src/identity/names.js';
import { PinBook } from '../../src/identity/pin-book.js';
import type { Outcome } from '../../src/identity/refusal.js';
import { signRecord } from '../../src/identity/signed-record.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { StoredOverlay } from '../../src/identity/stored-overlay.js';
import { StoredUser } from '../../src/identity/stored-user.js';
import { ChargedSigning, SIGNING_COST_US } from '../../src/simulation/charged-signing.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { FileStore } from '../../src/storage/file-store.js';
import { MemoryStore } from '../../src/storage/memory-store.js';

const random = new SeededRandom(4);
const verifier = new Ed25519Verifier();
const key = () => new Ed25519Signer(random.bytes(32));
const [founder, alice, bob, mallory, node] = [key(), key(), key(), key(), key()];
const office = { name: 'office', enrolmentKey: founder.publicKey };
const YEAR_S = 365 * 86_400;
const DAY_MS = 86_400_000;

const code = (outcome: Outcome<unknown>) => (outcome.ok ? 'taken' : outcome.code);
const pins = (store = new MemoryStore(), maxPins = 1000) =>
  PinBook.load({ store, overlay: 'village', maxPins });
const signed = ({ publicKey: user }: Ed25519Signer, enrolment?: Uint8Array): NameClaim => ({
  kind: 'signed',
  user,
  ...(enrolment && { enrolment }),
});
const vouched = ({ publicKey: by }: Ed25519Signer, enrolment?: Uint8Array): NameClaim => ({
  kind: 'vouched',
  by,
  ...(enrolment && { enrolment }),
});

function enrolment(
  name: string,
  { publicKey: user }: Ed25519Signer,
  sequence: number,
  more: { roles?: string[]; lifetime?: number } = {},
  by = founder,
  overlay = 'office',
): Uint8Array {
  const told = { roles: ['user'], lifetime: YEAR_S, ...more };
  return issueEnrolment(by, overlay, { name, user, sequence, ...told });
}

t.test('a name has one form', t => {
  t.equal(foldedName('Alice'), 'alice');
  t.equal(foldedName('Zoe\u0308'), foldedName('ZO\u00cb'), 'composed or not, small or capital');
  t.equal(foldedName('front desk'), 'front desk');
  for (const none of ['', ' a', 'a  b', 'a\u0000', 'a\u200bb', '\ud800', 'x'.repeat(65)]) {
    t.equal(foldedName(none), undefined, JSON.stringify(none));
  }
  t.end();
});

t.test(
  'a key we talked to is pinned; another under its name is a clash and changes nothing',
  async t => {
    const store = new MemoryStore();
    const book = await pins(store);
    t.equal(await book.talked('Alice', alice.publicKey), 'pinned');
    t.equal(await book.talked('alice', alice.publicKey), 'known');
    t.equal(await book.talked('ALICE', mallory.publicKey), 'clash');
    const again = await pins(store);
    t.same(again.pinned('alice')?.user, Buffer.from(alice.publicKey), 'after a restart too');
    const elsewhere = await PinBook.load({ store, overlay: 'other' });
    t.equal(elsewhere.pinned('alice'), undefined, 'another overlay has names of its own');
    await again.decide('alice', mallory.publicKey);
    t.same(Buffer.from((await pins(store)).pinned('alice')!.user), Buffer.from(mallory.publicKey));
    await again.forget('alice');
    t.equal((await pins(store)).pinned('alice'), undefined);
    await t.rejects(book.talked(' ', alice.publicKey), { code: 'BAD_NAME' });
    await store.set('pins/bad', { name: 'x' });
    t.equal((await pins(store)).size, 0, 'what is no pin is passed over');
  },
);

t.test('pins are bounded: passing strangers do not drive out whom we talk to', async t => {
  const store = new MemoryStore();
  const book = await pins(store, 4);
  for (let n = 0; n < 2; n++) await book.talked('alice', alice.publicKey);
  for (let n = 0; n < 9; n++) await book.talked(`stranger${n}`, mallory.publicKey);
  t.equal(book.size, 4);
  t.ok(book.pinned('alice'));
  t.notOk(book.pinned('stranger5'));
  t.ok(book.pinned('stranger8'));
  t.equal((await store.keys('pins/')).length, 4, 'what was dropped is dropped from the store');
  t.equal((await pins(store, 4)).size, 4);
  const before = JSON.stringify(await Promise.all((await store.keys()).map(k => store.get(k))));
  for (let n = 0; n < 9; n++) await book.talked('alice', alice.publicKey);
  await book.talked('alice', alice.publicKey);
  const writes = JSON.stringify(await Promise.all((await store.keys()).map(k => store.get(k))));
  t.ok(writes.length - before.length < 9, 'not every talk is written');
});

t.test('in an open overlay the pinned key has the name, else the only one that signs', async t => {
  const book = await pins();
  const judge = new NameJudge({ pins: book });
  const judged = (...claims: NameClaim[]) => {
    const { chosen, clash, refused } = judge.judge('alice', claims, 0);
    return { chosen: chosen?.claim, as: chosen?.standing, clash, refused: refused.length };
  };
  const [a, m, v] = [signed(alice), signed(mallory), vouched(node)];
  t.same(judged(), { chosen: undefined, as: undefined, clash: undefined, refused: 0 });
  t.match(judged(a), { chosen: a, as: 'new', clash: undefined });
  t.match(judged(a, a), { chosen: a, clash: undefined }, 'two devices of one user');
  t.match(judged(v), { chosen: v, as: 'vouched', clash: undefined });
  t.match(judged(v, a), { chosen: a, clash: { claims: [v] } }, 'a signature goes before');
  for (const claims of [
    [a, m],
    [m, a, v],
  ]) {
    const { chosen, clash } = judged(...claims);
    t.equal(chosen, undefined, 'nobody wins silently');
    t.same(clash?.claims, claims);
    t.equal(clash?.holder, undefined);
  }
  const twoVouchers = judged(v, vouched(bob));
  t.equal(twoVouchers.chosen, undefined);
  t.equal(twoVouchers.clash?.claims.length, 2);

  await book.talked('alice', alice.publicKey);
  t.match(judged(m, a, v), { chosen: a, as: 'pinned', clash: { claims: [m, v] } });
  for (const impostor of [m, v]) {
    const { chosen, clash } = judged(impostor);
    t.equal(chosen, undefined, 'not even while the pinned one is away');
    t.same(clash, { holder: alice.publicKey, claims: [impostor] });
  }
  t.equal(judge.judge(' ', [a], 0).refused[0]?.refusal.code, 'MALFORMED');
});

t.test('in a private overlay whoever is enrolled has the name', async t => {
  const enrolments = new Enrolments(office, verifier);
  const judge = new NameJudge({ pins: await pins(), enrolments });
  const own = signed(alice, enrolment('Alice', alice, 1));
  const forged = signed(mallory, enrolment('alice', mallory, 9, {}, mallory));
  const phone = vouched(node, enrolment('node', node, 2, { roles: ['user', 'super-node'] }));
  const plain = vouched(bob, enrolment('bob', bob, 3));
  const { chosen, clash, refused } = judge.judge('alice', [forged, own, phone, plain], 0);
  t.match(chosen, { claim: own, standing: 'certified' });
  t.same(clash, { holder: alice.publicKey, claims: [phone] });
  t.same(
    refused.map(({ refusal }) => refusal.code),
    ['NOT_CERTIFIED', 'NOT_CERTIFIED'],
    'of another key than the overlay’s; vouched for by no super-node',
  );
  const desk = judge.judge('desk', [phone], 0);
  t.match(desk.chosen, { claim: phone, standing: 'vouched' });
  t.equal(judge.judge('alice', [signed(alice)], 0).refused[0]?.refusal.code, 'UNSIGNED');
});

t.test('an enrolment is refused for each thing that is wrong with it', t => {
  const { publicKey: user } = alice;
  const check = (enrolled: Uint8Array, more: object = {}, now = 0, set = fresh()) =>
    code(set.check({ user, name: 'alice', enrolment: enrolled, ...more }, now));
  const fresh = () => new Enrolments(office, verifier);
  t.equal(check(enrolment('alice', alice, 1)), 'taken');
  t.equal(check(enrolment('alice', bob, 1)), 'WRONG_KEY');
  t.equal(check(enrolment('bob', alice, 1)), 'NOT_CERTIFIED');
  t.equal(check(enrolment('alice', alice, 1), { role: 'super-node' }), 'NOT_CERTIFIED');
  t.equal(check(enrolment('alice', alice, 1, {}, founder, 'home')), 'WRONG_OVERLAY');
  t.equal(check(enrolment('alice', alice, 1, {}, mallory)), 'NOT_CERTIFIED');

  const set = fresh();
  t.equal(check(enrolment('alice', alice, 5, { lifetime: 60 }), {}, 0, set), 'taken');
  t.equal(check(enrolment('alice', alice, 4), {}, 0, set), 'STALE');
  t.equal(check(enrolment('alice', alice, 5, { lifetime: 60 }), {}, 60_001, set), 'EXPIRED');
  t.same(set.holder('ALICE'), alice.publicKey);

  const expelled = (sequence: number, users: Ed25519Signer[], by = founder) =>
    code(
      set.learn(
        issueExpulsions(by, 'office', {
          expelled: users.map(({ publicKey }) => ({ user: publicKey, sequence })),
          sequence,
          lifetime: YEAR_S,
        }),
      ),
    );
  t.equal(expelled(6, [alice], mallory), 'WRONG_KEY');
  t.equal(expelled(6, [alice]), 'taken');
  t.equal(set.holder('alice'), undefined, 'the name is free');
  t.equal(check(enrolment('alice', alice, 6), {}, 0, set), 'REVOKED');
  t.equal(expelled(5, []), 'STALE');
  t.equal(check(enrolment('alice', alice, 7), {}, 0, set), 'taken', 'enrolled again');

  const odd = (subject: string, body: Uint8Array, kind = 'enrolment') =>
    signRecord(founder, {
      kind,
      overlay: 'office',
      subject,
      boot: 0,
      sequence: 9,
      lifetime: 9,
      body,
    });
  for (const record of [
    odd('Alice', encodeCbor([user, []])),
    odd('alice', encodeCbor([user])),
    odd('alice', encodeCbor([user, [1]])),
    odd('alice', encodeCbor([user, Array(9).fill('x')])),
    odd('alice', encodeCbor([new Uint8Array(31), []])),
  ]) {
    t.equal(check(record), 'MALFORMED');
  }
  for (const body of [1, [[user]], [[user, 1, 1]], [[1, 1]]]) {
    t.equal(code(fresh().learn(odd('', encodeCbor(body), 'expulsions'))), 'MALFORMED');
  }
  t.throws(() => enrolment('', alice, 1), { code: 'BAD_NAME' });
  t.end();
});

t.test(
  'where names are kept, the first key has a name as long as it renews, and rivals are told',
  t => {
    const registry = new NameRegistry({ names: 4, namesPerKey: 2 });
    const claim = (name: string, by: Ed25519Signer | undefined, now = 0) =>
      code(registry.claim(name, by?.publicKey, 3600, now));
    t.equal(claim('desk', undefined), 'taken');
    t.equal(claim('desk', alice), 'taken', 'a signature takes over from what is vouched for');
    t.equal(claim('desk', undefined), 'NAME_TAKEN', 'and not the other way about');
    t.equal(claim('Desk', mallory), 'NAME_TAKEN');
    t.equal(claim('desk', mallory), 'NAME_TAKEN');
    t.same(registry.find('DESK', 0), { user: alice.publicKey, rivals: [mallory.publicKey] });
    t.equal(claim('two', alice), 'taken');
    t.equal(claim('three', alice), 'TOO_LARGE', 'one key has so many names and no more');
    t.equal(claim('three', bob), 'taken');
    t.equal(claim('four', node), 'taken');
    t.equal(claim('five', bob), 'TOO_LARGE', 'all names are bounded');
    t.equal(claim('desk', mallory, 30 * DAY_MS), 'NAME_TAKEN', 'nor after days of silence');
    t.equal(claim('desk', mallory, 30 * DAY_MS + 3_600_000), 'taken', 'after a month it is free');
    t.equal(claim('vouched', undefined, 31 * DAY_MS), 'taken');
    t.equal(registry.find('vouched', 31 * DAY_MS + 3_600_000), undefined, 'without a grace');
    t.equal(claim(' ', alice), 'MALFORMED');
    t.end();
  },
);

t.test(
  'what is signed is numbered on, and keys lie where only their owner may read them',
  async t => {
    const directory = mkdtempSync(join(tmpdir(), 'ringline-user-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const store = await FileStore.open({ directory, onDamage: problem => t.fail(problem.message) });
    const users = new StoredUser({ store, random });
    await t.rejects(users.export('long enough'), { code: 'NO_USER_KEY' });
    const made = await Promise.allSettled([users.make('alice'), users.make('alice')]);
    t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1, 'made once');
    const user = (await users.user())!;
    await users.certify(bob.publicKey, ['reach']);
    await users.certify(mallory.publicKey, ['reach']);
    const [first] = await users.devices();
    await t.rejects(users.revoke('00'), { code: 'NO_SUCH_DEVICE', message: first!.deviceId });
    const list = await users.revoke(first!.deviceId);
    t.same(await users.list(), Buffer.from(list));
    t.same(
      (await users.devices()).map(({ sequence }) => sequence),
      [2],
    );
    const certificate = await users.certify(node.publicKey, ['read']);
    await t.rejects(users.accept(certificate, bob.publicKey), { code: 'WRONG_KEY' });
    t.match(await users.accept(certificate, node.publicKey), { sequence: 4 });
    t.match(await users.certified(), { capabilities: ['read'] });
    t.same(await users.list(), Buffer.from(list), 'kept for those who judge');

    const second = new StoredUser({ store: new MemoryStore(), random });
    await second.import(await users.export('long enough'), 'long enough');
    t.same((await second.user())?.key.publicKey, user.key.publicKey);
    const { sequence } = await second.accept(
      await second.certify(bob.publicKey, []),
      Buffer.from(bob.publicKey),
    );
    t.equal(sequence, 5, 'it counts on where the first phone was');

    const overlays = new StoredOverlay({ store, random });
    const overlay = await overlays.create('office', 'long enough');
    await t.rejects(overlays.create('office', 'long enough'), { code: 'OVERLAY_EXISTS' });
    await t.rejects(overlays.create('Of fice', 'long enough'), { code: 'BAD_NAME' });
    const told = { name: 'alice', user: user.key.publicKey, roles: ['user'] };
    await t.rejects(overlays.enrol('office', 'long enouch', told), { code: 'WRONG_PASSPHRASE' });
    await t.rejects(overlays.enrol('home', 'long enough', told), { code: 'NO_ENROLMENT_KEY' });
    const enrolled = await overlays.enrol('office', 'long enough', told);
    t.match(readEnrolment(enrolled, overlay, verifier), { ok: true, value: { sequence: 1 } });
    await t.rejects(overlays.join(enrolled, bob.publicKey), { code: 'WRONG_KEY' });
    await t.rejects(overlays.join(enrolled.subarray(1), bob.publicKey), { code: 'MALFORMED' });
    await overlays.join(enrolled, user.key.publicKey);
    t.match(await overlays.membership(), { overlay: { name: 'office' } });
    t.same(await overlays.expulsions('office'), []);
    const forRing = (_key: unknown, _list: unknown, sequence: number) => `signature ${sequence}`;
    const expulsions = await overlays.expel('office', 'long enough', user.key.publicKey, forRing);
    const own = { list: Buffer.from(expulsions), signature: 'signature 2' };
    t.same(await overlays.expulsions('office'), [own]);
    const judging = new Enrolments(overlay, verifier);
    judging.learn(expulsions);
    const claim = { user: user.key.publicKey, enrolment: enrolled };
    t.equal(code(judging.check(claim, 0)), 'REVOKED');
    // The key lies elsewhere too, and somebody was expelled there: the next number is after that.
    const elsewhere = new MemoryStore();
    await elsewhere.set('overlays/office', (await store.get('overlays/office')) ?? null);
    const theirs = new StoredOverlay({ store: elsewhere, random });
    for (const { publicKey } of [bob, alice]) {
      await theirs.expel('office', 'long enough', Buffer.from(publicKey), forRing);
    }
    const [there] = await theirs.expulsions('office');
    await overlays.keepExpulsions('office', { signature: '', ...there! });
    t.same(await overlays.expulsions('office'), [own, there]);
    const both = await overlays.expel('office', 'long enough', random.bytes(32), forRing);
    const found = readExpulsions(both, overlay, verifier);
    t.equal(found.ok && found.value.sequence, 5);
    t.equal(found.ok && found.value.expelled.length, 4, 'and nobody is forgotten');
    await overlays.joinOpen('village');
    t.same(await overlays.membership(), { overlay: { name: 'village' } });

    await store.close();
    const files = readdirSync(directory, { recursive: true }).map(String);
    const secret = Buffer.from(user.key.secret()).toString('base64url');
    for (const file of files.filter(name => name.endsWith('.json'))) {
      const path = join(directory, file);
      t.equal(statSync(path).mode & 0o777, 0o600, file);
      if (file !== 'identity/user.json') t.notMatch(readFileSync(path, 'utf8'), secret);
    }
  },
);

t.test(
  'the simulator’s signatures hold for their text and key alone, and cost what real ones do',
  t => {
    const signing = new ChargedSigning();
    const signer = signing.signer(alice.publicKey);
    const data = new Uint8Array([1, 2, 3]);
    const signature = signer.sign(data);
    t.equal(signature.length, 64);
    t.ok(signing.verify(alice.publicKey, data, signature));
    t.notOk(signing.verify(bob.publicKey, data, signature));
    t.notOk(signing.verify(alice.publicKey, new Uint8Array([1, 2]), signature));
    t.notOk(signing.verify(alice.publicKey, data, signature.subarray(1)));
    t.same(signing.account, {
      signatures: 1,
      verifications: 4,
      costUs: SIGNING_COST_US.sign + 4 * SIGNING_COST_US.verify,
    });
    t.end();
  },
);
