/** `ringline simulate`, as somebody types it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { run } from './command.js';

t.test('a table for people, with the seed that repeats it', async t => {
  const { code, text } = await run('simulate', '--nodes', '50', '--lookups', '200', '--seed', '5');
  t.equal(code, 0);
  t.match(text, /super-nodes +50\n/);
  t.match(text, /succeeded +200 \(100\.00%\)/);
  t.match(text, /seed +5\n/);
});

t.test('figures for programs, of each size, and a chart with the forecast', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const chart = join(directory, 'hops.svg');
  const { code, text } = await run(
    'simulate',
    '--json',
    '--nodes',
    '30,60,120',
    '--lookups',
    '100',
    '--chart',
    chart,
  );
  t.equal(code, 0);
  const events = text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  const simulated = events.filter(({ event }) => event === 'simulated');
  t.same(
    simulated.map(({ nodes }) => nodes),
    [30, 60, 120],
  );
  t.match(simulated[0], {
    lookups: { tried: 100, succeeded: 100, wrongOwner: 0 },
    hops: { mean: Number, p50: Number, p99: Number },
    latencyMs: { mean: Number, p50: Number, p99: Number },
    keys: { stored: 0, lost: 0 },
    perNode: { messagesPerSecond: Number, bytesPerSecond: Number },
  });
  t.match(
    events.find(({ event }) => event === 'forecast'),
    { nodes: 8_000_000, hops: { mean: Number } },
  );
  t.match(readFileSync(chart, 'utf8'), /^<svg/);
});

t.test('what cannot be tried is refused, with what was expected', async t => {
  for (const [flags, expected] of [
    [['--nodes', 'many'], /number of nodes, found "many"/],
    [['--lifetime', '42'], /--lifetime MINUTES --hours H/],
    [['--crash', '1.5'], /from 0 to 0\.95, found "1\.5"/],
    [['--routing', 'guess'], /table, base16, binary/],
  ] as const) {
    const { code, text } = await run('simulate', '--lookups', '10', ...flags);
    t.equal(code, 2, flags.join(' '));
    t.match(text, expected);
  }
});

t.test('its help teaches what it counts and how to ask', async t => {
  const { code, text } = await run('simulate', '--help');
  t.equal(code, 0);
  t.match(text, /--lifetime 42 --hours 2/);
  t.match(text, /A hop is a member that was asked/);
});
