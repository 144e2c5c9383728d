import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { programFile } from '../harness/program-file.js';
import { type Event, killAll, run } from './command.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-keys-'));
const passphrase = join(directory, 'passphrase');
writeFileSync(passphrase, 'correct horse battery\n', { mode: 0o600 });
const sealed = ['--passphrase-file', passphrase];

t.teardown(() => {
  killAll();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs on the phone `phone`; its one event. */
async function on(phone: string, ...args: string[]): Promise<Event> {
  const { text } = await run(...args, '--json', '--data', join(directory, phone));
  return JSON.parse(text.trim().split('\n').at(-1) ?? '');
}

t.test('a second phone speaks for a user once certified, and is revoked', async t => {
  t.match(await on('one', 'user', 'create', 'alice'), { event: 'created', name: 'alice' });
  t.match(await on('one', 'user', 'create', 'bob'), { event: 'error', code: 'USER_EXISTS' });
  const one = await on('one', 'user', 'show');
  t.match(one, { name: 'alice', may: ['reach', 'publish', 'read'] });
  const two = await on('two', 'user', 'show');
  t.equal(two.userId, undefined);
  const certified = await on(
    'one',
    'user',
    'certify',
    String(two.deviceKey),
    '--may',
    'reach,publish',
  );
  t.match(await on('two', 'user', 'accept', String(certified.text)), {
    event: 'accepted',
    userId: one.userId,
  });
  t.match(await on('two', 'user', 'show'), { userKey: one.userKey, may: ['reach', 'publish'] });
  t.match(await on('three', 'user', 'accept', String(certified.text)), { code: 'WRONG_KEY' });
  t.match(await on('two', 'user', 'revoke', String(one.deviceId)), { code: 'NO_USER_KEY' });
  t.match(await on('one', 'user', 'revoke', String(two.deviceId)), {
    event: 'revoked',
    text: /^ringline-devices-1:/,
  });
});

t.test('a key goes to another phone under a passphrase', async t => {
  const { userId } = await on('one', 'user', 'show');
  const { text } = await on('one', 'user', 'export', ...sealed);
  t.match(await on('four', 'user', 'import', String(text), ...sealed), {
    event: 'imported',
    userId,
  });
  const wrong = join(directory, 'wrong');
  writeFileSync(wrong, 'something else\n');
  t.match(await on('five', 'user', 'import', String(text), '--passphrase-file', wrong), {
    code: 'WRONG_PASSPHRASE',
  });
  const secret = JSON.parse(readFileSync(join(directory, 'one/identity/user.json'), 'utf8'));
  const shown = await run('user', 'show', '--data', join(directory, 'one'));
  t.match(shown.text, /user ID +[0-9a-f]{40}\n/);
  t.notMatch(shown.text, secret.value.secret);
});

t.test('an overlay is founded, somebody is enrolled, joins, and is expelled', async t => {
  const founded = await on('one', 'overlay', 'create', 'office', ...sealed);
  t.match(founded, { event: 'founded', joined: true });
  t.match(await on('one', 'overlay', 'show'), {
    overlay: 'office',
    open: false,
    enrolmentKey: founded.enrolmentKey,
  });
  await on('ben', 'user', 'create', 'ben');
  const { userKey } = await on('ben', 'user', 'show');
  const enrol = ['overlay', 'enrol', 'office', 'ben', String(userKey), ...sealed];
  const { text } = await on('one', ...enrol);
  t.match(await on('ben', 'overlay', 'join', String(text)), {
    event: 'joined',
    overlay: 'office',
    name: 'ben',
    enrolmentKey: founded.enrolmentKey,
  });
  t.match(await on('four', 'overlay', 'join', String(text)), { code: 'WRONG_KEY' });
  t.match(await on('ben', ...enrol), { code: 'NO_ENROLMENT_KEY' });
  t.match(await on('one', 'overlay', 'expel', 'office', String(userKey), ...sealed), {
    text: /^ringline-expulsions-1:/,
  });
  t.match(await on('one', 'overlay', 'show'), { expelled: 1, expelledHere: false });
  const shown = await run('overlay', 'show', '--data', join(directory, 'one'));
  t.match(shown.text, /expelled +1 user, as far as is known here/);
  t.match(await on('four', 'overlay', 'join', 'village'), { event: 'joined', open: true });
  t.match(await on('four', 'overlay', 'show'), { overlay: 'village', open: true });
});

t.test('a passphrase is asked for at a terminal, twice where it is new, and not shown', async t => {
  const command = `${process.execPath} ${programFile()} user export --data ${join(directory, 'one')}`;
  /** `script` gives it a terminal (util-linux). */
  const typed = async (...lines: string[]) => {
    const child = spawn('script', ['-qec', command, '/dev/null']);
    t.teardown(() => child.kill('SIGKILL'));
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      shown += text;
      const asked = shown.split(/Passphrase: |Once more: /).length - 1;
      if (asked > answered && /: $/.test(shown)) child.stdin.write(lines[answered++] ?? '\u0003');
    });
    let answered = 0;
    await once(child, 'close');
    return shown;
  };
  const exported = await typed('correct horse\r', 'correct horsx\u007fe\r');
  t.match(exported, /ringline-user-1:/);
  t.notMatch(exported, 'horse');
  t.match(await typed('correct horse\r', 'another horse\r'), /the two passphrases differ/);
  t.match(await typed('short\r', 'short\r'), /at least 8 characters/);
  t.match(await typed('\u0003'), /no passphrase was given/);
});

const mistakes: readonly [args: string[], code: number, says: RegExp][] = [
  [['user', 'certify', 'abc'], 2, /64 hexadecimal digits.*\n.*user show/],
  [['user', 'certify', 'ab'.repeat(32), '--may', 'fly'], 2, /expected reach, publish, read/],
  [['user', 'accept', 'x'], 2, /begins with "ringline-certificate-1:"/],
  [['user', 'export', ...sealed], 1, /no user's key.*\n.*user create/],
  [['user', 'import', 'x'], 2, /no terminal to ask at\n.*--passphrase-file/],
  [['overlay', 'create', 'Of fice', ...sealed], 2, /a-z, 0-9/],
  [['overlay', 'create', 'x', '--passphrase-file', '/no/such'], 2, /\/no\/such cannot be read/],
];
for (const [args, status, says] of mistakes) {
  t.test(`\`ringline ${args.slice(0, 3).join(' ')}\` fails in one clear sentence`, async t => {
    const { code, text } = await run(...args, '--data', join(directory, 'nobody'));
    t.equal(code, status);
    t.match(text, says);
    t.notMatch(text, / at .*\.js:\d+/, 'no stack trace');
  });
}
