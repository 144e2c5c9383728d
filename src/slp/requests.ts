/** Drives queries and exchanges over sockets: numbers them, and gives replies to whom they belong. */
import type { AgentSockets } from './agent-sockets.js';
import { Alarm } from './alarm.js';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { SlpRequestError } from './errors.js';
import {
  type ExchangeAction,
  type ExchangeFailure,
  newExchange,
  stepExchange,
} from './exchange.js';
import type { MessageKind, QueryMessage, SlpMessage, SrvDeReg, SrvReg } from './message.js';
import { MessageFramer } from './message-framer.js';
import type { Clock, Endpoint, Network, Random } from './network.js';
import { newQuery, type QueryAction, type QueryEnd, stepQuery } from './query.js';

export interface RequestsOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly sockets: AgentSockets;
}

/** What a request may be answered with (§8). */
const REPLIES: Readonly<Partial<Record<MessageKind, readonly MessageKind[]>>> = {
  SrvRqst: ['SrvRply', 'DAAdvert', 'SAAdvert'],
  AttrRqst: ['AttrRply'],
  SrvTypeRqst: ['SrvTypeRply'],
  SrvReg: ['SrvAck'],
  SrvDeReg: ['SrvAck'],
};

type Pending = (message: SlpMessage, from: Endpoint) => void;

export class Requests {
  readonly #options: RequestsOptions;
  /** By XID. */
  readonly #pending = new Map<number, Pending>();

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** Hands in a message that came by UDP; answers whether it was the reply to something. */
  heard(message: SlpMessage, from: Endpoint): boolean {
    const pending = this.#pending.get(message.xid);
    pending?.(message, from);
    return pending !== undefined;
  }

  /**
   * One agent's answer, whatever its error code says; by TCP where it is too long for UDP, or at once.
   *
   * @throws {SlpRequestError} NO_ANSWER, BUSY, NO_STREAM; or the signal's reason
   */
  ask(
    request: QueryMessage | SrvReg | SrvDeReg,
    to: Endpoint,
    signal?: AbortSignal,
    byStream = false,
  ): Promise<SlpMessage> {
    const { clock, sockets } = this.#options;
    const xid = this.#newXid();
    const exchange = newExchange({ ...request, xid });
    const streamed = new AbortController();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const settle = () => {
        this.#pending.delete(xid);
        alarm.set(undefined);
        signal?.removeEventListener('abort', abort);
        streamed.abort();
      };
      const abort = () => {
        settle();
        reject(signal?.reason);
      };
      const perform = (actions: readonly ExchangeAction[]) => {
        alarm.set(exchange.wakeAt);
        for (const action of actions) {
          switch (action.kind) {
            case 'send':
              sockets.send(encode(action.message), to);
              break;
            case 'stream':
              void this.#askByStream(action.message, to, streamed.signal).then(
                message => step({ kind: 'heard', now: clock.now(), by: 'stream', message }),
                () => step({ kind: 'streamFailed', now: clock.now() }),
              );
              break;
            case 'answer':
              settle();
              resolve(action.message);
              break;
            case 'fail':
              settle();
              reject(requestError(action.reason, to));
              break;
          }
        }
      };
      const step = (event: Parameters<typeof stepExchange>[1]) =>
        perform(stepExchange(exchange, event));
      const alarm = new Alarm(clock, () => step({ kind: 'due', now: clock.now() }));
      this.#pending.set(xid, (message, from) => {
        if (from.address !== to.address || !isReply(request.kind, message.kind)) return;
        step({ kind: 'heard', now: clock.now(), by: 'datagram', message });
      });
      signal?.addEventListener('abort', abort, { once: true });
      step({ kind: 'start', now: clock.now(), byStream });
    });
  }

  /** Everybody's answers, as they come, until there are no more; throws the signal's reason. */
  askAll(
    request: QueryMessage,
    onAnswer: (message: SlpMessage, from: Endpoint) => void,
    signal?: AbortSignal,
    thorough = false,
  ): Promise<QueryEnd> {
    const { clock, sockets } = this.#options;
    const xid = this.#newXid();
    const query = newQuery({ ...request, xid }, { thorough });
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const settle = () => {
        this.#pending.delete(xid);
        alarm.set(undefined);
        signal?.removeEventListener('abort', abort);
      };
      const abort = () => {
        settle();
        reject(signal?.reason);
      };
      const perform = (actions: readonly QueryAction[], from?: Endpoint) => {
        alarm.set(query.wakeAt);
        for (const action of actions) {
          switch (action.kind) {
            case 'multicast': {
              const data = encode(action.message);
              sockets.multicast(() => data);
              break;
            }
            case 'answer':
              if (from) onAnswer(action.message, from);
              break;
            case 'end':
              settle();
              resolve(action.reason);
              break;
          }
        }
      };
      const alarm = new Alarm(clock, () => {
        perform(stepQuery(query, { kind: 'due', now: clock.now() }));
      });
      this.#pending.set(xid, (message, from) => {
        if (!isReply(request.kind, message.kind)) return;
        const event = { kind: 'heard', now: clock.now(), from: from.address, message } as const;
        perform(stepQuery(query, event), from);
      });
      signal?.addEventListener('abort', abort, { once: true });
      perform(stepQuery(query, { kind: 'start', now: clock.now() }));
    });
  }

  async #askByStream(message: SlpMessage, to: Endpoint, signal: AbortSignal): Promise<SlpMessage> {
    const connection = await this.#options.network.connectStream({ to, signal });
    const framer = new MessageFramer();
    try {
      return await new Promise<SlpMessage>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        if (signal.aborted) reject(signal.reason);
        connection.onClose = error => reject(error ?? new Error('closed before it answered'));
        connection.onData = data => {
          try {
            for (const each of framer.push(data)) {
              const reply = decode(each);
              if (reply.xid === message.xid && isReply(message.kind, reply.kind)) resolve(reply);
            }
          } catch (error) {
            reject(error);
          }
        };
        connection.write(encode(message));
      });
    } finally {
      connection.end();
    }
  }

  /** At random (§6.3), never 0 (§8), and nobody else's here. */
  #newXid(): number {
    for (;;) {
      const [high = 0, low = 0] = this.#options.random.bytes(2);
      const xid = high * 256 + low;
      if (xid !== 0 && !this.#pending.has(xid)) return xid;
    }
  }
}

function isReply(request: MessageKind, reply: MessageKind): boolean {
  return REPLIES[request]?.includes(reply) ?? false;
}

function requestError(reason: ExchangeFailure, { address, port }: Endpoint): SlpRequestError {
  const where = `${address}:${port}`;
  const message: Readonly<Record<ExchangeFailure, string>> = {
    NO_ANSWER: `expected an answer from ${where} within 15 s, found none`,
    BUSY: `${where} says that it is busy, and has said so for 15 s`,
    NO_STREAM: `${where} takes no TCP connection, and the request is too long for a datagram`,
  };
  return new SlpRequestError(reason, message[reason]);
}
