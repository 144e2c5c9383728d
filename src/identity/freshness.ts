/**
 * What is newer where clocks are wrong: first by how often its maker had started (`IdentityProvider.bootCount`), then
 * by a number that counts from 0 in each run.
 */
import { CodedError } from '../core/errors.js';

export interface Freshness {
  readonly boot: number;
  readonly sequence: number;
}

/** Together they fit the 53 bits of a number that JavaScript keeps exactly; 2^21 boots are one each minute for 4 years. */
export const FRESHNESS_BOUNDS = { boots: 2 ** 21, sequences: 2 ** 32 } as const;

/** Above zero where `one` is the newer. */
export function compareFreshness(one: Freshness, other: Freshness): number {
  return one.boot === other.boot ? one.sequence - other.sequence : one.boot - other.boot;
}

/** In one number that is greater for the newer. */
export function versionOf({ boot, sequence }: Freshness): number {
  return boot * FRESHNESS_BOUNDS.sequences + sequence;
}

/** Gives each record of this run a number of its own. */
export class FreshnessCounter {
  readonly #boot: number;
  #sequence = 0;

  constructor(bootCount: number) {
    this.#boot = bootCount;
  }

  /** @throws {CodedError} `COUNTER_USED_UP` */
  next(): Freshness {
    const { boots, sequences } = FRESHNESS_BOUNDS;
    if (this.#boot < boots && this.#sequence < sequences) {
      return { boot: this.#boot, sequence: this.#sequence++ };
    }
    const found = `boot ${this.#boot}, sequence ${this.#sequence}`;
    throw new CodedError('COUNTER_USED_UP', `expected a counter that can go on, found ${found}`, {
      remedy: this.#boot < boots ? 'Start again.' : 'Make a new key: this one has signed its last.',
    });
  }
}
