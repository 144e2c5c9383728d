/** Waiting no longer than is worth it. */
import type { Clock } from '../core/clock.js';

/**
 * What `work` gives, or undefined if it is not there after `ms`. Rejects with what `work` rejects with,
 * or with the signal's reason once it is aborted. `work` itself goes on unheeded.
 */
export function withinTime<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve(undefined);
    });
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    });
  });
}
