/** Whom a node may ask, how each has answered so far, and who is next. Bounded. */
import { UNKNOWN_ID } from '../ring/ids.js';
import { type Peer, sameWays } from '../ring/peer.js';
import { pauseMs } from './pace.js';

export interface KnownSuperNode {
  readonly peer: Peer;
  /** In a row, since it last answered. */
  failures: number;
  /** Not asked earlier. */
  retryAt: number;
  /** When discovery or a super-node last spoke of it. */
  seenAt: number;
  triedAt: number;
  /** Lower is better: those a super-node named stand before those that were found, in its order. */
  preference: number;
}

/** By address. */
export type KnownSuperNodes = Map<string, KnownSuperNode>;

/** More than a LAN has super-nodes; of longer lists the worst are forgotten. */
export const MAX_KNOWN = 64;
/** Of those an answer names, so that one answer does not displace all that is known. */
export const MAX_NAMED = 8;
/** Between two attempts at one that fails: from 1 s to 30 s. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Who failed, and is seen again, may be asked again after so long … */
const SIGHTED_RETRY_MS = 3_000;
/** … or so long, where it is a super-node by now: it has said so itself to who found it. */
const PROVED_RETRY_MS = 500;

/** Where we were told to go. */
export const TOLD = -1;
const FOUND = 1_000;

/** Discovery has seen it; whose id is known has answered as a super-node. */
export function sighted(known: KnownSuperNodes, peer: Peer, now: number): void {
  const entry = note(known, peer, now, FOUND);
  if (!entry) return;
  const ms = peer.id === UNKNOWN_ID ? SIGHTED_RETRY_MS : PROVED_RETRY_MS;
  entry.retryAt = Math.min(entry.retryAt, entry.triedAt + ms);
}

/** A super-node names others, best first; `preference` of the first. */
export function named(
  known: KnownSuperNodes,
  peers: readonly Peer[],
  now: number,
  preference = 0,
): void {
  for (const [index, peer] of peers.slice(0, MAX_NAMED).entries()) {
    const entry = note(known, peer, now, preference + index);
    if (entry) entry.preference = preference + index;
  }
}

/** By the super-node that we are attached to, as it took us. */
export function wasNamed({ preference }: KnownSuperNode): boolean {
  return preference < FOUND;
}

/** What was named before stands no higher than what was found. */
export function forgetOrder(known: KnownSuperNodes): void {
  for (const entry of known.values()) entry.preference = FOUND;
}

/** The network is another one: who did not answer before may answer now. */
export function forgetFailures(known: KnownSuperNodes): void {
  for (const entry of known.values()) {
    entry.failures = 0;
    entry.retryAt = 0;
  }
}

/** At the address of `peer` another device is now: whichever it is, it may be asked at once. */
export function forgetId(known: KnownSuperNodes, { id, address }: Peer): void {
  const entry = known.get(address);
  if (!entry || entry.peer.id !== id || id === UNKNOWN_ID) return;
  known.set(address, { ...entry, peer: { id: UNKNOWN_ID, address }, failures: 0, retryAt: 0 });
}

export function answeredWell(known: KnownSuperNodes, peer: Peer, now: number): void {
  const entry = note(known, peer, now, FOUND);
  if (!entry) return;
  entry.failures = 0;
  entry.retryAt = 0;
}

/** No answer, no connection, or not willing: left alone for a while that grows. */
export function failed(known: KnownSuperNodes, address: string, now: number, chance: number): void {
  const entry = known.get(address);
  if (!entry) return;
  entry.retryAt = now + pauseMs(entry.failures, FIRST_RETRY_MS, MAX_RETRY_MS, chance);
  entry.failures++;
}

/** The best that may be asked now. */
export function nextKnown(
  known: KnownSuperNodes,
  now: number,
  except: (entry: KnownSuperNode) => boolean,
): KnownSuperNode | undefined {
  let best: KnownSuperNode | undefined;
  for (const entry of known.values()) {
    if (entry.retryAt > now || except(entry)) continue;
    if (!best || compare(entry, best) < 0) best = entry;
  }
  return best;
}

/** The best first, whether they may be asked now or not. */
export function inOrder(known: KnownSuperNodes): KnownSuperNode[] {
  return [...known.values()].sort(compare);
}

function note(
  known: KnownSuperNodes,
  peer: Peer,
  now: number,
  preference: number,
): KnownSuperNode | undefined {
  const entry = known.get(peer.address);
  if (entry) {
    entry.seenAt = now;
    const isNews =
      entry.peer.id !== peer.id || (peer.also !== undefined && !sameWays(entry.peer, peer));
    if (peer.id === UNKNOWN_ID || !isNews) return entry;
    // Another device has this address now, or another further one.
    const another = { ...entry, peer };
    known.set(peer.address, another);
    return another;
  }
  const fresh = { peer, failures: 0, retryAt: 0, seenAt: now, triedAt: 0, preference };
  if (known.size >= MAX_KNOWN) {
    const worst = inOrder(known).at(-1)!;
    // Nobody who was not even asked yet makes room for one more like it.
    if (worst.failures === 0 && preference >= worst.preference) return undefined;
    known.delete(worst.peer.address);
  }
  known.set(peer.address, fresh);
  return fresh;
}

function compare(one: KnownSuperNode, other: KnownSuperNode): number {
  return (
    one.failures - other.failures ||
    one.preference - other.preference ||
    other.seenAt - one.seenAt ||
    (one.peer.address < other.peer.address ? -1 : 1)
  );
}
