/**
 * Somebody on the LAN attacks a super-node with keys of their own, one attack after the other: does it live, does it answer
 * others meanwhile, are people still found by its ring, and what does it keep of it?
 */
import { createInterface, type Interface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../harness/child.js';
import { atMost, exactly, type Figure, plain } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { residentMegabytes } from '../harness/process-status.js';
import { PlainFailure, progress } from '../harness/program.js';
import type { Attack, AttackName } from './attacker.js';
import { Prober, Resident, settled } from './ring.js';
import type { Site } from './site.js';

const ATTACKS: readonly AttackName[] = [
  ...(['unsayable', 'flood', 'table', 'records', 'nodes', 'crowd', 'values'] as const),
];
const SUPER_NODES = 3;
const SECONDS = Number(process.env.HOSTILE_SECONDS ?? 5);
/** An answer to somebody else; both processors are busy with the attacker and the attacked, and perhaps with others. */
const ANSWER_GOAL_MS = 2000;
const REACHED_GOAL_MS = 5000;
/** What is bounded may be filled: 64 MiB of records, and what the runtime takes beside it. */
const GROWTH_GOAL_MB = 200;

export async function hostile(site: Site): Promise<Figure[]> {
  const { hosts } = site;
  const superNodes = hosts
    .slice(0, SUPER_NODES)
    .map(host => new Resident(site, host, 'hostile', { role: 'always' }));
  const fay = new Resident(site, hosts[5]!, 'hostile', { role: 'never' });
  await Promise.all([...superNodes, fay].map(phone => phone.ready()));
  await settled([...superNodes, fay]);
  const at = (await fay.status())?.overlay?.superNode ?? '';
  const victim = superNodes.find(({ host }) => at.startsWith(`${host.address}:`));
  if (!victim) throw new PlainFailure('fay is attached to nobody');
  const prober = await Prober.start(site, hosts[6]!);
  const pinger = talking(site, hosts[7]!, './pinger.js', victim.host.address);
  const attacker = talking(site, hosts[8]!, './attacker.js', hosts[8]!.address);
  await prober.reach('fay');
  const figures: Figure[] = [];
  for (const attack of ATTACKS) {
    progress(`lan: ${attack} for ${SECONDS} s`);
    const { pid = 0, overlay } = (await victim.status()) ?? {};
    const before = residentMegabytes(pid);
    await pinger.ask('');
    const asked: Attack = {
      attack,
      at: `${victim.host.address}:5061`,
      id: overlay?.id ?? '',
      seconds: SECONDS,
    };
    let over = false;
    const told = attacker.ask(JSON.stringify(asked)).finally(() => {
      over = true;
    });
    let reachedMs = 0;
    while (!over) {
      reachedMs = Math.max(reachedMs, await prober.reach('fay'));
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    progress(`lan: ${attack}: ${await told}`);
    const delayMs = Number(await pinger.ask(''));
    const alive = (await victim.status())?.pid === pid;
    figures.push(
      exactly(1, `${attack}: who is attacked lives`, Number(alive), ''),
      atMost(ANSWER_GOAL_MS, `${attack}: somebody else is answered after, longest`, delayMs, 'ms'),
      atMost(REACHED_GOAL_MS, `${attack}: fay is called by name, longest`, reachedMs, 'ms'),
    );
    if (!alive) {
      await victim.ready();
      continue;
    }
    const grown = residentMegabytes(pid) - before;
    const { member } = (await victim.status())?.overlay ?? {};
    figures.push(
      atMost(GROWTH_GOAL_MB, `${attack}: memory grew by`, grown, 'MB'),
      plain(`${attack}: members known`, member?.known ?? 0, ''),
      plain(`${attack}: records held`, member?.records ?? 0, ''),
    );
  }
  await Promise.all([prober.stop(), pinger.child.stop(), attacker.child.stop()]);
  await Promise.all([...superNodes, fay].map(phone => phone.kill()));
  return figures;
}

/** A program on a host that answers each line by one. */
function talking(site: Site, host: Host, program: string, argument: string) {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child: Child = startChild(
    site.cleanup,
    [...host.enter, process.execPath, file, argument],
    {},
    'pipe',
  );
  const lines: Interface = createInterface({ input: child.process.stdout ?? new PassThrough() });
  const ask = (line: string) =>
    new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      void child.ended.then(() => reject(new PlainFailure(`${program}\n${child.output()}`)));
      child.process.stdin?.write(`${line}\n`);
    });
  return { child, ask };
}
