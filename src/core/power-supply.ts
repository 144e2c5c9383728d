/** Whether this device runs on mains, as Linux says of its supplies: `/sys/class/power_supply` (sysfs-class-power). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SUPPLIES = '/sys/class/power_supply';

/**
 * False only where a battery is being emptied and nothing else supplies. Most boards know of no supply at all: they hang
 * on a wall plug, or cannot tell. Batteries of mice and headsets (`scope` Device) say nothing of ours.
 */
export function onMainsPower(directory = SUPPLIES): boolean {
  let supplies: string[];
  try {
    supplies = readdirSync(directory);
  } catch {
    return true;
  }
  const kinds = supplies.map(name => {
    const of = (attribute: string) => read(join(directory, name, attribute));
    if (of('scope') === 'Device') return 'foreign';
    if (of('type') === 'Battery') return of('status') === 'Discharging' ? 'emptied' : 'idle';
    return of('online') === '1' ? 'supplying' : 'idle';
  });
  return kinds.includes('supplying') || !kinds.includes('emptied');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
