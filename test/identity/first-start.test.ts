import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { SystemRandom } from '../../src/core/random.js';
import { StoredIdentity } from '../../src/identity/stored-identity.js';
import { MemoryStore } from '../../src/storage/memory-store.js';

t.test('first starts at the same time, of several processes, make one identity', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-first-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const program = fileURLToPath(new URL('./first-start.js', import.meta.url));
  const starts = [1, 2, 3, 4].map(() => {
    const child = spawn(process.execPath, [program, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    t.teardown(() => child.kill('SIGKILL'));
    return { child, lines, ended: once(child, 'close') };
  });
  const next = () => Promise.all(starts.map(async ({ lines }) => (await lines.next()).value));
  t.same(await next(), ['open', 'open', 'open', 'open']);
  for (const { child } of starts) child.stdin.write('go\n');
  const identities = await next();
  t.match(identities[0], /^[0-9a-f]{40} [0-9a-f]{64}$/);
  t.equal(new Set(identities).size, 1, identities.join('\n'));
  await Promise.all(starts.map(({ ended }) => ended));
  t.notMatch(readdirSync(join(directory, 'identity')).join(' '), /tmp|damaged/);
});

t.test('who was slower takes the key that was quicker', async t => {
  const store = new MemoryStore();
  const [one, other] = [1, 2].map(
    () => new StoredIdentity({ store, random: new SystemRandom() }),
  ) as [StoredIdentity, StoredIdentity];
  const [first, second] = await Promise.all([one.deviceId(), other.deviceId()]);
  t.equal(first, second);
  const data = new Uint8Array([1]);
  t.same(await one.sign(data), await other.sign(data));
});
