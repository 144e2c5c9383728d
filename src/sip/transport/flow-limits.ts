/** What connections may cost us, and when one of them is due to be looked at. */
import type { ParseLimits } from '@sip-stack/parser';

export interface FlowLimits {
  /** Connections of all kinds together, those being opened included. */
  readonly connections: number;
  /** Connections accepted from one address. */
  readonly perAddress: number;
  /** A connection opens (TCP, TLS and WebSocket together) within this time. */
  readonly handshakeMs: number;
  /** A connection without traffic is closed after this time … */
  readonly idleMs: number;
  /** … and may be closed after this time already where there is no room for a new one. */
  readonly crowdedIdleMs: number;
  /** A message is whole within this time of its first octets. */
  readonly partialMs: number;
  /** An answer to our keep-alive comes within this time. */
  readonly pongMs: number;
  /** Octets queued for a peer that does not take them. */
  readonly backlogOctets: number;
  /** Octets of unfinished messages, of all connections together. */
  readonly unfinishedOctets: number;
  readonly messages: Partial<ParseLimits>;
}

export const DEFAULT_FLOW_LIMITS: FlowLimits = {
  connections: 256,
  perAddress: 64,
  handshakeMs: 10_000,
  idleMs: 600_000,
  crowdedIdleMs: 10_000,
  partialMs: 30_000,
  pongMs: 10_000, // RFC 5626 §4.4.1
  backlogOctets: 1024 * 1024,
  unfinishedOctets: 8 * 1024 * 1024,
  messages: {},
};

/** The instants in the life of a connection, in ms of the clock. */
export interface FlowLife {
  readonly openedAt: number;
  /** The last message or keep-alive, either way. */
  trafficAt: number;
  /** The first request since anything came in: it waits for an answer. */
  askedAt: number | undefined;
  /** False while it is being opened. */
  established: boolean;
  /** When the message that is not whole yet began. */
  partialSince: number | undefined;
  /** When to ask for a sign of life; undefined where nobody asked to keep this connection. */
  pingAt: number | undefined;
  /** When we asked; undefined when it was answered. */
  pingedAt: number | undefined;
}

export interface Due {
  readonly at: number;
  readonly what: 'handshake' | 'idle' | 'partial' | 'ping' | 'pong';
}

/** What is to be done next if nothing happens until then. */
export function nextDue(life: FlowLife, limits: FlowLimits): Due {
  if (!life.established) return { at: life.openedAt + limits.handshakeMs, what: 'handshake' };
  const dues: Due[] = [{ at: life.trafficAt + limits.idleMs, what: 'idle' }];
  const add = (what: Due['what'], at: number | undefined, delay = 0) => {
    if (at !== undefined) dues.push({ at: at + delay, what });
  };
  add('partial', life.partialSince, limits.partialMs);
  add('pong', life.pingedAt, limits.pongMs);
  add('ping', life.pingedAt === undefined ? life.pingAt : undefined);
  return dues.reduce((first, due) => (due.at < first.at ? due : first));
}
