import fc from 'fast-check';
import t from 'tap';
import { SystemRandom } from '../../src/core/random.js';
import { decodeCbor, encodeCbor } from '../../src/identity/cbor.js';
import {
  compareFreshness,
  FRESHNESS_BOUNDS,
  FreshnessCounter,
  versionOf,
} from '../../src/identity/freshness.js';
import { FreshnessGuard } from '../../src/identity/freshness-guard.js';
import { type Outcome, REFUSAL_STATUS } from '../../src/identity/refusal.js';
import {
  MAX_LIFETIME_S,
  MAX_RECORD_OCTETS,
  type RecordContent,
  readRecord,
  type SignedRecord,
  signRecord,
} from '../../src/identity/signed-record.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { StoredIdentity } from '../../src/identity/stored-identity.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { MemoryStore } from '../../src/storage/memory-store.js';

const random = new SeededRandom(1);
const verifier = new Ed25519Verifier();
const alice = new Ed25519Signer(random.bytes(32));
const mallory = new Ed25519Signer(random.bytes(32));
const text = (words: string) => new TextEncoder().encode(words);

const BINDING: RecordContent = {
  kind: 'binding',
  overlay: 'office',
  subject: 'alice',
  boot: 3,
  sequence: 9,
  lifetime: 3600,
  body: text('sip:alice@192.0.2.17:5061;transport=tls'),
};
const EXPECTED = { kind: 'binding', overlay: 'office' };

const code = (outcome: Outcome<unknown>) => (outcome.ok ? 'taken' : outcome.code);
const read = (octets: Uint8Array, expected: object = {}) =>
  readRecord(octets, { ...EXPECTED, ...expected }, verifier);

function taken(octets: Uint8Array): SignedRecord {
  const outcome = read(octets);
  if (outcome.ok) return outcome.value;
  throw new Error(outcome.detail);
}

t.test('a record says what was signed, and fits a SIP message', t => {
  const octets = signRecord(alice, BINDING);
  t.same({ ...taken(octets) }, { ...BINDING, key: alice.publicKey, octets });
  t.same(signRecord(alice, BINDING), octets, 'one content has one encoding');
  t.equal(octets.length, 172);
  t.ok(Buffer.from(octets).toString('base64url').length < 240, 'far less than 830 octets');
  t.ok(read(octets, { key: alice.publicKey, subject: 'alice' }).ok);
  t.end();
});

t.test('each thing that is wrong has its code and SIP status', t => {
  const octets = signRecord(alice, BINDING);
  const [payload, signature] = itemsOf(octets);
  const inner = itemsOf(payload as Uint8Array);
  const forged = (at: number, value: number | string | Uint8Array) =>
    encodeCbor([encodeCbor(inner.with(at, value)), signature!]);
  const cases: [what: string, outcome: Outcome<unknown>, code: string, status: number][] = [
    ['another kind', read(octets, { kind: 'voicemail' }), 'WRONG_KIND', 400],
    ['another overlay', read(octets, { overlay: 'home' }), 'WRONG_OVERLAY', 488],
    ['another key', read(octets, { key: mallory.publicKey }), 'WRONG_KEY', 493],
    ['another subject', read(octets, { subject: 'bob' }), 'WRONG_KEY', 493],
    ['nothing', read(new Uint8Array()), 'MALFORMED', 400],
    ['more after it', read(Buffer.concat([octets, text('x')])), 'MALFORMED', 400],
    ['a later format', read(forged(0, 2)), 'MALFORMED', 400],
    ['a lifetime too long', read(forged(7, MAX_LIFETIME_S + 1)), 'MALFORMED', 400],
    ['a short key', read(forged(4, new Uint8Array(31))), 'MALFORMED', 400],
    ['a long subject', read(forged(3, 'x'.repeat(257))), 'MALFORMED', 400],
    ['too many boots', read(forged(5, FRESHNESS_BOUNDS.boots)), 'MALFORMED', 400],
    ['too large', read(new Uint8Array(MAX_RECORD_OCTETS + 1)), 'TOO_LARGE', 413],
    ['another body', read(forged(8, text('sip:mallory@192.0.2.66'))), 'BAD_SIGNATURE', 438],
    ['a higher number', read(forged(6, 10)), 'BAD_SIGNATURE', 438],
    ['somebody else for owner', read(forged(4, mallory.publicKey)), 'BAD_SIGNATURE', 438],
    ['a key that is no point', read(forged(4, new Uint8Array(32).fill(255))), 'BAD_SIGNATURE', 438],
  ];
  for (const [what, outcome, expected, status] of cases) {
    t.equal(code(outcome), expected, what);
    if (!outcome.ok) t.equal(REFUSAL_STATUS[outcome.code].status, status, what);
    if (!outcome.ok) t.ok(outcome.detail.length > 10, outcome.detail);
  }
  t.end();
});

t.test('a signature made for one kind or overlay holds for no other', t => {
  const [payload, signature] = itemsOf(signRecord(alice, BINDING)) as Uint8Array[];
  for (const [at, value] of [
    [1, 'voicemail'],
    [2, 'home'],
  ] as const) {
    const moved = encodeCbor([encodeCbor(itemsOf(payload!).with(at, value)), signature!]);
    const expected = at === 1 ? { kind: value } : { overlay: value };
    t.equal(code(read(moved, expected)), 'BAD_SIGNATURE');
  }
  t.equal(
    code(read(encodeCbor([payload!, alice.sign(payload!)]))),
    'BAD_SIGNATURE',
    'nor does one over the bare payload',
  );
  t.end();
});

t.test('a record with any one octet changed, cut or added is refused', t => {
  const octets = signRecord(alice, BINDING);
  let refused = 0;
  for (let at = 0; at < octets.length; at++) {
    for (const bits of [0x01, 0x80, 0xff]) {
      const changed = Uint8Array.from(octets);
      changed[at] = (changed[at] ?? 0) ^ bits;
      if (!read(changed).ok) refused++;
    }
    if (!read(octets.subarray(0, at)).ok) refused++;
  }
  t.equal(refused, 4 * octets.length);
  t.end();
});

t.test('a hundred thousand random inputs are refused, and none is an accident', t => {
  const [payload] = itemsOf(signRecord(alice, BINDING)) as Uint8Array[];
  // Without the cost of real signatures, so that whatever gets that far counts.
  const reached = { verify: () => false };
  const codes = new Map<string, number>();
  for (let round = 0; round < 100_000; round++) {
    const [kind = 0, length = 0] = random.bytes(2);
    const noise = random.bytes(length);
    // Pure noise, noise in a true envelope, and a true record with noise in it.
    const bytes = [
      () => noise,
      () => encodeCbor([noise, new Uint8Array(64)]),
      () => {
        const spoilt = Uint8Array.from(payload!);
        spoilt.set(noise.subarray(0, 3), length % (spoilt.length - 3));
        return encodeCbor([spoilt, new Uint8Array(64)]);
      },
    ][kind % 3]!();
    const outcome = readRecord(bytes, EXPECTED, reached);
    codes.set(code(outcome), (codes.get(code(outcome)) ?? 0) + 1);
  }
  t.notOk(codes.has('taken'));
  t.ok((codes.get('BAD_SIGNATURE') ?? 0) > 1000, JSON.stringify([...codes]));
  t.ok((codes.get('MALFORMED') ?? 0) > 10_000);
  t.end();
});

t.test('of CBOR one encoding of each value is read, and no more than was asked for', t => {
  const bounds = { octets: 100, depth: 2, items: 5 };
  const decoded = (hex: string) => decodeCbor(Buffer.from(hex, 'hex'), bounds);
  const value = fc.letrec<{ value: never }>(tie => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.nat(),
      fc.maxSafeNat(),
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array(),
      fc.array(tie('value'), { maxLength: 4 }),
    ) as never,
  })).value;
  const wide = { octets: 1e6, depth: 10, items: 1e5 };
  const property = fc.property(value, given => {
    const outcome = decodeCbor(encodeCbor(given), wide);
    return outcome.ok && Buffer.compare(encodeCbor(outcome.value), encodeCbor(given)) === 0;
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 1, numRuns: 500 }));
  t.same(decoded('83010203'), { ok: true, value: [1, 2, 3] });
  const refused = {
    'a longer number': '1801',
    'a longer length': '580100',
    'an indefinite array': '9f01ff',
    'a map': 'a0',
    'a tag': 'c001',
    'a float': 'f93c00',
    'a negative number': '20',
    undefined: 'f7',
    'a number beyond 2^53': '1bffffffffffffffff',
    'text that is no UTF-8': '61ff',
    'text cut in a character': '62c320',
    'arrays too deep': '81818101',
    'deeper than any stack': '81'.repeat(99),
    'too many values': '850102030405',
    'fewer than were announced': '9a7fffffff01',
    'more octets than there are': '5a7fffffff01',
    'two values': '0102',
  };
  for (const [what, hex] of Object.entries(refused)) {
    t.equal(code(decoded(hex)), 'MALFORMED', what);
  }
  t.ok(decoded('8281010282').ok === false && decoded('82810102').ok, 'depth is left again');
  t.equal(code(decodeCbor(new Uint8Array(101), bounds)), 'TOO_LARGE');
  t.end();
});

t.test('what no reader would take is not signed', t => {
  for (const wrong of [
    { lifetime: -1 },
    { lifetime: 1.5 },
    { boot: FRESHNESS_BOUNDS.boots },
    { sequence: FRESHNESS_BOUNDS.sequences },
    { kind: 'x'.repeat(33) },
    { subject: '\ud800' },
    { body: new Uint8Array(MAX_RECORD_OCTETS) },
  ]) {
    t.throws(() => signRecord(alice, { ...BINDING, ...wrong }), { code: 'BAD_RECORD' });
  }
  t.end();
});

t.test('an older record is stale, whatever order they come in', t => {
  const guard = new FreshnessGuard();
  const admit = (boot: number, sequence: number, more: Partial<RecordContent> = {}) =>
    code(guard.admit(taken(signRecord(alice, { ...BINDING, boot, sequence, ...more }))));
  const admitted = (boot: number, sequence: number) =>
    guard.admit(taken(signRecord(alice, { ...BINDING, boot, sequence })));
  t.same(admitted(3, 9), { ok: true, value: 'new' });
  t.same(admitted(3, 9), { ok: true, value: 'known' }, 'the same again is no news');
  t.equal(admit(3, 8), 'STALE');
  t.equal(admit(2, 4_000_000_000), 'STALE', 'an earlier boot, however far it counted');
  t.equal(admit(3, 9, { lifetime: 1 }), 'STALE', 'one number for two records');
  t.equal(admit(4, 0), 'taken', 'a later boot begins anew');
  t.equal(admit(3, 10), 'STALE', 'what was replayed from before the restart');
  t.equal(admit(1, 0, { subject: 'bob' }), 'taken', 'another subject is another matter');
  const orders = fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), order => {
    const fresh = new FreshnessGuard();
    let newest = -1;
    return order.every(step => {
      const record = { ...BINDING, boot: step >> 1, sequence: step % 2 };
      const outcome = fresh.admit(taken(signRecord(alice, record)));
      const expected = step > newest;
      newest = Math.max(newest, step);
      return outcome.ok === expected;
    });
  });
  t.doesNotThrow(() => fc.assert(orders, { seed: 1, numRuns: 60 }));
  t.end();
});

t.test('a guard is bounded, and nobody displaces what it knows of another key alone', t => {
  const guard = new FreshnessGuard({ keys: 2, subjects: 3 });
  const admit = (signer: Ed25519Signer, subject: string, sequence: number) =>
    code(guard.admit(taken(signRecord(signer, { ...BINDING, subject, sequence }))));
  admit(alice, 'a', 5);
  for (let n = 0; n < 20; n++) admit(mallory, `m${n}`, 5);
  t.equal(admit(alice, 'a', 4), 'STALE');
  t.equal(admit(mallory, 'm0', 4), 'taken', 'its own oldest are forgotten');
  t.end();
});

t.test('the counter of a run and the count of runs order all records', async t => {
  const [first, second] = [new FreshnessCounter(1), new FreshnessCounter(2)];
  const given = [first.next(), first.next(), second.next()];
  t.same(given, [
    { boot: 1, sequence: 0 },
    { boot: 1, sequence: 1 },
    { boot: 2, sequence: 0 },
  ]);
  t.ok(compareFreshness(given[2]!, given[1]!) > 0);
  t.ok(versionOf(given[2]!) > versionOf(given[1]!));
  const most = { boot: FRESHNESS_BOUNDS.boots - 1, sequence: FRESHNESS_BOUNDS.sequences - 1 };
  t.ok(Number.isSafeInteger(versionOf(most)));
  t.throws(() => new FreshnessCounter(FRESHNESS_BOUNDS.boots).next(), { code: 'COUNTER_USED_UP' });

  const store = new MemoryStore();
  const device = () => new StoredIdentity({ store, random: new SystemRandom() });
  t.equal(await device().outrunBoot(700), 701, 'a count that was lost is outrun');
  t.equal(await device().bootCount(), 702);
  t.equal(await device().outrunBoot(3), 703, 'and never taken back');
});

function itemsOf(octets: Uint8Array) {
  const decoded = decodeCbor(octets, { octets: 1e6, depth: 3, items: 100 });
  if (decoded.ok && Array.isArray(decoded.value)) {
    return decoded.value as (number | string | Uint8Array)[];
  }
  throw new Error('expected an array');
}
