/**
 * Abort signals made of others. Node 20 and 22 let the garbage collector take those of `AbortSignal.any` and
 * `AbortSignal.timeout` while somebody still waits for them: they never abort then. These hold what they need.
 */

/** Aborted when the first of `signals` is. */
export function firstOf(...signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  const abort = () => {
    for (const signal of signals) signal.removeEventListener('abort', abort);
    controller.abort(signals.find(({ aborted }) => aborted)?.reason);
  };
  if (signals.some(({ aborted }) => aborted)) abort();
  else for (const signal of signals) signal.addEventListener('abort', abort);
  return controller.signal;
}

/** Aborted after so many seconds; keeps nothing alive. Never, without a number. */
export function afterSeconds(seconds: number | undefined): AbortSignal {
  const controller = new AbortController();
  if (seconds !== undefined) setTimeout(() => controller.abort(), seconds * 1000).unref();
  return controller.signal;
}
