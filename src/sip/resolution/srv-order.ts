/** In which order the servers of a service are tried, RFC 2782. */
import { type Random, randomUnit } from '../../core/random.js';
import type { SrvRecord } from './dns.js';

/** Lowest priority first; among equals by chance, in proportion to their weights. */
export function orderServers(records: readonly SrvRecord[], random: Random): SrvRecord[] {
  // Those without weight stand first among equals, so that they come up when the die falls on 0;
  // of several such, chance decides which.
  const left = records
    .map(record => ({ record, lot: randomUnit(random) }))
    .sort((a, b) => compare(a.record, b.record) || a.lot - b.lot)
    .map(({ record }) => record);
  const ordered: SrvRecord[] = [];
  for (let [first] = left; first; [first] = left) {
    const { priority } = first;
    const equals = left.filter(record => record.priority === priority);
    ordered.push(...left.splice(draw(equals, random), 1));
  }
  return ordered;
}

function compare(a: SrvRecord, b: SrvRecord): number {
  return a.priority - b.priority || a.weight - b.weight;
}

/** The index of the record whose share of the sum of all weights a throw of the die falls into. */
function draw(records: readonly SrvRecord[], random: Random): number {
  const sum = records.reduce((total, { weight }) => total + weight, 0);
  const thrown = Math.floor(randomUnit(random) * (sum + 1));
  let running = 0;
  return records.findIndex(({ weight }) => {
    running += weight;
    return running >= thrown;
  });
}
