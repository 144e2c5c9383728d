/** How long an answer is waited for, and how often something is done: times that adapt, and bounds on rates. */

/** Smoothed, as RFC 6298 §2 has it. */
export interface RoundTrip {
  smoothedMs: number | undefined;
  variationMs: number;
}

export interface Patience {
  /** While nothing was measured. */
  readonly firstMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

export function newRoundTrip(): RoundTrip {
  return { smoothedMs: undefined, variationMs: 0 };
}

export function measure(trip: RoundTrip, ms: number): void {
  if (trip.smoothedMs === undefined) {
    trip.smoothedMs = ms;
    trip.variationMs = ms / 2;
    return;
  }
  trip.variationMs += (Math.abs(ms - trip.smoothedMs) - trip.variationMs) / 4;
  trip.smoothedMs += (ms - trip.smoothedMs) / 8;
}

export function patienceMs(trip: RoundTrip, { firstMs, minMs, maxMs }: Patience): number {
  if (trip.smoothedMs === undefined) return firstMs;
  return Math.min(maxMs, Math.max(minMs, trip.smoothedMs + 4 * trip.variationMs));
}

/** So many at once, and one more each `everyMs`. */
export interface Rate {
  readonly atOnce: number;
  readonly everyMs: number;
}

export interface Allowance {
  left: number;
  at: number;
}

export function newAllowance({ atOnce }: Rate): Allowance {
  return { left: atOnce, at: 0 };
}

/** Takes one, or several, where there are so many to take. */
export function take(allowance: Allowance, rate: Rate, now: number, count = 1): boolean {
  const { atOnce, everyMs } = rate;
  let gained = Math.floor((now - allowance.at) / everyMs);
  // Rounded as `allowedAt` is: what is allowed then has to be taken then.
  if (allowance.at + (gained + 1) * everyMs <= now) gained++;
  if (allowance.left + gained >= atOnce) {
    allowance.left = atOnce;
    allowance.at = now;
  } else {
    allowance.left += gained;
    allowance.at += gained * everyMs;
  }
  if (allowance.left < count) return false;
  allowance.left -= count;
  return true;
}

/** When there is one to take. */
export function allowedAt({ left, at }: Allowance, { everyMs }: Rate): number {
  return left > 0 ? at : at + everyMs;
}

/** A doubling pause, the first `firstMs`, the longest `maxMs`: between half of it and all, by chance in [0, 1). */
export function pauseMs(failures: number, firstMs: number, maxMs: number, chance: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30)) * (0.5 + chance / 2);
}
