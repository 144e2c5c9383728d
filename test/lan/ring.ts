/**
 * Phones on eight hosts that know of nothing but each other: started all at once; a super-node killed, or cut off; the
 * network cut in two and healed; and calls that go on all the while.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asError } from '../../src/core/errors.js';
import { phoneStatus } from '../../src/runtime/control-client.js';
import type { PhoneStatus } from '../../src/runtime/phone-status.js';
import { type Child, startChild } from '../harness/child.js';
import { atMost, exactly, type Figure, median, plain } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { waitedMs } from '../harness/process-status.js';
import { PlainFailure, progress } from '../harness/program.js';
import { LATER, Ringline, type RinglineOptions } from '../harness/ringline.js';
import { lastRow } from '../harness/sipp.js';
import { READY_WITHIN_MS, type Site } from './site.js';

const PROBER = fileURLToPath(new URL('./prober.js', import.meta.url));
/** Phones of a village; one host more calls. */
const PHONES = 8;
/** So many there are to be, so that the death of one costs little. */
const SUPER_NODES = 3;
const RUNS = Number(process.env.RING_RUNS ?? 20);
const COLD_GOAL_MS = 3000;
const REACHED_GOAL_MS = 5000;
/** In order, and by a power cut. */
const RESTARTS = Math.ceil(RUNS / 4);
const RESTART_GOAL_MS = 10_000;
const GIVE_UP_MS = 30_000;
/** Until a ring that was disturbed has mended itself, as its members say. */
const SETTLED_WITHIN_MS = 60_000;
const CUT_MS = 20_000;
/** Of each of the calls that go on while all this happens. */
const CALL_MS = 10_000;
/** A super-node stays away for so long: its nodes notice, and go to another. */
const AWAY_MS = 4000;
const KILLED_MS = 500;
/** A phone that had no processor for so long may come when the other looks for it no more: it is tried again. */
const BUSY_MS = 1000;
const ATTEMPTS = 5;

/** How a phone of a village differs from others. */
export interface ResidentOptions extends Pick<RinglineOptions, 'later'> {
  /** In the overlay. */
  readonly role?: string;
  /** Further ones, as its configuration has them. */
  readonly settings?: object;
  /** Further ones of `ringline answer`. */
  readonly args?: readonly string[];
}

/** A phone that runs on a host, with what it keeps. */
export class Resident {
  readonly host: Host;
  readonly name: string;
  readonly #site: Site;
  readonly #data: string;
  readonly #options: ResidentOptions;
  #running: Ringline | undefined;

  constructor(site: Site, host: Host, generation: string, options: ResidentOptions = {}) {
    const { role = 'auto', settings = {} } = options;
    this.#options = options;
    this.host = host;
    this.name = host.name;
    this.#site = site;
    this.#data = join(site.directory, `${generation}-${host.name}`);
    mkdirSync(this.#data, { recursive: true });
    // JSON is YAML.
    writeFileSync(
      join(this.#data, 'ringline.yaml'),
      JSON.stringify({ ...settings, overlay: { role } }),
    );
  }

  start(): Ringline {
    const { cleanup } = this.#site;
    const { args = [], later = false } = this.#options;
    const command = ['answer', '--echo', '--name', this.name, ...args];
    const { enter } = this.host;
    this.#running = new Ringline(command, { cleanup, data: this.#data, enter, later });
    return this.#running;
  }

  async ready(): Promise<void> {
    await this.start().heard('ready', READY_WITHIN_MS);
  }

  /** As a power cut would: it says nothing to anybody. */
  async kill(): Promise<void> {
    this.#running?.child.process.kill('SIGKILL');
    await this.#running?.child.ended;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
  }

  status(): Promise<PhoneStatus | undefined> {
    return phoneStatus(this.#data);
  }
}

/** The phone that calls: `prober.ts` on a host of its own. */
export class Prober {
  readonly #child: Child;
  readonly #data: string;
  readonly #waiting = new Map<string, (event: Rang) => void>();

  static async start(site: Site, host: Host, later = false): Promise<Prober> {
    const data = join(site.directory, `prober-${host.name}`);
    mkdirSync(data, { recursive: true });
    const imported = later ? ['--import', LATER] : [];
    const command = [...host.enter, process.execPath, ...imported, PROBER];
    const child = startChild(site.cleanup, command, { RINGLINE_DATA: data }, 'pipe');
    const prober = new Prober(child, data);
    await prober.#heard('ready', READY_WITHIN_MS);
    return prober;
  }

  private constructor(child: Child, data: string) {
    this.#child = child;
    this.#data = data;
    const input = child.process.stdout ?? new PassThrough();
    createInterface({ input }).on('line', line => {
      const event = JSON.parse(line) as Rang;
      const key = event.target ?? event.event;
      this.#waiting.get(key)?.(event);
      this.#waiting.delete(key);
    });
  }

  /** How long until it rang there, in ms. */
  async reach(name: string): Promise<number> {
    return (await this.find(name)).ms;
  }

  /** As `reach`, and where it rang. */
  async find(name: string, scheme: 'sip' | 'sips' = 'sip'): Promise<Rang> {
    const target = `${scheme}:${name}@ringline`;
    const rang = this.#heard(target, GIVE_UP_MS);
    this.#child.process.stdin?.write(`${target}\n`);
    const found = await rang;
    const { ms, failures } = found;
    if (failures.length > 0) progress(`lan: ${name} rang after ${ms} ms, ${failures.join(', ')}`);
    return found;
  }

  status(): Promise<PhoneStatus | undefined> {
    return phoneStatus(this.#data);
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }

  #heard(key: string, withinMs: number): Promise<Rang> {
    return new Promise((resolve, reject) => {
      const fail = () =>
        reject(new PlainFailure(`${key}: nothing within ${withinMs} ms\n${this.#child.output()}`));
      const timer = setTimeout(fail, withinMs);
      this.#waiting.set(key, event => {
        clearTimeout(timer);
        resolve(event);
      });
    });
  }
}

export interface Rang {
  readonly event: string;
  readonly target?: string;
  readonly ms: number;
  /** `ADDRESS:PORT`, and by which protocol. */
  readonly at: string;
  readonly by: string;
  readonly failures: readonly string[];
}

export async function ring(site: Site): Promise<Figure[]> {
  const figures = await coldStarts(site);
  const residents = site.hosts
    .slice(0, PHONES)
    .map(
      (host, n) => new Resident(site, host, 'ring', { role: n === PHONES - 1 ? 'never' : 'auto' }),
    );
  await Promise.all(residents.map(resident => resident.ready()));
  await settled(residents);
  const caller = await Prober.start(site, site.hosts[PHONES]!);
  figures.push(...(await restarted(residents, caller)));
  const calls = startCalls(site, residents.at(-1)!);
  figures.push(
    ...(await superNodeLost(residents, caller, 'killed')),
    ...(await superNodeLost(residents, caller, 'cut off')),
    ...(await cutAndHealed(site, residents, caller)),
    ...(await calls.ended()),
  );
  await caller.stop();
  await Promise.all(residents.map(resident => resident.stop()));
  return figures;
}

/** All phones and a caller at the same moment, with nothing remembered. */
async function coldStarts(site: Site): Promise<Figure[]> {
  const times: number[] = [];
  const own: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    const { tookMs, waitedMs } = await startAll(site, `cold${run}`);
    times.push(Math.round(tookMs));
    own.push(Math.round(tookMs - waitedMs));
    const aside = `${Math.round(waitedMs)} of them without a processor`;
    progress(
      `lan: ${PHONES} phones started cold, ${run}/${RUNS}: ringing after ${times.at(-1)} ms, ${aside}`,
    );
  }
  const name = `${PHONES} phones started cold at once, a call rings`;
  return [
    plain(`${name}, median`, median(times), 'ms'),
    plain(`${name}, longest of ${RUNS}`, Math.max(...times), 'ms'),
    // On hosts of their own they would not wait for each other.
    atMost(
      COLD_GOAL_MS,
      `${name}, longest but for waiting for a processor`,
      Math.max(...own),
      'ms',
    ),
  ];
}

/** @returns how long until it rang, and how long caller or called waited for a processor */
async function startAll(site: Site, generation: string) {
  for (let attempt = 1; ; attempt++) {
    const folder = `${generation}-${attempt}`;
    const phones = site.hosts.slice(0, PHONES).map(host => new Resident(site, host, folder));
    const [caller, called, ...others] = phones as [Resident, Resident, ...Resident[]];
    const ringing = called.start();
    for (const other of others) other.start();
    const { cleanup, directory } = site;
    const data = join(directory, `${folder}-caller`);
    mkdirSync(data);
    const call = new Ringline(['call', called.name], { cleanup, data, enter: caller.host.enter });
    try {
      const { at } = await call.heard('ringing', GIVE_UP_MS);
      const waited = Math.max(waitedMs(call.pid), waitedMs(ringing.pid));
      return { tookMs: at - call.startedAt, waitedMs: waited };
    } catch (error) {
      const waited = Math.round(waitedMs(ringing.pid));
      if (!(error instanceof PlainFailure) || waited < BUSY_MS || attempt === ATTEMPTS) throw error;
      progress(`lan: the phone had no processor for ${waited} ms: started again`);
    } finally {
      await call.stop();
      await Promise.all(phones.map(phone => phone.kill()));
    }
  }
}

/** The power goes everywhere, or everybody is switched off in order; then all start at once, with what they remember. */
async function restarted(residents: readonly Resident[], caller: Prober): Promise<Figure[]> {
  const times: number[] = [];
  for (const how of ['stop', 'kill'] as const) {
    for (let run = 1; run <= RESTARTS; run++) {
      await Promise.all(residents.map(resident => resident[how]()));
      const ready = Promise.all(residents.map(resident => resident.ready()));
      const rang = await Promise.all(residents.map(({ name }) => caller.reach(name)));
      times.push(Math.max(...rang));
      await ready;
      await settled(residents);
      progress(
        `lan: all were ${how === 'stop' ? 'stopped' : 'killed'}, ${run}/${RESTARTS}: all ring after ${times.at(-1)} ms`,
      );
    }
  }
  const name = `all ${PHONES} phones start again: all ring by the ring`;
  return [
    plain(`${name}, median`, median(times), 'ms'),
    atMost(RESTART_GOAL_MS, `${name}, longest of ${times.length}`, Math.max(...times), 'ms'),
  ];
}

async function superNodeLost(
  residents: readonly Resident[],
  caller: Prober,
  how: 'killed' | 'cut off',
): Promise<Figure[]> {
  const times: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    // In turn the one with most nodes, and the one that the caller itself is attached to.
    const { victim, nodes } = await chosen(residents, run % 2 === 0 ? caller : undefined);
    if (how === 'killed') await victim.kill();
    else await victim.host.setCable('down');
    const atOnce = await Promise.all(nodes.map(({ name }) => caller.reach(name)));
    // Who is killed is missed at once, who is silent after three seconds.
    await delay(how === 'killed' ? KILLED_MS : AWAY_MS);
    const later = await Promise.all(nodes.map(({ name }) => caller.reach(name)));
    times.push(Math.max(...atOnce, ...later));
    progress(
      `lan: super-node ${victim.name} of ${nodes.length} ${how}, ${run}/${RUNS}: its nodes rang after ${times.at(-1)} ms`,
    );
    if (how === 'killed') await victim.ready();
    else await victim.host.setCable('up');
    await settled(residents);
  }
  const name = `a super-node is ${how}: all its nodes ring`;
  return [
    plain(`${name}, median`, median(times), 'ms'),
    atMost(REACHED_GOAL_MS, `${name}, longest of ${times.length}`, Math.max(...times), 'ms'),
  ];
}

/** Half of the hosts are behind a cable that is cut, and put back. */
async function cutAndHealed(
  site: Site,
  residents: readonly Resident[],
  caller: Prober,
): Promise<Figure[]> {
  const far = residents.slice(0, PHONES / 2);
  const near = residents.slice(PHONES / 2);
  await site.lan.cut(far.map(({ name }) => name));
  progress('lan: the network is cut in two');
  await delay(CUT_MS);
  const nearMs = await Promise.all(near.map(({ name }) => caller.reach(name)));
  await site.lan.heal();
  progress('lan: and healed');
  const from = performance.now();
  const farMs = await Promise.all(far.map(({ name }) => caller.reach(name))).catch(async error => {
    const told = residents.map(
      async each => `${each.name}: ${JSON.stringify((await each.status())?.overlay)}`,
    );
    throw new PlainFailure(`${asError(error).message}\n${(await Promise.all(told)).join('\n')}`);
  });
  await settled(residents);
  const oneMs = Math.round(performance.now() - from);
  const again = await Promise.all(residents.map(({ name }) => caller.reach(name)));
  return [
    atMost(REACHED_GOAL_MS, 'cut in two: our half rings, longest', Math.max(...nearMs), 'ms'),
    plain('healed: the other half rings, longest', Math.max(...farMs), 'ms'),
    plain('healed: one ring again', oneMs, 'ms'),
    atMost(REACHED_GOAL_MS, 'then all ring, longest', Math.max(...again), 'ms'),
    exactly(PHONES, 'phones found of all that there were', again.length, 'phones'),
  ];
}

/**
 * Calls from the host of the prober to a phone that is no super-node, so that neither end of them is ever killed or cut
 * off: whatever happens to the ring, they go on.
 */
function startCalls(site: Site, called: Resident) {
  const { enter, address } = site.hosts[PHONES]!;
  const statistics = join(site.directory, 'calls.csv');
  const sipp = startChild(site.cleanup, [
    ...enter,
    ...['sipp', '-sn', 'uac', `${called.host.address}:5060`, '-s', '*43', '-i', address],
    ...['-p', '5080', '-r', '1', '-d', String(CALL_MS), '-m', '1000000', '-nostdin'],
    ...['-trace_stat', '-stf', statistics],
  ]);
  return {
    /** Takes no new ones, waits for the last, and tells how all went. */
    ended: async (): Promise<Figure[]> => {
      sipp.process.kill('SIGUSR1');
      await sipp.ended;
      const row = lastRow(statistics);
      const failed = Number(row?.['FailedCall(C)'] ?? Number.NaN);
      const whole = Number(row?.['SuccessfulCall(C)'] ?? 0);
      return [
        plain('calls of SIPp all the while', whole, 'calls'),
        exactly(0, 'of these, that failed or dropped', failed, 'calls'),
      ];
    },
  };
}

/** A super-node that has nodes, and these: the one that the caller is attached to, else the one that has most. */
async function chosen(residents: readonly Resident[], caller: Prober | undefined) {
  const served = new Map<string, Resident[]>();
  for (const resident of residents) {
    const at = (await resident.status())?.overlay?.superNode;
    if (at !== undefined) served.set(at, [...(served.get(at) ?? []), resident]);
  }
  const own = (await caller?.status())?.overlay?.superNode ?? '';
  const most = [...served].sort(([, one], [, other]) => other.length - one.length)[0];
  const [at, nodes] = served.has(own) ? [own, served.get(own)!] : (most ?? ['', []]);
  const victim = residents.find(({ host }) => at.startsWith(`${host.address}:`));
  if (!victim) throw new PlainFailure('no phone is attached to a super-node');
  return { victim, nodes };
}

/** Every phone is in the one ring: a member that follows another, or attached to a member. */
export async function settled(residents: readonly Resident[]): Promise<void> {
  const until = performance.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const problem = await unsettled(residents);
    if (!problem) return;
    if (performance.now() > until) throw new PlainFailure(`the ring did not settle: ${problem}`);
    await delay(300);
  }
}

async function unsettled(residents: readonly Resident[]): Promise<string | undefined> {
  const all = await Promise.all(residents.map(resident => resident.status()));
  const told = all.flatMap(status => status?.overlay ?? []);
  if (told.length < residents.length) return 'not all phones run';
  const members = told.flatMap(({ member }) => member ?? []);
  const ids = members.map(({ id }) => id).sort();
  if (ids.length < SUPER_NODES) return `there are ${ids.length} super-nodes`;
  for (const { id, successors, predecessor } of members) {
    const at = ids.indexOf(id);
    const [next, before] = [ids[(at + 1) % ids.length], ids.at(at - 1)];
    if (ids.length > 1 && successors[0]?.id !== next) return `${id} does not follow ${next}`;
    if (ids.length > 1 && predecessor?.id !== before) return `${id} does not come after ${before}`;
  }
  const places = members.map(({ id }) => all.find(each => each?.overlay?.id === id));
  const addresses = places
    .flatMap(place => place?.reachableAt ?? [])
    .map(at => at.split(':')[0] ?? '');
  const lost = told.find(({ member, superNode }) => {
    return !member && !addresses.includes(superNode?.split(':')[0] ?? '');
  });
  return lost && `${lost.id} is attached to ${lost.superNode ?? 'nobody'}`;
}
