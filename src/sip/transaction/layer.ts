/**
 * The driver of the transaction machines: turns messages and timers into their events,
 * and their actions into messages and timers (RFC 3261 §17).
 */
import {
  checkRequest,
  checkResponse,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  Via,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomToken } from '../../core/random.js';
import { PROTOCOLS } from '../resolution/plan.js';
import { makeResponse } from '../response.js';
import { isReliable, type Source, type Target } from '../transport/transport.js';
import type { TransportManager } from '../transport/transport-manager.js';
import { responseTarget } from '../transport/via.js';
import { inviteClient, stepInviteClient } from './invite-client.js';
import { inviteServer, startInviteServer, stepInviteServer } from './invite-server.js';
import { clientKey, MAGIC_COOKIE, serverKey } from './keys.js';
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
import { TimerSet } from './timer-set.js';

/** Requests beyond this many that nobody has answered are answered 503 and forgotten. */
export const MAX_SERVER_TRANSACTIONS = 8192;
/**
 * Answered ones are remembered for 64·T1, in case their requests come again; beyond this many the oldest
 * is forgotten, since refusing a new call does more harm. At 500 calls a second that is after 16 s.
 */
export const MAX_ANSWERED_TRANSACTIONS = 16_384;

export interface ClientHandlers {
  /** Each response, provisional and final; of an INVITE possibly several 2xx. */
  response(response: SipResponse): void;
  /** No final response: nobody answered within 64·T1, or the request could not be sent. */
  failed(error: CodedError): void;
}

export interface ClientTransaction {
  /** Forgets it where it stands: nothing more is sent or told (RFC 3261 §9.1). */
  abandon(): void;
  /** The same in 64·T1, if it has no final response by then. */
  expire(): void;
}

export interface ServerTransaction {
  readonly request: SipRequest;
  readonly source: Source;
  respond(response: SipResponse): void;
  /** Ends it without an answer (RFC 4320 §4.2). */
  abandon(): void;
}

export interface TransactionUser {
  /** A new request, no retransmission. An ACK comes with `transaction` undefined: it has none. */
  request(request: SipRequest, transaction: ServerTransaction | undefined, source: Source): void;
}

export interface TransactionLayerOptions {
  readonly transports: Pick<
    TransportManager,
    'onMessage' | 'onFlowClosed' | 'send' | 'needsConnection' | 'sentBy' | 'local'
  >;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers?: TransactionTimers;
}

interface Running<Event> {
  step(event: Event): void;
}

interface RunningClient extends Running<ClientEvent> {
  readonly target: Target;
  /** The connection it went by. */
  flow: string | undefined;
  answered: boolean;
  /** What the transport said when it failed. */
  error: Error | undefined;
}

export class TransactionLayer {
  readonly #options: TransactionLayerOptions;
  readonly #user: TransactionUser;
  readonly #clients = new Map<string, RunningClient>();
  readonly #servers = new Map<string, Running<ServerEvent>>();
  /** Those with a final response, oldest first: how each is forgotten. */
  readonly #answered = new Map<string, () => void>();
  readonly #timers = new Set<Timer>();

  constructor(options: TransactionLayerOptions, user: TransactionUser) {
    this.#options = options;
    this.#user = user;
    options.transports.onMessage = (message, source) => this.#receive(message, source);
    options.transports.onFlowClosed = (flow, error) => this.#flowClosed(flow, error);
  }

  /** Open transactions, for statistics and tests of teardown. */
  get size(): { clients: number; servers: number } {
    return { clients: this.#clients.size, servers: this.#servers.size };
  }

  /** A branch for a new client transaction. */
  newBranch(): string {
    return MAGIC_COOKIE + randomToken(this.#options.random, 12);
  }

  /**
   * Sends a request (not ACK) whose top Via carries the branch of this transaction; how it travels, the
   * Via is told here. One too large for a datagram goes over TCP, unless that is refused (§18.1.1).
   */
  request(request: SipRequest, target: Target, handlers: ClientHandlers): ClientTransaction {
    if (request.method === 'CANCEL') {
      // It follows its INVITE, with the same Via (§9.1).
      const invite = this.#clients.get(clientKey(request, 'INVITE'));
      return this.#start(request, invite?.target ?? target, handlers);
    }
    this.#stamp(request, target);
    if (!this.#options.transports.needsConnection(request, target)) {
      return this.#start(request, target, handlers);
    }
    const byConnection: Target = { ...target, protocol: 'TCP' };
    this.#stamp(request, byConnection);
    let current = this.#start(request, byConnection, {
      response: handlers.response,
      failed: error => {
        if (error.code !== 'CONNECTION_REFUSED') {
          handlers.failed(error);
          return;
        }
        this.#stamp(request, target);
        current = this.#start(request, target, handlers);
      },
    });
    return { abandon: () => current.abandon(), expire: () => current.expire() };
  }

  #start(request: SipRequest, target: Target, handlers: ClientHandlers): ClientTransaction {
    const key = clientKey(request);
    const timers = new TimerSet(this.#options.clock, this.#timers);
    const settings = this.#settings(target);
    const machine =
      request.method === 'INVITE'
        ? inviteClient(request, settings)
        : nonInviteClient(request, settings);
    const running: RunningClient = {
      target,
      flow: undefined,
      answered: false,
      error: undefined,
      step: event => {
        if (event.type === 'response') running.answered = true;
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
          running.flow = this.#options.transports.send(action.message, target, error => {
            running.error = error;
            running.step({ type: 'transport-error' });
          });
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
          handlers.failed(requestFailure(request.method, target, action.reason, running.error));
          return;
        case 'terminate':
          timers.clear();
          // The same request may be under way by another protocol already.
          if (this.#clients.get(key) === running) this.#clients.delete(key);
          return;
      }
    };
    this.#clients.set(key, running);
    running.step({ type: 'start' });
    const abandon = () => perform({ type: 'terminate' });
    const expired = () => {
      // Only a provisional response ends the machine's own wait.
      if (machine.state === 'proceeding') abandon();
    };
    return {
      abandon,
      expire: () => timers.set('expire', 64 * settings.timers.t1, expired),
    };
  }

  /** Sends a message outside any transaction: the ACK to a 2xx. */
  sendStateless(message: SipRequest, target: Target): void {
    const { transports } = this.#options;
    const large = transports.needsConnection(message, target);
    const chosen: Target = large ? { ...target, protocol: 'TCP' } : target;
    this.#stamp(message, chosen);
    transports.send(message, chosen, () => undefined);
  }

  /** Ends every transaction where it stands. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#clients.clear();
    this.#servers.clear();
    this.#answered.clear();
  }

  #settings({ protocol }: Target | Source): TransactionSettings {
    return { timers: this.#options.timers ?? RFC3261_TIMERS, reliable: isReliable(protocol) };
  }

  /** The top Via says by which protocol a request goes, and where its responses may come (§18.1.1). */
  #stamp(request: SipRequest, { protocol }: Target): void {
    const [via, ...others] = request.headers.all(Via);
    if (!via || via.transport === protocol) return;
    const { transports } = this.#options;
    const own = { address: via.host, port: via.port ?? PROTOCOLS[protocol].defaultPort };
    const { host, port } = transports.sentBy(protocol, own);
    const { params } = via;
    // RFC 5923 §5: requests to us may come by the connection we open, where we would take one anyway.
    if (isReliable(protocol) && transports.local(protocol)) params.set('alias');
    else params.delete('alias');
    request.headers.set(Via, { transport: protocol, host, port, params }, ...others);
  }

  /** Who has a first answer gets the others somehow: the server opens a connection for them (§18.2.2). */
  #flowClosed(flow: string, error: Error): void {
    for (const client of [...this.#clients.values()]) {
      if (client.flow !== flow || client.answered) continue;
      client.error = error;
      client.step({ type: 'transport-error' });
    }
  }

  #receive(message: SipMessage, source: Source): void {
    try {
      if (message.kind === 'response') this.#receiveResponse(message);
      else this.#receiveRequest(message, source);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      this.#malformed(source, error);
      if (message.kind === 'request' && message.method !== 'ACK')
        this.#refuse(message, source, error.status);
    }
  }

  #malformed(source: Source, { message: reason }: SipSyntaxError): void {
    this.#options.logger.debug({ source, reason }, 'a malformed SIP message');
  }

  #receiveResponse(response: SipResponse): void {
    checkResponse(response);
    this.#clients.get(clientKey(response))?.step({ type: 'response', response });
  }

  /** Answers a request without keeping anything of it. */
  #refuse(request: SipRequest, source: Source, status: number): void {
    const response = makeResponse(request, status);
    this.#options.transports.send(response, responseTarget(request, source), () => undefined);
  }

  #receiveRequest(message: SipRequest, source: Source): void {
    checkRequest(message);
    const key = serverKey(message);
    const known = this.#servers.get(key);
    if (known) {
      known.step({ type: 'request', request: message });
      // The ACK to a 2xx is no part of the transaction it shares a branch with (RFC 2543 peers reuse it).
      if (message.method === 'ACK') this.#user.request(message, undefined, source);
    } else if (message.method === 'ACK') {
      this.#user.request(message, undefined, source);
    } else if (this.#servers.size - this.#answered.size >= MAX_SERVER_TRANSACTIONS) {
      this.#refuse(message, source, 503);
    } else {
      this.#open(key, message, source);
    }
  }

  #open(key: string, request: SipRequest, source: Source): void {
    const target = responseTarget(request, source);
    const settings = this.#settings(source);
    const timers = new TimerSet(this.#options.clock, this.#timers);
    const machine =
      request.method === 'INVITE' ? inviteServer(settings) : nonInviteServer(settings);
    const trying = () => makeResponse(request, 100);
    const running: Running<ServerEvent> = {
      step: event => {
        const actions =
          'retransmitMs' in machine
            ? stepInviteServer(machine, event, trying)
            : stepNonInviteServer(machine, event);
        for (const action of actions) perform(action);
        const answered = machine.state !== 'trying' && machine.state !== 'proceeding';
        if (answered && this.#servers.get(key) === running) this.#remember(key, abandon);
      },
    };
    const perform = (action: ServerAction): void => {
      switch (action.type) {
        case 'send':
          this.#options.transports.send(action.message, target, () =>
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
          this.#answered.delete(key);
          return;
      }
    };
    const abandon = () => perform({ type: 'terminate' });
    this.#servers.set(key, running);
    if (request.method === 'INVITE') for (const action of startInviteServer()) perform(action);
    const respond = (response: SipResponse) => running.step({ type: 'respond', response });
    try {
      this.#user.request(request, { request, source, respond, abandon }, source);
    } catch (error) {
      // A field that only its user reads is malformed: the transaction needs its end all the same.
      if (!(error instanceof SipSyntaxError)) throw error;
      this.#malformed(source, error);
      respond(makeResponse(request, error.status, randomToken(this.#options.random, 8)));
    }
  }

  /** A transaction with its final response, and how it is forgotten. */
  #remember(key: string, forget: () => void): void {
    if (this.#answered.has(key)) return;
    this.#answered.set(key, forget);
    if (this.#answered.size <= MAX_ANSWERED_TRANSACTIONS) return;
    for (const forgetOldest of this.#answered.values()) {
      forgetOldest();
      return;
    }
  }
}

function requestFailure(
  method: string,
  { endpoint, protocol }: Target,
  reason: 'timeout' | 'transport',
  cause: Error | undefined,
): CodedError {
  const where = `${endpoint.address} port ${endpoint.port}`;
  if (reason === 'timeout') {
    return new CodedError('REQUEST_TIMEOUT', `${where} did not answer ${method} in time`, {
      remedy: `Check that the other phone is switched on and that no firewall stops ${protocol} to it.`,
    });
  }
  if (cause instanceof CodedError) return cause;
  return new CodedError('NO_ROUTE', `${method} could not be sent to ${where}`, {
    cause,
    remedy: 'Check that this machine and the other are on the same network.',
  });
}
