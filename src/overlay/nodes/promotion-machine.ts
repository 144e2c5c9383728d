/**
 * Who becomes a super-node, and who stops being one, as a pure machine: `stepPromotion` changes the state it is given and
 * returns what is to be done. Every phone runs it; they do not speak to each other about it, so it rests on waiting
 * times: the better placed a phone is the sooner it acts, and who sees that somebody has acted waits again.
 */
import { type Id, positionOf, RING_SIZE } from '../ring/ids.js';
import { pauseMs } from './pace.js';

export type RoleSetting = 'auto' | 'always' | 'never';

/** What makes a phone a good super-node. */
export interface Placement {
  readonly mainsPower: boolean;
  readonly freeMemoryMb: number;
  /** Of the device. */
  readonly uptimeS: number;
  /** Others can open links to it: an address of the LAN or a public one, not one behind a NAT. */
  readonly reachable: boolean;
  /** Others here have an address of a kind, IPv4 or IPv6, of which it has none: it does not reach all that they may. */
  readonly lacksKind?: boolean;
}

/** Announced by somebody else. */
export interface SeenSuperNode {
  readonly id: Id;
  /** As it says of itself; undefined counts as true. */
  readonly wellPlaced?: boolean;
}

export type PromotionEvent = { readonly now: number } & (
  | { readonly type: 'start' }
  | { readonly type: 'placement'; readonly placement: Placement }
  /**
   * All super-nodes announced that we reach, but for ourselves; `apart`: one that we do not, for want of its kind of address,
   * has a place in the ring, and somebody reaches both; `phones` on this LAN, we among them, as far as they are seen.
   */
  | {
      readonly type: 'seen';
      readonly superNodes: readonly SeenSuperNode[];
      readonly apart?: boolean;
      readonly phones: number;
    }
  /** We are attached; `nodes`: how many our super-node has. */
  | { readonly type: 'attached'; readonly nodes: number | undefined }
  | { readonly type: 'lost' }
  /** From the attachment: no super-node answers, or none has room. */
  | { readonly type: 'nobody'; readonly reason: 'silent' | 'full' }
  /** While we are a super-node: how many nodes we have. */
  | { readonly type: 'load'; readonly nodes: number }
  /** What was promoted could not become a member of the ring. */
  | { readonly type: 'failed' }
  | { readonly type: 'timer' }
);

export type PromotionAction =
  /** Become a super-node, announced at once; `found`: nobody is there to join. */
  | { readonly type: 'promote'; readonly found: boolean }
  /** Leave the ring, and be an ordinary node. */
  | { readonly type: 'demote' }
  /** In place of the one set before. */
  | { readonly type: 'set-timer'; readonly ms: number };

type Plan = 'found' | 'join' | 'step-down' | 'retire' | 'part';

export interface PromotionState {
  readonly self: Id;
  readonly setting: RoleSetting;
  /** A number in [0, 1). */
  readonly chance: () => number;
  role: 'node' | 'super-node';
  now: number;
  started: boolean;
  placement: Placement | undefined;
  seen: readonly SeenSuperNode[];
  apart: boolean;
  phones: number;
  attached: boolean;
  nobody: 'silent' | 'full' | undefined;
  /** Of one super-node, as far as is known. */
  nodesEach: number;
  /** Since when the role is what it is. */
  since: number;
  /** Whether we were a super-node before. */
  stepped: boolean;
  failures: number;
  /** What is going to be done, unless something changes before. */
  plan: { readonly type: Plan; readonly at: number } | undefined;
  timerAt: number | undefined;
}

/** So that the death of one costs nothing: on a LAN that has so many phones fit for it. */
export const WANTED = 3;
/** One more super-node is wanted above so many nodes of each; one goes where the others then have fewer than that. */
const NODES_FOR_ONE_MORE = 100;
const NODES_FOR_ONE_LESS = 70;
const MIN_MEMORY_MB = 64;
/** A super-node that has less is badly placed. */
const LOW_MEMORY_MB = 32;
/** What counts as much, and as long: more makes no difference. */
const MUCH_MEMORY_MB = 512;
const LONG_UPTIME_S = 86_400;
/** At first: enough for others to be heard. */
const FOUND_AFTER_MS = 500;
/** Between the best placed and the worst of those that are fit; whoever is not comes after these. */
const FOUND_RANK_MS = 1_000;
const FOUND_UNFIT_MS = 4_000;
/** Spread by id, for each power of ten of phones: an announcement is heard in some 0.3 s. */
const FOUND_SPREAD_MS = 1_500;
/** Announced super-nodes that do not answer may be announcements of the dead (a TTL of 75 minutes, RFC 6762 §10). */
const STALE_MS = 8_000;
const JOIN_AFTER_MS = 2_000;
const JOIN_RANK_MS = 4_000;
const JOIN_SPREAD_MS = 5_000;
/** Terms: a super-node stays one, a node that was one stays a node. */
const SUPER_NODE_TERM_MS = 600_000;
const BADLY_PLACED_TERM_MS = 60_000;
const NODE_TERM_MS = 300_000;
/** Later than those that reach all, so that there are enough of these where there can be. */
const JOIN_LACKING_MS = 15_000;
/** In a ring with somebody out of reach, of whom one may have to answer for the other. */
const APART_AFTER_MS = 2_000;
const STEP_DOWN_AFTER_MS = 60_000;
const RETIRE_AFTER_MS = 20_000;
const FIRST_RETRY_MS = 10_000;
const MAX_RETRY_MS = 300_000;
/** Phones on the LAN, where nobody said. */
const USUAL_PHONES = 10;

export function newPromotion(self: Id, setting: RoleSetting, chance: () => number): PromotionState {
  return {
    self,
    setting,
    chance,
    role: 'node',
    now: 0,
    started: false,
    placement: undefined,
    seen: [],
    apart: false,
    phones: 0,
    attached: false,
    nobody: undefined,
    nodesEach: 0,
    since: 0,
    stepped: false,
    failures: 0,
    plan: undefined,
    timerAt: undefined,
  };
}

export function stepPromotion(state: PromotionState, event: PromotionEvent): PromotionAction[] {
  state.now = event.now;
  note(state, event);
  const actions: PromotionAction[] = [];
  if (!state.started || state.setting === 'never') return actions;
  plan(state);
  if (state.plan && state.plan.at <= state.now) actions.push(...act(state, state.plan.type));
  const wakes = state.plan?.at ?? termEnd(state);
  const pending = state.timerAt ?? Number.POSITIVE_INFINITY;
  if (wakes !== undefined && wakes > state.now && wakes < pending) {
    state.timerAt = wakes;
    actions.push({ type: 'set-timer', ms: wakes - state.now });
  }
  return actions;
}

/** Whether it may be a super-node as long as there are others: what is announced of it. */
export function isWellPlaced({ placement, role }: PromotionState): boolean {
  if (!placement) return false;
  const enough = role === 'super-node' ? LOW_MEMORY_MB : MIN_MEMORY_MB;
  return placement.mainsPower && placement.reachable && placement.freeMemoryMb >= enough;
}

function note(state: PromotionState, event: PromotionEvent): void {
  switch (event.type) {
    case 'start':
      state.started = true;
      return;
    case 'placement':
      // Who has joined already when it notices takes the place of one that reaches all.
      if (event.placement.lacksKind && !state.placement?.lacksKind && state.plan?.type === 'join')
        state.plan = undefined;
      state.placement = event.placement;
      return;
    case 'seen': {
      const before = state.seen;
      state.seen = event.superNodes.filter(({ id }) => id !== state.self);
      state.phones = event.phones;
      state.apart = event.apart ?? false;
      // Somebody has acted: whether more is needed is looked at from now on.
      if (sameIds(before, state.seen)) return;
      if (state.plan?.type !== 'found' || state.seen.length > 0) state.plan = undefined;
      return;
    }
    case 'attached':
      state.attached = true;
      state.nobody = undefined;
      state.nodesEach = event.nodes ?? state.nodesEach;
      return;
    case 'lost':
      state.attached = false;
      return;
    case 'nobody':
      state.nobody = event.reason;
      return;
    case 'load':
      if (state.role === 'super-node') state.nodesEach = event.nodes;
      return;
    case 'failed':
      if (state.role !== 'super-node') return;
      state.role = 'node';
      state.since = state.now;
      state.failures++;
      state.plan = undefined;
      return;
    case 'timer':
      state.timerAt = undefined;
      return;
  }
}

/** What is to be done, and when; a plan that still holds keeps its time. */
function plan(state: PromotionState): void {
  const type = state.role === 'node' ? rising(state) : falling(state);
  if (!type) state.plan = undefined;
  else if (state.plan?.type !== type) state.plan = { type, at: state.now + waitMs(state, type) };
}

function rising(state: PromotionState): Plan | undefined {
  const { setting, attached, seen, nobody } = state;
  // Nobody answers, or nobody that is a super-node: a ring of our own is better than none, even for a phone that is not
  // fit for it.
  if (!attached && (nobody === 'silent' || (nobody === 'full' && seen.length === 0)))
    return 'found';
  const others = Math.max(seen.length, attached ? 1 : 0);
  if (others === 0) return undefined;
  if (setting === 'always') return 'join';
  if (isApart(state)) return undefined;
  if (!isWellPlaced(state) || state.now < state.since + (state.stepped ? NODE_TERM_MS : 0)) {
    return undefined;
  }
  if (nobody === 'full') return 'join';
  return others < wanted(others * state.nodesEach, NODES_FOR_ONE_MORE) ? 'join' : undefined;
}

function falling(state: PromotionState): Plan | undefined {
  const { setting, seen } = state;
  if (setting === 'always') return undefined;
  // Neighbours that cannot speak to each other would have no owner between them: those that reach both are left.
  if (isApart(state)) return 'part';
  if (!goesNext(state)) return undefined;
  const well = isWellPlaced(state);
  if (state.now < state.since + (well ? SUPER_NODE_TERM_MS : BADLY_PLACED_TERM_MS)) {
    return undefined;
  }
  const nodes = (seen.length + 1) * state.nodesEach;
  const least = well ? NODES_FOR_ONE_LESS : NODES_FOR_ONE_MORE;
  if (seen.length < wanted(nodes, least)) return undefined;
  return well ? 'step-down' : 'retire';
}

/** Where phones of that kind are here to be seen: what members say of others anybody could. */
function isApart({ apart, seen, placement }: PromotionState): boolean {
  return apart && seen.length > 0 && placement?.lacksKind === true;
}

/** Of all super-nodes one at a time may go: one that is badly placed, else the last by id. All see the same order. */
function goesNext(state: PromotionState): boolean {
  const well = isWellPlaced(state);
  return state.seen.every(({ id, wellPlaced = true }) =>
    wellPlaced === well ? id < state.self : wellPlaced,
  );
}

function wanted(nodes: number, each: number): number {
  return Math.max(WANTED, Math.ceil(nodes / each));
}

function waitMs(state: PromotionState, type: Plan): number {
  const { failures, chance } = state;
  const again = failures > 0 ? pauseMs(failures - 1, FIRST_RETRY_MS, MAX_RETRY_MS, chance()) : 0;
  const decades = Math.max(1, Math.log10(phones(state)));
  switch (type) {
    case 'found': {
      const fit = isWellPlaced(state) && state.placement?.lacksKind !== true;
      const unfit = fit || state.setting === 'always' ? 0 : FOUND_UNFIT_MS;
      const stale = state.seen.length > 0 ? STALE_MS : 0;
      const byId = late(positionOf(state.self) / RING_SIZE, phones(state));
      const ranked = FOUND_RANK_MS * rank(state) + FOUND_SPREAD_MS * decades * byId;
      return FOUND_AFTER_MS + ranked + unfit + stale + again;
    }
    case 'join':
      if (state.setting === 'always') return FOUND_AFTER_MS * chance() + again;
      return (
        JOIN_AFTER_MS +
        JOIN_RANK_MS * rank(state) +
        JOIN_SPREAD_MS * decades * late(chance(), phones(state)) +
        (state.placement?.lacksKind ? JOIN_LACKING_MS : 0) +
        again
      );
    case 'step-down':
      return STEP_DOWN_AFTER_MS * (1 + chance());
    case 'retire':
      return RETIRE_AFTER_MS * (1 + chance());
    case 'part':
      return APART_AFTER_MS * (1 + chance());
  }
}

/** From 0, the best: power counts more than memory, that more than uptime. */
function rank({ placement, setting }: PromotionState): number {
  if (setting === 'always') return 0;
  if (!placement) return 1;
  const { mainsPower, freeMemoryMb, uptimeS } = placement;
  return (
    (mainsPower ? 0 : 0.5) +
    0.35 * (1 - Math.min(1, freeMemoryMb / MUCH_MEMORY_MB)) +
    0.15 * (1 - Math.min(1, uptimeS / LONG_UPTIME_S))
  );
}

/**
 * From `evenly` in [0, 1) a time in [0, 1) that is late for most of a group and early for a few of it, however large it is
 * (the truncated exponential by which multicast receivers hold back their requests, `RandomBackoff` in RFC 5401).
 */
function late(evenly: number, group: number): number {
  const lambda = Math.log(group) + 1;
  return Math.log(1 + evenly * (Math.exp(lambda) - 1)) / lambda;
}

function phones({ phones, nodesEach, seen }: PromotionState): number {
  return Math.max(USUAL_PHONES, phones, nodesEach * seen.length);
}

/** When what cannot be done yet may be. */
function termEnd(state: PromotionState): number | undefined {
  if (state.role === 'node') return state.stepped ? state.since + NODE_TERM_MS : undefined;
  return state.since + (isWellPlaced(state) ? SUPER_NODE_TERM_MS : BADLY_PLACED_TERM_MS);
}

function act(state: PromotionState, type: Plan): PromotionAction[] {
  state.plan = undefined;
  state.since = state.now;
  // A node looks for a super-node anew; a super-node is attached to none.
  state.attached = false;
  state.nobody = undefined;
  switch (type) {
    case 'found':
    case 'join':
      state.role = 'super-node';
      return [{ type: 'promote', found: type === 'found' }];
    case 'step-down':
    case 'retire':
    case 'part':
      state.role = 'node';
      state.stepped = true;
      state.failures = 0;
      return [{ type: 'demote' }];
  }
}

function sameIds(one: readonly SeenSuperNode[], other: readonly SeenSuperNode[]): boolean {
  if (one.length !== other.length) return false;
  const ids = new Set(one.map(({ id }) => id));
  return other.every(({ id }) => ids.has(id));
}
