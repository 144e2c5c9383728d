/** Garbage collections that allocation causes: V8 makes others now and then, to give memory back. */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { collectGarbage } from './garbage.js';

/** How often young garbage was collected while `run` ran; it is compiled by then, for compiling allocates too. */
export async function collectionsDuring(run: () => void): Promise<number> {
  let collections = 0;
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().filter(isScavenge).length;
  });
  collectGarbage();
  await new Promise(setImmediate);
  observer.observe({ entryTypes: ['gc'] });
  run();
  await new Promise(setImmediate);
  collections += observer.takeRecords().filter(isScavenge).length;
  observer.disconnect();
  return collections;
}

function isScavenge(entry: PerformanceEntry & { readonly detail?: unknown }): boolean {
  const { kind } = entry.detail as { kind?: number };
  return kind === constants.NODE_PERFORMANCE_GC_MINOR;
}
