/** Time comes in from outside, so that the same code runs on a board and in the simulator. */

export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds on a monotonic scale with an arbitrary origin; fractions allowed. */
  now(): number;
  /** Milliseconds since 1970 by the wall clock. Wrong at boot on many boards: show it, never rely on it. */
  wallTime(): number;
  /** Calls `fire` once, `delayMs` from now. Never keeps the process alive by itself. */
  after(delayMs: number, fire: () => void): Timer;
}

export class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  wallTime(): number {
    return Date.now();
  }

  after(delayMs: number, fire: () => void): Timer {
    const handle = setTimeout(fire, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  }
}

/** Resolves after `delayMs`; rejects with the signal's reason if it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
