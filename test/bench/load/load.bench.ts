/**
 * A running phone under calls: SIPp calls its echo test, with voice, from another core. First at a
 * steady rate, in turns with baresip as echo under the same load; then ever faster, until a call fails
 * or something has to be sent again.
 * Run by `make bench`: [MOST_CALLS_PER_SECOND=…] node dist/test/bench/load/load.bench.js [--json]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { requireProgram, temporaryDirectory } from '../../harness/child.js';
import { atLeast, atMost, exactly, type Figure, median, plain } from '../../harness/figures.js';
import { processorSeconds } from '../../harness/process-status.js';
import { type Cleanup, progress, runProgram } from '../../harness/program.js';
import { Ringline } from '../../harness/ringline.js';
import { freePort } from '../../harness/udp.js';
import { startBaresipEcho } from './baresip-echo.js';
import { callSteadily, type LoadResult, p50, p99 } from './caller.js';

const STEADY = { callsPerSecond: 100, calls: 800, callMs: 500 };
const ROUNDS = 3;
/** The compiler has seen it all by then. */
const WARM_UP = { callsPerSecond: 150, calls: 2000, callMs: 100 };
const P99_GOAL_MS = 20;

/** Calls of a tenth of a second, for this long at each rate. */
const STEP_SECONDS = 6;
const STEP_CALL_MS = 100;
const FIRST_RATE = 200;
const STEP_RATE = 50;
const MOST_RATE = Number(process.env.MOST_CALLS_PER_SECOND ?? 1000);
/** Asterisk's echo on a machine like the one this was first run on. */
const RATE_GOAL = 650;
/** Of one rate: a pause of the machine is not the phone's limit. */
const TRIES = 2;

/** More than ever come at once. */
const CALLS_AT_ONCE = 5000;

interface Contestant {
  readonly name: string;
  readonly pid: number;
  readonly target: string;
  readonly user: string;
}

await runProgram({ withinSeconds: 600 }, async cleanup => {
  requireProgram('sipp', 'sip-tester');
  requireProgram('baresip', 'baresip-core');
  const directory = temporaryDirectory(cleanup);
  const cores = coresOf();
  const phone = await startPhone(cleanup, directory, cores.called);
  const baresip = await startBaresip(cleanup, directory, cores.called);
  const load = (who: Contestant, rate: { callsPerSecond: number; calls: number; callMs: number }) =>
    callSteadily({ ...who, ...rate, cleanup, directory, pinned: cores.caller });

  progress('load: warming up');
  await load(phone, WARM_UP);
  const steady = await steadily([phone, baresip], load);
  const best = await fastest(phone, load);
  return [plain('cores', availableParallelism(), ''), ...steady, ...best];
});

type Load = (
  who: Contestant,
  rate: { callsPerSecond: number; calls: number; callMs: number },
) => Promise<LoadResult>;

async function steadily(contestants: readonly Contestant[], load: Load): Promise<Figure[]> {
  const results = new Map<Contestant, LoadResult[]>(contestants.map(who => [who, []]));
  const spent = new Map<Contestant, number>(contestants.map(who => [who, 0]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const who of contestants) {
      const before = processorSeconds(who.pid);
      const result = await load(who, STEADY);
      spent.set(who, (spent.get(who) ?? 0) + processorSeconds(who.pid) - before);
      results.get(who)?.push(result);
      progress(
        `load: ${who.name}, ${result.rate.toFixed(0)} calls/s, INVITE to 200 ` +
          `${p50(result).toFixed(1)} ms, p99 ${p99(result).toFixed(1)} ms`,
      );
    }
  }
  const rate = `at ${STEADY.callsPerSecond} calls/s`;
  return contestants.flatMap((who, index) => {
    const all = results.get(who) ?? [];
    const sum = (of: (result: LoadResult) => number) =>
      all.reduce((total, result) => total + of(result), 0);
    const slow = median(all.map(p99));
    const cpuMs = ((spent.get(who) ?? 0) * 1000) / (ROUNDS * STEADY.calls);
    const figures = [
      plain(`${who.name}, INVITE to 200 ${rate}, p50`, median(all.map(p50)), 'ms'),
      index === 0
        ? atMost(P99_GOAL_MS, `${who.name}, INVITE to 200 ${rate}, p99`, slow, 'ms')
        : plain(`${who.name}, INVITE to 200 ${rate}, p99`, slow, 'ms'),
      plain(`${who.name}, processor time of a call and ${STEADY.callMs} ms of voice`, cpuMs, 'ms'),
    ];
    const failed = sum(result => result.failed);
    const again = sum(result => result.retransmissions);
    return index === 0
      ? [
          ...figures,
          exactly(0, `${who.name}, calls that failed ${rate}`, failed, 'calls'),
          exactly(0, `${who.name}, retransmissions ${rate}`, again, 'messages'),
        ]
      : [...figures, plain(`${who.name}, calls that failed ${rate}`, failed, 'calls')];
  });
}

/** The highest rate with no call failed and nothing sent again. */
async function fastest(who: Contestant, load: Load): Promise<Figure[]> {
  let best: LoadResult | undefined;
  let bestRate = 0;
  let cpuMs = 0;
  for (let rate = FIRST_RATE; rate <= MOST_RATE; rate += STEP_RATE) {
    const calls = rate * STEP_SECONDS;
    let clean: LoadResult | undefined;
    for (let attempt = 0; attempt < TRIES && !clean; attempt++) {
      const before = processorSeconds(who.pid);
      const result = await load(who, { callsPerSecond: rate, calls, callMs: STEP_CALL_MS });
      const spent = processorSeconds(who.pid) - before;
      progress(
        `load: ${rate} calls/s: ${result.failed} failed, ${result.retransmissions} sent again, ` +
          `p50 ${p50(result).toFixed(1)} ms, p99 ${p99(result).toFixed(1)} ms, ` +
          `${((spent * 1000) / calls).toFixed(2)} ms of processor a call`,
      );
      if (result.failed > 0 || result.retransmissions > 0) continue;
      clean = result;
      cpuMs = (spent * 1000) / calls;
    }
    if (!clean) break;
    best = clean;
    bestRate = rate;
  }
  return [
    atLeast(RATE_GOAL, 'most calls without a failure or retransmission', bestRate, 'calls/s'),
    ...(best
      ? [
          plain('INVITE to 200 at that rate, p50', p50(best), 'ms'),
          plain('INVITE to 200 at that rate, p99', p99(best), 'ms'),
          plain('processor time of a call at that rate', cpuMs, 'ms'),
        ]
      : []),
  ];
}

async function startPhone(
  cleanup: Cleanup,
  directory: string,
  enter: readonly string[],
): Promise<Contestant> {
  const data = join(directory, 'phone');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'ringline.yaml'), `limits:\n  calls: ${CALLS_AT_ONCE}\n`);
  const port = await freePort();
  const options = ['--name', 'loaded', '--listen', `0.0.0.0:${port}`];
  const phone = new Ringline(['run', ...options], { cleanup, data, enter });
  await phone.heard('ready', 10_000);
  return { name: 'ringline', pid: phone.pid, target: `127.0.0.1:${port}`, user: '*43' };
}

async function startBaresip(
  cleanup: Cleanup,
  directory: string,
  pinned: readonly string[],
): Promise<Contestant> {
  const port = await freePort();
  const child = await startBaresipEcho({
    ...{ cleanup, port, pinned },
    directory: join(directory, 'baresip'),
  });
  const pid = child.process.pid ?? 0;
  return { name: 'baresip', pid, target: `127.0.0.1:${port}`, user: 'echo' };
}

/** One core for who is called and another for the caller; where there is one only, they share it. */
function coresOf(): { called: readonly string[]; caller: readonly string[] } {
  requireProgram('taskset', 'util-linux');
  const other = availableParallelism() > 1 ? '1' : '0';
  return { called: ['taskset', '-c', '0'], caller: ['taskset', '-c', other] };
}
