/**
 * Messages a second, ours against the parsers of npm, in one run: rounds are interleaved so that a
 * noisy machine is noisy for all, and each figure is the median of its rounds.
 *
 *     npm ci --prefix test/bench/parser && node dist/test/bench/parser/parser.bench.js [--json]
 */
import { deepStrictEqual } from 'node:assert';
import type { Contestant } from './contestants.js';
import { inviteOctets } from './invite.js';
import { ours } from './ours.js';
import { loadRivals } from './rivals.js';

const ROUNDS = 15;
const ROUND_MS = 40;
const WARM_UP_MS = 300;

/** At least these times the fastest rival. */
const GOALS = { routing: 2, all: 2 } as const;
type Task = keyof typeof GOALS;

interface Figure {
  name: string;
  value: number;
  unit: string;
  goal: number | null;
  met: boolean | null;
}

async function main(): Promise<void> {
  const rivals = await loadRivals(new URL('../../../../test/bench/parser/', import.meta.url));
  const contestants = [ours, ...rivals];
  const data = inviteOctets();
  checkFairness(contestants, data);
  const figures = (['routing', 'all'] as const).flatMap(task =>
    measureTask(task, contestants, data),
  );
  if (process.argv.includes('--json')) console.log(JSON.stringify({ figures }));
  else console.table(figures);
}

/** Every parser must read the same values, or the race means nothing. */
function checkFairness(contestants: readonly Contestant[], data: Uint8Array): void {
  for (const contestant of contestants) {
    deepStrictEqual(
      contestant.routing(data),
      ours.routing(data),
      `${contestant.name} read other routing fields`,
    );
    deepStrictEqual(contestant.all(data), ours.all(data), `${contestant.name} read other fields`);
  }
}

function measureTask(task: Task, contestants: readonly Contestant[], data: Uint8Array): Figure[] {
  const runs = contestants.map(contestant => () => contestant[task](data));
  for (const run of runs) messagesPerSecond(run, WARM_UP_MS);
  const rounds = Array.from({ length: ROUNDS }, () =>
    runs.map(run => messagesPerSecond(run, ROUND_MS)),
  );
  const rates = contestants.map(
    (contestant, index): Figure => ({
      name: `${task} fields, ${contestant.name}`,
      value: Math.round(median(rounds.map(round => round[index]!))),
      unit: 'messages/s',
      goal: null,
      met: null,
    }),
  );
  const ratio = median(rounds.map(([mine, ...others]) => mine! / Math.max(...others)));
  const goal = GOALS[task];
  const name = `${task} fields, against the fastest rival`;
  return [
    ...rates,
    { name, value: Number(ratio.toFixed(2)), unit: 'times', goal, met: ratio >= goal },
  ];
}

function messagesPerSecond(run: () => unknown, milliseconds: number): number {
  const batch = 50;
  const start = performance.now();
  let elapsed = 0;
  let count = 0;
  while (elapsed < milliseconds) {
    for (let index = 0; index < batch; index++) run();
    count += batch;
    elapsed = performance.now() - start;
  }
  return (count / elapsed) * 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

await main();
