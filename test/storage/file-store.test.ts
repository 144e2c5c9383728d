import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { CodedError } from '../../src/core/errors.js';
import { FileStore } from '../../src/storage/file-store.js';

function temporaryDirectory(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-store-'));
  test.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function openStore(directory: string) {
  const damaged: CodedError[] = [];
  const store = await FileStore.open({ directory, onDamage: problem => damaged.push(problem) });
  return { store, damaged };
}

t.test('what was acknowledged is there after a restart, for this user only', async t => {
  const directory = join(temporaryDirectory(t), 'made', 'on', 'opening');
  const { store } = await openStore(directory);
  await store.set('identity/device', { seed: 'abc' });
  await store.close();
  const again = await openStore(directory);
  t.same(await again.store.get('identity/device'), { seed: 'abc' });
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.equal(statSync(join(directory, 'identity')).mode & 0o777, 0o700);
  t.equal(statSync(join(directory, 'identity/device.json')).mode & 0o777, 0o600);
});

t.test('an unchanged value is not written again', async t => {
  const directory = temporaryDirectory(t);
  const { store } = await openStore(directory);
  await store.set('settings', { volume: 3 });
  const path = join(directory, 'settings.json');
  const { ino } = statSync(path);
  await store.set('settings', { volume: 3 });
  t.equal(statSync(path).ino, ino, 'a write makes a new file');
  await store.set('settings', { volume: 4 });
  t.same(await store.get('settings'), { volume: 4 });
});

t.test('a hundred values for one key at once cost two writes, and the last one stays', async t => {
  const directory = temporaryDirectory(t);
  const { store } = await openStore(directory);
  const written: string[] = [];
  const sets: Promise<void>[] = [];
  for (let n = 1; n <= 100; n++) {
    const set = store.set('settings', n).then(() => {
      written.push(JSON.parse(readFileSync(join(directory, 'settings.json'), 'utf8')).value);
    });
    sets.push(set);
    if (n === 1) await new Promise(setImmediate);
  }
  t.equal(await store.get('settings'), 100, 'a reader gets the value being written');
  await Promise.all(sets);
  t.same([...new Set(written)].slice(-1), [100]);
  t.ok(new Set(written).size <= 2, `values seen on disk: ${[...new Set(written)]}`);
});

t.test('a write cut off by SIGKILL leaves the old value or the new one, whole', async t => {
  const directory = temporaryDirectory(t);
  const writer = fileURLToPath(new URL('./writer.js', import.meta.url));
  let acknowledged = 0;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, [writer, directory, '200000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let heard = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      heard += text;
    });
    await once(child.stdout, 'data');
    setTimeout(() => child.kill('SIGKILL'), Math.random() * 40);
    await once(child, 'close');
    acknowledged = Number(heard.slice(0, heard.lastIndexOf('\n')).split('\n').at(-1));

    const { store, damaged } = await openStore(directory);
    const record = await store.get<{ turn: number; filling: string }>('held/record');
    t.same(damaged, []);
    const turn = record?.turn ?? 0;
    t.ok(turn === acknowledged || turn === acknowledged + 1, `${turn} after ${acknowledged}`);
    t.equal(record?.filling, String(turn % 10).repeat(200000));
    t.same(readdirSync(join(directory, 'held')), ['record.json'], 'nothing is left lying about');
  }
});

t.test('a damaged record is set aside and reported, and the phone goes on', async t => {
  const directory = temporaryDirectory(t);
  const { store, damaged } = await openStore(directory);
  await store.set('contacts', { bob: 'sip:bob@local' });
  const path = join(directory, 'contacts.json');
  const whole = readFileSync(path, 'utf8');
  const injuries = [whole.replace('bob', 'bub'), whole.slice(0, -20), '', '\0\0\0\0', '[]', 'null'];
  for (const injured of injuries) {
    writeFileSync(path, injured);
    t.equal(await store.get('contacts'), undefined);
    t.equal(damaged.pop()?.code, 'STORE_DAMAGED', JSON.stringify(injured));
    t.equal(readFileSync(`${path}.damaged`, 'utf8'), injured);
    t.notOk(existsSync(path));
  }
  await store.set('contacts', {});
  t.same(await store.get('contacts'), {});
  t.same(await store.keys(), ['contacts']);
  t.same(damaged, []);
});

t.test('a record of a later version is refused and left alone', async t => {
  const directory = temporaryDirectory(t);
  const { store, damaged } = await openStore(directory);
  const path = join(directory, 'settings.json');
  writeFileSync(path, '{"format":2,"anything":"else"}');
  await t.rejects(store.get('settings'), { code: 'STORE_TOO_NEW', message: /found 2/ });
  t.same(damaged, []);
  t.ok(existsSync(path));
});

t.test('what a later process left half-written is kept while that process lives', async t => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'a'));
  const live = join(directory, `a/b.json.${process.pid}.tmp`);
  const dead = join(directory, 'a/b.json.4194305.tmp'); // above the largest PID Linux gives
  writeFileSync(live, '');
  writeFileSync(dead, '');
  await openStore(directory);
  t.ok(existsSync(live));
  t.notOk(existsSync(dead));
});

t.test('a place that cannot be written says so', async t => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'file'), '');
  await t.rejects(openStore(join(directory, 'file')), {
    code: 'STORE_FAILED',
    remedy: /directory/,
  });
  await t.rejects(openStore(join(directory, 'file/below')), { code: 'STORE_FAILED' });
  if (process.getuid?.() === 0) return t.comment('root may write anywhere: the rest is not tried');
  t.teardown(() => chmodSync(directory, 0o700));
  chmodSync(directory, 0o500);
  await t.rejects(openStore(directory), { code: 'STORE_FORBIDDEN', remedy: /chown/ });
});
