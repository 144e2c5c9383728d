/**
 * Keeps bindings in the ring: what is wanted there is put at once, put again at half its life, taken back when it is
 * wanted no more, and tried again with longer and longer pauses where it could not be put. Pure: the driver
 * (`binding-publisher.ts`) signs, puts and waits as the actions say.
 */
import type { Binding } from '../../identity/binding.js';

/** A binding as this device wants it to be known. */
export interface WantedBinding extends Pick<Binding, 'by' | 'contacts'> {
  /** Folded. */
  readonly name: string;
}

/**
 * A phone that died is forgotten after this; until then who calls it waits for an answer that does not come, beside its
 * user's other devices. Put again at half of it: two puts an hour, some 2 kB, and one may fail. Vouched bindings live
 * shorter, since an ordinary phone goes to another super-node within minutes when its own dies.
 */
export const LIFE_S = { user: 3600, voucher: 600 } as const;
/** Puts at once: a super-node with hundreds of users does not fall upon the ring. */
export const MAX_UNDER_WAY = 4;
/** First and longest pause after a failure. */
export const RETRY_MS = 1000;
export const MAX_RETRY_MS = 60_000;
/** Of a refresh or a pause, taken off by chance: who started together does not come together. */
const SPREAD = 0.2;

interface Entry {
  /** Undefined: to be taken back. */
  wanted: WantedBinding | undefined;
  by: Binding['by'];
  phase: 'queued' | 'under-way' | 'waiting';
  /** Another is wanted than what is under way. */
  overtaken: boolean;
  failures: number;
}

export interface PublishingState {
  readonly entries: Map<string, Entry>;
  /** Names, next first. */
  readonly queue: string[];
  underWay: number;
  stopping: boolean;
}

export type PublishingEvent =
  /** These and no others. */
  | { readonly type: 'want'; readonly bindings: readonly WantedBinding[] }
  | { readonly type: 'kept'; readonly name: string; readonly chance: number }
  | { readonly type: 'failed'; readonly name: string; readonly chance: number }
  | { readonly type: 'timer'; readonly name: string }
  /** There is a ring, or another: what waits after a failure does not wait on. */
  | { readonly type: 'ring' }
  /** What is said beside each binding is another than before. */
  | { readonly type: 'renew' }
  | { readonly type: 'stop' };

export type PublishingAction =
  /** `again`: what was not kept before will do, while it is young. */
  | { readonly type: 'publish'; readonly binding: WantedBinding; readonly again: boolean }
  | { readonly type: 'withdraw'; readonly name: string; readonly by: Binding['by'] }
  | { readonly type: 'set-timer'; readonly name: string; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly name: string }
  /** Nothing more is to be done for it. */
  | { readonly type: 'forget'; readonly name: string }
  /** All was taken back, or tried to be. */
  | { readonly type: 'stopped' };

export function newPublishing(): PublishingState {
  return { entries: new Map(), queue: [], underWay: 0, stopping: false };
}

export function stepPublishing(state: PublishingState, event: PublishingEvent): PublishingAction[] {
  switch (event.type) {
    case 'want':
      return state.stopping ? [] : [...want(state, event.bindings), ...putNext(state)];
    case 'kept':
      return [...done(state, event.name, event.chance, true), ...putNext(state)];
    case 'failed':
      return [...done(state, event.name, event.chance, false), ...putNext(state)];
    case 'timer':
      return [...queue(state, event.name), ...putNext(state)];
    case 'ring': {
      const waiting = [...state.entries].filter(([, entry]) => entry.failures > 0);
      return [...waiting.flatMap(([name]) => queue(state, name)), ...putNext(state)];
    }
    case 'renew':
      return [...[...state.entries.keys()].flatMap(name => queue(state, name)), ...putNext(state)];
    case 'stop': {
      if (state.stopping) return [];
      const actions = want(state, []);
      state.stopping = true;
      return [...actions, ...putNext(state)];
    }
  }
}

function want(state: PublishingState, bindings: readonly WantedBinding[]): PublishingAction[] {
  const wanted = new Map(bindings.map(binding => [binding.name, binding]));
  const names = new Set([...state.entries.keys(), ...wanted.keys()]);
  return [...names].flatMap(name => wantOne(state, name, wanted.get(name)));
}

function wantOne(
  state: PublishingState,
  name: string,
  wanted: WantedBinding | undefined,
): PublishingAction[] {
  const entry = state.entries.get(name);
  if (!entry) {
    if (!wanted) return [];
    const { by } = wanted;
    const made: Entry = { wanted, by, phase: 'waiting', overtaken: false, failures: 0 };
    state.entries.set(name, made);
    return queue(state, name);
  }
  if (isSame(entry.wanted, wanted)) return [];
  entry.wanted = wanted;
  entry.by = wanted?.by ?? entry.by;
  entry.failures = 0;
  if (entry.phase === 'under-way') {
    entry.overtaken = true;
    return [];
  }
  return queue(state, name);
}

function queue(state: PublishingState, name: string): PublishingAction[] {
  const entry = state.entries.get(name);
  if (entry?.phase !== 'waiting') return [];
  entry.phase = 'queued';
  state.queue.push(name);
  return [{ type: 'cancel-timer', name }];
}

function putNext(state: PublishingState): PublishingAction[] {
  const actions: PublishingAction[] = [];
  while (state.underWay < MAX_UNDER_WAY) {
    const name = state.queue.shift();
    if (name === undefined) break;
    const entry = state.entries.get(name);
    if (!entry) continue;
    entry.phase = 'under-way';
    state.underWay++;
    const { wanted, by, failures } = entry;
    if (wanted) actions.push({ type: 'publish', binding: wanted, again: failures > 0 });
    else actions.push({ type: 'withdraw', name, by });
  }
  if (state.stopping && state.entries.size === 0) actions.push({ type: 'stopped' });
  return actions;
}

function done(
  state: PublishingState,
  name: string,
  chance: number,
  kept: boolean,
): PublishingAction[] {
  const entry = state.entries.get(name);
  if (entry?.phase !== 'under-way') return [];
  state.underWay--;
  entry.phase = 'waiting';
  if (entry.overtaken) {
    entry.overtaken = false;
    return queue(state, name);
  }
  entry.failures = kept ? 0 : entry.failures + 1;
  // Who stops does not wait for a ring that is not there; and in the end the binding runs out by itself.
  const ranOut = entry.failures * MAX_RETRY_MS >= LIFE_S[entry.by] * 1000;
  if (!entry.wanted && (kept || state.stopping || ranOut)) {
    state.entries.delete(name);
    return [
      { type: 'cancel-timer', name },
      { type: 'forget', name },
    ];
  }
  const pause = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(entry.failures - 1, 16));
  const ms = kept ? (LIFE_S[entry.by] * 1000) / 2 : pause;
  return [{ type: 'set-timer', name, ms: ms * (1 - SPREAD * chance) }];
}

function isSame(one: WantedBinding | undefined, other: WantedBinding | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
