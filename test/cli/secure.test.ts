/** Phones that run, and calls between them over TLS and WebSocket. */
import type { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { keyFingerprint, speaksFor } from '../../src/sip/transport/tls-trust.js';
import { sine } from '../media/signal.js';
import { writeWav } from '../media/wav-file.js';
import { selfSigned } from '../sip/certificate.js';
import { type Event, killAll, run, start } from './command.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-tls-'));
t.teardown(() => {
  killAll();
  rmSync(directory, { recursive: true, force: true });
});

const dataOf = (name: string) => join(directory, name);

const phone = (name: string, ...more: string[]) => {
  const own = ['--name', name, '--listen', '127.0.0.1:0', '--data', dataOf(name)];
  return start('run', '--json', ...own, ...more);
};

/** `ADDRESS:PORT` for a protocol, as the phone told it. */
function placeOf(ready: Event, protocol: string): string {
  const listening = ready.listening as { protocol: string; at: string }[];
  return listening.find(place => place.protocol === protocol)?.at ?? 'nowhere';
}

/** What is shown to whoever connects. */
function certificateAt(place: string): Promise<X509Certificate> {
  const [host = '', port] = place.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error('expected a certificate'));
    });
  });
}

t.test('two phones that run talk over TLS, whoever calls and whoever hangs up', async t => {
  const kitchen = phone('kitchen', '--ws', '0', '--wss', '0');
  const ready = await kitchen.until('ready');
  const tls = placeOf(ready, 'TLS');

  const wav = join(directory, 'tone.wav');
  await writeWav(wav, sine(440, 8000, 8000), 8000);
  const heard = join(directory, 'echo.wav');
  const echo = await run('call', `sips:*43@${tls}`, '--play', wav, '--record', heard);
  t.equal(echo.code, 0, echo.text);
  t.ok(readFileSync(heard).length > 16_000, 'a second of echo was recorded');

  const places = {
    tls,
    tcp: placeOf(ready, 'TCP'),
    ws: placeOf(ready, 'WS'),
    wss: placeOf(ready, 'WSS'),
  };
  for (const [transport, place] of Object.entries(places)) {
    const uri = `sip:room@${place};transport=${transport}`;
    const call = await run('call', uri, '--seconds', '0.3');
    t.equal(call.code, 0, `${uri}: ${call.text}`);
  }

  const plain = await run('call', `sip:room@${tls};transport=tcp`, '--seconds', '0.3');
  t.equal(plain.code, 4, 'TCP to a port of TLS is no call');

  const caller = start('call', `sip:kitchen@${tls};transport=tls`, '--json');
  await caller.until('ringing');
  const answering = start('answer', '--json', '--echo', '--data', dataOf('kitchen'));
  await caller.until('connected');
  kitchen.child.kill('SIGTERM');
  t.match(await caller.until('ended'), { code: 'REMOTE_HUNG_UP' });
  t.equal(await caller.ended, 0);
  t.equal(await kitchen.ended, 0);
  await answering.ended;
});

t.test('a phone that runs calls another by name, over TLS, at the port it announces', async t => {
  const name = `tls${process.pid}`;
  const called = phone(name);
  await called.until('named');
  const seen = await run('who', '--seconds', '3', '--json');
  if (seen.text.includes(name)) {
    const call = await run('call', `sips:room@${name}.local`, '--seconds', '0.3');
    t.equal(call.code, 0, call.text);
  } else {
    t.comment('no multicast here: phones do not see each other');
  }
  called.child.kill('SIGTERM');
  t.equal(await called.ended, 0);
});

t.test('a phone shows the same certificate after a restart, and nobody else its key', async t => {
  const first = phone('hall');
  const before = await certificateAt(placeOf(await first.until('ready'), 'TLS'));
  t.ok(speaksFor(before, 'hall.local'));
  first.child.kill('SIGTERM');
  await first.ended;
  const second = phone('hall', '--log', 'debug');
  const ready = await second.until('ready');
  const place = placeOf(ready, 'TLS');
  const after = await certificateAt(place);
  t.equal(after.fingerprint256, before.fingerprint256);
  const call = await run('call', `sips:*43@${place}`, '--seconds', '0.2');
  t.equal(call.code, 0, call.text);
  const file = join(dataOf('hall'), 'identity/tls.json');
  t.equal(statSync(file).mode & 0o777, 0o600);
  const secret = /"scalar":"([^"]+)"/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
  t.ok(secret);
  const { text } = await run('status', '--json', '--data', dataOf('hall'));
  second.child.kill('SIGTERM');
  await second.ended;
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
  const doctor = await run(
    'doctor',
    '--data',
    dataOf('three'),
    '--listen',
    '127.0.0.1:0',
    '--tls',
    taken,
  );
  t.match(doctor.text, /warn {2}SIP over TLS: TCP port \d+ .*in use/);
  const own = await run(
    'doctor',
    '--data',
    dataOf('one'),
    '--listen',
    '127.0.0.1:0',
    '--tls',
    taken,
  );
  t.match(own.text, /ok {4}SIP over TLS: .* is one's, which runs/);
  const needed = await run('doctor', '--data', dataOf('three'), '--listen', `127.0.0.1:${taken}`);
  t.match(needed.text, /FAIL {2}SIP over TCP: /);
  t.equal(needed.code, 1);
  for (const { child, ended } of [one, two]) {
    child.kill('SIGTERM');
    await ended;
  }
});

t.test('a certificate of one’s own is shown, and trusted by who knows its authority', async t => {
  const own = selfSigned('pbx', { dns: ['pbx.test'] });
  const data = dataOf('pbx');
  mkdirSync(data);
  writeFileSync(join(data, 'own.pem'), own.cert);
  writeFileSync(join(data, 'own.key'), own.key, { mode: 0o644 });
  const config = join(data, 'ringline.yaml');
  writeFileSync(config, 'tls:\n  certificate: own.pem\n  key: own.key\n');
  const running = phone('pbx');
  const place = placeOf(await running.until('ready'), 'TLS');
  t.equal(keyFingerprint(await certificateAt(place)), own.fingerprint);
  const doctor = await run('doctor', '--data', data, '--listen', '127.0.0.1:0');
  t.match(doctor.text, /warn {2}certificate: others may read its key, .*own\.key\n +chmod 600/);

  // `maddr` leads there whatever the name, and the name is what has to be proved.
  const [address, port] = place.split(':');
  const uri = `sips:*43@pbx.test:${port};maddr=${address}`;
  const unknown = await run('call', uri, '--seconds', '0.2', '--data', dataOf('stranger'));
  t.equal(unknown.code, 4);
  t.match(unknown.text, /could not prove who it is/);
  const trusting = join(directory, 'trusting.yaml');
  writeFileSync(trusting, 'tls:\n  authorities: pbx/own.pem\n');
  const known = await run('call', uri, '--seconds', '0.2', '--config', trusting);
  t.equal(known.code, 0, known.text);
  const impostor = uri.replace('pbx.test', 'bank.test');
  t.match((await run('call', impostor, '--config', trusting)).text, /is not for bank\.test/);
  writeFileSync(trusting, 'tls:\n  trust: anybody\n');
  t.equal((await run('call', impostor, '--seconds', '0.2', '--config', trusting)).code, 0);
  running.child.kill('SIGTERM');
  await running.ended;
});
