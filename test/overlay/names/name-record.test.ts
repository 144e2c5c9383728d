import t from 'tap';
import { type CborValue, decodeCbor, encodeCbor } from '../../../src/identity/cbor.js';
import { issueDeviceList } from '../../../src/identity/device-certificate.js';
import { DeviceTrust } from '../../../src/identity/device-trust.js';
import { FreshnessGuard } from '../../../src/identity/freshness-guard.js';
import { deviceIdOf } from '../../../src/identity/identity.js';
import type { Outcome } from '../../../src/identity/refusal.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import {
  learnDevices,
  MAX_NAME_VALUE_OCTETS,
  makeNameRecord,
  makeNameTombstone,
  nameKey,
  readNameRecord,
} from '../../../src/overlay/names/name-record.js';
import { recordIsSigned, recordSignatureBy } from '../../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { binding, OVERLAY, recordOf, someone, verifier } from './people.js';

const random = new SeededRandom(11);
const alice = someone(random, 2);
const [desk, mobile] = [alice.devices[0]!, alice.devices[1]!];
const mallory = someone(random).devices[0]!;

const tools = () => ({
  overlay: OVERLAY,
  verifier,
  trust: new DeviceTrust(verifier),
  guard: new FreshnessGuard(),
});
const code = (outcome: Outcome<unknown>) => (outcome.ok ? 'taken' : outcome.code);
const read = (record: RingRecord, name = 'alice', at = tools()) =>
  code(readNameRecord(record, name, at, 0));
/** Signed anew by `device`, after a change. */
const forged = (record: RingRecord, change: Partial<RingRecord>, device = desk): RingRecord => {
  const changed = { ...record, ...change };
  return { ...changed, signature: recordSignatureBy(device.signer, changed) };
};

t.test('a record says where a name is reached, by which device, for how long', t => {
  const record = { ...recordOf(desk, 'Alice', '192.0.2.7:5060'), ageMs: 600_000 };
  t.equal(record.key, nameKey('ALICE', OVERLAY), 'one key however the name is written');
  t.not(nameKey('alice', OVERLAY), nameKey('alice', 'other'));
  t.equal(record.publisher, desk.id);
  t.equal(record.lifeMs, 3_600_000);
  const outcome = readNameRecord(record, 'alice', tools(), 0);
  if (!outcome.ok) throw new Error(outcome.detail);
  const { binding, claim, deviceId, lifeLeftMs } = outcome.value;
  t.same([binding.name, ...binding.contacts], ['alice', 'sip:Alice@192.0.2.7:5060']);
  t.equal(claim.kind, 'signed');
  t.same(claim.kind === 'signed' && deviceIdOf(claim.user), deviceIdOf(alice.user.publicKey));
  t.equal(deviceId, desk.id);
  t.equal(lifeLeftMs, 3_000_000);
  t.comment(`one record has ${record.value?.length} octets of value`);
  t.ok((record.value?.length ?? 0) < 600, 'and is small');
  t.end();
});

t.test('a member keeps what its publisher signed, unchanged, and nothing else', t => {
  const record = recordOf(desk, 'alice', '192.0.2.7');
  t.ok(recordIsSigned(verifier, record));
  t.ok(recordIsSigned(verifier, { ...record, ageMs: 99 }), 'the age changes on its way');
  const changes: Partial<RingRecord>[] = [
    { key: nameKey('bob', OVERLAY) },
    { sequence: record.sequence + 1 },
    { lifeMs: 1 },
    { value: undefined },
    { publisher: mallory.id },
    { signature: recordSignatureBy(mallory.signer, record) },
    { signature: '' },
  ];
  for (const change of changes) {
    t.notOk(recordIsSigned(verifier, { ...record, ...change }), Object.keys(change).join());
  }
  const gone = { name: 'alice', overlay: OVERLAY, lifetime: 3600, boot: 1, sequence: 9 };
  const tombstone = makeNameTombstone(desk.signer, gone);
  t.ok(recordIsSigned(verifier, tombstone));
  t.ok(tombstone.sequence > record.sequence);
  t.end();
});

t.test('forged, foreign, old and oversize records are refused by their codes', t => {
  const record = recordOf(desk, 'alice', '192.0.2.7', { sequence: 5 });
  t.equal(read(record), 'taken');
  t.equal(read(record, 'bob'), 'WRONG_KEY', 'another name');
  const elsewhere = recordOf(desk, 'alice', '192.0.2.7', { overlay: 'other' });
  t.equal(read(elsewhere), 'WRONG_KEY', 'the key of another overlay');
  const moved = forged(elsewhere, { key: nameKey('alice', OVERLAY) });
  t.equal(read(moved), 'WRONG_OVERLAY', 'a binding of another overlay');
  t.equal(read({ ...record, sequence: record.sequence + 1 }), 'BAD_SIGNATURE');
  t.equal(
    read({ ...record, signature: recordSignatureBy(mallory.signer, record) }),
    'BAD_SIGNATURE',
  );
  t.equal(
    read(forged(record, { publisher: mallory.id }, mallory)),
    'WRONG_KEY',
    "somebody else's binding under a record of one's own",
  );
  t.equal(read(forged(record, { sequence: record.sequence + 1 })), 'STALE', 'a binding replayed');
  t.equal(read(forged(record, { lifeMs: 86_400_000 })), 'STALE', 'with a longer life');
  const bob = recordOf(desk, 'bob', '192.0.2.7');
  t.equal(read(forged(bob, { key: nameKey('alice', OVERLAY) })), 'WRONG_KEY', 'of another name');
  t.equal(read({ ...record, ageMs: 3_600_000 }), 'EXPIRED');
  t.equal(read(forged(record, { value: undefined })), 'EXPIRED', 'a tombstone');
  t.equal(read(forged(record, { value: Buffer.alloc(MAX_NAME_VALUE_OCTETS + 1) })), 'TOO_LARGE');
  t.equal(read(forged(record, { value: Buffer.from('nonsense') })), 'MALFORMED');
  t.equal(read(forged(record, { value: encodeCbor([1, 2]) })), 'MALFORMED');

  const parts = decodeCbor(record.value!, { octets: 9999, depth: 1, items: 9 });
  const [octets] = parts.ok ? (parts.value as CborValue[]) : [];
  const other = encodeCbor([octets!, mobile.certificate]);
  t.equal(read(forged(record, { value: other })), 'WRONG_KEY', 'certificate of another device');
  const later = (...items: CborValue[]) =>
    forged(record, { value: encodeCbor([octets!, desk.certificate, ...items]) });
  t.equal(read(later(null)), 'taken', 'no enrolment');
  t.equal(
    read(later(null, 'more', [1, [true]])),
    'taken',
    'what a later version adds is passed over',
  );
  t.equal(read(later('more')), 'MALFORMED', 'but not in place of the enrolment');
  t.equal(read(later(null, Array(64).fill(0))), 'MALFORMED', 'nor without end');

  const list = (of: Ed25519Signer, sequence: number) =>
    issueDeviceList(of, {
      devices: [{ deviceId: mobile.id, sequence: 2 }],
      sequence,
      lifetime: 60,
    });
  const told = (devices: Uint8Array, of = mobile) => {
    const known = tools();
    const beside = makeNameRecord(of.signer, binding('alice', '192.0.2.2'), {
      certificate: of.certificate,
      devices,
    });
    learnDevices([record, beside], known);
    return read(record, 'alice', known);
  };
  t.equal(told(list(alice.user, 3)), 'REVOKED', 'as another device of hers says');
  t.equal(told(list(alice.user, 0)), 'taken', 'an older list');
  const stranger = new Ed25519Signer(random.bytes(32));
  t.equal(told(list(stranger, 3)), 'taken', "somebody else's");
  t.equal(told(list(alice.user, 3), mallory), 'taken', 'hers, beside the certificate of another');

  const at = tools();
  t.equal(read(record, 'alice', at), 'taken');
  t.equal(read(record, 'alice', at), 'taken', 'the same again');
  t.equal(read(recordOf(desk, 'alice', '192.0.2.1', { sequence: 4 }), 'alice', at), 'STALE');
  t.equal(read(recordOf(desk, 'alice', '192.0.2.1', { boot: 2 }), 'alice', at), 'taken');
  t.equal(read(recordOf(mobile, 'alice', '192.0.2.2'), 'alice', at), 'taken', 'another device');
  t.end();
});

t.test('what nobody could keep is not made', t => {
  const long = `sip:alice@192.0.2.7;x=${'y'.repeat(200)}`;
  t.throws(() => recordOf(desk, 'alice', '', { contacts: [] }), { code: 'BAD_RECORD' });
  t.throws(() => recordOf(desk, 'a  b', '192.0.2.7'), { code: 'BAD_NAME' });
  t.throws(
    () =>
      makeNameRecord(desk.signer, binding('alice', '', { contacts: Array(8).fill(long) }), {
        certificate: desk.certificate,
        enrolment: Buffer.alloc(7000),
      }),
    { code: 'BAD_RECORD', message: /8192 octets/ },
  );
  t.end();
});
