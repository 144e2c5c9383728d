/**
 * The whole phone as a process: how soon it answers, and how much memory it holds.
 *
 *     node dist/test/bench/process.bench.js [--json]
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory } from '../harness/child.js';
import { atMost, type Figure, median, plain } from '../harness/figures.js';
import { processorSeconds, residentMegabytes } from '../harness/process-status.js';
import { type Cleanup, PlainFailure, runProgram } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { freePort, untilAnswered } from '../harness/udp.js';

const STARTS = 9;
const ASK_EVERY_MS = 5;
const START_GOAL_MS = 300;
/** Of what it costs module by module. */
const BUNDLE_GOAL = 0.8;

/** After so long a phone has done what it does on starting. */
const SETTLED_MS = 3000;
const CALL_MS = 5000;
const MEMORY_GOAL_MB = 110;

await runProgram({ withinSeconds: 120 }, async cleanup => [
  ...(await startFigures(cleanup)),
  ...(await bundleFigures(cleanup)),
  ...(await memoryFigures(cleanup)),
]);

async function startFigures(cleanup: Cleanup): Promise<Figure[]> {
  const times: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const { phone, port } = await startPhone(cleanup);
    const address = { address: '127.0.0.1', port };
    const answered = await untilAnswered(address, 10_000, ASK_EVERY_MS);
    if (answered === undefined) throw new PlainFailure('OPTIONS was not answered within 10 s');
    times.push(performance.now() - phone.startedAt);
    await phone.stop();
  }
  return [
    atMost(START_GOAL_MS, 'start to the first OPTIONS answered, median', median(times), 'ms'),
    plain('start to the first OPTIONS answered, longest', Math.max(...times), 'ms'),
  ];
}

/** What a start costs, in one piece and module by module, in turns. */
async function bundleFigures(cleanup: Cleanup): Promise<Figure[]> {
  const spent = { bundle: [] as number[], modules: [] as number[] };
  for (let start = 0; start < STARTS; start++) {
    for (const [kind, inModules] of [
      ['bundle', false],
      ['modules', true],
    ] as const) {
      const { phone } = await startPhone(cleanup, inModules);
      await phone.heard('ready', 10_000);
      spent[kind].push(1000 * processorSeconds(phone.pid));
      await phone.stop();
    }
  }
  const [bundle, modules] = [median(spent.bundle), median(spent.modules)];
  return [
    plain('processor spent on a start, median', bundle, 'ms'),
    atMost(BUNDLE_GOAL, 'the same, of what it costs module by module', bundle / modules, ''),
  ];
}

async function memoryFigures(cleanup: Cleanup): Promise<Figure[]> {
  const { phone, port } = await startPhone(cleanup);
  await phone.heard('ready', 10_000);
  await delay(SETTLED_MS);
  const idle = residentMegabytes(phone.pid);
  const call = new Ringline(['call', `sip:*43@127.0.0.1:${port}`], {
    cleanup,
    data: temporaryDirectory(cleanup),
  });
  await call.heard('connected', 10_000);
  await delay(CALL_MS);
  const inCall = residentMegabytes(phone.pid);
  await call.stop();
  await phone.stop();
  return [
    atMost(MEMORY_GOAL_MB, 'resident memory, idle', idle, 'MB'),
    atMost(MEMORY_GOAL_MB, 'resident memory, in a call', inCall, 'MB'),
  ];
}

/** A phone that has never run before. */
async function startPhone(
  cleanup: Cleanup,
  inModules = false,
): Promise<{ phone: Ringline; port: number }> {
  const port = await freePort();
  const options = ['--name', 'bench', '--listen', `127.0.0.1:${port}`];
  const data = join(temporaryDirectory(cleanup), 'data');
  return { phone: new Ringline(['run', ...options], { cleanup, data, inModules }), port };
}
