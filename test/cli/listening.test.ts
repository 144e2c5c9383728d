/** Ports and certificates of phones that run. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { keyFingerprint, speaksFor } from '../../src/sip/transport/tls-trust.js';
import { selfSigned } from '../sip/certificate.js';
import { run, start } from './command.js';
import { certificateAt, endAll, placeOf, runningPhones } from './running-phones.js';

const { directory, dataOf, phone } = runningPhones(t);

t.test('a phone shows the same certificate after a restart, and nobody its key', async t => {
  const first = phone('hall');
  const before = await certificateAt(placeOf(await first.until('ready'), 'TLS'));
  t.ok(speaksFor(before, 'hall.local'));
  await endAll(first);
  const second = phone('hall', '--log', 'debug');
  const place = placeOf(await second.until('ready'), 'TLS');
  const after = await certificateAt(place);
  t.equal(after.fingerprint256, before.fingerprint256);
  const file = join(dataOf('hall'), 'identity/tls.json');
  t.equal(statSync(file).mode & 0o777, 0o600);
  const secret = /"scalar":"([^"]+)"/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
  t.ok(secret);
  const { text } = await run('status', '--json', '--data', dataOf('hall'));
  await endAll(second);
  t.match(text, `"${place}"`);
  t.notOk(`${second.text()}${text}`.includes(secret));
  t.notMatch(second.text(), /PRIVATE KEY/);
});

t.test('a port of TLS that is taken is told, and takes nothing else away', async t => {
  const one = phone('one');
  const taken = placeOf(await one.until('ready'), 'TLS').split(':')[1] ?? '';
  const two = phone('two', '--tls', taken, '--ws', '0');
  const ready = await two.until('ready');
  t.equal(placeOf(ready, 'TLS'), 'nowhere');
  t.not(placeOf(ready, 'WS'), 'nowhere');
  t.equal((await run('call', `*43@${ready.listen}`, '--seconds', '0.2')).code, 0);
  t.match(two.text(), /no calls are taken over TLS: TCP port \d+ on 127\.0\.0\.1 is in use/);
  t.match(two.text(), /another port/);
  const ports = ['--listen', '127.0.0.1:0', '--tls', taken, '--ws', taken];
  const own = await run('doctor', '--data', dataOf('one'), ...ports);
  t.match(own.text, /ok {4}SIP over TLS: .* is one(-\d+)?'s, which runs/);
  t.match(own.text, /warn {2}SIP over WS: TCP port \d+ .*in use/);
  t.match(own.text, /ok {4}links of the overlay \(TLS\): are taken at 127\.0\.0\.1:\d+/);
  t.match(own.text, /calling by the overlay: .*(super-node|ringline)/);
  const without = await run(
    'doctor',
    '--data',
    dataOf('four'),
    '--listen',
    '127.0.0.1:0',
    '--tls',
    'off',
  );
  t.match(without.text, /warn {2}links of the overlay \(TLS\): are not taken/);
  const needed = await run('doctor', '--data', dataOf('three'), '--listen', `127.0.0.1:${taken}`);
  t.match(needed.text, /FAIL {2}SIP over TCP: /);
  t.equal(needed.code, 1);
  await endAll(one, two);
});

t.test('a phone that listens at one address is announced at that one alone', async t => {
  const one = phone('alone');
  const { listen } = await one.until('ready');
  const { name } = await one.until('named');
  const who = start('who', '--json');
  const { endpoints } = await who.until('up', each => each.name === name);
  t.same(endpoints, [listen]);
  await endAll(who, one);
});

t.test('a certificate of one’s own is shown, and trusted by who knows its authority', async t => {
  const own = selfSigned('pbx', { dns: ['pbx.test'] });
  const data = dataOf('pbx');
  mkdirSync(data);
  writeFileSync(join(data, 'own.pem'), own.cert);
  writeFileSync(join(data, 'own.key'), own.key, { mode: 0o644 });
  writeFileSync(join(data, 'ringline.yaml'), 'tls:\n  certificate: own.pem\n  key: own.key\n');
  const running = phone('pbx');
  const place = placeOf(await running.until('ready'), 'TLS');
  t.equal(keyFingerprint(await certificateAt(place)), own.fingerprint);
  const doctor = await run('doctor', '--data', data, '--listen', '127.0.0.1:0');
  t.match(doctor.text, /warn {2}certificate: others may read its key, .*own\.key\n +chmod 600/);

  // `maddr` leads there whatever the name, and the name is what has to be proved.
  const [address, port] = place.split(':');
  const uri = `sips:*43@pbx.test:${port};maddr=${address}`;
  const trusting = join(directory, 'trusting.yaml');
  writeFileSync(trusting, 'tls:\n  authorities: pbx/own.pem\n');
  const call = (uri: string, ...more: string[]) => run('call', uri, '--seconds', '0.2', ...more);
  const [unknown, known, impostor] = await Promise.all([
    call(uri, '--data', dataOf('stranger')),
    call(uri, '--config', trusting),
    call(uri.replace('pbx.test', 'bank.test'), '--config', trusting),
  ]);
  t.equal(unknown.code, 4);
  t.match(unknown.text, /could not prove who it is/);
  t.equal(known.code, 0, known.text);
  t.equal(impostor.code, 4);
  t.match(impostor.text, /is not for bank\.test/);
  await endAll(running);
});
