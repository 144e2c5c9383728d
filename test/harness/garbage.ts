/** Collects all garbage, also in a process that was not started for it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

export const collectGarbage: () => void = runInNewContext('gc');

/** Octets in buffers that somebody still holds. */
export function octetsInBuffers(): number {
  // What a buffer's end frees is counted when the collection after it begins.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}
