import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { onMainsPower } from '../../src/core/power-supply.js';

type Supply = Readonly<Record<string, string>>;

const MAINS = { type: 'Mains', online: '1' };
const UNPLUGGED = { type: 'USB', online: '0' };
const EMPTYING = { type: 'Battery', status: 'Discharging' };
const CHARGING = { type: 'Battery', status: 'Charging' };
const MOUSE = { type: 'Battery', scope: 'Device', status: 'Discharging' };

/** Files as the kernel shows them. */
function machine(...supplies: Supply[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-power-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  for (const [i, supply] of supplies.entries()) {
    mkdirSync(join(directory, `${i}`));
    for (const [name, text] of Object.entries(supply)) {
      writeFileSync(join(directory, `${i}`, name), `${text}\n`);
    }
  }
  return directory;
}

t.test('a device runs on mains unless a battery of its own is emptied', async t => {
  const cases: [string, Supply[], boolean][] = [
    ['a board that knows of no supply', [], true],
    ['plugged in', [MAINS], true],
    ['plugged in, with a battery that the load empties all the same', [MAINS, EMPTYING], true],
    ['charging', [CHARGING, UNPLUGGED], true],
    ['on battery', [UNPLUGGED, EMPTYING], false],
    ['on battery, with no other supply known', [EMPTYING], false],
    ['on battery, beside another that is full', [EMPTYING, CHARGING], false],
    ['the battery of a mouse', [MOUSE], true],
    ['what says nothing of itself', [{}], true],
  ];
  for (const [what, supplies, expected] of cases) {
    t.equal(onMainsPower(machine(...supplies)), expected, what);
  }
  t.equal(onMainsPower('/nowhere'), true, 'another system than Linux');
});
