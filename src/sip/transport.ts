/** How SIP messages travel. UDP is one of several: transactions see only this interface. */
import type { SipMessage } from '@sip-stack/parser';
import type { Endpoint } from '../core/network.js';

export interface TransportStatistics {
  received: number;
  sent: number;
  /** Datagrams that are no SIP message; dropped without an answer. */
  malformed: number;
  sendErrors: number;
}

export interface SipTransport {
  /** As it stands in the Via header field, e.g. `UDP`. */
  readonly protocol: string;
  /** Whether it delivers by itself; decides about retransmission (RFC 3261 §17). */
  readonly reliable: boolean;
  readonly local: Endpoint;
  readonly statistics: TransportStatistics;
  onMessage: (message: SipMessage, from: Endpoint) => void;
  /** @param onFailure called at most once, asynchronously, when the message could not be sent. */
  send(message: SipMessage, to: Endpoint, onFailure: (error: Error) => void): void;
  close(): void;
}
