/** What every store promises, and the parts that are shared. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { Coalescer } from '../../src/storage/coalescer.js';
import { FileStore } from '../../src/storage/file-store.js';
import { MemoryStore } from '../../src/storage/memory-store.js';
import { decodeRecord, encodeRecord } from '../../src/storage/record.js';
import type { Store } from '../../src/storage/store.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-store-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

const kinds: Record<string, () => Promise<Store>> = {
  MemoryStore: async () => new MemoryStore(),
  FileStore: () => FileStore.open({ directory, onDamage: t.fail }),
};

for (const [kind, open] of Object.entries(kinds)) {
  t.test(`${kind} keeps records`, async t => {
    const store = await open();
    t.equal(await store.get('never/set'), undefined);
    for (const value of [null, false, 0, '', [1, { a: 'ü\u2028' }], { __proto__: null, x: 1 }]) {
      await store.set('one', value);
      t.strictSame(await store.get('one'), JSON.parse(JSON.stringify(value)));
    }

    const given = { list: [1] };
    const setting = store.set('one', given);
    given.list.push(2);
    await setting;
    const got = await store.get<{ list: number[] }>('one');
    t.same(got, { list: [1] }, 'what the caller does later to the value does not count');
    got?.list.push(3);
    t.same(await store.get('one'), { list: [1] });

    await store.set('history/b', 1);
    await store.set('history/a', 1);
    await store.set('historic', 1);
    t.same(await store.keys('history/'), ['history/a', 'history/b']);
    t.same(await store.keys(), ['historic', 'history/a', 'history/b', 'one']);

    await store.delete('one');
    await store.delete('one');
    t.equal(await store.get('one'), undefined);

    const adding = await Promise.all([1, 2, 3].map(value => store.add('added', value)));
    t.equal(adding.filter(done => done).length, 1, 'of several who add at once one succeeds');
    t.equal(await store.get('added'), 1 + adding.indexOf(true));
    const another = store.set('added', 4);
    t.equal(await store.add('added', 5), false);
    await another;
    t.equal(await store.get('added'), 4);
    await store.delete('added');
    t.equal(await store.add('added', 6), true);
    t.equal(await store.get('added'), 6);
    await store.delete('added');

    for (const key of [
      '',
      '/',
      'a/',
      '/a',
      '../a',
      'a/../b',
      'A',
      'a.json',
      'a\0',
      'ä',
      `${'a'.repeat(101)}`,
    ]) {
      await t.rejects(store.set(key, 1), { code: 'BAD_KEY' }, JSON.stringify(key));
      await t.rejects(store.get(key), { code: 'BAD_KEY' });
      await t.rejects(store.add(key, 1), { code: 'BAD_KEY' });
      await t.rejects(store.delete(key), { code: 'BAD_KEY' });
    }

    const last = store.set('last', 'written on closing');
    await store.close();
    await store.close();
    await last;
    await t.rejects(store.get('last'), { code: 'STORE_CLOSED' });
    await t.rejects(store.set('last', 1), { code: 'STORE_CLOSED' });
    await t.rejects(store.add('last', 1), { code: 'STORE_CLOSED' });
    await t.rejects(store.keys(), { code: 'STORE_CLOSED' });
  });
}

t.test('any value survives its record, and no record with one octet changed is read', async t => {
  const property = fc.property(fc.jsonValue(), fc.nat(), (value, where) => {
    const text = encodeRecord(value as object);
    const record = decodeRecord(text);
    if (record.kind !== 'whole') return false;
    if (JSON.stringify(record.value) !== JSON.stringify(value)) return false;
    const at = where % (text.length - 1);
    const injured = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
    return decodeRecord(injured).kind !== 'whole';
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 1 }));
});

t.test('changes to one key come one after the other, to other keys meanwhile', async t => {
  const log: string[] = [];
  const release: (() => void)[] = [];
  const coalescer = new Coalescer<string>(async (key, change) => {
    log.push(`${key} ${change}`);
    await new Promise<void>(resolve => release.push(resolve));
    if (change === 'fails') throw new Error('fails');
  });
  const turn = () => new Promise(setImmediate);
  const first = coalescer.submit('a', 'fails');
  await turn();
  const second = coalescer.submit('a', 'passed over');
  const third = coalescer.submit('a', 'last');
  const other = coalescer.submit('b', 'at once');
  await turn();
  t.same(log, ['a fails', 'b at once']);
  release[0]?.();
  await t.rejects(first, { message: 'fails' });
  await turn();
  t.same(log, ['a fails', 'b at once', 'a last']);
  t.ok(coalescer.isBusy('a'));
  release[1]?.();
  release[2]?.();
  await Promise.all([second, third, other, coalescer.settled('a'), coalescer.allSettled()]);
  t.notOk(coalescer.isBusy('a'));
});
