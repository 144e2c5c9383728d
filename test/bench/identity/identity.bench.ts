/** What keys cost: signatures, records, sealing. The constants of `SIGNING_COST_US` are the first two figures. */
import { SystemRandom } from '../../../src/core/random.js';
import { issueDeviceCertificate } from '../../../src/identity/device-certificate.js';
import { DeviceTrust } from '../../../src/identity/device-trust.js';
import { RememberingVerifier } from '../../../src/identity/remembering-verifier.js';
import { open, seal } from '../../../src/identity/sealed-record.js';
import { openSecret, sealSecret } from '../../../src/identity/sealed-secret.js';
import { readRecord, signRecord } from '../../../src/identity/signed-record.js';
import { Ed25519Signer, Ed25519Verifier } from '../../../src/identity/signing.js';
import { UserKey } from '../../../src/identity/user-key.js';
import { ChargedSigning, SIGNING_COST_US } from '../../../src/simulation/charged-signing.js';
import { atMost, type Figure, median, plain, printFigures } from '../../harness/figures.js';

const ROUNDS = 15;
/** SIP wrapper and all, a signed binding is to fit this. */
const BINDING_OCTETS = 830;

const random = new SystemRandom();
const verifier = new Ed25519Verifier();
const device = new Ed25519Signer(random.bytes(32));
const user = UserKey.make(random);

const content = {
  kind: 'binding',
  overlay: 'office',
  subject: 'alice',
  boot: 3,
  sequence: 9,
  lifetime: 3600,
  body: new TextEncoder().encode('sip:alice@192.0.2.17:5061;transport=tls'),
};
const record = signRecord(device, content);
const signature = device.sign(content.body);
const charged = new ChargedSigning();
const stamp = charged.signer(device.publicKey).sign(content.body);
const certificate = issueDeviceCertificate(user.signer, {
  device: device.publicKey,
  capabilities: ['reach', 'publish', 'read'],
  sequence: 1,
  lifetime: 31_536_000,
});
const trust = new DeviceTrust(verifier);
const remembering = new DeviceTrust(new RememberingVerifier(verifier));
const purpose = { kind: 'voicemail', overlay: 'office', subject: 'alice' };

const sealing = (body: Uint8Array) => ({
  body,
  sender: device,
  recipients: [user.sealing.publicKey],
  purpose,
  random,
});
const small = sealing(random.bytes(400));
const voice = sealing(random.bytes(500_000));
const [smallSealed, voiceSealed] = [seal(small), seal(voice)];
const opening = { key: user.sealing, purpose, verifier };

const figures: Figure[] = [
  timed('Ed25519 signature', 400, () => device.sign(content.body)),
  timed('Ed25519 verification', 200, () =>
    verifier.verify(device.publicKey, content.body, signature),
  ),
  plain('charged for a signature in simulations', SIGNING_COST_US.sign, 'µs'),
  plain('charged for a verification', SIGNING_COST_US.verify, 'µs'),
  timed('what a charged verification takes', 2000, () =>
    charged.verify(device.publicKey, content.body, stamp),
  ),
  timed('signed record, made', 300, () => signRecord(device, content)),
  timed('signed record, read', 200, () =>
    readRecord(record, { kind: 'binding', overlay: 'office' }, verifier),
  ),
  timed('device certificate, judged', 200, () =>
    trust.check({ device: device.publicKey, capability: 'reach', certificate }, 0),
  ),
  timed('device certificate, seen before', 1000, () =>
    remembering.check({ device: device.publicKey, capability: 'reach', certificate }, 0),
  ),
  timed('400 octets sealed', 100, () => seal(small)),
  timed('400 octets opened', 100, () => open(smallSealed, opening)),
  timed('500,000 octets sealed', 3, () => seal(voice)),
  timed('500,000 octets opened', 3, () => open(voiceSealed, opening)),
  plain('binding, octets', record.length, 'octets'),
  plain('device certificate, octets', certificate.length, 'octets'),
  atMost(BINDING_OCTETS, 'binding as a SIP REGISTER', sipBinding().length, 'octets'),
  plain('and its device certificate', Math.ceil((certificate.length * 4) / 3), 'octets'),
  await passphraseFigure(),
];
printFigures(figures);
process.exitCode = figures.some(({ met }) => met === false) ? 1 : 0;

/** The median of some rounds, each the mean of `times`. */
function timed(name: string, times: number, work: () => unknown): Figure {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let n = 0; n < times; n++) work();
    const us = Number(process.hrtime.bigint() - start) / 1000 / times;
    // The first one warms up.
    if (round > 0) rounds.push(us);
  }
  return plain(name, median(rounds), 'µs');
}

async function passphraseFigure(): Promise<Figure> {
  const secret = { kind: 'user', name: 'alice', counter: 1, secret: user.secret() } as const;
  const text = await sealSecret(secret, 'correct horse battery', random);
  const start = process.hrtime.bigint();
  await openSecret(text, 'user', 'correct horse battery');
  return plain('key opened by its passphrase', Number(process.hrtime.bigint() - start) / 1e6, 'ms');
}

/** As a super-node would get it: the report's REGISTER, and the record in a header of its own. */
function sipBinding(): string {
  const id = '3f9a2c7d51e6b8a0c4d2f1e09b87a6c5d4e3f201';
  return [
    'REGISTER sip:192.0.2.9:5061;transport=tls SIP/2.0',
    'Via: SIP/2.0/TLS 192.0.2.17:5061;branch=z9hG4bK6f1d0c9ab2e34587;rport',
    'Max-Forwards: 70',
    'From: <sip:alice@office>;tag=a1b2c3d4e5f60718',
    'To: <sip:alice@office>',
    'Call-ID: 9f8e7d6c5b4a39281706f5e4d3c2b1a0',
    'CSeq: 1 REGISTER',
    `DHT-PeerID: <sip:peer@192.0.2.17:5061;peer-ID=${id}>;algorithm=sha-1;dht=Chord1.0;overlay=office`,
    'Require: dht',
    'Contact: <sip:alice@192.0.2.17:5061;transport=tls>',
    'Expires: 3600',
    `Identity: ${Buffer.from(record).toString('base64url')}`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}
