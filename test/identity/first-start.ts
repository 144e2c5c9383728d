/** Child process of first-start.test.ts: a phone's first start, as far as its keys; prints what it is. */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { SystemRandom } from '../../src/core/random.js';
import { StoredIdentity } from '../../src/identity/stored-identity.js';
import {
  phoneCertificateNames,
  StoredTlsIdentity,
} from '../../src/identity/stored-tls-identity.js';
import { FileStore } from '../../src/storage/file-store.js';

const [directory = ''] = process.argv.slice(2);
const random = new SystemRandom();
const store = await FileStore.open({
  directory,
  onDamage: problem => {
    throw problem;
  },
});
process.stdout.write('open\n');
await once(process.stdin, 'data');
const names = phoneCertificateNames('kitchen', 'kitchen.local');
const [device, { key }] = await Promise.all([
  new StoredIdentity({ store, random }).deviceId(),
  new StoredTlsIdentity({ store, random, names }).identity(),
]);
const shown = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
process.stdout.write(`${device} ${createHash('sha256').update(shown).digest('hex')}\n`);
process.exit();
