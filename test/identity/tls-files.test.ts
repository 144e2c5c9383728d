import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readAuthorities, readTlsIdentity } from '../../src/identity/tls-files.js';
import { selfSigned } from '../sip/certificate.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-pem-'));
t.teardown(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const phone = selfSigned('phone');
const authority = selfSigned('authority');
const certificate = file('phone.pem', phone.cert);
const key = file('phone.key', phone.key);

t.test('a key and its certificate are read, with what leads to the authority', async t => {
  const chain = file('chain.pem', `subject=CN=phone\r\n${phone.cert}\n\n${authority.cert}`);
  const identity = await readTlsIdentity({ certificate: chain, key });
  t.equal(identity.cert, phone.cert + authority.cert);
  t.ok(new X509Certificate(phone.cert).checkPrivateKey(createPrivateKey(identity.key)));
});

t.test('one file may hold both, and other kinds of keys do', async t => {
  const both = file('both.pem', phone.key + phone.cert);
  t.match(await readTlsIdentity({ certificate: both, key: both }), { cert: phone.cert });
  const older = createPrivateKey(phone.key).export({ type: 'sec1', format: 'pem' }).toString();
  const sec1 = file('sec1.key', older);
  t.match(await readTlsIdentity({ certificate, key: sec1 }), { cert: phone.cert });
});

t.test('whom we trust may be several', async t => {
  const bundle = file('authorities.pem', authority.cert + phone.cert);
  t.same(await readAuthorities(bundle), [authority.cert, phone.cert]);
});

t.test('what is wrong is told with the file, and without what it holds', async t => {
  const secret = phone.key.split('\n')[1] ?? '';
  const locked = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString();
  mkdirSync(join(directory, 'folder'));
  const broken = `-----BEGIN CERTIFICATE-----\n${secret}\n-----END CERTIFICATE-----\n`;
  const cases: [files: Partial<Record<'certificate' | 'key', string>>, says: object][] = [
    [
      { certificate: '/no/such.pem' },
      { code: 'BAD_CERTIFICATE', message: /such.pem: there is no/ },
    ],
    [{ certificate: join(directory, 'folder') }, { code: 'BAD_CERTIFICATE', message: /EISDIR/ }],
    [{ certificate: key }, { message: /expected a certificate in .*phone.key, found none/ }],
    [
      { certificate: file('broken.pem', phone.cert + broken) },
      { message: /certificate 2 of 2 in .*broken.pem cannot be read/ },
    ],
    [
      { key: certificate },
      { code: 'BAD_TLS_KEY', message: /private key in .*phone.pem, found none/ },
    ],
    [
      { key: file('bad.key', `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`) },
      { code: 'BAD_TLS_KEY', message: /bad.key, found none/ },
    ],
    [
      { key: file('locked.key', locked) },
      { message: /found one with a passphrase/, remedy: /openssl/ },
    ],
    [
      { key: file('other.key', authority.key) },
      { message: /expected the key of .*phone.pem in .*other.key/ },
    ],
  ];
  for (const [files, says] of cases) {
    const error = await readTlsIdentity({ certificate, key, ...files }).catch(error => error);
    t.match(error, says);
    t.notMatch(`${error.message} ${error.remedy} ${error.cause}`, secret);
  }
  await t.rejects(readAuthorities(key), { code: 'BAD_CERTIFICATE' });
});
