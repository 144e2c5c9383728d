/** Where a request may go, and in which order (RFC 3261 §16.5, §16.6; RFC 3841). */
import { isSipUri, type NameAddr, type Params, type Uri } from '@sip-stack/parser';
import type { RegisteredContact } from '../registrar/binding.js';
import type { TransactionLayer } from '../transaction/layer.js';
import { type CallerPreferences, scoreOf } from './preferences.js';

/** Where the transaction layer sends a request. */
export type NextHop = Parameters<TransactionLayer['request']>[1];

export interface Target {
  /** Becomes the Request-URI. */
  readonly uri: Uri;
  /** 0 to 1; targets of equal q are tried at the same time. */
  readonly q: number;
  /** Becomes the Route, topmost first: the Path of a registration. */
  readonly route: readonly NameAddr[];
  /** What the device says it can do, as Contact parameters (RFC 3840). */
  readonly features?: Params;
  /** Where it is sent, if that is known; else `route` or `uri` is resolved. */
  readonly hop?: NextHop;
  /** How long it may ring, in ms, before the next is tried; by default as long as Timer C allows. */
  readonly ringMs?: number;
  /** Tried in turn where this one cannot be reached. */
  readonly alternates?: readonly Target[];
}

/** RFC 3841 §9.1. */
export type ForkDirective = 'parallel' | 'sequential' | 'no-fork' | undefined;

export function plainTarget(uri: Uri): Target {
  return { uri, q: 1, route: [] };
}

/** A registered contact as a target. */
export function targetOf(contact: RegisteredContact): Target {
  return {
    uri: contact.uri,
    q: contact.q,
    route: contact.path,
    features: contact.params,
    ...(contact.flow && { hop: contact.flow }),
    alternates: contact.alternates.map(targetOf),
  };
}

/** Groups to be tried one after the other; those within a group at the same time. */
export function groupTargets(
  targets: readonly Target[],
  preferences: CallerPreferences,
  directive: ForkDirective,
): Target[][] {
  const ranked = targets
    .map(target => ({ target, score: scoreOf(target.features, preferences) }))
    .filter(({ score }) => score !== undefined)
    .map(({ target, score = 0 }) => ({ target, rank: [target.q, score] as const }))
    .sort((a, b) => b.rank[0] - a.rank[0] || b.rank[1] - a.rank[1]);
  if (directive === 'no-fork') return ranked.slice(0, 1).map(({ target }) => [target]);
  if (directive === 'sequential') return ranked.map(({ target }) => [target]);
  if (directive === 'parallel') return ranked.length ? [ranked.map(({ target }) => target)] : [];
  const groups: Target[][] = [];
  let last: readonly number[] = [];
  for (const { target, rank } of ranked) {
    if (rank[0] === last[0] && rank[1] === last[1]) groups.at(-1)?.push(target);
    else groups.push([target]);
    last = rank;
  }
  return groups;
}

/** Whether a request can be sent on to this URI at all. */
export function isRoutable({ uri, route, hop }: Target): boolean {
  return isSipUri(uri) || route.length > 0 || hop !== undefined;
}
