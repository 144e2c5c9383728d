/** How much a function allocates. */
import { setFlagsFromString } from 'node:v8';

const BATCHES = 15;
/** Few enough that a collection falls between few batches only. */
const BATCH = 200;

/** What was compiled in one round is measured in the next. */
const ROUNDS = 5;

/** Median octets of heap that one call of `run` takes, after a warm-up; the least of several rounds. */
export function octetsAllocated(run: () => void, warmUp = 20_000): number {
  // Beside us the compiler would come late on a busy machine, and what it has not reached yet boxes its numbers.
  setFlagsFromString('--no-concurrent-recompilation');
  const rounds = Array.from({ length: ROUNDS }, () => {
    for (let i = 0; i < warmUp / ROUNDS; i++) run();
    return medianOf(run);
  });
  return Math.min(...rounds);
}

function medianOf(run: () => void): number {
  const taken = Array.from({ length: BATCHES }, () => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < BATCH; i++) run();
    return (process.memoryUsage().heapUsed - before) / BATCH;
  });
  return taken.sort((a, b) => a - b)[BATCHES >> 1] ?? 0;
}
