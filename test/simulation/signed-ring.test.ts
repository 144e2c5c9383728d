import t from 'tap';
import { idSigned, signAsId } from '../../src/identity/id-signature.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import { RememberingVerifier } from '../../src/identity/remembering-verifier.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { ChargedSigning, SIGNING_COST_US } from '../../src/simulation/charged-signing.js';
import { type RingKeys, SigningKeys } from '../../src/simulation/ring-keys.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { SimulatedRing } from '../../src/simulation/simulated-ring.js';

const MINUTE_MS = 60_000;

/** Members that join one after the other, in a ring where everybody knows everybody. */
function joined(keys: RingKeys, members: number): SimulatedRing {
  const ring = new SimulatedRing({ seed: 7, keys, member: { routing: 'table' } });
  const first = ring.start([]);
  for (let n = 1; n < members; n++) {
    ring.start([first.peer]);
    ring.run(ring.now + 1000);
  }
  ring.runUntil(() => ring.ring.length === members, 30 * MINUTE_MS);
  return ring;
}

t.test('a ring forms with the keys of devices, and none without them', t => {
  const real = (verifier = new Ed25519Verifier()) =>
    new SigningKeys(seed => new Ed25519Signer(seed), new RememberingVerifier(verifier));
  const ring = joined(real(), 12);
  t.equal(ring.ring.length, 12);
  ring.run(ring.now + 10 * MINUTE_MS);
  const knows = () => ring.members.map(({ state }) => state.membership?.present.length);
  t.same(knows(), Array(12).fill(12), 'everybody believes what everybody signed');
  t.same([...ring.violations], []);

  const doubted = joined(
    new SigningKeys(seed => new Ed25519Signer(seed), { verify: () => false }),
    6,
  );
  doubted.run(doubted.now + 10 * MINUTE_MS);
  const believed = doubted.members.map(({ state }) => state.membership?.present.length ?? 0);
  t.ok(Math.max(...believed) < 6, 'nobody is known whose signature does not hold');
  t.end();
});

t.test('a larger ring charges what its signatures would have cost', t => {
  const signing = new ChargedSigning();
  const ring = joined(new SigningKeys(seed => signing.signer(seed), signing), 120);
  ring.run(ring.now + 10 * MINUTE_MS);
  t.equal(ring.ring.length, 120);
  const { signatures, verifications, costUs } = signing.account;
  t.ok(signatures >= 120, `${signatures} signatures`);
  t.ok(verifications > signatures, `${verifications} verifications`);
  t.equal(costUs, signatures * SIGNING_COST_US.sign + verifications * SIGNING_COST_US.verify);
  t.comment(`${(costUs / 1000 / 120).toFixed(0)} ms a member, for all its signatures`);
  t.end();
});

t.test('a signature with its key holds for the ID of that key and that text alone', t => {
  const random = new SeededRandom(8);
  const verifier = new Ed25519Verifier();
  const [alice, mallory] = [1, 2].map(() => new Ed25519Signer(random.bytes(32))) as [
    Ed25519Signer,
    Ed25519Signer,
  ];
  const id = deviceIdOf(alice.publicKey);
  const signature = signAsId(alice, 'here');
  t.equal(signature.length, 128);
  t.ok(idSigned(verifier, id, 'here', signature));
  t.notOk(idSigned(verifier, id, 'there', signature));
  t.notOk(idSigned(verifier, id, 'here', signAsId(mallory, 'here')), 'another key has another ID');
  t.notOk(idSigned(verifier, deviceIdOf(mallory.publicKey), 'here', signature));
  const bare = Buffer.concat([alice.publicKey, alice.sign(Buffer.from('here'))]);
  t.notOk(idSigned(verifier, id, 'here', bare.toString('base64url')), 'of another use of the key');
  for (let at = 0; at < signature.length; at++) {
    const other = signature[at] === 'A' ? 'B' : 'A';
    const changed = signature.slice(0, at) + other + signature.slice(at + 1);
    if (idSigned(verifier, id, 'here', changed)) t.fail(`character ${at}`);
  }
  for (let round = 0; round < 1000; round++) {
    const noise = Buffer.from(random.bytes(round % 100)).toString('base64url');
    if (idSigned(verifier, id, 'here', noise)) t.fail(noise);
  }
  t.end();
});
