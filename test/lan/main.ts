/**
 * Several hosts on one Ethernet without router, DNS or configuration: do phones find and hear each other?
 * Run by `make lan`: node dist/test/lan/main.js [--json] [CHECK…]
 */
import { spawnSync } from 'node:child_process';
import type { Figure } from '../harness/figures.js';
import { Lan } from '../harness/lan.js';
import { PlainFailure, progress, runProgram } from '../harness/program.js';
import { addressChange } from './address-change.js';
import { avahi } from './avahi.js';
import { behind } from './behind.js';
import { coldStart } from './cold-start.js';
import { conference } from './conference.js';
import { expelled } from './expelled.js';
import { families } from './families.js';
import { hostile } from './hostile.js';
import { linkLocal } from './link-local.js';
import { linkLoss } from './link-loss.js';
import { longCall } from './long-call.js';
import { ring } from './ring.js';
import { ringMoves } from './ring-moves.js';
import { newSite } from './site.js';
import { slp } from './slp.js';
import { versions } from './versions.js';
import { wire } from './wire.js';

const CHECKS = {
  'cold-start': coldStart,
  'long-call': longCall,
  'link-loss': linkLoss,
  'link-local': linkLocal,
  families,
  'address-change': addressChange,
  conference,
  avahi,
  slp,
  ring,
  'ring-moves': ringMoves,
  behind,
  expelled,
  versions,
  wire,
  hostile,
} as const;
type CheckName = keyof typeof CHECKS;

const chosen = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const names = Object.keys(CHECKS) as CheckName[];

if (process.getuid?.() === 0) await checkLan();
else process.exitCode = asRootOfItsOwn();

async function checkLan(): Promise<void> {
  await runProgram({ withinSeconds: 1500 }, async cleanup => {
    const unknown = chosen.find(name => !names.some(known => known === name));
    if (unknown) throw new PlainFailure(`expected ${names.join(', ')}, found ${unknown}`);
    const lan = await Lan.open(cleanup);
    const site = await newSite(lan, cleanup, [
      'ada',
      'bob',
      'eve',
      'dan',
      'gus',
      'fay',
      'hal',
      'ivy',
      'joe',
      'kim',
      'lea',
    ]);
    const figures: Figure[] = [];
    for (const name of names) {
      if (chosen.length > 0 && !chosen.includes(name)) continue;
      progress(`lan: ${name}`);
      figures.push(...(await CHECKS[name](site)));
    }
    return figures;
  });
}

/** Runs this program again, as an ordinary user's root: enough for network namespaces of its own. */
function asRootOfItsOwn(): number {
  const command = [process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', ['-Urnm', ...command], { stdio: 'inherit' });
  return status ?? 1;
}
