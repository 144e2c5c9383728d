/** Two phones started at the same moment: how long until a call from one rings at the other? */
import { atMost, type Figure, median, plain } from '../harness/figures.js';
import { waitedMs } from '../harness/process-status.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Phone, type Site } from './site.js';

const RUNS = Number(process.env.COLD_RUNS ?? 20);
const GOAL_MS = 3000;
const GIVE_UP_MS = 60_000;
/** A phone that had no processor for so long may come when the other looks for it no more: it is tried again. */
const BUSY_MS = 1000;
const ATTEMPTS = 5;

interface Start {
  readonly tookMs: number;
  /** So long the phone that waited longer was ready to run, and other programs had the processors. */
  readonly waitedMs: number;
}

export async function coldStart(site: Site): Promise<Figure[]> {
  const starts: Start[] = [];
  for (let run = 1; run <= RUNS; run++) {
    const start = await startBoth(site);
    starts.push(start);
    const [took, waited] = [Math.round(start.tookMs), Math.round(start.waitedMs)];
    const aside = waited > 100 ? `, ${waited} of them without a processor` : '';
    progress(`lan: cold start ${run}/${RUNS}: ringing after ${took} ms${aside}`);
  }
  const times = starts.map(({ tookMs }) => tookMs);
  const own = Math.max(...starts.map(start => start.tookMs - start.waitedMs));
  const longest = 'cold start to ringing, longest';
  return [
    plain('cold start to ringing, median', Math.round(median(times)), 'ms'),
    plain(longest, Math.round(Math.max(...times)), 'ms'),
    atMost(GOAL_MS, `${longest} but for waiting for a processor`, Math.round(own), 'ms'),
  ];
}

async function startBoth(site: Site): Promise<Start> {
  for (let attempt = 1; ; attempt++) {
    const called = new Phone(site, 1).run();
    const caller = new Phone(site, 0).command('call', 'bob');
    try {
      const { at } = await caller.heard('ringing', GIVE_UP_MS);
      const waited = Math.max(waitedMs(caller.pid), waitedMs(called.pid));
      return { tookMs: at - caller.startedAt, waitedMs: waited };
    } catch (error) {
      const waited = Math.round(waitedMs(called.pid));
      if (!(error instanceof PlainFailure) || waited < BUSY_MS || attempt === ATTEMPTS) throw error;
      progress(`lan: the phone had no processor for ${waited} ms: started again`);
    } finally {
      await Promise.all([caller.stop(), called.stop()]);
    }
  }
}
