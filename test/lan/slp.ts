/**
 * Service Location Protocol between hosts that have nothing but an address: by multicast, by a directory agent,
 * without the privilege for port 427; and with OpenSLP, where it is installed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, run, startChild } from '../harness/child.js';
import { atLeast, atMost, exactly, type Figure } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const PROGRAM = fileURLToPath(new URL('../harness/slp-agent.js', import.meta.url));
const TYPE = 'service:supernode.ringline';
const OTHER_TYPE = 'service:test.openslp';
/** For whatever an agent is waited for; what it takes is measured elsewhere. */
const WITHIN_MS = 20_000;
/** More than a datagram takes: who registers or reads it needs TCP. */
const NOTE = `(note=${'x'.repeat(3000)})`;
/** Put before a command: no process of it may have a port below 1024. */
const WITHOUT_PRIVILEGE = ['setpriv', '--bounding-set', '-net_bind_service', '--'];

interface Line {
  readonly event: string;
  readonly urls?: readonly string[];
  readonly tags?: readonly string[];
  /** Of the attribute list. */
  readonly octets?: number;
  readonly firstMs?: number;
  readonly tookMs?: number;
  readonly directory?: string;
  readonly code?: string;
}

class Agent {
  readonly child: Child;
  readonly #what: string;

  constructor(site: Site, host: Host, args: readonly string[], before: readonly string[] = []) {
    this.#what = `slp-agent ${args.join(' ')} on ${host.name}`;
    const command = [...host.enter, ...before, process.execPath, PROGRAM, ...args];
    this.child = startChild(site.cleanup, command, {
      SLP_DIRECTORY: asksDirectory(args),
      // One host of two has the network of Ringline, the others that of Node.js: both have to fit.
      SLP_NETWORK: host.name === 'bob' || host.name === 'ada' ? 'core' : 'node',
    });
  }

  async heard(event: string): Promise<Line> {
    const until = performance.now() + WITHIN_MS;
    while (performance.now() < until) {
      const lines = this.child
        .output()
        .split('\n')
        .filter(line => line.startsWith('{'));
      const found = lines.map(line => JSON.parse(line) as Line).find(line => line.event === event);
      if (found) return found;
      await delay(20);
    }
    throw new PlainFailure(
      `${this.#what}: no "${event}" within ${WITHIN_MS} ms\n${this.child.output()}`,
    );
  }
}

/** `find` is told by a fourth word whether to wait for a directory agent first. */
function asksDirectory(args: readonly string[]): string {
  return args[3] ?? '';
}

export async function slp(site: Site): Promise<Figure[]> {
  const [ada, bob, eve, dan] = site.hosts as [Host, Host, Host, Host];
  const urlOf = ({ address }: Host) => `${TYPE}:sip://${address}:5060`;
  const offer = async (host: Host, before: readonly string[] = []) => {
    const agent = new Agent(
      site,
      host,
      ['offer', urlOf(host), `(id=${host.name}),(tls=5061),${NOTE}`],
      before,
    );
    await agent.heard('ready');
    return agent;
  };
  // Phones that are super-nodes offer none of these.
  const find = async (predicate = '(note=*)', directory = '') => {
    const agent = new Agent(site, dan, ['find', TYPE, predicate, directory], WITHOUT_PRIVILEGE);
    const line = await agent.heard('found');
    await agent.child.ended;
    return line;
  };

  progress('lan: SLP, everybody is asked');
  const agents = [await offer(bob), await offer(eve)];
  const all = await find();
  const one = await find('(&(id=BOB)(tls>=5000))');
  const figures = [
    exactly(1, 'SLP, both services found by multicast', same(all.urls, [bob, eve].map(urlOf)), ''),
    atMost(1000, 'SLP, first answer to a multicast request', all.firstMs ?? Infinity, 'ms'),
    atMost(9000, 'SLP, multicast convergence', all.tookMs ?? Infinity, 'ms'),
    exactly(1, 'SLP, one service found by its attributes', same(one.urls, [urlOf(bob)]), ''),
    atLeast(3000, 'SLP, attributes read by TCP', one.octets ?? 0, 'octets'),
  ];

  progress('lan: SLP, a directory agent');
  const directory = new Agent(site, ada, ['directory']);
  await directory.heard('ready');
  await Promise.all(agents.map(agent => agent.heard('registered')));
  const powerless = await offer(ada, WITHOUT_PRIVILEGE);
  const { code } = await powerless.heard('problem');
  await powerless.heard('registered');
  const asked = await find('(note=*)', 'wait');
  figures.push(
    exactly(1, 'SLP, without privilege port 427 is missed', code === 'PORT_FORBIDDEN' ? 1 : 0, ''),
    exactly(
      1,
      'SLP, all three found by the directory agent',
      same(asked.urls, [ada, bob, eve].map(urlOf)),
      '',
    ),
    atMost(1000, 'SLP, answer of the directory agent', asked.tookMs ?? Infinity, 'ms'),
  );
  for (const agent of [powerless, agents[0]!]) await agent.child.stop();
  const left = await find('(note=*)', 'wait');
  figures.push(exactly(1, 'SLP, who stops is forgotten', same(left.urls, [urlOf(eve)]), ''));
  await directory.child.stop();
  await agents[1]!.child.stop();

  figures.push(await superNodeBySlp(site, [ada, bob]));

  if (!isInstalled('slpd') || !isInstalled('slptool')) {
    progress(
      'lan: slpd and slptool are not on the path (Debian 12 has no OpenSLP): not compared with it',
    );
    return figures;
  }
  return [...figures, ...(await withOpenSlp(site, { urlOf, offer }))];
}

/** A phone that is a super-node tells so by SLP, to whoever asks. */
async function superNodeBySlp(site: Site, [ada, bob]: readonly [Host, Host]): Promise<Figure> {
  progress('lan: SLP, a super-node of a phone');
  const phone = new Phone(site, site.hosts.indexOf(bob)).configure('overlay: { role: always }\n');
  const running = phone.run();
  await running.heard('ready', READY_WITHIN_MS);
  const offered = `${TYPE}:sip://${bob.address}:5061`;
  const until = performance.now() + 3 * WITHIN_MS;
  // It looks for others before it is one.
  while (performance.now() < until) {
    const agent = new Agent(site, ada, ['find', TYPE, '(overlay=ringline)'], WITHOUT_PRIVILEGE);
    const { urls = [] } = await agent.heard('found');
    await agent.child.ended;
    if (!urls.includes(offered)) continue;
    await running.stop();
    return exactly(1, 'SLP, a phone that is a super-node is found', 1, '');
  }
  throw new PlainFailure(`no super-node by SLP\n${running.child.output()}`);
}

/** Their service agent and ours, their directory agent and ours, each asked by the other's user agent. */
async function withOpenSlp(
  site: Site,
  { urlOf, offer }: { urlOf: (host: Host) => string; offer: (host: Host) => Promise<Agent> },
): Promise<Figure[]> {
  const [ada, bob, eve, dan] = site.hosts as [Host, Host, Host, Host];
  const theirs = `${OTHER_TYPE}://${ada.address}:1234`;
  const findTheirs = async (wait = '') => {
    const agent = new Agent(site, dan, ['find', OTHER_TYPE, '(color=RED)', wait]);
    const line = await agent.heard('found');
    await agent.child.ended;
    return line;
  };
  const slptool = async (type: string) => {
    const output = await run([...eve.enter, 'slptool', 'findsrvs', type]);
    return output
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.split(',')[0] ?? '');
  };

  progress('lan: SLP with OpenSLP, everybody is asked');
  let slpd = await startSlpd(site, ada, theirs, false);
  const ours = await offer(bob);
  const found = await findTheirs();
  const figures = [
    exactly(1, 'OpenSLP, its service is found by ours', same(found.urls, [theirs]), ''),
    exactly(
      1,
      'OpenSLP, its attributes are read by ours',
      same(found.tags, ['color', 'ports']),
      '',
    ),
    exactly(1, 'OpenSLP, slptool finds our service', same(await slptool(TYPE), [urlOf(bob)]), ''),
  ];

  progress('lan: SLP with OpenSLP as the directory agent');
  await slpd.stop();
  slpd = await startSlpd(site, ada, theirs, true);
  await ours.heard('registered');
  const byTheirs = await findTheirs('wait');
  figures.push(
    exactly(
      1,
      'OpenSLP, its directory agent is asked by ours',
      byTheirs.directory && same(byTheirs.urls, [theirs]) ? 1 : 0,
      '',
    ),
    exactly(
      1,
      'OpenSLP, slptool finds ours by its directory agent',
      same(await slptool(TYPE), [urlOf(bob)]),
      '',
    ),
  );
  await ours.child.stop();
  figures.push(
    exactly(0, 'OpenSLP, services of ours left after we stopped', (await slptool(TYPE)).length, ''),
  );
  await slpd.stop();

  progress('lan: SLP with OpenSLP, a directory agent of ours');
  const directory = new Agent(site, dan, ['directory']);
  await directory.heard('ready');
  const again = await offer(bob);
  await again.heard('registered');
  figures.push(
    exactly(
      1,
      'OpenSLP, slptool finds by a directory agent of ours',
      same(await slptool(TYPE), [urlOf(bob)]),
      '',
    ),
  );
  await again.child.stop();
  await directory.child.stop();
  return figures;
}

async function startSlpd(site: Site, host: Host, url: string, isDA: boolean): Promise<Child> {
  const directory = join(site.directory, `slpd-${isDA ? 'da' : 'sa'}`);
  mkdirSync(directory, { recursive: true });
  const file = (name: string, text = '') => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const conf = file('slp.conf', `net.slp.isDA = ${isDA}\nnet.slp.interfaces = ${host.address}\n`);
  const reg = file('slp.reg', `${url},en,65535\ncolor=red\nports=1,2\n\n`);
  const log = join(directory, 'slpd.log');
  const options = ['-d', '-c', conf, '-r', reg, '-l', log, '-p', join(directory, 'pid')];
  const slpd = startChild(site.cleanup, [...host.enter, 'slpd', ...options]);
  const until = performance.now() + WITHIN_MS;
  while (!(existsSync(log) && readFileSync(log, 'utf8').includes('Startup complete'))) {
    if (performance.now() > until) throw new PlainFailure(`slpd did not start: ${slpd.output()}`);
    await delay(20);
  }
  return slpd;
}

function same(found: readonly string[] | undefined, expected: readonly string[]): number {
  return JSON.stringify([...(found ?? [])].sort()) === JSON.stringify([...expected].sort()) ? 1 : 0;
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(place => existsSync(join(place, program)));
}
