import { createHash } from 'node:crypto';
import t from 'tap';
import { SystemRandom } from '../../src/core/random.js';
import { deviceIdOf, verifySignature } from '../../src/identity/identity.js';
import { StoredIdentity } from '../../src/identity/stored-identity.js';
import { MemoryStore } from '../../src/storage/memory-store.js';

const text = (words: string) => new TextEncoder().encode(words);

function identity(store = new MemoryStore(), random = new SystemRandom()) {
  return new StoredIdentity({ store, random });
}

t.test('a key is made on first use and stays', async t => {
  const store = new MemoryStore();
  const first = identity(store);
  t.same(await store.keys(), [], 'nothing is made before it is needed');
  const [id, again] = await Promise.all([first.deviceId(), first.deviceId()]);
  t.match(id, /^[0-9a-f]{40}$/);
  t.equal(again, id, 'two callers at once get one key');
  const second = identity(store);
  t.equal(await second.deviceId(), id);
  t.same(await second.publicKey(), await first.publicKey());
  t.not(await identity().deviceId(), id, 'another device is another');
});

t.test('the device-ID is the head of SHA-256 over the raw public key', async t => {
  const device = identity();
  const key = await device.publicKey();
  t.equal(key.length, 32);
  const digest = createHash('sha256').update(key).digest().subarray(0, 20).toString('hex');
  t.equal(await device.deviceId(), digest);
  t.equal(deviceIdOf(key), digest);
});

t.test('a seed gives the key and signature of RFC 8032 §7.1, test 2', async t => {
  const seed = Buffer.from(
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    'hex',
  );
  const device = identity(new MemoryStore(), { bytes: () => seed });
  t.equal(
    Buffer.from(await device.publicKey()).toString('hex'),
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  );
  t.equal(
    Buffer.from(await device.sign(new Uint8Array([0x72]))).toString('hex'),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
});

t.test('a signature holds for its text and its key alone', async t => {
  const device = identity();
  const signature = await device.sign(text('ring'));
  t.equal(verifySignature(await device.publicKey(), text('ring'), signature), true);
  t.equal(verifySignature(await device.publicKey(), text('rung'), signature), false);
  t.equal(verifySignature(await identity().publicKey(), text('ring'), signature), false);
  t.equal(verifySignature(await device.publicKey(), text('ring'), new Uint8Array(3)), false);
  t.throws(() => verifySignature(new Uint8Array(31), text('ring'), signature), {
    code: 'BAD_PUBLIC_KEY',
    message: /found 31/,
  });
});

t.test('a start is counted once, and only where someone asks', async t => {
  const store = new MemoryStore();
  const first = identity(store);
  t.same(await Promise.all([first.bootCount(), first.bootCount()]), [1, 1]);
  t.equal(await first.bootCount(), 1);
  t.equal(await identity(store).bootCount(), 2);
  await identity(store).deviceId();
  t.equal(await identity(store).bootCount(), 3);
});

t.test('a stored key that is none is not replaced silently', async t => {
  const store = new MemoryStore();
  await store.set('identity/device', { algorithm: 'Ed25519', seed: 'AAAA' });
  await t.rejects(identity(store).deviceId(), { code: 'BAD_IDENTITY', message: /of 3/ });
  t.same(await store.get('identity/device'), { algorithm: 'Ed25519', seed: 'AAAA' });
});
