import t from 'tap';
import { encodeCbor } from '../../src/identity/cbor.js';
import {
  issueDeviceCertificate,
  issueDeviceList,
  MAX_DEVICES,
  readDeviceCertificate,
  readDeviceList,
} from '../../src/identity/device-certificate.js';
import { DeviceTrust } from '../../src/identity/device-trust.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import type { Outcome } from '../../src/identity/refusal.js';
import { RememberingVerifier } from '../../src/identity/remembering-verifier.js';
import { signRecord } from '../../src/identity/signed-record.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';

const random = new SeededRandom(3);
const verifier = new Ed25519Verifier();
const key = () => new Ed25519Signer(random.bytes(32));
const [alice, mallory, kitchen, den] = [key(), key(), key(), key()];
const kitchenId = deviceIdOf(kitchen.publicKey);
const denId = deviceIdOf(den.publicKey);
const YEAR_S = 365 * 86_400;

interface Signed {
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
}

const code = (outcome: Outcome<unknown>) => (outcome.ok ? 'taken' : outcome.code);

function certificate(sequence: number, more: object = {}, user = alice, device = kitchen) {
  const told = { capabilities: ['reach', 'publish'], lifetime: YEAR_S, ...more };
  return issueDeviceCertificate(user, { device: device.publicKey, sequence, ...told });
}

function list(sequence: number, ...devices: [deviceId: string, sequence: number][]) {
  const listed = devices.map(([deviceId, sequence]) => ({ deviceId, sequence }));
  return issueDeviceList(alice, { devices: listed, sequence, lifetime: YEAR_S });
}

/** A stranger who knows nothing yet. */
function stranger() {
  const trust = new DeviceTrust(verifier);
  const check = (octets: Uint8Array | undefined, now = 0, more: object = {}) => {
    const claim = { device: kitchen.publicKey, user: alice.publicKey, capability: 'reach' };
    return code(trust.check({ ...claim, ...more, certificate: octets }, now));
  };
  return { trust, check, learn: (octets: Uint8Array) => code(trust.learn(octets)) };
}

t.test('a device does for its user what the user certified, and nothing else', t => {
  const { check } = stranger();
  const octets = certificate(1);
  t.equal(check(octets), 'taken');
  t.equal(check(octets, 0, { capability: 'publish' }), 'taken');
  t.equal(check(octets, 0, { user: undefined }), 'taken', 'whose it is stands in it');
  t.equal(check(octets, 0, { capability: 'read' }), 'NOT_CERTIFIED');
  t.equal(check(octets, 0, { user: mallory.publicKey }), 'NOT_CERTIFIED');
  t.equal(check(certificate(1, {}, mallory)), 'NOT_CERTIFIED', 'certified by somebody else');
  t.equal(check(octets, 0, { device: den.publicKey }), 'WRONG_KEY', 'of another device');
  t.equal(check(undefined), 'UNSIGNED');
  t.same(readDeviceCertificate(octets, verifier), {
    ok: true,
    value: {
      user: alice.publicKey,
      device: kitchen.publicKey,
      capabilities: ['reach', 'publish'],
      sequence: 1,
      lifetime: YEAR_S,
    },
  });
  t.ok(octets.length < 250, `${octets.length} octets`);
  t.end();
});

t.test('a newer list takes back what is not on it', t => {
  const { check, learn } = stranger();
  t.equal(check(certificate(1)), 'taken');
  t.equal(learn(list(2, [denId, 1])), 'taken');
  t.equal(check(certificate(1)), 'REVOKED');
  t.equal(check(certificate(2)), 'REVOKED', 'as old as the list');
  t.equal(check(certificate(3)), 'taken', 'certified again after the list');
  t.equal(learn(list(1, [kitchenId, 1])), 'STALE', 'an older list brings nothing back');
  t.equal(learn(list(2, [kitchenId, 1])), 'STALE', 'nor does another of the same number');
  t.equal(learn(list(2, [denId, 1])), 'taken');
  t.equal(check(certificate(1)), 'STALE');
  t.equal(learn(list(4, [kitchenId, 3])), 'taken');
  t.equal(check(certificate(3)), 'taken');
  const other = stranger();
  other.learn(list(4, [kitchenId, 3]));
  t.equal(
    other.check(certificate(1)),
    'REVOKED',
    'an older one of a listed device, with more rights',
  );
  t.end();
});

t.test('of a device’s certificates the newest seen counts, for its lifetime', t => {
  const { check } = stranger();
  t.equal(check(certificate(5, { lifetime: 60 }), 1_000), 'taken');
  t.equal(check(certificate(4, { capabilities: ['reach', 'read'] }), 1_000), 'STALE');
  t.equal(check(certificate(5, { lifetime: 60 }), 61_000), 'taken');
  t.equal(check(certificate(5, { lifetime: 60 }), 61_001), 'EXPIRED');
  t.equal(check(certificate(6, { lifetime: 60 }), 61_001), 'taken', 'renewed');
  t.end();
});

t.test('what was put together wrongly is refused, though signed', t => {
  const { check, learn } = stranger();
  const signed = (kind: string, subject: string, body: Uint8Array, overlay = '') =>
    signRecord(alice, { kind, overlay, subject, boot: 0, sequence: 9, lifetime: 1, body });
  const rights = encodeCbor([kitchen.publicKey, ['reach']]);
  t.equal(check(signed('device', kitchenId, rights)), 'taken');
  t.equal(check(signed('device', denId, rights)), 'WRONG_KEY', 'a key under a foreign ID');
  t.equal(check(signed('device', kitchenId, rights, 'office')), 'WRONG_OVERLAY');
  t.equal(check(signed('devices', kitchenId, rights)), 'WRONG_KIND');
  for (const body of [
    [],
    [kitchen.publicKey],
    [kitchen.publicKey, 'reach'],
    [kitchen.publicKey, [1]],
    [kitchen.publicKey, ['x'.repeat(33)]],
    [kitchen.publicKey, Array(17).fill('x')],
    [kitchen.publicKey, [], 1],
  ]) {
    t.equal(check(signed('device', kitchenId, encodeCbor(body))), 'MALFORMED');
  }
  t.equal(check(signed('device', kitchenId, new Uint8Array(1025))), 'TOO_LARGE');
  const aliceId = deviceIdOf(alice.publicKey);
  const entry = [new Uint8Array(20), 1];
  t.equal(learn(signed('devices', aliceId, encodeCbor([entry]))), 'taken');
  t.equal(learn(signed('devices', denId, encodeCbor([]))), 'WRONG_KEY');
  for (const body of [1, [1], [[new Uint8Array(19), 1]], [[...entry, 2]], [[entry[0]!]]]) {
    t.equal(learn(signed('devices', aliceId, encodeCbor(body))), 'MALFORMED');
  }
  const many = encodeCbor(Array(MAX_DEVICES + 1).fill(entry));
  t.equal(learn(signed('devices', aliceId, many)), 'MALFORMED');
  t.end();
});

t.test('users of whom nothing is heard are forgotten before memory runs out', t => {
  const trust = new DeviceTrust(verifier, 2);
  trust.learn(list(2));
  const claim = { device: kitchen.publicKey, capability: 'reach' };
  const check = (user: Ed25519Signer, sequence: number) =>
    code(trust.check({ ...claim, certificate: certificate(sequence, {}, user) }, 0));
  for (let n = 0; n < 5; n++) {
    t.equal(check(key(), 1), 'taken');
    t.equal(check(alice, 1), 'REVOKED', 'who is heard of stays');
  }
  for (let n = 0; n < 2; n++) check(key(), 1);
  t.equal(check(alice, 1), 'taken', 'forgotten');
  t.end();
});

t.test('a signature that held is not computed again, and one that did not never holds', t => {
  let computed = 0;
  const counting = {
    verify: (...given: Parameters<typeof verifier.verify>) => {
      computed++;
      return verifier.verify(...given);
    },
  };
  const remembering = new RememberingVerifier(counting, 2);
  const data = new Uint8Array([1, 2, 3]);
  const [one, two, three] = [alice, kitchen, den].map(signer => ({
    key: signer.publicKey,
    signature: signer.sign(data),
  })) as [Signed, Signed, Signed];
  const verify = ({ key, signature }: Signed, text = data) =>
    remembering.verify(key, text, signature);
  for (let n = 0; n < 3; n++) t.ok(verify(one));
  t.equal(computed, 1);
  for (let n = 0; n < 2; n++) t.notOk(verify(one, new Uint8Array([1, 2])));
  t.notOk(verify({ key: kitchen.publicKey, signature: one.signature }));
  t.notOk(verify({ key: one.key.subarray(1), signature: one.signature }));
  t.equal(computed, 5);
  t.ok(verify(two) && verify(three) && verify(one));
  t.equal(computed, 8, 'what was longest unseen is forgotten');
  t.end();
});

t.test('a hundred thousand random bodies are refused, and none is an accident', t => {
  const trusting = { verify: () => true };
  const [one, another] = [certificate(1), list(1, [kitchenId, 1], [denId, 1])];
  const codes = new Map<string, number>();
  for (let round = 0; round < 50_000; round++) {
    const noise = random.bytes(1 + (round % 3));
    const spoilt = [one, another].map(octets => {
      const copy = Uint8Array.from(octets);
      copy.set(noise, round % (copy.length - 3));
      return copy;
    });
    const outcomes = [
      readDeviceCertificate(spoilt[0]!, trusting),
      readDeviceList(spoilt[1]!, trusting),
    ];
    for (const outcome of outcomes) {
      codes.set(code(outcome), (codes.get(code(outcome)) ?? 0) + 1);
    }
  }
  t.ok((codes.get('MALFORMED') ?? 0) > 10_000, JSON.stringify([...codes]));
  t.ok(codes.has('WRONG_KEY') && codes.has('WRONG_KIND'));
  t.end();
});
