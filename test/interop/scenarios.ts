/**
 * What SIPp, as a peer with manners of its own, does to whole phones: one scenario file for each
 * behaviour, told by its name. The files are played side by side.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exactly, type Figure } from '../harness/figures.js';
import { type Cleanup, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { playScenario } from '../harness/sipp.js';
import { freePort } from '../harness/udp.js';

/** Beside the sources: they are not compiled. */
const FOLDER = fileURLToPath(new URL('../../../test/interop/scenarios/', import.meta.url));

const AT_ONCE = 6;
const PHONE = 'interop';
/** Long enough for the INVITE to leave, and shorter than T1, after which it leaves again. */
const INTERRUPT_AFTER_MS = 300;
const ECHO_TEST = '*43';

/** We call the peer with `ringline call`. */
interface Placed {
  readonly file: string;
  /** Exit status of the command; 0 by default. */
  readonly exit?: number;
  /** Of talk before we hang up. Without it the peer is the one who ends the call. */
  readonly seconds?: number;
  /** With an account at the peer, by its address. */
  readonly account?: boolean;
  /** ^C when this has been printed, and the INVITE is on its way. */
  readonly interruptAt?: 'trying' | 'ringing';
  /** The peer sends the call on to another one that plays this. */
  readonly elsewhere?: string;
}

/** The peer calls, or asks, the phone that runs. */
interface Taken {
  readonly file: string;
  readonly user: string;
  readonly keys?: Readonly<Record<string, string>>;
}

/** The longest first. */
const PLACED: readonly Placed[] = [
  { file: 'call-slow-ring', seconds: 0.2 },
  { file: 'call-crossing-offers', seconds: 7 },
  { file: 'call-refresh-by-update', seconds: 3 },
  { file: 'call-login-for-refresh', seconds: 3, account: true },
  { file: 'call-peer-vanishes' },
  { file: 'call-early-media', seconds: 0.2 },
  { file: 'call-ringing', seconds: 0.2 },
  { file: 'call-two-answers', seconds: 0.5 },
  { file: 'call-two-ringing', seconds: 0.2 },
  { file: 'call-reliable-183', seconds: 0.2 },
  { file: 'call-hold', seconds: 0.5 },
  { file: 'call-update', seconds: 0.5 },
  { file: 'call-update-while-ringing', seconds: 0.5 },
  { file: 'call-refresh-by-peer', seconds: 0.5 },
  { file: 'call-interval-too-small', seconds: 0.2 },
  { file: 'call-stale-nonce', seconds: 0.2, account: true },
  { file: 'call-proxy-login', seconds: 0.2, account: true },
  { file: 'call-wrong-password', exit: 5, account: true },
  { file: 'call-redirected', seconds: 0.2, elsewhere: 'call-ringing' },
  { file: 'call-busy', exit: 6 },
  { file: 'call-declined', exit: 5 },
  { file: 'call-unknown-there', exit: 3 },
  { file: 'call-refused-codec', exit: 7 },
  { file: 'call-unavailable', exit: 4 },
  { file: 'call-given-up', interruptAt: 'ringing', account: true },
  { file: 'call-given-up-early', interruptAt: 'trying' },
  { file: 'call-answered-too-late', interruptAt: 'ringing' },
  { file: 'call-answer-thrice', seconds: 0.5 },
  { file: 'call-answer-in-unknown-codec', exit: 7 },
  { file: 'call-by-proxy', seconds: 0.2 },
  { file: 'call-peer-hangs-up' },
  { file: 'call-ended-at-once' },
];

const TAKEN: readonly Taken[] = [
  { file: 'take-call', user: ECHO_TEST },
  { file: 'take-cancel', user: PHONE },
  { file: 'take-cancel-too-late', user: ECHO_TEST },
  { file: 'take-lost-ack', user: ECHO_TEST },
  { file: 'take-invite-again', user: PHONE },
  { file: 'take-reliable-required', user: PHONE },
  { file: 'take-bye-while-ringing', user: PHONE },
  { file: 'take-update-while-ringing', user: PHONE },
  { file: 'take-hold', user: ECHO_TEST },
  { file: 'take-bad-reoffer', user: ECHO_TEST },
  { file: 'take-reoffer-before-ack', user: ECHO_TEST },
  { file: 'take-by-proxy', user: ECHO_TEST },
  { file: 'take-offerless', user: ECHO_TEST },
  { file: 'take-no-common-codec', user: ECHO_TEST },
  { file: 'take-several-streams', user: ECHO_TEST },
  { file: 'take-compact', user: ECHO_TEST },
  { file: 'take-long', user: ECHO_TEST, keys: { padding: 'x'.repeat(60_000) } },
  { file: 'take-rfc2543', user: ECHO_TEST },
  { file: 'take-rfc2543-refused', user: 'nobody' },
  { file: 'take-interval-too-small', user: ECHO_TEST },
  { file: 'take-refresher-uas', user: ECHO_TEST },
  { file: 'take-merged', user: PHONE },
  { file: 'take-old-cseq', user: ECHO_TEST },
  { file: 'take-info', user: ECHO_TEST },
  { file: 'take-unknown-user', user: 'nobody' },
  { file: 'ask-options', user: PHONE },
  { file: 'ask-last-hop', user: PHONE },
  { file: 'ask-unknown-method', user: PHONE },
  { file: 'ask-unknown-extension', user: PHONE },
  { file: 'ask-malformed', user: PHONE },
  { file: 'ask-other-body', user: PHONE },
  { file: 'ask-unknown-dialog', user: PHONE },
];

interface Site {
  readonly cleanup: Cleanup;
  readonly directory: string;
  /** `HOST:PORT` of the phone that runs. */
  readonly target: string;
}

/** One row for each scenario: 1 where it went as its name says. */
export async function playScenarios(cleanup: Cleanup, directory: string): Promise<Figure[]> {
  progress(`interop: ${PLACED.length + TAKEN.length} scenarios of SIPp`);
  const args = ['run', '--name', PHONE, '--listen', '127.0.0.1:0'];
  const phone = new Ringline(args, { cleanup, data: join(directory, 'called') });
  const target = String((await phone.heard('ready', 10_000)).listen);
  const site = { cleanup, directory, target };
  const figures = await sideBySide([
    ...PLACED.map(scenario => () => place(site, scenario)),
    ...TAKEN.map(scenario => () => take(site, scenario)),
  ]);
  await phone.stop();
  return figures;
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

async function take(site: Site, { file, user, keys }: Taken): Promise<Figure> {
  const options = await scenarioOptions(site, file);
  const call = { target: site.target, user };
  return outcome(file, [await playScenario({ ...options, call, ...(keys && { keys }) })]);
}

async function place(site: Site, scenario: Placed): Promise<Figure> {
  const { file, exit = 0, seconds, account, interruptAt, elsewhere } = scenario;
  const options = await scenarioOptions(site, file);
  const played = [];
  if (elsewhere === undefined) {
    played.push(playScenario(options));
  } else {
    const further = await scenarioOptions(site, elsewhere);
    const keys = { elsewhere: `127.0.0.1:${further.port}` };
    played.push(playScenario({ ...options, keys }), playScenario(further));
  }
  const address = account ? 'peer@interop.test' : `sip:peer@127.0.0.1:${options.port}`;
  const call = new Ringline(
    [
      ...['call', address, '--listen', '127.0.0.1:0'],
      ...(seconds === undefined ? [] : ['--seconds', String(seconds)]),
      ...(account ? ['--config', accountFile(options)] : []),
    ],
    { cleanup: site.cleanup, data: options.directory },
  );
  const problems: (string | undefined)[] = [];
  if (interruptAt) {
    await call.heard(interruptAt, 10_000).catch(error => problems.push(String(error)));
    await new Promise(resolve => setTimeout(resolve, INTERRUPT_AFTER_MS));
    call.child.process.kill('SIGINT');
  }
  problems.push(...(await Promise.all(played)));
  const found = await call.child.ended;
  if (found !== exit) {
    problems.push(`ringline: expected exit status ${exit}, found ${found}\n${call.child.output()}`);
  }
  return outcome(file, problems);
}

async function scenarioOptions({ cleanup, directory }: Site, file: string) {
  const port = await freePort();
  const own = join(directory, `${file}-${port}`);
  mkdirSync(own);
  return { cleanup, directory: own, file: join(FOLDER, `${file}.xml`), port };
}

function accountFile({ directory, port }: { directory: string; port: number }): string {
  const file = join(directory, 'account.yaml');
  const lines = [
    'accounts:',
    '  - address: anna@interop.test',
    '    password: secret',
    `    server: 127.0.0.1:${port}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

function outcome(file: string, problems: readonly (string | undefined)[]): Figure {
  const text = readFileSync(join(FOLDER, `${file}.xml`), 'utf8');
  const behaviour = /<scenario name="([^"]*)"/.exec(text)?.[1] ?? file;
  const found = problems.filter(problem => problem !== undefined);
  for (const problem of found) progress(`${file}: ${problem}`);
  return exactly(1, `SIPp: ${behaviour}`, found.length === 0 ? 1 : 0, 'passed');
}
