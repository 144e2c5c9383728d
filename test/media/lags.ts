/**
 * How a signal of which no two stretches are alike came through a codec that changes samples: for each second the
 * delay at which it fits best. One delay throughout: nothing is missing, nothing was said twice.
 */

export interface Fit {
  /** In samples, of each window. */
  readonly lags: readonly number[];
  /** Of the window that fits worst, by correlation: 1 is the very same shape. */
  readonly worst: number;
  /** What was heard against what was said, in dB. */
  readonly gainDb: number;
}

/** Step in samples of the first search; a tenth of a period of what is said at most. */
const COARSE = 2;
/** Looked at from so many places a second. */
const LOOKS_PER_SECOND = 2;

/** @param maxLag in samples; `said` is looked for from there back to the place it was said at */
export function fit(heard: Int16Array, said: Int16Array, sampleRate: number, maxLag: number): Fit {
  const window = sampleRate;
  const step = window / LOOKS_PER_SECOND;
  const lags: number[] = [];
  let worst = 1;
  let power = 0;
  let saidPower = 0;
  // The first and last windows have the codec's run-up and its tail in them.
  for (let at = step; at + window + step <= said.length; at += step) {
    let best = { lag: -1, likeness: -1 };
    const near = lags[0];
    // The first one roughly: the next are looked for around it, sample by sample.
    const candidates =
      near === undefined
        ? range(0, maxLag).filter(lag => lag % COARSE === 0)
        : range(near - 200, near + 200);
    for (const lag of candidates) {
      if (at + lag < 0 || at + lag + window > heard.length) continue;
      const likeness = correlation(said, at, heard, at + lag, window);
      if (likeness > best.likeness) best = { lag, likeness };
    }
    lags.push(best.lag);
    worst = Math.min(worst, best.likeness);
    for (let i = 0; i < window; i++) {
      power += (heard[at + best.lag + i] ?? 0) ** 2;
      saidPower += said[at + i]! ** 2;
    }
  }
  return { lags, worst, gainDb: 10 * Math.log10(power / saidPower) };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function correlation(a: Int16Array, fromA: number, b: Int16Array, fromB: number, count: number) {
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
