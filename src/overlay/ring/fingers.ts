/**
 * Fingers: for each power of the base and each digit, the member of that part of the ring that answers
 * soonest. They make lookups short and quick; no answer is right or wrong by them.
 */
import { distance, type Id, idAfter, RING_SIZE } from './ids.js';
import type { FinishedLookup } from './lookup-state.js';
import type { Finger, MemberState } from './member-state.js';
import type { Peer } from './peer.js';
import { ask } from './requests.js';

/** Of each part of the ring so many are asked for their round trip. */
export const PROBED = 6;
/** A finger is exchanged for one that is this much quicker, not for every trifle. */
const QUICKER = 0.85;

export type FingerBase = 'base16' | 'binary';

/** Which finger `id` could be, or undefined where it is too near for any. */
export function slotOf(self: Id, id: Id, base: FingerBase): number | undefined {
  const ahead = distance(self, id);
  if (ahead < 1) return undefined;
  if (base === 'binary') return Math.floor(Math.log2(ahead));
  const row = Math.floor(Math.log2(ahead) / 4);
  return row * 16 + Math.floor(ahead / 16 ** row);
}

/** How far ahead of us the part of `slot` begins, and how long it is. */
export function partOfSlot(slot: number, base: FingerBase): { start: number; size: number } {
  if (base === 'binary') return { start: 2 ** slot, size: 2 ** slot };
  const size = 16 ** Math.floor(slot / 16);
  return { start: size * (slot % 16), size };
}

/** Slots whose part reaches beyond what the successor list covers, farthest first. */
export function slotsBeyond(covered: number, base: FingerBase): number[] {
  const slots: number[] = [];
  const highest =
    base === 'binary' ? Math.log2(RING_SIZE) - 1 : (Math.log2(RING_SIZE) / 4 - 1) * 16 + 15;
  for (let slot = highest; slot >= 0; slot--) {
    if (base === 'base16' && slot % 16 === 0) continue;
    const { start, size } = partOfSlot(slot, base);
    if (start + size <= covered) break;
    slots.push(slot);
  }
  return slots;
}

/** Takes note of a member that has answered: a finger if there is none for its part, or if it is quicker. */
export function considerFinger(state: MemberState, peer: Peer, rttMs: number): void {
  const { routing, fingers, successors } = state;
  if (routing === 'table') return;
  const last = successors.at(-1);
  if (!last || distance(state.self.id, peer.id) <= distance(state.self.id, last.id)) return;
  const slot = slotOf(state.self.id, peer.id, routing);
  if (slot === undefined) return;
  const known = fingers.get(slot);
  if (known?.peer.id !== peer.id && !isQuicker(known, rttMs)) return;
  setFinger(state, slot, { peer, rttMs });
}

export function setFinger(state: MemberState, slot: number, finger: Finger): void {
  if (state.fingers.get(slot)?.peer.id !== finger.peer.id) state.farStale = true;
  state.fingers.set(slot, finger);
}

/** A member that is dead is nobody's finger. */
export function dropFinger(state: MemberState, peer: Peer): void {
  const { routing, fingers, self } = state;
  if (routing === 'table') return;
  const slot = slotOf(self.id, peer.id, routing);
  if (slot === undefined || fingers.get(slot)?.peer.id !== peer.id) return;
  fingers.delete(slot);
  state.farStale = true;
}

/** The next finger to look after: its slot, and the key whose owner begins its part. */
export function nextFinger(state: MemberState): { slot: number; key: Id } | undefined {
  const { routing, successors, self } = state;
  const last = successors.at(-1);
  if (routing === 'table' || !last) return undefined;
  const slots = slotsBeyond(distance(self.id, last.id), routing);
  if (slots.length === 0) return undefined;
  state.nextSlot = (state.nextSlot + 1) % slots.length;
  const slot = slots[state.nextSlot]!;
  const part = partOfSlot(slot, routing);
  return { slot, key: idAfter(self.id, placeInPart(part, state.tools.chance())) };
}

/** Anywhere in the part, so that over time the quickest of all of it is found. */
export function placeInPart({ start, size }: { start: number; size: number }, chance: number) {
  return start + Math.floor(size * 0.75 * chance);
}

export function isQuicker(known: Finger | undefined, rttMs: number): boolean {
  return !known || rttMs <= known.rttMs * QUICKER;
}

/** Measures some of a part of the ring, and the finger there is. */
export function probeFingers(state: MemberState, slot: number, { result }: FinishedLookup): void {
  const { routing, self, fingers } = state;
  if (routing === 'table') return;
  const known = fingers.get(slot)?.peer;
  const found = result ? [result.owner, ...result.successors].slice(0, PROBED) : [];
  const candidates = known ? [known, ...found] : found;
  const inPart = candidates.filter(
    ({ id }, i) =>
      id !== self.id &&
      slotOf(self.id, id, routing) === slot &&
      candidates.findIndex(other => other.id === id) === i,
  );
  for (const peer of inPart) ask(state, peer, { type: 'ping' }, { type: 'finger', slot });
}
