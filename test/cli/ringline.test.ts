import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { programFile } from '../harness/program-file.js';
import { frequencyHz, levelDb, sine } from '../media/signal.js';
import { readWav, writeWav } from '../media/wav-file.js';
import { killAll, run, start } from './command.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-cli-'));

t.teardown(() => {
  killAll();
  rmSync(directory, { recursive: true, force: true });
});

const phone = (data: string, ...more: string[]) =>
  start('run', '--json', '--listen', '127.0.0.1:0', '--data', join(directory, data), ...more);

t.test('help teaches, and exits 0', async t => {
  const { code, text } = await run('--help');
  t.equal(code, 0);
  t.match(text, /ringline call '\*43@alice'/);
  t.match(text, /8 {2}nobody answered/);
});

const mistakes: readonly [args: string[], says: RegExp][] = [
  [['dance'], /unknown command 'dance'/],
  [['call'], /missing required argument 'who'/],
  [['call', 'a b'], /"a b" cannot be called.*\n.*Give a name/],
  [['call', 'alice', '--seconds', 'soon'], /expected a number of seconds/],
  [['call', 'alice', '--play', '/no/such.wav'], /\/no\/such\.wav\n.*--play/],
  [['call', 'alice', '--record', '/no/such/dir.wav'], /cannot be written\n.*--record/],
  [['run', '--listen', '5060:x'], /expected ADDRESS:PORT, found "5060:x"/],
  [['run', '--tls', '0.0.0.0:5061'], /expected a port from 0 to 65535 or off/],
  [['run', '--name', 'two words', '--data', join(directory, 'n')], /name that can be dialled/],
];
for (const [args, says] of mistakes) {
  t.test(`\`ringline ${args.join(' ')}\` fails in one clear sentence`, async t => {
    const { code, text } = await run(...args);
    t.not(code, 0);
    t.match(text, says);
    t.notMatch(text, / at .*\.js:\d+/, 'no stack trace');
  });
}

t.test('what no command knows is bad usage, however the command was made', async t => {
  for (const args of [['who'], ['simulate'], ['user', 'show'], ['overlay', 'find']]) {
    const { code, text } = await run(...args, '--foo');
    t.equal(code, 2, args.join(' '));
    t.match(text, /unknown option '--foo'/);
  }
});

t.test('an error in the config file is named by file, line and key', async t => {
  const file = join(directory, 'bad.yaml');
  writeFileSync(file, 'name: alice\nlisen: 1\n');
  const { code, text } = await run('run', '--config', file, '--data', join(directory, 'c'));
  t.equal(code, 2);
  t.match(text, /bad\.yaml:2:1: lisen/);
  t.match(text, /listen/);
});

t.test('without a phone here, status and one’s own echo test say so', async t => {
  const data = join(directory, 'nobody');
  for (const args of [['status'], ['call', '*43']]) {
    const { code, text } = await run(...args, '--data', data);
    t.equal(code, 10);
    t.match(text, /ringline run/);
  }
});

t.test('tones are those of the country that was configured, or asked for', async t => {
  const callee = phone('of-tones');
  const { listen } = await callee.until('ready');
  const config = join(directory, 'belgian.yaml');
  writeFileSync(config, 'country: be\n');
  /** Hz of the first tone heard by who calls somebody unknown. */
  const firstTone = async (name: string, ...more: string[]) => {
    const file = join(directory, `${name}.wav`);
    const settings = ['--config', config, '--data', join(directory, name)];
    await run('call', `nobody@${listen}`, '--record', file, '--tones', ...settings, ...more);
    const { samples, sampleRate } = await readWav(file);
    const step = sampleRate / 100;
    let at = 0;
    while (at < samples.length && levelDb(samples.subarray(at, at + step)) < -30) at += step;
    return Math.round(frequencyHz(samples.subarray(at + step, at + 25 * step), sampleRate) / 10);
  };
  const tones = await Promise.all([firstTone('belgian'), firstTone('german', '--country', 'de')]);
  t.same(tones, [90, 95], 'special information: 900 Hz first in Belgium, 950 in Germany');
  callee.child.kill('SIGTERM');
  await callee.ended;
});

t.test('a name nobody has: exit status 3', async t => {
  const { code, text } = await run('call', 'nobody-has-this-name', '--json');
  t.equal(code, 3);
  t.match(text, /"code":"NO_SUCH_NAME"/);
});

t.test('a phone runs, is called, answers, shows its status and stops', async t => {
  const running = phone('one', '--name', 'one');
  const ready = await running.until('ready');
  const at = String(ready.listen);
  t.equal(ready.name, 'one');

  const wav = join(directory, 'tone.wav');
  await writeWav(wav, sine(440, 8000, 8000), 8000);
  const heard = join(directory, 'echo.wav');
  const data = join(directory, 'one');
  const echo = await run('call', '*43', '--data', data, '--play', wav, '--record', heard);
  t.equal(echo.code, 0, echo.text);
  t.ok(readFileSync(heard).length > 16_000, 'a second of echo was recorded');

  const unknown = await run('call', `nobody@${at}`);
  t.equal(unknown.code, 3, unknown.text);

  const caller = start('call', `one@${at}`, '--json', '--seconds', '0.5');
  await caller.until('ringing');
  const said = join(directory, 'said.wav');
  const answering = start('answer', '--json', '--data', data, '--record', said, '--play', wav);
  await caller.until('connected');
  t.equal(await caller.ended, 0);
  await answering.until('ended');
  t.ok(readFileSync(said).length > 4000, 'what the caller said was recorded');

  const second = await run('answer', '--data', data);
  t.match(second.text, /answers the calls of this phone already/);
  answering.child.kill('SIGINT');
  t.equal(await answering.ended, 0);

  const { code, text } = await run('status', '--json', '--data', data);
  t.equal(code, 0);
  t.match(JSON.parse(text), { name: 'one', listen: at, calls: [], attended: false, bootCount: 1 });

  const twin = await run('run', '--listen', '127.0.0.1:0', '--data', data);
  t.equal(twin.code, 1);
  t.match(twin.text, /runs already/);
  const thief = await run('run', '--listen', at, '--data', join(directory, 'thief'));
  t.equal(thief.code, 1);
  t.match(thief.text, /in use by another program/);

  running.child.kill('SIGTERM');
  t.equal(await running.ended, 0);
});

t.test('a phone that lost power starts again as itself', async t => {
  const first = phone('two', '--name', 'two');
  await first.until('ready');
  const data = join(directory, 'two');
  const before = JSON.parse((await run('status', '--json', '--data', data)).text);
  first.child.kill('SIGKILL');
  await first.ended;
  const again = phone('two', '--name', 'two');
  await again.until('ready');
  const after = JSON.parse((await run('status', '--json', '--data', data)).text);
  t.equal(after.deviceId, before.deviceId);
  t.equal(after.bootCount, before.bootCount + 1);
  again.child.kill('SIGTERM');
  await again.ended;
});

t.test('a message is written, kept, and shown once', async t => {
  const reader = phone('reader', '--name', 'reader');
  const { listen } = await reader.until('ready');
  const sent = await run('message', `sip:reader@${listen}`, 'hello\u001b[2J', '--name', 'writer');
  t.equal(sent.code, 0, sent.text);
  const read = () => run('messages', '--data', join(directory, 'reader'));
  const first = await read();
  t.match(first.text, /^writer \(sip:writer@[^)]*\) wrote: hello\ufffd\[2J\n$/);
  t.match((await read()).text, /No new messages/);
  const unknown = await run('message', `sip:nobody@${listen}`, 'x', '--name', 'writer');
  t.equal(unknown.code, 3);
  reader.child.kill('SIGTERM');
  await reader.ended;
});

t.test('who reads the output may go before its end', async t => {
  const script = '"$0" "$1" --help | true; "$0" "$1" --help | head -n 1';
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', script, process.execPath, programFile()],
    {
      encoding: 'utf8',
    },
  );
  t.same([status, stderr], [0, '']);
  t.match(stdout, /^Usage: ringline/);
});
