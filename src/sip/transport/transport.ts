/** How SIP messages travel: the words that all transports and their users share (RFC 3261 §18). */
import type { SipMessage } from '@sip-stack/parser';
import type { Endpoint } from '../../core/network.js';
import type { SipProtocol } from '../resolution/plan.js';
import type { Target as ResolvedTarget } from '../resolution/target-resolver.js';

export type { SipProtocol };

/** Whether it delivers by itself: then nothing is retransmitted (RFC 3261 §17). */
export function isReliable(protocol: SipProtocol): boolean {
  return protocol !== 'UDP';
}

/** Where a message goes. */
export interface Target extends ResolvedTarget {
  /** The connection to use while it is open, as in `Source`. */
  readonly flow?: string;
}

/** Where a message came from. */
export interface Source {
  readonly protocol: SipProtocol;
  readonly endpoint: Endpoint;
  /** Names the connection it came by; absent for UDP. */
  readonly flow?: string;
}

export interface TransportStatistics {
  received: number;
  sent: number;
  /** What came and is no SIP message; dropped without an answer. */
  malformed: number;
  sendErrors: number;
}

export interface TransportEvents {
  message(message: SipMessage, source: Source): void;
  /** A connection that stood is gone, and with it what was under way on it. */
  flowClosed(flow: string, error: Error): void;
}

export interface SipTransport {
  /** Where it listens; undefined where it only opens connections. */
  readonly local: Endpoint | undefined;
  /**
   * @param onFailure called at most once, asynchronously, when the message could not be sent; not when
   *   a connection that stood breaks: that is told by `TransportEvents.flowClosed`.
   * @returns the connection it goes by
   */
  send(message: SipMessage, target: Target, onFailure: (error: Error) => void): string | undefined;
  close(): void;
}
