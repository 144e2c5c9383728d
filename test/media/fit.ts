/**
 * Whether a signal of which no two stretches are alike came through a codec that changes its samples with nothing
 * missing and nothing said twice: then every 20 ms of it fit at one delay.
 */

/** Looked at: as long as a frame, so that one in the wrong place has a window of its own, */
const WINDOW_MS = 20;
/** wherever frames begin. */
const STEP_MS = 10;
/** Codecs delay some frequencies more than others, by as much. */
const SPREAD_MS = 1;
/** The delay is found by this much of the signal, after what the codec needs to begin well. */
const BEGIN_MS = 200;
const SEARCH_MS = 100;
/**
 * By correlation: 1 is the very same shape. A numbered chirp through any codec has 0.86 at worst; 10 ms too early or
 * too late it has 0.5 at best.
 */
const LEAST_LIKENESS = 0.75;
/** How far a stretch that does not fit is looked for. */
const MISPLACED_MS = 100;

export interface Misfit {
  /** Where in the signal, in ms. */
  readonly atMs: number;
  readonly likeness: number;
  /** What was heard instead: the signal so many ms further on; undefined where it is nothing of it. */
  readonly movedMs: number | undefined;
}

export interface Fit {
  /** Of the signal as a whole. */
  readonly delayMs: number;
  readonly misfits: readonly Misfit[];
  /** Of the window that fits worst. */
  readonly worst: number;
  /** What was heard against what was said, in dB. */
  readonly gainDb: number;
}

/** @param mostMs the longest delay looked for */
export function fit(heard: Int16Array, said: Int16Array, sampleRate: number, mostMs: number): Fit {
  const samples = (ms: number) => Math.round((ms * sampleRate) / 1000);
  const begin = samples(BEGIN_MS);
  const delay = bestLag(said, heard, begin, samples(SEARCH_MS), 0, samples(mostMs)).lag;
  const [window, spread, far] = [samples(WINDOW_MS), samples(SPREAD_MS), samples(MISPLACED_MS)];
  const misfits: Misfit[] = [];
  let worst = 1;
  for (let at = begin; at + window <= said.length; at += samples(STEP_MS)) {
    const { likeness } = bestLag(said, heard, at, window, delay - spread, delay + spread);
    worst = Math.min(worst, likeness);
    if (likeness >= LEAST_LIKENESS) continue;
    const instead = bestLag(said, heard, at, window, delay - far, delay + far);
    misfits.push({
      atMs: (at * 1000) / sampleRate,
      likeness,
      movedMs:
        instead.likeness < LEAST_LIKENESS ? undefined : ((delay - instead.lag) * 1000) / sampleRate,
    });
  }
  const there = heard.subarray(delay + begin, delay + said.length);
  const gainDb = 10 * Math.log10(power(there) / power(said.subarray(begin, begin + there.length)));
  return { delayMs: (delay * 1000) / sampleRate, misfits, worst, gainDb };
}

/** The delay between `from` and `to` at which `count` samples of `said` at `at` fit best. */
function bestLag(
  said: Int16Array,
  heard: Int16Array,
  at: number,
  count: number,
  from: number,
  to: number,
): { lag: number; likeness: number } {
  let best = { lag: from, likeness: -1 };
  for (let lag = from; lag <= to; lag++) {
    const likeness = correlation(said, at, heard, at + lag, count);
    if (likeness > best.likeness) best = { lag, likeness };
  }
  return best;
}

/** 0 where a part is beyond the end. */
function correlation(a: Int16Array, fromA: number, b: Int16Array, fromB: number, count: number) {
  if (fromB < 0 || fromB + count > b.length) return 0;
  let product = 0;
  let powerA = 0;
  let powerB = 0;
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[fromA + i]!, b[fromB + i]!];
    product += x * y;
    powerA += x * x;
    powerB += y * y;
  }
  return powerA === 0 || powerB === 0 ? 0 : product / Math.sqrt(powerA * powerB);
}

function power(samples: Int16Array): number {
  return samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
}
