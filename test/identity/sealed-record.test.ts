import { createHash } from 'node:crypto';
import t from 'tap';
import type { Outcome } from '../../src/identity/refusal.js';
import {
  MAX_RECIPIENTS,
  MAX_SEALED_BODY_OCTETS,
  type Opened,
  open,
  paddedLength,
  type Sealed,
  seal,
} from '../../src/identity/sealed-record.js';
import { openSecret, sealSecret } from '../../src/identity/sealed-secret.js';
import { signRecord } from '../../src/identity/signed-record.js';
import { Ed25519Verifier } from '../../src/identity/signing.js';
import { readSealingRecord, UserKey, X25519Key } from '../../src/identity/user-key.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';

const random = new SeededRandom(2);
const verifier = new Ed25519Verifier();
const [alice, bob, carol, mallory] = [1, 2, 3, 4].map(() => UserKey.make(random)) as [
  UserKey,
  UserKey,
  UserKey,
  UserKey,
];
const purpose = { kind: 'voicemail', overlay: 'office', subject: 'bob' };
const body = new TextEncoder().encode('Lunch at one?');

function sealed(content: Uint8Array = body, recipients = [bob]): Sealed {
  const keys = recipients.map(({ sealing }) => sealing.publicKey);
  return seal({ body: content, sender: alice.signer, recipients: keys, purpose, random });
}

const opened = (record: Sealed, user = bob, more: object = {}): Outcome<Opened> =>
  open(record, { key: user.sealing, purpose, verifier, ...more });
const code = (outcome: Outcome<unknown>) => (outcome.ok ? 'opened' : outcome.code);

t.test('X25519 agrees as in RFC 7748 §6.1, and refuses what anybody could compute with', t => {
  const hex = (digits: string) => Buffer.from(digits, 'hex');
  const a = new X25519Key(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
  t.equal(
    Buffer.from(a.publicKey).toString('hex'),
    'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  );
  const other = hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  t.equal(
    Buffer.from(a.agree(other) ?? []).toString('hex'),
    '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  );
  for (const weak of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))]) {
    t.equal(a.agree(weak), undefined);
  }
  t.equal(a.agree(new Uint8Array(31)), undefined);
  t.end();
});

t.test('whom it was sealed to opens it and knows who sent it; nobody else opens it', t => {
  const record = sealed(body, [bob, carol]);
  for (const user of [bob, carol]) {
    const outcome = opened(record, user, { sender: alice.publicKey });
    t.ok(outcome.ok);
    if (!outcome.ok) continue;
    t.same(Buffer.from(outcome.value.body), Buffer.from(body));
    t.same(Buffer.from(outcome.value.sender), Buffer.from(alice.publicKey));
  }
  t.equal(code(opened(record, mallory)), 'UNDECIPHERABLE');
  t.equal(code(opened(record, bob, { sender: carol.publicKey })), 'WRONG_KEY');
  const all = Buffer.concat([record.header, ...record.chunks]);
  for (const known of [alice.publicKey, bob.publicKey, bob.sealing.publicKey, body]) {
    t.notOk(all.includes(Buffer.from(known)), 'holders see neither who nor what');
  }
  for (const other of [{ kind: 'contacts' }, { overlay: 'home' }, { subject: 'carol' }]) {
    const outcome = opened(record, bob, { purpose: { ...purpose, ...other } });
    t.equal(code(outcome), 'UNDECIPHERABLE', JSON.stringify(other));
  }
  t.end();
});

t.test('any octet changed, any chunk swapped, missing or added is noticed', t => {
  const record = sealed();
  let noticed = 0;
  const parts = [record.header, ...record.chunks];
  for (const [part, octets] of parts.entries()) {
    for (let at = 0; at < octets.length; at++) {
      const changed = Uint8Array.from(octets);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const [header, ...chunks] = parts.with(part, changed);
      if (!opened({ header: header!, chunks }).ok) noticed++;
    }
  }
  t.equal(noticed, record.header.length + record.chunks[0]!.length);

  const long = sealed(random.bytes(100_000));
  const [one, two, three, four] = long.chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  t.equal(long.chunks.length, 4);
  t.ok(opened(long).ok);
  for (const chunks of [
    [two, one, three, four],
    [one, two, three],
    [one, two, three, four, four],
    [one, one, three, four],
    [one, two, three, sealed(random.bytes(100_000)).chunks[3]!],
    [],
  ]) {
    t.equal(code(opened({ ...long, chunks })), 'UNDECIPHERABLE');
  }
  t.end();
});

t.test(
  'nobody puts a name of others on it, and no recipient passes it on as sent to another',
  t => {
    // Mallory seals under her own key and names Alice as the sender.
    const lying = {
      publicKey: alice.publicKey,
      sign: (data: Uint8Array) => mallory.signer.sign(data),
    };
    const recipients = [bob.sealing.publicKey];
    const forged = seal({ body, sender: lying, recipients, purpose, random });
    t.equal(code(opened(forged)), 'BAD_SIGNATURE');
    // Bob seals what Alice had signed for him again, for Carol, signature and all.
    let signature = new Uint8Array();
    const watched = {
      publicKey: alice.publicKey,
      sign: (data: Uint8Array) => {
        signature = Uint8Array.from(alice.signer.sign(data));
        return signature;
      },
    };
    seal({ body, sender: watched, recipients, purpose, random });
    const replaying = { publicKey: alice.publicKey, sign: () => signature };
    const again = seal({
      body,
      sender: replaying,
      recipients: [carol.sealing.publicKey],
      purpose,
      random,
    });
    t.equal(code(opened(again, carol)), 'BAD_SIGNATURE');
    t.end();
  },
);

t.test('lengths tell little: few of them, at most an eighth more', t => {
  const lengths = new Set<number>();
  for (let length = 1; length <= 2 ** 20; length += 997) {
    const padded = paddedLength(length);
    lengths.add(padded);
    if (padded < length || (length > 256 && padded > 1.125 * length)) t.fail(`${length}`);
  }
  t.ok(lengths.size < 200, `${lengths.size} lengths`);
  t.equal(paddedLength(2 ** 20), 2 ** 20);
  const octets = (n: number) =>
    sealed(new Uint8Array(n)).chunks.reduce((sum, c) => sum + c.length, 0);
  t.equal(octets(0), octets(156));
  t.equal(octets(10_000), octets(10_100));
  t.end();
});

t.test('up to 1 MiB goes in 32 chunks, for up to 16; beyond that it is refused', t => {
  const most = random.bytes(MAX_SEALED_BODY_OCTETS);
  const users = Array.from({ length: MAX_RECIPIENTS }, () => UserKey.make(random));
  const record = sealed(most, users);
  t.equal(record.chunks.length, 32);
  t.ok(record.chunks.every(chunk => chunk.length === 32_768 + 16));
  const outcome = opened(record, users.at(-1));
  const digest = (octets: Uint8Array) => createHash('sha256').update(octets).digest('hex');
  t.equal(outcome.ok && digest(outcome.value.body), digest(most));
  t.throws(() => sealed(random.bytes(MAX_SEALED_BODY_OCTETS + 1)), { code: 'TOO_LARGE_TO_SEAL' });
  t.throws(() => sealed(body, []), { code: 'BAD_RECIPIENTS' });
  t.throws(() => sealed(body, [...users, bob]), { code: 'BAD_RECIPIENTS' });
  t.ok(opened(sealed(body, [bob, bob])).ok, 'the same one twice counts once');
  const weak = { sender: alice.signer, recipients: [new Uint8Array(32)], purpose, random };
  t.throws(() => seal({ body, ...weak }), { code: 'BAD_RECIPIENTS' });
  t.equal(
    code(opened({ ...record, chunks: record.chunks.with(3, new Uint8Array(40_000)) }, users[0])),
    'TOO_LARGE',
  );
  t.end();
});

t.test('no two records share a key: the same body sealed twice differs throughout', t => {
  const [one, other] = [sealed(), sealed()];
  t.notSame(one.header, other.header);
  t.notSame(one.chunks[0]!.subarray(0, 16), other.chunks[0]!.subarray(0, 16));
  t.end();
});

t.test('random headers and chunks are refused without an accident', t => {
  const { header, chunks } = sealed();
  const codes = new Map<string, number>();
  for (let round = 0; round < 20_000; round++) {
    const noise = random.bytes(1 + (round % 120));
    const spoilt = Uint8Array.from(header);
    spoilt.set(noise.subarray(0, 2), round % (header.length - 2));
    const outcome = opened({ header: round % 2 ? noise : spoilt, chunks });
    // The noise may be what was there.
    if (outcome.ok && Buffer.compare(spoilt, header) !== 0) t.fail('opened');
    codes.set(code(outcome), (codes.get(code(outcome)) ?? 0) + 1);
  }
  t.ok((codes.get('MALFORMED') ?? 0) > 9_000, JSON.stringify([...codes]));
  t.ok((codes.get('UNDECIPHERABLE') ?? 0) > 1_000);
  t.end();
});

t.test('the key to seal to is signed by its user', t => {
  const record = bob.sealingRecord(86_400);
  const key = readSealingRecord(record, bob.publicKey, verifier);
  t.ok(key.ok && Buffer.compare(key.value, bob.sealing.publicKey) === 0);
  t.equal(code(readSealingRecord(record, alice.publicKey, verifier)), 'WRONG_KEY');
  const short = signRecord(bob.signer, {
    kind: 'sealing-key',
    overlay: '',
    subject: bob.userId,
    boot: 0,
    sequence: 0,
    lifetime: 1,
    body: new Uint8Array(31),
  });
  t.equal(code(readSealingRecord(short, bob.publicKey, verifier)), 'MALFORMED');
  t.end();
});

t.test('a user key goes to a second phone as one line, under a passphrase', async t => {
  const secret = { kind: 'user', name: 'alice', counter: 7, secret: alice.secret() } as const;
  const text = await sealSecret(secret, 'correct horse battery', random);
  t.match(text, /^ringline-user-1:[\w-]+$/);
  t.ok(text.length < 200, `${text.length} characters: a QR code of version 9`);
  const again = await openSecret(` ${text}\n`, 'user', 'correct horse battery');
  t.match(again, { name: 'alice', counter: 7 });
  t.equal(new UserKey(again.secret).userId, alice.userId);
  await t.rejects(openSecret(text, 'user', 'correct horse batterz'), { code: 'WRONG_PASSPHRASE' });
  await t.rejects(openSecret(text, 'overlay', 'correct horse battery'), { code: 'BAD_KEY_TEXT' });
  await t.rejects(sealSecret(secret, 'short', random), { code: 'BAD_PASSPHRASE' });
  for (const bad of ['', 'ringline-user-1:', text.slice(0, -9), `${text}AAAA`, `x${text}`]) {
    const error = await openSecret(bad, 'user', 'correct horse battery').catch(error => error);
    t.equal(error.code, 'BAD_KEY_TEXT', bad);
    t.notMatch(String(error.message), /[\w-]{40}/, 'what was given is not told');
  }
  const renamed = Buffer.from(text.slice('ringline-user-1:'.length), 'base64url');
  renamed.write('mallo', renamed.indexOf('alice'));
  const changed = `ringline-user-1:${renamed.toString('base64url')}`;
  await t.rejects(openSecret(changed, 'user', 'correct horse battery'), {
    code: 'WRONG_PASSPHRASE',
  });
  const shown =
    JSON.stringify(alice) +
    String(alice) +
    (await import('node:util')).inspect(alice, { depth: 9, showHidden: true });
  const hidden = Buffer.from(alice.secret());
  t.notMatch(shown, hidden.toString('hex').slice(0, 16));
  t.notMatch(shown, hidden.toString('base64url').slice(0, 12));
});
