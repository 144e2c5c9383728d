/**
 * The driver of the transaction machines: turns messages and timers into their events,
 * and their actions into messages and timers (RFC 3261 §17).
 */
import {
  CSeq,
  checkRequest,
  From,
  formatUri,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  To,
  Via,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint } from '../../core/network.js';
import { type Random, randomToken } from '../../core/random.js';
import { makeResponse } from '../response.js';
import type { SipTransport } from '../transport.js';
import { responseDestination } from '../udp-transport.js';
import { inviteClient, stepInviteClient } from './invite-client.js';
import { inviteServer, startInviteServer, stepInviteServer } from './invite-server.js';
import {
  type ClientAction,
  type ClientEvent,
  RFC3261_TIMERS,
  type ServerAction,
  type ServerEvent,
  type TransactionSettings,
  type TransactionTimers,
} from './machine.js';
import { nonInviteClient, stepNonInviteClient } from './non-invite-client.js';
import { nonInviteServer, stepNonInviteServer } from './non-invite-server.js';

/** RFC 3261 §8.1.1.7: a branch that starts so is unique across space and time. */
const MAGIC_COOKIE = 'z9hG4bK';

/** Requests beyond this many open server transactions are answered 503 and forgotten. */
export const MAX_SERVER_TRANSACTIONS = 8192;

export interface ClientHandlers {
  /** Each response, provisional and final; of an INVITE possibly several 2xx. */
  response(response: SipResponse): void;
  /** No final response: nobody answered within 64·T1, or the request could not be sent. */
  failed(error: CodedError): void;
}

export interface ServerTransaction {
  readonly request: SipRequest;
  readonly source: Endpoint;
  respond(response: SipResponse): void;
}

export interface TransactionUser {
  /** A new request, no retransmission. An ACK comes with `transaction` undefined: it has none. */
  request(request: SipRequest, transaction: ServerTransaction | undefined, source: Endpoint): void;
}

export interface TransactionLayerOptions {
  readonly transport: SipTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers?: TransactionTimers;
}

interface Running<Event> {
  step(event: Event): void;
}

export class TransactionLayer {
  readonly #options: TransactionLayerOptions;
  readonly #settings: TransactionSettings;
  readonly #user: TransactionUser;
  readonly #clients = new Map<string, Running<ClientEvent>>();
  readonly #servers = new Map<string, Running<ServerEvent>>();
  readonly #timers = new Set<Timer>();

  constructor(options: TransactionLayerOptions, user: TransactionUser) {
    this.#options = options;
    this.#user = user;
    this.#settings = {
      timers: options.timers ?? RFC3261_TIMERS,
      reliable: options.transport.reliable,
    };
    options.transport.onMessage = (message, from) => this.#receive(message, from);
  }

  /** Open transactions, for statistics and tests of teardown. */
  get size(): { clients: number; servers: number } {
    return { clients: this.#clients.size, servers: this.#servers.size };
  }

  /** A branch for a new client transaction. */
  newBranch(): string {
    return MAGIC_COOKIE + randomToken(this.#options.random, 12);
  }

  /** Sends a request (not ACK) whose top Via carries the branch of this transaction. */
  request(request: SipRequest, to: Endpoint, handlers: ClientHandlers): void {
    const key = clientKey(request);
    const timers = new TimerSet(this.#options.clock, this.#timers);
    const machine =
      request.method === 'INVITE'
        ? inviteClient(request, this.#settings)
        : nonInviteClient(request, this.#settings);
    const running: Running<ClientEvent> = {
      step: event => {
        const actions =
          'invite' in machine
            ? stepInviteClient(machine, event)
            : stepNonInviteClient(machine, event);
        for (const action of actions) perform(action);
      },
    };
    const perform = (action: ClientAction): void => {
      switch (action.type) {
        case 'send':
          this.#options.transport.send(action.message, to, () =>
            running.step({ type: 'transport-error' }),
          );
          return;
        case 'set-timer':
          timers.set(action.timer, action.ms, () =>
            running.step({ type: 'timer', timer: action.timer }),
          );
          return;
        case 'cancel-timer':
          timers.cancel(action.timer);
          return;
        case 'deliver':
          handlers.response(action.response);
          return;
        case 'fail':
          handlers.failed(requestFailure(request.method, to, action.reason));
          return;
        case 'terminate':
          timers.clear();
          this.#clients.delete(key);
          return;
      }
    };
    this.#clients.set(key, running);
    running.step({ type: 'start' });
  }

  /** Sends a message outside any transaction: the ACK to a 2xx. */
  sendStateless(message: SipRequest, to: Endpoint): void {
    this.#options.transport.send(message, to, () => undefined);
  }

  /** Ends every transaction where it stands. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#clients.clear();
    this.#servers.clear();
  }

  #receive(message: SipMessage, from: Endpoint): void {
    try {
      if (message.kind === 'response') this.#receiveResponse(message);
      else this.#receiveRequest(message, from);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      this.#options.logger.debug({ from, reason: error.message }, 'a malformed SIP message');
      if (message.kind === 'request' && message.method !== 'ACK') this.#refuse(message, error);
    }
  }

  #receiveResponse(response: SipResponse): void {
    this.#clients.get(clientKey(response))?.step({ type: 'response', response });
  }

  /** Answers what cannot be understood without keeping anything of it. */
  #refuse(request: SipRequest, error: SipSyntaxError): void {
    const response = makeResponse(request, error.status);
    this.#options.transport.send(response, responseDestination(request), () => undefined);
  }

  #receiveRequest(message: SipRequest, from: Endpoint): void {
    checkRequest(message);
    const key = serverKey(message);
    const known = this.#servers.get(key);
    if (known) {
      known.step({ type: 'request', request: message });
      // The ACK to a 2xx is no part of the transaction it shares a branch with (RFC 2543 peers reuse it).
      if (message.method === 'ACK') this.#user.request(message, undefined, from);
    } else if (message.method === 'ACK') {
      this.#user.request(message, undefined, from);
    } else if (this.#servers.size >= MAX_SERVER_TRANSACTIONS) {
      this.#options.transport.send(
        makeResponse(message, 503),
        responseDestination(message),
        () => undefined,
      );
    } else {
      this.#open(key, message, from);
    }
  }

  #open(key: string, request: SipRequest, source: Endpoint): void {
    const destination = responseDestination(request);
    const timers = new TimerSet(this.#options.clock, this.#timers);
    const machine =
      request.method === 'INVITE' ? inviteServer(this.#settings) : nonInviteServer(this.#settings);
    const running: Running<ServerEvent> = {
      step: event => {
        const actions =
          'retransmitMs' in machine
            ? stepInviteServer(machine, event, () => makeResponse(request, 100))
            : stepNonInviteServer(machine, event);
        for (const action of actions) perform(action);
      },
    };
    const perform = (action: ServerAction): void => {
      switch (action.type) {
        case 'send':
          this.#options.transport.send(action.message, destination, () =>
            running.step({ type: 'transport-error' }),
          );
          return;
        case 'set-timer':
          timers.set(action.timer, action.ms, () =>
            running.step({ type: 'timer', timer: action.timer }),
          );
          return;
        case 'cancel-timer':
          timers.cancel(action.timer);
          return;
        case 'fail':
          this.#options.logger.debug(
            { method: request.method, reason: action.reason },
            'a response did not arrive',
          );
          return;
        case 'terminate':
          timers.clear();
          this.#servers.delete(key);
          return;
      }
    };
    this.#servers.set(key, running);
    if (request.method === 'INVITE') for (const action of startInviteServer()) perform(action);
    const respond = (response: SipResponse) => running.step({ type: 'respond', response });
    this.#user.request(request, { request, source, respond }, source);
  }
}

/** The named timers of one transaction; all of them also in the layer's set, so that closing ends them. */
class TimerSet {
  readonly #clock: Clock;
  readonly #all: Set<Timer>;
  readonly #named = new Map<string, Timer>();

  constructor(clock: Clock, all: Set<Timer>) {
    this.#clock = clock;
    this.#all = all;
  }

  set(name: string, ms: number, fire: () => void): void {
    this.cancel(name);
    const timer = this.#clock.after(ms, () => {
      this.#all.delete(timer);
      this.#named.delete(name);
      fire();
    });
    this.#named.set(name, timer);
    this.#all.add(timer);
  }

  cancel(name: string): void {
    const timer = this.#named.get(name);
    if (!timer) return;
    timer.cancel();
    this.#named.delete(name);
    this.#all.delete(timer);
  }

  clear(): void {
    for (const name of [...this.#named.keys()]) this.cancel(name);
  }
}

/** RFC 3261 §17.1.3: a response belongs to the transaction of its top branch and CSeq method. */
function clientKey(message: SipMessage): string {
  const { headers } = message;
  return `${headers.require(Via).params.get('branch') ?? ''} ${headers.require(CSeq).method}`;
}

/** RFC 3261 §17.2.3; an ACK shares the key of its INVITE. */
function serverKey(request: SipRequest): string {
  const { headers } = request;
  const via = headers.require(Via);
  const method = request.method === 'ACK' ? 'INVITE' : request.method;
  const branch = via.params.get('branch') ?? '';
  const sentBy = `${via.host.toLowerCase()}:${via.port ?? 5060}`;
  if (branch.startsWith(MAGIC_COOKIE)) return `${branch} ${sentBy} ${method}`;
  // RFC 2543 peers make no unique branch; the To tag is left out since the ACK brings a new one.
  return [
    '2543',
    formatUri(request.uri),
    headers.require(From).params.get('tag') ?? '',
    headers.text('Call-ID') ?? '',
    headers.require(CSeq).sequence,
    sentBy,
    branch,
    method,
    method === 'INVITE' ? '' : (headers.require(To).params.get('tag') ?? ''),
  ].join(' ');
}

function requestFailure(method: string, to: Endpoint, reason: 'timeout' | 'transport'): CodedError {
  const where = `${to.address} port ${to.port}`;
  return reason === 'timeout'
    ? new CodedError('REQUEST_TIMEOUT', `${where} did not answer ${method} in time`, {
        remedy: 'Check that the other phone is switched on and that no firewall stops UDP to it.',
      })
    : new CodedError('NO_ROUTE', `${method} could not be sent to ${where}`, {
        remedy: 'Check that this machine and the other are on the same network.',
      });
}
