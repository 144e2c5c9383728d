/**
 * What SIPp, as a peer with manners of its own, does to whole phones: one scenario file for each
 * behaviour, told by its name. The files are played side by side.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exactly, explained, type Figure } from '../harness/figures.js';
import { untilBound } from '../harness/process-status.js';
import { type Cleanup, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { isFaultOfSipp, playScenario, received } from '../harness/sipp.js';
import { PHONE, PLACED, type Placed, TAKEN, type Taken } from './scenario-list.js';
import { IN_TIME_MS, type Site } from './site.js';
import { type PhonePlaces, WAYS, type WayName, wayToPeer, wayToPhone } from './ways.js';

/** Beside the sources: they are not compiled. */
const FOLDER = fileURLToPath(new URL('../../../test/interop/scenarios/', import.meta.url));

/** Most of the time, most of them wait. */
const AT_ONCE = 3 * availableParallelism();
/** A scenario that SIPp spoilt is played again, so often in all. */
const ATTEMPTS = 3;

interface Stage {
  readonly cleanup: Cleanup;
  readonly directory: string;
  /** The phones that run. */
  readonly phones: PhonePlaces;
}

/** What went wrong when a scenario was played; nothing where it went as it says. */
type Problems = readonly string[];

/** One row for each scenario and way: 1 where it went as its name says. */
export async function playScenarios({ cleanup, directory }: Site): Promise<Figure[]> {
  const [v4, v6] = await Promise.all([
    startPhone(cleanup, join(directory, 'called'), '127.0.0.1:0'),
    startPhone(cleanup, join(directory, 'called-v6'), '[::1]:0'),
  ]);
  const site = { cleanup, directory, phones: { IPv4: v4.places, IPv6: v6.places } };
  const tasks = [
    ...PLACED.flatMap(scenario => waysOf(scenario, way => place(site, scenario, way))),
    ...TAKEN.flatMap(scenario => waysOf(scenario, way => take(site, scenario, way))),
  ];
  progress(`interop: ${tasks.length} scenarios of SIPp`);
  const figures = await sideBySide(tasks);
  await Promise.all([v4.phone.stop(), v6.phone.stop()]);
  return figures;
}

async function startPhone(cleanup: Cleanup, data: string, listen: string) {
  const phone = new Ringline(['run', '--name', PHONE, '--listen', listen], { cleanup, data });
  const ready = await phone.heard('ready', IN_TIME_MS);
  const listening = ready.listening as readonly { protocol: string; at: string }[];
  const tls = listening.find(({ protocol }) => protocol === 'TLS')?.at ?? '';
  return { phone, places: { plain: String(ready.listen), tls } };
}

function waysOf(
  { file, over = [] }: { readonly file: string; readonly over?: readonly WayName[] },
  play: (way: WayName) => Promise<Problems>,
): (() => Promise<Figure>)[] {
  return (['UDP', ...over] as const).map(way => () => outcome(file, way, () => play(way)));
}

async function sideBySide(tasks: readonly (() => Promise<Figure>)[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  const waiting = [...tasks.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, task] = next;
      figures[index] = await task();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return figures;
}

async function take(site: Stage, scenario: Taken, wayName: WayName): Promise<Problems> {
  const { user, keys, elsewhere } = scenario;
  const { scenario: how, target } = await wayToPhone(site.cleanup, WAYS[wayName], site.phones);
  const options = { ...scenarioOptions(site, scenario, wayName), ...how };
  const further = await playElsewhere(site, elsewhere);
  const all = { ...how.keys, ...keys, ...further?.keys };
  const played = [playScenario({ ...options, keys: all, call: { target, user } })];
  return told(await Promise.all([...played, further?.played]));
}

async function place(site: Stage, scenario: Placed, wayName: WayName): Promise<Problems> {
  const { exit = 0, seconds, account, interruptAt, elsewhere, keys } = scenario;
  const way = WAYS[wayName];
  const { scenario: how, at } = await wayToPeer(site.cleanup, way);
  const options = { ...scenarioOptions(site, scenario, wayName), ...how };
  const further = await playElsewhere(site, elsewhere);
  const played = playScenario({ ...options, keys: { ...how.keys, ...further?.keys } });
  await untilBound(how);
  const address = account ? 'peer@interop.test' : `sip:peer@${at}`;
  const call = new Ringline(
    [
      ...['call', address, '--listen', way.family === 'IPv6' ? '[::1]:0' : '127.0.0.1:0'],
      ...(seconds === undefined ? [] : ['--seconds', String(seconds)]),
      ...(keys ? ['--keys'] : []),
      ...(account ? ['--config', accountFile(options.directory, at)] : []),
    ],
    { cleanup: site.cleanup, data: options.directory },
  );
  const problems: (string | undefined)[] = [];
  if (interruptAt) {
    const come =
      interruptAt === 'ringing'
        ? call.heard('ringing', IN_TIME_MS)
        : received(options.directory, 'INVITE');
    await come.catch(error => problems.push(String(error)));
    call.child.process.kill('SIGINT');
  }
  if (keys) {
    await call.heard('connected', IN_TIME_MS).catch(error => problems.push(String(error)));
    for (const key of keys) call.child.process.stdin?.write(`${key}\n`);
  }
  problems.push(...(await Promise.all([played, further?.played])));
  const found = await call.child.ended;
  if (found !== exit) {
    problems.push(`ringline: expected exit status ${exit}, found ${found}\n${call.child.output()}`);
  }
  return told(problems);
}

/** A second peer, by UDP, and the key by which the first one knows where. */
async function playElsewhere(site: Stage, file: string | undefined) {
  if (file === undefined) return undefined;
  const { scenario: how, at } = await wayToPeer(site.cleanup, WAYS.UDP);
  const played = playScenario({ ...scenarioOptions(site, { file }, 'elsewhere'), ...how });
  return { keys: { elsewhere: at }, played };
}

function scenarioOptions(
  { cleanup, directory }: Stage,
  { file, seesRepeated = false }: Placed | Taken | { file: string; seesRepeated?: boolean },
  played: string,
) {
  const own = mkdtempSync(join(directory, `${file}-${played.replace(/\W+/g, '-')}-`));
  return { cleanup, directory: own, file: join(FOLDER, `${file}.xml`), seesRepeated };
}

function accountFile(directory: string, server: string): string {
  const file = join(directory, 'account.yaml');
  // JSON is YAML.
  const account = { address: 'anna@interop.test', password: 'secret', server };
  writeFileSync(file, JSON.stringify({ accounts: [account] }));
  return file;
}

function told(problems: readonly (string | undefined)[]): Problems {
  return problems.filter(problem => problem !== undefined);
}

async function outcome(
  file: string,
  wayName: WayName,
  play: () => Promise<Problems>,
): Promise<Figure> {
  let problems = await play();
  for (let attempt = 1; attempt < ATTEMPTS && problems.some(isFaultOfSipp); attempt++) {
    progress(`${file}, ${wayName}: SIPp stood still: played again`);
    problems = await play();
  }
  const text = readFileSync(join(FOLDER, `${file}.xml`), 'utf8');
  const behaviour = /<scenario name="([^"]*)"/.exec(text)?.[1] ?? file;
  const peer = wayName === 'UDP' ? 'SIPp' : `SIPp by ${wayName}`;
  const figure = exactly(1, `${peer}: ${behaviour}`, problems.length === 0 ? 1 : 0, 'passed');
  return explained(figure, problems.map(problem => `${file}, ${wayName}: ${problem}`).join('\n'));
}
