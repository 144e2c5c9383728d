/** Two phones started at the same moment: how long until a call from one rings at the other? */
import { atMost, type Figure, median, plain } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { Phone, type Site } from './site.js';

const RUNS = 20;
const GOAL_MS = 3000;
const GIVE_UP_MS = 10_000;

export async function coldStart(site: Site): Promise<Figure[]> {
  const times: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    const called = new Phone(site, 1).run();
    const caller = new Phone(site, 0).command('call', 'bob');
    const { at } = await caller.heard('ringing', GIVE_UP_MS);
    times.push(at - caller.startedAt);
    progress(`lan: cold start ${run}/${RUNS}: ringing after ${Math.round(times.at(-1)!)} ms`);
    await Promise.all([caller.stop(), called.stop()]);
  }
  return [
    plain('cold start to ringing, median', Math.round(median(times)), 'ms'),
    atMost(GOAL_MS, 'cold start to ringing, longest', Math.round(Math.max(...times)), 'ms'),
  ];
}
