/**
 * A call to all devices of one person at once: each is a branch, with the places of that device in turn. The first that
 * answers has the call. Pure, a part of `call-machine.ts`.
 *
 * The caller does it, and no device speaks for the others: there is nothing to elect or to agree on, no hop between,
 * and nobody whose absence hides those who are there; it is what a forking proxy does (RFC 3261 §16.7), so a phone that
 * knows nothing of it is called like any other.
 */
import type { CallEnd } from './call-end.js';

export interface ForkState {
  /** Numbers of branches that have not ended. */
  readonly open: Set<number>;
  readonly ends: CallEnd[];
}

export function newFork(branches: number): ForkState {
  return { open: new Set(Array.from({ length: branches }, (_, branch) => branch)), ends: [] };
}

export type ForkOutcome =
  | { readonly type: 'goes-on' }
  /** The person refused, at one device for all; the others are called no more. */
  | { readonly type: 'declined'; readonly end: CallEnd }
  /** Nobody was there, at no device. */
  | { readonly type: 'unreached'; readonly end: CallEnd }
  | { readonly type: 'failed'; readonly end: CallEnd };

/** One branch ended without an answer. */
export function branchEnded({ open, ends }: ForkState, branch: number, end: CallEnd): ForkOutcome {
  if (!open.delete(branch)) return { type: 'goes-on' };
  ends.push(end);
  // A global failure (RFC 3261 §21.6): they know that no other place will do.
  if ((end.status ?? 0) >= 600) return { type: 'declined', end };
  if (open.size > 0) return { type: 'goes-on' };
  const there = ends.filter(each => !isAbsence(each));
  const [best] = (there.length > 0 ? there : ends).sort((one, other) => rank(one) - rank(other));
  return { type: there.length > 0 ? 'failed' : 'unreached', end: best ?? end };
}

function isAbsence({ code }: CallEnd): boolean {
  return code === 'UNREACHABLE' || code === 'NO_ROUTE';
}

/** A person is busy only where all devices that are there say so. */
function rank({ code }: CallEnd): number {
  switch (code) {
    case 'NO_ANSWER':
      return 0;
    case 'REFUSED':
      return 1;
    case 'NO_COMMON_CODEC':
      return 2;
    case 'NO_SUCH_NAME':
      return 3;
    case 'HUNG_UP':
    case 'REMOTE_HUNG_UP':
    case 'MEDIA_LOST':
    case 'FAILED':
      return 4;
    case 'BUSY':
      return 5;
    case 'UNREACHABLE':
    case 'NO_ROUTE':
      return 6;
  }
}
