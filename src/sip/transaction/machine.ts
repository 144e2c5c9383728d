/** What the four transaction machines of RFC 3261 §17 have in common: their events, actions and timers. */
import type { SipRequest, SipResponse } from '@sip-stack/parser';

/** RFC 3261 §17.1.1.1 and Appendix A, in milliseconds. */
export interface TransactionTimers {
  /** Estimate of the round trip. */
  readonly t1: number;
  /** Longest interval between retransmissions of non-INVITE requests and INVITE responses. */
  readonly t2: number;
  /** Longest time a message stays in the network. */
  readonly t4: number;
}

export const RFC3261_TIMERS: TransactionTimers = { t1: 500, t2: 4000, t4: 5000 };

/** Timer D over an unreliable transport, RFC 3261 §17.1.1.2: at least 32 s. */
export const TIMER_D_MS = 32_000;

/** A proceeding server answers 100 by itself if nobody else has within this time, RFC 3261 §17.2.1. */
export const TRYING_AFTER_MS = 200;

export type TimerName =
  | 'A'
  | 'B'
  | 'D'
  | 'E'
  | 'F'
  | 'G'
  | 'H'
  | 'I'
  | 'J'
  | 'K'
  | 'L'
  | 'M'
  | 'trying';

export interface TransactionSettings {
  readonly timers: TransactionTimers;
  /** Whether the transport delivers by itself (TCP, TLS, WebSocket): then nothing is retransmitted. */
  readonly reliable: boolean;
}

export type ClientEvent =
  | { readonly type: 'start' }
  | { readonly type: 'response'; readonly response: SipResponse }
  | { readonly type: 'timer'; readonly timer: TimerName }
  | { readonly type: 'transport-error' };

export type ClientAction =
  | { readonly type: 'send'; readonly message: SipRequest }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: TimerName }
  /** Hand the response to the transaction user. */
  | { readonly type: 'deliver'; readonly response: SipResponse }
  /** No final response will come. */
  | { readonly type: 'fail'; readonly reason: 'timeout' | 'transport' }
  | { readonly type: 'terminate' };

export type ServerEvent =
  /** A retransmission of the request; for an INVITE transaction also its ACK. */
  | { readonly type: 'request'; readonly request: SipRequest }
  | { readonly type: 'respond'; readonly response: SipResponse }
  | { readonly type: 'timer'; readonly timer: TimerName }
  | { readonly type: 'transport-error' };

export type ServerAction =
  | { readonly type: 'send'; readonly message: SipResponse }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: TimerName }
  /** A response could not be sent, or its ACK never came. */
  | { readonly type: 'fail'; readonly reason: 'timeout' | 'transport' }
  | { readonly type: 'terminate' };

export const isProvisional = (response: SipResponse): boolean => response.status < 200;
export const isSuccess = (response: SipResponse): boolean =>
  response.status >= 200 && response.status < 300;
