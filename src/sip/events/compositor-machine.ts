/**
 * The event state that others publish here: RFC 3903 §6. Pure; who may publish what is settled before a request comes here.
 * Soft state: what is not refreshed is gone when its time is over.
 */
import type { Content, ExpiryLimits } from './package.js';
import { grantedExpiry } from './package.js';

export interface CompositorLimits extends ExpiryLimits {
  /** Publications of one resource: a device has one. */
  readonly perResource: number;
  readonly inAll: number;
  /** Octets of one. */
  readonly octets: number;
}

export const COMPOSITOR_LIMITS: CompositorLimits = {
  defaultS: 3600,
  minS: 60,
  maxS: 3600,
  perResource: 8,
  inAll: 1000,
  octets: 16 * 1024,
};

/** When there may be room again, in seconds. */
const RETRY_AFTER_S = 60;

export interface Publication {
  readonly etag: string;
  readonly content: Content;
  /** Clock time, in ms. */
  readonly until: number;
}

export interface CompositorState {
  readonly limits: CompositorLimits;
  /** By resource, the oldest first; what has expired stays until the next sweep, and nobody sees it. */
  readonly publications: Map<string, readonly Publication[]>;
}

export type CompositorEvent =
  | {
      readonly type: 'publish';
      readonly resource: string;
      /** SIP-If-Match: which publication it refreshes, changes or, by 0 seconds, removes. */
      readonly match: string | undefined;
      /** Undefined for a refresh and a removal. */
      readonly content: Content | undefined;
      /** In seconds; undefined where nothing is asked for. */
      readonly expiresS: number | undefined;
      /** Nobody has had this one before. */
      readonly etag: string;
      readonly now: number;
    }
  | { readonly type: 'sweep'; readonly now: number };

export type CompositorAction =
  | { readonly type: 'accept'; readonly etag: string; readonly expiresS: number }
  | {
      readonly type: 'refuse';
      readonly status: number;
      readonly minExpiresS?: number;
      readonly retryAfterS?: number;
    }
  /** The state of this resource is another. */
  | { readonly type: 'changed'; readonly resource: string };

export function newCompositor(limits: CompositorLimits = COMPOSITOR_LIMITS): CompositorState {
  return { limits, publications: new Map() };
}

export function stepCompositor(state: CompositorState, event: CompositorEvent): CompositorAction[] {
  switch (event.type) {
    case 'publish':
      return publish(state, event);
    case 'sweep':
      return sweep(state, event.now);
  }
}

/** What stands published for a resource, the oldest first. */
export function publicationsOf(
  { publications }: CompositorState,
  resource: string,
  now: number,
): readonly Publication[] {
  return (publications.get(resource) ?? []).filter(({ until }) => until > now);
}

/** Until the next publication expires, in ms; undefined where there is none. */
export function nextExpiry({ publications }: CompositorState, now: number): number | undefined {
  const ends = [...publications.values()].flat().map(({ until }) => until);
  return ends.length > 0 ? Math.max(Math.min(...ends) - now, 0) : undefined;
}

type Publish = Extract<CompositorEvent, { type: 'publish' }>;

function publish(state: CompositorState, event: Publish): CompositorAction[] {
  const { limits } = state;
  const { resource, match, content, etag, now } = event;
  const current = publicationsOf(state, resource, now);
  const matched = current.find(publication => publication.etag === match);
  // §6 step 3: it may have expired, or never have been.
  if (match !== undefined && !matched) return [{ type: 'refuse', status: 412 }];
  const expiresS = grantedExpiry(limits, event.expiresS);
  if (expiresS === undefined) {
    return [{ type: 'refuse', status: 423, minExpiresS: limits.minS }];
  }
  const told = content ?? matched?.content;
  if (!told) return [{ type: 'refuse', status: 400 }];
  if (told.body.length > limits.octets) return [{ type: 'refuse', status: 413 }];
  const accepted: CompositorAction = { type: 'accept', etag, expiresS };
  const others = current.filter(publication => publication !== matched);
  if (expiresS === 0) {
    store(state, resource, others);
    return matched ? [accepted, { type: 'changed', resource }] : [accepted];
  }
  const full = others.length >= limits.perResource || (!matched && inAll(state) >= limits.inAll);
  if (full) return [{ type: 'refuse', status: 503, retryAfterS: RETRY_AFTER_S }];
  store(state, resource, [...others, { etag, content: told, until: now + expiresS * 1000 }]);
  return content ? [accepted, { type: 'changed', resource }] : [accepted];
}

function sweep(state: CompositorState, now: number): CompositorAction[] {
  return [...state.publications].flatMap(([resource, before]): CompositorAction[] => {
    const left = publicationsOf(state, resource, now);
    if (left.length === before.length) return [];
    store(state, resource, left);
    return [{ type: 'changed', resource }];
  });
}

function store(state: CompositorState, resource: string, left: readonly Publication[]): void {
  if (left.length > 0) state.publications.set(resource, left);
  else state.publications.delete(resource);
}

function inAll({ publications }: CompositorState): number {
  return [...publications.values()].reduce((sum, { length }) => sum + length, 0);
}
