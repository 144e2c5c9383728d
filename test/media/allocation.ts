/** How much a function allocates. */

const BATCHES = 15;
/** Few enough that a collection falls between few batches only. */
const BATCH = 200;

/** Median octets of heap that one call of `run` takes, after a warm-up. */
export function octetsAllocated(run: () => void, warmUp = 20_000): number {
  for (let i = 0; i < warmUp; i++) run();
  const taken = Array.from({ length: BATCHES }, () => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < BATCH; i++) run();
    return (process.memoryUsage().heapUsed - before) / BATCH;
  });
  return taken.sort((a, b) => a - b)[BATCHES >> 1] ?? 0;
}
