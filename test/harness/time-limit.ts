/** How long one input may take, judged so that garbage collection and other programs are not blamed on it. */

/** For any one input of a fuzz program. */
export const INPUT_LIMIT_MS = 5;

/** Of the first look and some more the least counts. */
const LOOKS = 6;

/** Milliseconds that `work` takes; once where that was at most `enoughMs`, else the least of several looks. */
export function leastTime(work: () => void, enoughMs: number): number {
  let least = timeOf(work);
  for (let look = 1; look < LOOKS && least > enoughMs; look++) {
    least = Math.min(least, timeOf(work));
  }
  return least;
}

/** The same for work that cannot be repeated alone: `again` repeats it with what led up to it. */
export async function leastTimeAgain(
  firstMs: number,
  again: () => Promise<number>,
  enoughMs: number,
): Promise<number> {
  let least = firstMs;
  for (let look = 1; look < LOOKS && least > enoughMs; look++) {
    least = Math.min(least, await again());
  }
  return least;
}

function timeOf(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}
