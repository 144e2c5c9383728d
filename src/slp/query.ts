/** Multicast convergence (RFC 2608 §6.3): asking everybody, until nobody is left who has not answered. Pure. */
import { CONFIG_MC_MAX_MS, CONFIG_RETRY_MS, SLP_MTU } from './constants.js';
import { encode } from './encode.js';
import { mandatoryExtension, type QueryMessage, type SlpMessage } from './message.js';

export interface Query {
  readonly request: QueryMessage;
  readonly mtu: number;
  /** Goes on to CONFIG_MC_MAX: a lost packet looks as if nobody were left. */
  readonly thorough: boolean;
  /** Addresses, in the order they answered. */
  readonly responders: Set<string>;
  /** Answers since the request was last sent. */
  fresh: number;
  waitMs: number;
  endsAt: number;
  /** When `due` is to be told; undefined: it is over, or has not begun. */
  wakeAt: number | undefined;
}

export type QueryEvent =
  | { readonly kind: 'start'; readonly now: number }
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly from: string;
      readonly message: SlpMessage;
    }
  | { readonly kind: 'due'; readonly now: number };

/** The list causes no further answers; it does not fit into a datagram any more; CONFIG_MC_MAX has passed. */
export type QueryEnd = 'converged' | 'full' | 'time';

export type QueryAction =
  | { readonly kind: 'multicast'; readonly message: QueryMessage }
  | { readonly kind: 'answer'; readonly from: string; readonly message: SlpMessage }
  | { readonly kind: 'end'; readonly reason: QueryEnd };

export interface QueryOptions {
  readonly thorough?: boolean;
  readonly mtu?: number;
}

/** Nobody floods us with answers from invented addresses. */
const MOST_RESPONDERS = 1000;

export function newQuery(request: QueryMessage, options: QueryOptions = {}): Query {
  return {
    request: { ...request, multicast: true, previousResponders: [] },
    mtu: options.mtu ?? SLP_MTU,
    thorough: options.thorough ?? false,
    responders: new Set(),
    fresh: 0,
    waitMs: CONFIG_RETRY_MS,
    endsAt: 0,
    wakeAt: undefined,
  };
}

export function stepQuery(query: Query, event: QueryEvent): QueryAction[] {
  switch (event.kind) {
    case 'start':
      query.endsAt = event.now + CONFIG_MC_MAX_MS;
      return send(query, event.now);
    case 'heard':
      return hear(query, event.from, event.message);
    case 'due':
      return query.wakeAt === undefined ? [] : nextRound(query, event.now);
  }
}

function hear(query: Query, from: string, message: SlpMessage): QueryAction[] {
  if (query.wakeAt === undefined || query.responders.has(from)) return [];
  if (query.responders.size >= MOST_RESPONDERS) return [];
  // §9.1: such a reply is discarded without a word.
  if (mandatoryExtension(message)) return [];
  query.responders.add(from);
  query.fresh++;
  return [{ kind: 'answer', from, message }];
}

function nextRound(query: Query, now: number): QueryAction[] {
  if (now >= query.endsAt) return end(query, 'time');
  const isQuiet = query.responders.size > 0 && query.fresh === 0;
  if (isQuiet && !query.thorough) return end(query, 'converged');
  query.waitMs *= 2;
  return send(query, now);
}

function send(query: Query, now: number): QueryAction[] {
  const message = { ...query.request, previousResponders: [...query.responders] };
  if (encode(message).length > query.mtu) return end(query, 'full');
  query.fresh = 0;
  query.wakeAt = Math.min(now + query.waitMs, query.endsAt);
  return [{ kind: 'multicast', message }];
}

function end(query: Query, reason: QueryEnd): QueryAction[] {
  query.wakeAt = undefined;
  return [{ kind: 'end', reason }];
}
