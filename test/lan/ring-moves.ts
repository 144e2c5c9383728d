/**
 * Phones that know each other by the ring alone are elsewhere of a sudden: another address, a cable in another network,
 * an interface that was down. When has their super-node taken them, when are they called where they are now, and do
 * their calls go on? The same of a super-node, and of its nodes.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atMost, exactly, type Figure, median, plain } from '../harness/figures.js';
import { lostSeconds, MARGIN_SECONDS, writeNumberedSound } from '../harness/numbered-sound.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Prober, Resident } from './ring.js';
import { Phone, type Site } from './site.js';

/** Of each kind, there and back again. */
const RUNS = Number(process.env.MOVE_RUNS ?? 3);
const GOAL_MS = 2000;
const GAP_GOAL_S = 2;
/** However long it takes: it is judged afterwards. */
const WITHIN_MS = 30_000;
/** What is lost on the way to the table of members is mended once a minute. */
const GATHERED_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 25;
const SECONDS = 5;
/** Of the call, before somebody moves. */
const BEFORE_MS = 2000;
const DOWN_MS = 1000;
const SUPER_NODES = 3;

interface Village {
  readonly site: Site;
  readonly superNodes: readonly Resident[];
  readonly nodes: readonly Resident[];
  readonly all: readonly Resident[];
  readonly caller: Prober;
  readonly sound: string;
  readonly expected: Int16Array;
}

/** What came of one move. */
interface Outcome {
  /** Until whoever is a node was taken by a super-node, where it had to be. */
  readonly taken: readonly number[];
  /** Until each of them rang by its name in the ring, called from the moment of the change on. */
  readonly rang: readonly number[];
  /** How many of them rang where they are now. */
  readonly wrong: number;
}

export async function ringMoves(site: Site): Promise<Figure[]> {
  const byTcp = await superNodeByTcp(site);
  const sound = join(site.directory, 'ring-moves.wav');
  const expected = writeNumberedSound(sound, SECONDS);
  const all = site.hosts
    .slice(0, SUPER_NODES + 2)
    .map(
      (host, n) =>
        new Resident(site, host, 'moves', { role: n < SUPER_NODES ? 'always' : 'never' }),
    );
  progress('lan: three super-nodes and two nodes');
  // Rings that are founded at once meet, but that takes longer.
  await all[0]!.ready();
  await gathered(all.slice(0, 1));
  await Promise.all(all.slice(1).map(resident => resident.ready()));
  await gathered(all);
  const caller = await Prober.start(site, site.hosts.at(-1)!);
  const [superNodes, nodes] = [all.slice(0, SUPER_NODES), all.slice(SUPER_NODES)];
  const village = { site, superNodes, nodes, all, caller, sound, expected };
  const figures = [
    ...byTcp,
    await calledSecurely(village),
    ...(await nodeReaddressed(village)),
    ...(await nodeUnplugged(village)),
    ...(await nodeInAnotherNetwork(village)),
    ...(await superNodeReaddressed(village)),
  ];
  await caller.stop();
  await Promise.all(all.map(resident => resident.stop()));
  return figures;
}

/** The only super-node does not speak TLS: phones that do are in its ring all the same. */
async function superNodeByTcp(site: Site): Promise<Figure[]> {
  progress('lan: a super-node that takes links by TCP alone');
  const [superNode, node] = [
    new Resident(site, site.hosts[0]!, 'tcp', {
      role: 'always',
      settings: { tls: { port: 'off' } },
    }),
    new Resident(site, site.hosts[1]!, 'tcp', { role: 'never' }),
  ];
  await Promise.all([superNode.ready(), node.ready()]);
  const caller = await Prober.start(site, site.hosts.at(-1)!);
  const { ms } = await caller.find(node.name);
  const at = [await node.status(), await caller.status()].map(each => each?.overlay?.superNode);
  await caller.stop();
  await Promise.all([superNode.stop(), node.stop()]);
  const isThere = at.every(each => each === `${superNode.host.address}:5060;transport=tcp`);
  return [
    exactly(1, 'a super-node without TLS has the phones of its network', Number(isThere), ''),
    atMost(WITHIN_MS, 'one calls another by the ring, from its start on', ms, 'ms'),
  ];
}

/** `sips:NAME@OVERLAY` leads over TLS. */
async function calledSecurely({ caller, nodes: [node] }: Village): Promise<Figure> {
  const { at, by } = await caller.find(node!.name, 'sips');
  const isSecure = by === 'TLS' && at === `${node!.host.address}:5061`;
  return exactly(1, 'sips: by the ring rings over TLS', Number(isSecure), '');
}

async function nodeReaddressed(village: Village): Promise<Figure[]> {
  const [node] = village.nodes as [Resident];
  const outcomes: Outcome[] = [];
  const gaps: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    progress(`lan: a node is given another address, ${run}/${RUNS}`);
    const call = await startCall(village, node);
    outcomes.push(await after(village, [node], () => readdress(node)));
    gaps.push(await call.lost());
    await gathered(village.all);
    outcomes.push(await after(village, [node], () => readdress(node)));
    await gathered(village.all);
  }
  const what = 'a node has another address';
  return [...told(what, outcomes), lost(`${what}: of its call, both ways`, gaps)];
}

async function nodeUnplugged(village: Village): Promise<Figure[]> {
  const [, node] = village.nodes as [Resident, Resident];
  const outcomes: Outcome[] = [];
  for (let run = 1; run <= RUNS; run++) {
    progress(`lan: the interface of a node goes down and up, ${run}/${RUNS}`);
    await node.host.setInterface('down');
    await delay(DOWN_MS);
    outcomes.push(await after(village, [node], () => node.host.setInterface('up')));
    await gathered(village.all);
  }
  return told('a node is back after its link was down', outcomes);
}

async function nodeInAnotherNetwork(village: Village): Promise<Figure[]> {
  const { site, nodes, all } = village;
  const [node] = nodes as [Resident];
  const outcomes: Outcome[] = [];
  await site.lan.openRouter(site.hosts);
  for (let run = 1; run <= RUNS; run++) {
    progress(`lan: the cable of a node is put into another network, ${run}/${RUNS}`);
    outcomes.push(await after(village, [node], () => node.host.moveTo('far')));
    await gathered(all);
    outcomes.push(await after(village, [node], () => node.host.moveTo('near')));
    await gathered(all);
  }
  await site.lan.closeRouter(site.hosts);
  return told('a node is in another network', outcomes);
}

async function superNodeReaddressed(village: Village): Promise<Figure[]> {
  const outcomes: Outcome[] = [];
  const ofIts: number[] = [];
  const ofNodes: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    const { superNode, nodes } = await serving(village);
    progress(`lan: a super-node of ${nodes.length} has another address, ${run}/${RUNS}`);
    const calls = [await startCall(village, superNode), await startCall(village, nodes[0]!)];
    const moved = await after(village, [superNode, ...nodes], () => readdress(superNode));
    outcomes.push(moved);
    const [its = Number.NaN, nodes0 = Number.NaN] = await Promise.all(
      calls.map(call => call.lost()),
    );
    ofIts.push(its);
    ofNodes.push(nodes0);
    await gathered(village.all);
    const again = await serving(village, superNode);
    outcomes.push(await after(village, [superNode, ...again.nodes], () => readdress(superNode)));
    await gathered(village.all);
  }
  const what = 'a super-node has another address';
  return [
    ...told(`${what}: it and its nodes`, outcomes),
    lost(`${what}: of its own call, both ways`, ofIts),
    lost(`${what}: of a call of a node of it`, ofNodes),
  ];
}

/** Something happens to the network of one of `moved`: when is each of them well again? */
async function after(
  { caller }: Village,
  moved: readonly Resident[],
  happens: () => Promise<unknown>,
): Promise<Outcome> {
  const before = new Map<Resident, string>();
  for (const resident of moved) before.set(resident, await placeOf(resident));
  const from = performance.now();
  await happens();
  const [first] = moved;
  const each = await Promise.all(
    moved.map(async resident => {
      const [taken, found] = await Promise.all([
        takenAgain(resident, before.get(resident) ?? '', resident === first, from),
        caller.find(resident.name),
      ]);
      return { taken, found, resident };
    }),
  );
  const wrong = each.filter(({ found: { at }, resident }) => {
    // In the moment between two addresses a phone tells that of the link, which it keeps.
    return !at.startsWith(`${resident.host.address}:`) && !at.startsWith('[fe80:');
  });
  for (const { found } of wrong) progress(`lan: rang at ${found.at}`);
  return {
    taken: each.map(({ taken }) => taken),
    rang: each.map(({ found }) => found.ms),
    wrong: wrong.length,
  };
}

async function placeOf(resident: Resident): Promise<string> {
  const overlay = (await resident.status())?.overlay;
  return overlay?.member ? 'member' : (overlay?.superNode ?? '');
}

/**
 * When a super-node has taken it, or it is a super-node again itself, in ms.
 *
 * @param itself whether it was the one that moved, rather than its super-node
 */
async function takenAgain(
  resident: Resident,
  before: string,
  itself: boolean,
  from: number,
): Promise<number> {
  for (const until = from + WITHIN_MS; performance.now() < until; ) {
    const status = await resident.status();
    const now = performance.now();
    const { member, superNode, attachedMs } = status?.overlay ?? {};
    const isHere = status?.reachableAt.some(at => at.startsWith(`${resident.host.address}:`));
    if (before === 'member' && itself) {
      const again =
        member?.phase === 'member' && member.address.startsWith(`${resident.host.address}:`);
      if (again) return now - from;
    } else if (isHere && superNode !== undefined && now - (attachedMs ?? 0) > from) {
      return now - (attachedMs ?? 0) - from;
    }
    await delay(LOOK_EVERY_MS);
  }
  throw new PlainFailure(`${resident.name} was not taken by any super-node`);
}

/** All are super-nodes that know each other, or attached to one of them: not every finger need be in its place. */
async function gathered(all: readonly Resident[]): Promise<void> {
  const wanted = Math.min(all.length, SUPER_NODES);
  let problem = '';
  for (const until = performance.now() + GATHERED_WITHIN_MS; performance.now() < until; ) {
    const told = (await Promise.all(all.map(each => each.status()))).map(each => each?.overlay);
    const members = told.flatMap(overlay => overlay?.member ?? []);
    const at = members.map(({ address }) => address);
    const nodes = told.filter(overlay => at.includes(overlay?.superNode ?? ''));
    const knowing = members.filter(({ phase, known }) => phase === 'member' && known === wanted);
    if (knowing.length === wanted && members.length + nodes.length === all.length) return;
    problem = told
      .map(each => `${each?.member ? `knows ${each.member.known}` : (each?.superNode ?? 'alone')}`)
      .join(', ');
    await delay(4 * LOOK_EVERY_MS);
  }
  throw new PlainFailure(`the phones have not gathered in one ring: ${problem}`);
}

/** A super-node that has nodes, and these: `wanted`, else the one that has most. */
async function serving({ superNodes, nodes }: Village, wanted?: Resident) {
  const served = new Map<Resident, Resident[]>();
  for (const node of nodes) {
    const at = (await node.status())?.overlay?.superNode ?? '';
    const superNode = superNodes.find(({ host }) => at.startsWith(`${host.address}:`));
    if (superNode) served.set(superNode, [...(served.get(superNode) ?? []), node]);
  }
  if (wanted) return { superNode: wanted, nodes: served.get(wanted) ?? [] };
  const [most] = [...served].sort(([, one], [, other]) => other.length - one.length);
  if (!most) throw new PlainFailure('no node is attached to a super-node');
  return { superNode: most[0], nodes: most[1] };
}

let calls = 0;

/** A call by the ring that comes back as an echo: what is lost either way is missing. */
async function startCall({ site, sound, expected }: Village, called: Resident) {
  const recording = join(site.directory, `ring-moves-${++calls}.wav`);
  const files = ['--play', sound, '--record', recording, '--codec', 'pcmu'];
  const seconds = String(SECONDS + 2 * MARGIN_SECONDS);
  const from = new Phone(site, SUPER_NODES + 2 + (calls % 2));
  const call = from.command('call', `sip:${called.name}@ringline`, ...files, '--seconds', seconds);
  await call.heard('connected', WITHIN_MS);
  await delay(BEFORE_MS);
  return {
    lost: async () => {
      await call.heard('ended', WITHIN_MS);
      await call.child.ended;
      return lostSeconds(recording, expected);
    },
  };
}

/** There, or back again. */
function readdress({ host }: Resident): Promise<void> {
  return host.setAddress(host.otherAddress);
}

function told(what: string, outcomes: readonly Outcome[]): Figure[] {
  const taken = outcomes.flatMap(each => each.taken).map(Math.round);
  const rang = outcomes.flatMap(each => each.rang);
  const wrong = outcomes.reduce((sum, each) => sum + each.wrong, 0);
  const both = (name: string, values: readonly number[]) => [
    plain(`${name}, median`, median(values), 'ms'),
    atMost(GOAL_MS, `the same, worst of ${values.length}`, Math.max(...values), 'ms'),
  ];
  return [
    ...both(`${what}: taken by the ring`, taken),
    ...both(`${what}: rings by the ring`, rang),
    exactly(0, `${what}: rang where nobody is`, wrong, 'calls'),
  ];
}

function lost(what: string, gaps: readonly number[]): Figure {
  return atMost(GAP_GOAL_S, `${what}, worst lost`, Math.max(...gaps), 's');
}
