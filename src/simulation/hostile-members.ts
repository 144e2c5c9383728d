/** Members that take part in the ring as others do, and then deceive who asks them. */
import { type Id, indexAtOrAfter } from '../overlay/ring/ids.js';
import type { RingAnswer, RingRequest } from '../overlay/ring/messages.js';
import type { Peer } from '../overlay/ring/peer.js';

/** `lie`: owns whatever is asked for, or names accomplices; `drop`: is silent; `absent`: holds nothing. */
export const DECEITS = ['lie', 'drop', 'absent'] as const;
export type Deceit = (typeof DECEITS)[number];

/**
 * What a hostile member does with a request: a false answer, silence, or undefined where it answers as
 * an honest one.
 * @param accomplices sorted by id
 * @param chance in [0, 1)
 */
export function deceive(
  deceit: Deceit,
  request: RingRequest,
  accomplices: readonly Peer[],
  chance: number,
): RingAnswer | 'silence' | undefined {
  if (request.type !== 'find' && request.type !== 'fetch') return undefined;
  switch (deceit) {
    case 'drop':
      return 'silence';
    case 'absent':
      return request.type === 'fetch' ? { type: 'records', records: [] } : undefined;
    case 'lie': {
      if (request.type === 'fetch') return { type: 'records', records: [] };
      if (chance < 0.5) {
        const successors = from(accomplices, request.key, 8);
        return { type: 'owner', predecessor: accomplices[0], successors };
      }
      const owners = from(accomplices, request.key, 3);
      return { type: 'closer', closer: [], owners, predecessor: owners[0] };
    }
  }
}

/** Accomplices at or after `key`: those who can be believed to own it. */
function from(accomplices: readonly Peer[], key: Id, count: number): Peer[] {
  const start = indexAtOrAfter(accomplices, key);
  return Array.from(
    { length: Math.min(count, accomplices.length) },
    (_, i) => accomplices[(start + i) % accomplices.length]!,
  );
}
