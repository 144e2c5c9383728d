/** Which targets have lately failed, so that the next request tries others first: RFC 3263 §4.3. Time is handed in. */
import { formatEndpoint } from '../../core/endpoint.js';
import type { Target } from './target-resolver.js';

/** What became of a request sent to a target. */
export type Attempt =
  | { readonly type: 'response'; readonly status: number; readonly retryAfterMs?: number }
  /** Nothing came within the transaction's time, no provisional response either. */
  | { readonly type: 'timeout' }
  /** It could not be sent, or the connection broke. */
  | { readonly type: 'transport-error' };

/** How long a target stands last after its first failure in a row: as long as finding out took (64·T1). */
export const FIRST_PENALTY_MS = 32_000;

/** Each further failure doubles it up to here; a `Retry-After` counts up to here too. */
export const LONGEST_PENALTY_MS = 600_000;

/** Targets remembered. */
const CAPACITY = 256;

interface Failure {
  /** In a row. */
  readonly count: number;
  readonly until: number;
}

export class TargetHealth {
  /** The longest unheard-of first. */
  readonly #failures = new Map<string, Failure>();

  /** The same targets: those that may work in their order, then those in penalty, next to recover first. */
  order(targets: readonly Target[], now: number): Target[] {
    const penalty = (target: Target) => {
      const until = this.#failures.get(keyOf(target))?.until ?? 0;
      return until > now ? until : 0;
    };
    return targets.toSorted((a, b) => penalty(a) - penalty(b));
  }

  /**
   * Takes note of what became of a request.
   *
   * @returns whether the next target is due, in a new transaction (RFC 3263 §4.3).
   */
  report(target: Target, attempt: Attempt, now: number): boolean {
    const key = keyOf(target);
    const before = this.#failures.get(key);
    this.#failures.delete(key);
    if (!isFailure(attempt)) return false;
    const count = (before?.count ?? 0) + 1;
    const backOff = FIRST_PENALTY_MS * 2 ** (count - 1);
    const asked = attempt.type === 'response' ? attempt.retryAfterMs : undefined;
    this.#failures.set(key, { count, until: now + Math.min(asked ?? backOff, LONGEST_PENALTY_MS) });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > CAPACITY && oldest !== undefined) this.#failures.delete(oldest);
    return true;
  }

  /** Forgets everything: on another network other targets work. */
  clear(): void {
    this.#failures.clear();
  }

  get size(): number {
    return this.#failures.size;
  }
}

/** 503 speaks of the server itself, any other response of the request (RFC 3263 §4.3, RFC 3261 §21.5.4). */
function isFailure(attempt: Attempt): boolean {
  return attempt.type !== 'response' || attempt.status === 503;
}

function keyOf({ protocol, endpoint, tlsName = '' }: Target): string {
  return `${protocol} ${formatEndpoint(endpoint)} ${tlsName}`;
}
