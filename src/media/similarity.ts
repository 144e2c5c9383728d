/** Where a stretch of a signal is found again: the pitch of what is voiced, the best splice of what is not. */

/** Rate at which a first search looks, in Hz: enough for the fundamental of any voice. */
const COARSE_RATE = 4000;
const FINE_RATE = 8000;

/**
 * Normalised correlation of two stretches of `samples`, -1 to 1; 0 where one is silent.
 *
 * @param step only each `step`th sample counts
 */
export function similarity(
  samples: Int16Array,
  a: number,
  b: number,
  length: number,
  step = 1,
): number {
  let product = 0;
  let powerA = 0;
  let powerB = 0;
  for (let i = 0; i < length; i += step) {
    const x = samples[a + i]!;
    const y = samples[b + i]!;
    product += x * y;
    powerA += x * x;
    powerB += y * y;
  }
  return powerA === 0 || powerB === 0 ? 0 : product / Math.sqrt(powerA * powerB);
}

export class LagSearch {
  readonly #coarse: number;
  readonly #fine: number;

  /** @param sampleRate in Hz */
  constructor(sampleRate: number) {
    this.#coarse = Math.max(1, Math.round(sampleRate / COARSE_RATE));
    this.#fine = Math.max(1, Math.round(sampleRate / FINE_RATE));
  }

  /**
   * The lag from `from` to `to`, both positive, at which the stretch at `at` is most like itself:
   * that many samples later, or earlier where `direction` is -1.
   */
  find(
    samples: Int16Array,
    at: number,
    length: number,
    from: number,
    to: number,
    direction: 1 | -1,
  ): number {
    const around = this.#best(samples, at, length, from, to, direction, this.#coarse, this.#coarse);
    const first = Math.max(from, around - this.#coarse);
    const last = Math.min(to, around + this.#coarse);
    return this.#best(samples, at, length, first, last, direction, 1, this.#fine);
  }

  #best(
    samples: Int16Array,
    at: number,
    length: number,
    from: number,
    to: number,
    direction: 1 | -1,
    lagStep: number,
    step: number,
  ): number {
    let best = from;
    let highest = Number.NEGATIVE_INFINITY;
    for (let lag = from; lag <= to; lag += lagStep) {
      const found = similarity(samples, at, at + direction * lag, length, step);
      if (found > highest) {
        highest = found;
        best = lag;
      }
    }
    return best;
  }
}
