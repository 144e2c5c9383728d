import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import t from 'tap';
import type { TlsIdentity } from '../../src/core/network.js';
import { SystemRandom } from '../../src/core/random.js';
import {
  phoneCertificateNames,
  StoredTlsIdentity,
} from '../../src/identity/stored-tls-identity.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { speaksFor } from '../../src/sip/transport/tls-trust.js';
import { FileStore } from '../../src/storage/file-store.js';
import { MemoryStore } from '../../src/storage/memory-store.js';
import type { Store } from '../../src/storage/store.js';

const KITCHEN = phoneCertificateNames('kitchen', 'ringline-a1b2.local');

function made(
  store: Store = new MemoryStore(),
  random = new SystemRandom(),
  names = KITCHEN,
): Promise<TlsIdentity> {
  return new StoredTlsIdentity({ store, random, names }).identity();
}

const parsed = ({ cert }: TlsIdentity) => new X509Certificate(cert);

t.test('a key and a certificate are made on first use, and stay', async t => {
  const store = new MemoryStore();
  const identity = new StoredTlsIdentity({ store, random: new SystemRandom(), names: KITCHEN });
  t.same(await store.keys(), [], 'nothing is made before it is needed');
  const [first, again] = await Promise.all([identity.identity(), identity.identity()]);
  t.equal(again, first, 'two callers at once get one');
  t.same(await made(store), first, 'the very same octets after a restart');
  t.not((await made()).key, first.key, 'another device has another');
});

t.test('the certificate is good: signed by its own key, for its names, at any time', async t => {
  const identity = await made();
  const certificate = parsed(identity);
  t.ok(certificate.checkPrivateKey(createPrivateKey(identity.key)));
  t.ok(certificate.verify(certificate.publicKey));
  t.same(certificate.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' });
  t.equal(certificate.subject, 'CN=kitchen');
  t.equal(certificate.issuer, 'CN=kitchen');
  t.notOk(certificate.ca, 'it vouches for nobody else');
  t.equal(certificate.validFrom, 'Jan  1 00:00:00 1970 GMT');
  t.equal(certificate.validTo, 'Dec 31 23:59:59 9999 GMT');
  for (const name of ['kitchen', 'kitchen.local', 'ringline-a1b2.local']) {
    t.ok(speaksFor(certificate, name), name);
    t.ok(certificate.checkHost(name), `${name}, as OpenSSL sees it`);
  }
  t.match(certificate.subjectAltName, /URI:sip:kitchen\.local/);
  t.notOk(speaksFor(certificate, 'hall.local'));
});

t.test('OpenSSL takes it at both ends, from whoever trusts it', async t => {
  const [server, client] = await Promise.all([made(), made()]);
  const listening = createServer({ ...server, ca: [client.cert], requestCert: true });
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve));
  t.teardown(() => listening.close());
  const address = listening.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const accepted = new Promise(resolve => {
    listening.once('secureConnection', socket => resolve(socket.authorized));
  });
  // Refused, it would be an error here: `rejectUnauthorized` is on.
  const socket = connect({ port, ...client, ca: [server.cert], servername: 'kitchen.local' });
  await new Promise((resolve, reject) =>
    socket.once('secureConnect', resolve).once('error', reject),
  );
  t.ok(socket.authorized);
  t.ok(await accepted);
  socket.destroy();
});

t.test('names in other scripts stand in it as the DNS has them', async t => {
  const names = phoneCertificateNames('küche', 'ringline-1.local');
  t.same(names, {
    commonName: 'küche',
    dns: ['xn--kche-0ra', 'xn--kche-0ra.local', 'ringline-1.local'],
    uri: ['sip:xn--kche-0ra.local'],
  });
  const certificate = parsed(await made(new MemoryStore(), new SystemRandom(), names));
  t.equal(certificate.subject, 'CN=küche');
  t.ok(speaksFor(certificate, 'xn--kche-0ra.local'));
  // Node versions differ on broken Punycode; no DNS has blanks.
  const none = phoneCertificateNames('a b', 'ringline-1.local');
  t.same(
    [none.dns, none.uri],
    [['ringline-1.local'], []],
    'what is no name in the DNS is left out',
  );
  const longest = phoneCertificateNames('x'.repeat(63), 'ringline-1.local');
  t.ok(
    parsed(await made(new MemoryStore(), new SystemRandom(), longest)).checkHost('x'.repeat(63)),
  );
});

t.test('under a new name the certificate is another and the key the same', async t => {
  const store = new MemoryStore();
  const before = parsed(await made(store));
  const names = phoneCertificateNames('hall', 'ringline-a1b2.local');
  const after = parsed(await made(store, new SystemRandom(), names));
  t.ok(speaksFor(after, 'hall.local'));
  t.notOk(speaksFor(after, 'kitchen.local'));
  t.ok(after.publicKey.equals(before.publicKey));
  t.not(after.serialNumber, before.serialNumber);
  const record = await store.get<object>('identity/tls-certificate');
  await store.set('identity/tls-certificate', { ...record, certificate: 'bm9uZQ==' });
  t.ok(speaksFor(parsed(await made(store, new SystemRandom(), names)), 'hall.local'));
});

t.test('a certificate that belongs to another key is made anew', async t => {
  const [store, other] = [new MemoryStore(), new MemoryStore()];
  await Promise.all([made(store), made(other)]);
  await store.set('identity/tls', (await other.get<object>('identity/tls')) ?? {});
  const { key, cert } = await made(store);
  t.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)));
});

t.test('the same chance gives the same key', async t => {
  const drawn = () => made(new MemoryStore(), new SeededRandom(7));
  t.equal((await drawn()).key, (await drawn()).key);
  const extremes = [0x00, 0xff].map(octet => ({ bytes: (n: number) => Buffer.alloc(n, octet) }));
  for (const random of extremes) {
    t.ok(parsed(await made(new MemoryStore(), random)).publicKey, 'whatever is drawn is a key');
  }
});

t.test('a record that holds no key is refused, and told without what it held', async t => {
  const zero = Buffer.alloc(32).toString('base64url');
  for (const record of [
    {},
    { algorithm: 'P-256', scalar: 'c2VjcmV0' },
    { algorithm: 'P-256', scalar: zero },
  ]) {
    const store = new MemoryStore();
    await store.set('identity/tls', record);
    const error = await made(store).catch(error => error);
    t.match(error, { code: 'BAD_IDENTITY', remedy: /delete the record/ });
    t.notMatch(String(error), /c2VjcmV0|AAAA/);
  }
});

t.test('the key lies where only its owner may read it', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-tls-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const store = await FileStore.open({ directory, onDamage: problem => t.fail(problem.message) });
  await made(store);
  await store.close();
  t.equal(statSync(join(directory, 'identity/tls.json')).mode & 0o777, 0o600);
  t.equal(statSync(join(directory, 'identity')).mode & 0o777, 0o700);
});

t.test('what could not be stored is tried again', async t => {
  const store = new MemoryStore();
  let failing = true;
  const identity = new StoredTlsIdentity({
    store: Object.assign(Object.create(store), {
      get: store.get.bind(store),
      set: async (key: string, value: object) => {
        if (failing) throw new Error('no space');
        await store.set(key, value);
      },
      add: async (key: string, value: object) => {
        if (failing) throw new Error('no space');
        return store.add(key, value);
      },
    }),
    random: new SystemRandom(),
    names: KITCHEN,
  });
  await t.rejects(identity.identity(), { message: 'no space' });
  failing = false;
  t.match(await identity.identity(), { cert: /BEGIN CERTIFICATE/ });
});
