import t from 'tap';
import {
  type Binding,
  type BindingProof,
  readBinding,
  signBinding,
} from '../../src/identity/binding.js';
import { encodeCbor } from '../../src/identity/cbor.js';
import { issueDeviceCertificate, issueDeviceList } from '../../src/identity/device-certificate.js';
import { DeviceTrust } from '../../src/identity/device-trust.js';
import { FreshnessGuard } from '../../src/identity/freshness-guard.js';
import { NameJudge } from '../../src/identity/name-judge.js';
import { PinBook } from '../../src/identity/pin-book.js';
import { signRecord } from '../../src/identity/signed-record.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { MemoryStore } from '../../src/storage/memory-store.js';

const random = new SeededRandom(9);
const verifier = new Ed25519Verifier();
const key = () => new Ed25519Signer(random.bytes(32));
const [alice, kitchen, carol, superNode] = [key(), key(), key(), key()];
const BINDING: Binding = {
  name: 'alice',
  overlay: 'village',
  by: 'user',
  contacts: ['sip:alice@192.0.2.17:5061;transport=tls', 'sip:alice@192.0.2.17'],
  boot: 2,
  sequence: 5,
  lifetime: 3600,
};

const certificate = (user: Ed25519Signer, device: Ed25519Signer, may: string[], sequence = 1) =>
  issueDeviceCertificate(user, {
    device: device.publicKey,
    capabilities: may,
    sequence,
    lifetime: 86_400,
  });
const reach = certificate(alice, kitchen, ['reach']);

/** Somebody who has heard of nobody yet. */
function stranger(overlay = 'village') {
  const trust = new DeviceTrust(verifier);
  const tools = { overlay, verifier, trust, guard: new FreshnessGuard() };
  const read = (proof: BindingProof) => readBinding(proof, tools, 0);
  const code = (proof: BindingProof) => {
    const outcome = read(proof);
    return outcome.ok ? 'taken' : outcome.code;
  };
  return { trust, read, code };
}

const proof = (more: Partial<Binding> = {}, certified = reach, device = kitchen) => ({
  binding: signBinding(device, { ...BINDING, ...more }),
  certificate: certified,
});

t.test('a stranger believes a binding with its certificate, and knows whose it is', t => {
  t.same(stranger().read(proof()), {
    ok: true,
    value: {
      binding: BINDING,
      claim: { kind: 'signed', user: alice.publicKey },
      device: kitchen.publicKey,
    },
  });
  const enrolment = new Uint8Array([1]);
  t.match(stranger().read({ ...proof(), enrolment }), { value: { claim: { enrolment } } });
  t.end();
});

t.test('what does not hold is refused', t => {
  const { code, trust } = stranger();
  t.equal(code(proof({}, certificate(alice, kitchen, ['read']))), 'NOT_CERTIFIED');
  t.equal(code(proof({}, reach, carol)), 'WRONG_KEY', 'with the certificate of another device');
  t.equal(code({ ...proof(), certificate: undefined }), 'UNSIGNED');
  t.equal(code(proof({ by: 'voucher' })), 'NOT_CERTIFIED', 'who is reached need not vouch');
  t.equal(stranger('office').code(proof()), 'WRONG_OVERLAY');
  const { binding } = proof();
  binding[20] = (binding[20] ?? 0) ^ 1;
  t.notOk(stranger().read({ binding, certificate: reach }).ok);
  t.equal(code(proof()), 'taken');
  t.equal(code(proof({ sequence: 4 })), 'STALE', 'replayed');
  t.equal(code(proof({ boot: 1, sequence: 99 })), 'STALE', 'from before the restart');
  trust.learn(issueDeviceList(alice, { devices: [], sequence: 2, lifetime: 1 }));
  t.equal(code(proof({ sequence: 6 })), 'REVOKED');
  const odd = (subject: string, body: Uint8Array) => ({
    binding: signRecord(kitchen, { ...BINDING, kind: 'binding', subject, body }),
    certificate: reach,
  });
  for (const [subject, body] of [
    ['alice', []],
    ['alice', [1]],
    ['alice', Array(9).fill('sip:a')],
    ['alice', ['x'.repeat(257)]],
    ['Alice', ['sip:a']],
  ] as const) {
    t.equal(stranger().code(odd(subject, encodeCbor(body))), 'MALFORMED');
  }
  t.throws(() => proof({ contacts: [] }), { code: 'BAD_RECORD' });
  t.throws(() => proof({ name: '' }), { code: 'BAD_NAME' });
  t.end();
});

t.test('what a super-node vouches for yields to a signature, and the clash is shown', async t => {
  const { read } = stranger();
  const publish = certificate(carol, superNode, ['publish']);
  const vouched = read(proof({ by: 'voucher' }, publish, superNode));
  const signed = read(proof());
  t.match(vouched, { ok: true, value: { claim: { kind: 'vouched', by: carol.publicKey } } });
  if (!vouched.ok || !signed.ok) return;
  const pins = await PinBook.load({ store: new MemoryStore(), overlay: 'village' });
  const claims = [vouched.value.claim, signed.value.claim];
  const { chosen, clash } = new NameJudge({ pins }).judge('alice', claims, 0);
  t.equal(chosen?.claim, signed.value.claim);
  t.same(clash?.claims, [vouched.value.claim]);
});
