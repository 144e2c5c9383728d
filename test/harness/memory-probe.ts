/**
 * Loaded into a phone before its own code (`node --import`): on SIGUSR2 it collects all garbage and
 * prints what is left. Resident memory alone tells little, since it rises and falls by tens of
 * megabytes with the collector's mood.
 */
import { collectGarbage } from './garbage.js';

process.on('SIGUSR2', () => {
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  const event = { event: 'memory', usedBytes: heapUsed + external, residentBytes: rss };
  process.stdout.write(`${JSON.stringify(event)}\n`);
});
