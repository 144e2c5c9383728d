/**
 * Whose places are known before they are called: those whom one calls, is called by or watches. Their places are looked
 * up again and again, spread over time, so that calling one of them asks nobody. Pure: the driver (`buddies.ts`) looks
 * up, waits and keeps names as the actions say.
 */
import type { FoundName } from './name-lookup.js';

/** People beyond these are looked up when they are called. */
export const MAX_BUDDIES = 100;
/** Those met last are lately used: they are looked up often, the others rarely. */
export const LATELY = 20;
/** Between two look-ups of one person, least and most, in ms; by chance between, so that they spread. */
export const REFRESH_MS = {
  lately: [60_000, 120_000],
  seldom: [600_000, 1_200_000],
} as const;
/** Between two look-ups of anybody: a phone asks the ring at most so often, a third of it with a full list. */
export const BETWEEN_MS = 1000;
/** What was found is relied on until two look-ups in a row have failed, of their longest. */
const FRESH_INTERVALS = 2;

interface Buddy {
  readonly name: string;
  found: FoundName | undefined;
  foundAt: number;
  /** Nobody answered there, or it could not be looked up: to be asked for when they are called. */
  doubted: boolean;
  dueAt: number;
}

export interface BuddiesState {
  /** Whoever was met last comes last. */
  readonly buddies: Map<string, Buddy>;
  asking: string | undefined;
  askedAt: number;
}

export type BuddiesEvent = { readonly now: number; readonly chance: number } & (
  | /** From the store, whoever was met last at the end. */ {
      readonly type: 'load';
      readonly names: readonly string[];
    }
  /** Called, or watched; `calledUs`: anybody may do that, under any name. */
  | { readonly type: 'met'; readonly name: string; readonly calledUs?: boolean }
  | { readonly type: 'found'; readonly found: FoundName }
  /** Nobody has the name now, or several claim it. */
  | { readonly type: 'nobody'; readonly name: string }
  /** The ring did not say. */
  | { readonly type: 'failed'; readonly name: string }
  | { readonly type: 'doubted'; readonly name: string }
  | { readonly type: 'timer' }
);

export type BuddiesAction =
  | { readonly type: 'look-up'; readonly name: string }
  /** In place of one set before. */
  | { readonly type: 'set-timer'; readonly ms: number }
  | { readonly type: 'keep'; readonly names: readonly string[] };

export function newBuddies(): BuddiesState {
  return { buddies: new Map(), asking: undefined, askedAt: Number.NEGATIVE_INFINITY };
}

export function stepBuddies(state: BuddiesState, event: BuddiesEvent): BuddiesAction[] {
  const { now } = event;
  switch (event.type) {
    case 'load':
      for (const name of event.names.slice(-MAX_BUDDIES)) add(state, name, now);
      return next(state, now);
    case 'met': {
      const { name, calledUs } = event;
      const keep = calledUs ? noteCaller(state, name, now) : meet(state, name, now);
      return [...keep, ...next(state, now)];
    }
    case 'found': {
      const { found } = event;
      const buddy = state.buddies.get(found.name);
      if (buddy) Object.assign(buddy, { found, foundAt: now, doubted: false });
      return answered(state, found.name, event);
    }
    case 'nobody': {
      const buddy = state.buddies.get(event.name);
      if (buddy) buddy.found = undefined;
      return answered(state, event.name, event);
    }
    case 'failed':
      return answered(state, event.name, event);
    case 'doubted': {
      const buddy = state.buddies.get(event.name);
      if (!buddy) return [];
      buddy.doubted = true;
      buddy.dueAt = now;
      return next(state, now);
    }
    case 'timer':
      return next(state, now);
  }
}

/** Where somebody is, as far as that may be relied on. */
export function freshPlace(state: BuddiesState, name: string, now: number): FoundName | undefined {
  const buddy = state.buddies.get(name);
  if (!buddy?.found || buddy.doubted) return undefined;
  const [, longest] = intervalOf(state, name);
  return now - buddy.foundAt <= FRESH_INTERVALS * longest ? lastPlace(state, name, now) : undefined;
}

/** Where somebody was last known to be, and may still be. */
export function lastPlace(state: BuddiesState, name: string, now: number): FoundName | undefined {
  const buddy = state.buddies.get(name);
  if (!buddy?.found) return undefined;
  const { found, foundAt } = buddy;
  const devices = found.devices.filter(({ lifeLeftMs }) => lifeLeftMs > now - foundAt);
  return devices.length > 0 ? { ...found, devices } : undefined;
}

function add({ buddies }: BuddiesState, name: string, now: number): void {
  const known = buddies.get(name);
  buddies.delete(name);
  const made = { name, found: undefined, foundAt: now, doubted: false, dueAt: now };
  buddies.set(name, known ?? made);
}

/** Told to be kept only where the list is another, or has somebody among the late ones who was not: it wears the card. */
function meet(state: BuddiesState, name: string, now: number): BuddiesAction[] {
  const { buddies } = state;
  const wasLate = [...buddies.keys()].slice(-LATELY / 2).includes(name);
  add(state, name, now);
  for (const oldest of [...buddies.keys()].slice(0, -MAX_BUDDIES)) buddies.delete(oldest);
  return wasLate ? [] : [{ type: 'keep', names: [...buddies.keys()] }];
}

/** Where there is room, and as the one met longest ago: who calls over and over displaces nobody. */
function noteCaller(state: BuddiesState, name: string, now: number): BuddiesAction[] {
  const { buddies } = state;
  if (buddies.has(name) || buddies.size >= MAX_BUDDIES) return [];
  const others = [...buddies];
  buddies.clear();
  add(state, name, now);
  for (const [other, buddy] of others) buddies.set(other, buddy);
  return [{ type: 'keep', names: [...buddies.keys()] }];
}

function answered(
  state: BuddiesState,
  name: string,
  { now, chance }: BuddiesEvent,
): BuddiesAction[] {
  if (state.asking === name) state.asking = undefined;
  const buddy = state.buddies.get(name);
  if (buddy) {
    const [least, most] = intervalOf(state, name);
    buddy.dueAt = now + least + chance * (most - least);
  }
  return next(state, now);
}

function intervalOf({ buddies }: BuddiesState, name: string): readonly [number, number] {
  const lately = [...buddies.keys()].slice(-LATELY).includes(name);
  return lately ? REFRESH_MS.lately : REFRESH_MS.seldom;
}

/** Looks up who is due for longest, one at a time. */
function next(state: BuddiesState, now: number): BuddiesAction[] {
  if (state.asking !== undefined) return [];
  let first: Buddy | undefined;
  for (const buddy of state.buddies.values()) {
    // Of those due at the same time, whoever was met last.
    if (!first || buddy.dueAt <= first.dueAt) first = buddy;
  }
  if (!first) return [];
  const at = Math.max(first.dueAt, state.askedAt + BETWEEN_MS);
  if (at > now) return [{ type: 'set-timer', ms: at - now }];
  state.asking = first.name;
  state.askedAt = now;
  return [{ type: 'look-up', name: first.name }];
}
