/**
 * Phones of two versions of the ring's messages in one ring, half and half: this one, and a later one that adds all it
 * may and says two things in a new way (`test/overlay/later-message.ts`). All are started at once; each calls those of the other
 * by name; all super-nodes of one version are killed, and then all of the other.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isRefusalCode } from '../../src/overlay/sip/status.js';
import { atLeast, atMost, exactly, explained, type Figure, plain } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { progress } from '../harness/program.js';
import { Ringline, type RinglineEvent } from '../harness/ringline.js';
import { Prober, Resident, settled } from './ring.js';
import type { Site } from './site.js';

/** Super-nodes and nodes, in turn of this version and of the later one. */
const SUPER_NODES = 4;
const PHONES = 6;
const REACHED_GOAL_MS = 5000;
const KILLED_MS = 500;
/** What new super-nodes should hold is offered to them within a second; what they lack then, nodes that come put again. */
const HANDED_OVER_MS = 2000;
/** Of who has only just started. */
const CALLED_GOAL_MS = 10_000;
/** How this version refuses what it does not know. */
const NOT_KNOWN: readonly string[] = ['UNKNOWN_MESSAGE', 'UNKNOWN_VERSION'];

/** What a phone logged that was not to its liking. */
interface Logged {
  readonly msg: string;
  readonly code: string;
}

/** One that notes what it refuses, and what was refused to it. */
class Versioned extends Resident {
  readonly later: boolean;
  /** Lines with a code. */
  readonly logged: Logged[] = [];
  readonly #runs: Ringline[] = [];

  constructor(site: Site, host: Host, of: { later: boolean; role: string }) {
    super(site, host, 'versions', { ...of, args: ['--log', 'debug'] });
    this.later = of.later;
  }

  override start(): Ringline {
    const running = super.start();
    this.#runs.push(running);
    const input = running.child.process.stderr ?? new PassThrough();
    createInterface({ input }).on('line', line => {
      if (/"code".*}$/.test(line)) this.logged.push(JSON.parse(line));
    });
    return running;
  }

  get events(): RinglineEvent[] {
    return this.#runs.flatMap(({ events }) => events);
  }
}

interface Mixed {
  readonly site: Site;
  /** All that run or ran. */
  readonly phones: Versioned[];
  superNodes: readonly Versioned[];
  readonly nodes: readonly Versioned[];
  readonly callers: readonly Prober[];
  readonly figures: Figure[];
}

export async function versions(site: Site): Promise<Figure[]> {
  const { hosts } = site;
  const phones = hosts.slice(0, PHONES).map((host, n) => {
    return new Versioned(site, host, {
      later: n % 2 === 1,
      role: n < SUPER_NODES ? 'always' : 'never',
    });
  });
  progress('lan: phones of two versions, started at once');
  const from = performance.now();
  const [present, later] = await Promise.all([
    Prober.start(site, hosts[PHONES]!),
    Prober.start(site, hosts[PHONES + 1]!, true),
    ...phones.map(phone => phone.ready()),
  ]);
  await settled(phones);
  const figures = [plain('two versions: one ring after', performance.now() - from, 'ms')];
  const superNodes = phones.slice(0, SUPER_NODES);
  const nodes = phones.slice(SUPER_NODES);
  const callers = [present, later];
  const mixed: Mixed = { site, phones, superNodes, nodes, callers, figures };
  figures.push(
    await allRing(mixed, phones, 'two versions: each is called by both', CALLED_GOAL_MS),
  );

  const first = await versionWithMostNodes(mixed);
  await superNodesDie(mixed, first);
  await othersCome(mixed, first);
  await superNodesDie(mixed, !first);
  figures.push(...refusals(phones));
  await Promise.all([
    ...callers.map(caller => caller.stop()),
    ...phones.map(phone => phone.kill()),
  ]);
  return figures;
}

async function allRing(
  { callers }: Mixed,
  called: readonly Versioned[],
  what: string,
  goalMs = REACHED_GOAL_MS,
): Promise<Figure> {
  const calls = callers.flatMap(caller => called.map(({ name }) => caller.reach(name)));
  return atMost(goalMs, `${what}, longest`, Math.max(...(await Promise.all(calls))), 'ms');
}

/** Whether that is the later one. */
async function versionWithMostNodes({ superNodes, nodes, callers }: Mixed): Promise<boolean> {
  const statuses = await Promise.all([...nodes, ...callers].map(phone => phone.status()));
  const places = statuses.flatMap(status => status?.overlay?.superNode?.split(':')[0] ?? []);
  const ofLater = superNodes.filter(({ later }) => later).map(({ host }) => host.address);
  return 2 * places.filter(place => ofLater.includes(place)).length > places.length;
}

/**
 * All of one version at once, so that every node has to go to those of the other version, which have all that was written
 * by then. Somebody new, of the version that was killed, finds a node of the later one by what they have.
 */
async function superNodesDie(mixed: Mixed, later: boolean): Promise<void> {
  const { superNodes, nodes, figures } = mixed;
  const victims = superNodes.filter(superNode => superNode.later === later);
  mixed.superNodes = superNodes.filter(superNode => superNode.later !== later);
  const what = `${later ? 'later' : 'present'} super-nodes killed`;
  progress(`lan: ${what}`);
  await Promise.all(victims.map(victim => victim.kill()));
  const atOnce = await allRing(mixed, nodes, `${what}: the nodes ring`);
  await delay(KILLED_MS);
  figures.push(atOnce, await allRing(mixed, nodes, `${what}: and once more`));
  const written = nodes.filter(node => node.later);
  for (const node of written) figures.push(...(await calledByNewcomer(mixed, node, later, what)));
}

/** As many super-nodes as died, of the same version. */
async function othersCome(mixed: Mixed, later: boolean): Promise<void> {
  const { site, phones, superNodes, nodes } = mixed;
  const others = site.hosts
    .slice(PHONES + 3)
    .map(host => new Versioned(site, host, { later, role: 'always' }));
  progress('lan: others come in their place');
  phones.push(...others);
  mixed.superNodes = [...superNodes, ...others];
  await Promise.all(others.map(other => other.ready()));
  await settled([...mixed.superNodes, ...nodes]);
  await delay(HANDED_OVER_MS);
}

async function calledByNewcomer(
  { site }: Mixed,
  { name, events }: Versioned,
  later: boolean,
  what: string,
): Promise<Figure[]> {
  const data = join(site.directory, `newcomer-${later}`);
  mkdirSync(data);
  const { cleanup, hosts } = site;
  const { enter } = hosts[PHONES + 2]!;
  const target = `sip:${name}@ringline`;
  const call = new Ringline(['call', target, '--seconds', '1'], { cleanup, data, enter, later });
  const { at } = await call.heard('connected', CALLED_GOAL_MS * 2);
  await call.child.ended;
  const took = at - call.startedAt;
  const figures = [atMost(CALLED_GOAL_MS, `${what}: one that is started then calls`, took, 'ms')];
  if (!later) return figures;
  const wrote = recordsOf(events, 'wrote');
  const read = recordsOf(call.events, 'read');
  const same = read.filter(record => wrote.includes(record));
  const account = `written:\n${wrote.join('\n')}\nread:\n${read.join('\n')}`;
  const isSame = same.length > 0 && same.length === read.length;
  const kept = exactly(1, `${what}: a later record is read as it was signed`, Number(isSame), '');
  return [...figures, explained(kept, account)];
}

/** As `LaterOverlay` tells them; each as one text. */
function recordsOf(events: readonly RinglineEvent[], kind: 'wrote' | 'read'): string[] {
  const told = events.flatMap(({ event, records }) => (event === kind ? [records] : []));
  return told.flatMap(records =>
    Array.isArray(records) ? records.map(of => JSON.stringify(of)) : [],
  );
}

/** That they refused each other what is not known, and nothing else. */
function refusals(phones: readonly Versioned[]): Figure[] {
  const present = phones.filter(({ later }) => !later);
  const refused = present.flatMap(({ logged }) =>
    codesOf(logged, 'a request of the ring was refused'),
  );
  const understood = phones.flatMap(({ events }) =>
    events.filter(({ event }) => event === 'understood'),
  );
  const wrong = phones.flatMap(({ name, later, logged }) =>
    logged.filter(each => isWrong(each, later)).map(each => `${name}: ${JSON.stringify(each)}`),
  );
  const count = (code: string) => refused.filter(each => each === code).length;
  return [
    ...NOT_KNOWN.map(code =>
      atLeast(1, `refused by the present version: ${code}`, count(code), ''),
    ),
    atLeast(1, 'said in a new way, and answered', understood.length, ''),
    explained(exactly(0, 'refused wrongly, by either', wrong.length, ''), wrong.join('\n')),
  ];
}

/** Who was asked may be no super-node, or not there; all else is a misunderstanding. */
function isWrong({ msg, code }: Logged, later: boolean): boolean {
  switch (msg) {
    case 'a request of the ring was refused':
      return code !== 'NOT_MEMBER' && (later || !NOT_KNOWN.includes(code));
    case 'no answer':
      return code !== 'NOT_MEMBER' && isRefusalCode(code);
    default:
      return msg === 'a record of a name was refused';
  }
}

function codesOf(logged: readonly Logged[], of: string): string[] {
  return logged.flatMap(({ msg, code }) => (msg === of ? [code] : []));
}
