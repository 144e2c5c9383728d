/** One request to one agent, until it answers (RFC 2608 §6.1-6.3, §12.3). Pure. */
import { CONFIG_RETRY_MAX_MS, CONFIG_RETRY_MS, ErrorCode, SLP_MTU } from './constants.js';
import { encode } from './encode.js';
import { mandatoryExtension, type SlpMessage } from './message.js';

export interface Exchange {
  readonly request: SlpMessage;
  readonly mtu: number;
  phase: 'idle' | 'datagram' | 'stream' | 'over';
  waitMs: number;
  endsAt: number;
  /** It has said that it is busy. */
  busy: boolean;
  /** What fitted into a datagram: better than nothing where there is no stream. */
  partial: SlpMessage | undefined;
  wakeAt: number | undefined;
}

export type ExchangeEvent =
  /** By TCP at once where that is known to be needed. */
  | { readonly kind: 'start'; readonly now: number; readonly byStream?: boolean }
  /** By UDP, or by the stream that was asked for. */
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly by: 'datagram' | 'stream';
      readonly message: SlpMessage;
    }
  | { readonly kind: 'streamFailed'; readonly now: number }
  | { readonly kind: 'due'; readonly now: number };

export type ExchangeFailure = 'NO_ANSWER' | 'BUSY' | 'NO_STREAM';

export type ExchangeAction =
  | { readonly kind: 'send'; readonly message: SlpMessage }
  /** Open a TCP connection, send it there, and tell what comes. */
  | { readonly kind: 'stream'; readonly message: SlpMessage }
  | { readonly kind: 'answer'; readonly message: SlpMessage }
  | { readonly kind: 'fail'; readonly reason: ExchangeFailure };

export function newExchange(request: SlpMessage, mtu: number = SLP_MTU): Exchange {
  return {
    request,
    mtu,
    phase: 'idle',
    waitMs: CONFIG_RETRY_MS,
    endsAt: 0,
    busy: false,
    partial: undefined,
    wakeAt: undefined,
  };
}

export function stepExchange(exchange: Exchange, event: ExchangeEvent): ExchangeAction[] {
  if (exchange.phase === 'over') return [];
  switch (event.kind) {
    case 'start': {
      const isLarge = encode(exchange.request).length > exchange.mtu;
      if (isLarge || event.byStream) return openStream(exchange, event.now);
      exchange.phase = 'datagram';
      exchange.endsAt = event.now + CONFIG_RETRY_MAX_MS;
      return send(exchange, event.now);
    }
    case 'heard':
      return hear(exchange, event);
    case 'streamFailed':
      return exchange.phase === 'stream' ? settle(exchange, 'NO_STREAM') : [];
    case 'due':
      if (exchange.wakeAt === undefined) return [];
      if (exchange.phase === 'stream') return settle(exchange, 'NO_ANSWER');
      if (event.now >= exchange.endsAt)
        return settle(exchange, exchange.busy ? 'BUSY' : 'NO_ANSWER');
      exchange.waitMs *= 2;
      return send(exchange, event.now);
  }
}

function hear(
  exchange: Exchange,
  { now, by, message }: Extract<ExchangeEvent, { kind: 'heard' }>,
): ExchangeAction[] {
  if (mandatoryExtension(message)) return [];
  if (by === 'datagram' && exchange.phase !== 'datagram') return [];
  if ('error' in message && message.error === ErrorCode.DA_BUSY_NOW && by === 'datagram') {
    exchange.busy = true; // §7: asked again, at growing intervals
    return [];
  }
  if (by === 'datagram' && message.overflow) {
    exchange.partial = message;
    return openStream(exchange, now);
  }
  exchange.phase = 'over';
  exchange.wakeAt = undefined;
  return [{ kind: 'answer', message }];
}

function send(exchange: Exchange, now: number): ExchangeAction[] {
  exchange.wakeAt = Math.min(now + exchange.waitMs, exchange.endsAt);
  return [{ kind: 'send', message: exchange.request }];
}

function openStream(exchange: Exchange, now: number): ExchangeAction[] {
  exchange.phase = 'stream';
  exchange.wakeAt = now + CONFIG_RETRY_MAX_MS;
  return [{ kind: 'stream', message: exchange.request }];
}

function settle(exchange: Exchange, reason: ExchangeFailure): ExchangeAction[] {
  exchange.phase = 'over';
  exchange.wakeAt = undefined;
  const { partial } = exchange;
  return [partial ? { kind: 'answer', message: partial } : { kind: 'fail', reason }];
}
