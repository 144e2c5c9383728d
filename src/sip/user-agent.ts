/**
 * The user agent: one transport, its transactions, and the sessions on it.
 * Requests come in here and go to whom they concern (RFC 3261 §8.2, §12.2.2).
 */
import {
  Accept,
  Allow,
  CallId,
  Contact,
  ContentType,
  CSeq,
  From,
  isSipUri,
  MaxForwards,
  type NameAddr,
  Params,
  Require,
  Server,
  SipRequest,
  type SipResponse,
  type SipUri,
  Supported,
  sipUri,
  To,
  Unsupported,
  UserAgent as UserAgentField,
  Via,
} from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { asError, type CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint, Network } from '../core/network.js';
import { type Random, randomToken, randomUnit } from '../core/random.js';
import { type Dialog, dialogKey, nextHop } from './dialog.js';
import { type HostLookup, resolveUri } from './resolver.js';
import { makeResponse } from './response.js';
import { calleeSession, callerSession } from './session/machine.js';
import { SESSION_OPTIONS } from './session/requests.js';
import { type SessionHost, SipSession } from './session/session.js';
import { askForTimer } from './session/session-timer.js';
import type { Session } from './session/state.js';
import { type ServerTransaction, TransactionLayer } from './transaction/layer.js';
import { RFC3261_TIMERS, type TransactionTimers } from './transaction/machine.js';
import type { TransportStatistics } from './transport.js';
import { UdpTransport } from './udp-transport.js';

const ALLOWED_METHODS: readonly string[] = [
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  'OPTIONS',
  'PRACK',
  'UPDATE',
];

/** A request is sent with credentials so often; a server that still asks is asked no more. */
const MAX_CHALLENGES = 3;

/** How long `stop` waits for the other side to acknowledge that its calls have ended. */
const FAREWELL_MS = 1000;

export interface UserAgentOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly listen: Endpoint;
  /** User-Agent and Server, e.g. `Ringline/0.1.0`. */
  readonly product: string;
  /** Names in Contact and Route, which may be anything, are looked up with this. */
  readonly lookup: HostLookup;
  readonly timers?: TransactionTimers;
  /** Without one, a challenge (401, 407) is a refusal. */
  readonly authenticator?: RequestAuthenticator;
}

/** Answers challenges with credentials (RFC 3261 §22.2). */
export interface RequestAuthenticator {
  /**
   * Adds to `request`, which is to be sent again, what `challenge` asks for.
   *
   * @returns false where it has nothing (new) to offer
   */
  authorize(request: SipRequest, challenge: SipResponse): boolean;
}

export interface InviteOptions {
  /** Request-URI. */
  readonly uri: SipUri;
  /** Where the request is sent. */
  readonly to: Endpoint;
  readonly from: { readonly user: string; readonly displayName?: string };
  /** The address of ours that `to` sees, from `localEndpointFor`. */
  readonly local: Endpoint;
  readonly offer: string;
}

export class UserAgent {
  /** A call came in. Answer it with `ring`, `accept` or `reject`; set before `start`. */
  onSession: (session: SipSession) => void = session => session.reject(480);
  readonly #options: UserAgentOptions;
  readonly #timers: TransactionTimers;
  /** By which transaction a session answers a request. */
  readonly #transactionOf = new WeakMap<SipRequest, ServerTransaction>();
  readonly #sessionOfInvite = new Map<string, SipSession>();
  readonly #sessionOfDialog = new Map<string, SipSession>();
  readonly #keyOfSession = new Map<SipSession, string>();
  #transport: UdpTransport | undefined;
  #transactions: TransactionLayer | undefined;
  /** Requests of ours without a final response. */
  #pending = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: UserAgentOptions) {
    this.#options = options;
    this.#timers = options.timers ?? RFC3261_TIMERS;
  }

  /** The address and port really bound. */
  get local(): Endpoint {
    return this.#running.transport.local;
  }

  get statistics(): TransportStatistics {
    return this.#running.transport.statistics;
  }

  /** What is open now: for status and for tests of teardown. */
  get load(): { sessions: number; clientTransactions: number; serverTransactions: number } {
    const { clients, servers } = this.#running.transactions.size;
    return {
      sessions: this.#keyOfSession.size,
      clientTransactions: clients,
      serverTransactions: servers,
    };
  }

  /** Throws as `Network.bindDatagram` does. */
  async start(): Promise<void> {
    const { network, listen, logger } = this.#options;
    this.#transport = await UdpTransport.open(network, listen, logger);
    this.#transactions = new TransactionLayer(
      { ...this.#options, transport: this.#transport, timers: this.#timers },
      { request: (request, transaction) => this.#receive(request, transaction) },
    );
  }

  /** Hangs up every call, waits a moment for the other sides to hear it, and closes. */
  async stop(): Promise<void> {
    if (!this.#transport || !this.#transactions) return;
    for (const session of [...this.#keyOfSession.keys()]) session.hangUp();
    if (this.#pending > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve;
        this.#options.clock.after(FAREWELL_MS, resolve);
      });
    }
    for (const session of this.#keyOfSession.keys()) session.abandon();
    this.#transactions.close();
    this.#transport.close();
    this.#transport = undefined;
    this.#transactions = undefined;
  }

  /** Our address as `remote` sees it. Throws `CodedError` `NO_ROUTE`. */
  async localEndpointFor(remote: string): Promise<Endpoint> {
    const { address, port } = this.local;
    if (address !== '0.0.0.0' && address !== '::') return this.local;
    return { address: await this.#options.network.sourceAddressFor(remote), port };
  }

  /** Calls. What becomes of it is told by the session's events. */
  invite(options: InviteOptions): SipSession {
    const { random } = this.#options;
    const localTag = randomToken(random, 8);
    const request = this.#newRequest('INVITE', options.uri, options.local, options.from, localTag);
    const contact = this.#contact(options.from.user, options.local);
    request.headers
      .set(Contact, contact)
      .set(Allow, ...ALLOWED_METHODS)
      .set(Supported, ...SESSION_OPTIONS)
      .set(ContentType, { type: 'application/sdp', params: new Params() });
    request.body = new TextEncoder().encode(options.offer);
    const state = callerSession({ ...this.#sessionSeams, invite: request, contact, localTag });
    askForTimer(state.timer, request);
    const session = this.#newSession(state, options.local);
    this.#keyOfSession.set(session, '');
    this.#transmit(request, options.to, {
      ...this.#reissuing(session, options.local),
      response: response => session.step({ type: 'response', response }),
      failed: error => {
        const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
        session.step({ type: 'invite-failed', status, reason: error.message });
      },
    });
    return session;
  }

  /** Asks what `uri` can do (§11). Resolves with the final response; throws `CodedError`. */
  async ping(uri: SipUri, to: Endpoint, user: string): Promise<SipResponse> {
    const local = await this.localEndpointFor(to.address);
    const tag = randomToken(this.#options.random, 8);
    const request = this.#newRequest('OPTIONS', uri, local, { user }, tag);
    request.headers.set(Accept, { type: 'application/sdp', params: new Params() });
    return new Promise((resolve, reject) => {
      this.#transmit(request, to, {
        response: response => response.status >= 200 && resolve(response),
        failed: reject,
      });
    });
  }

  get #running(): { transport: UdpTransport; transactions: TransactionLayer } {
    if (!this.#transport || !this.#transactions) throw new Error('the user agent is not started');
    return { transport: this.#transport, transactions: this.#transactions };
  }

  // ---- requests that come in

  #receive(request: SipRequest, transaction: ServerTransaction | undefined): void {
    if (!transaction) {
      // An ACK to a 2xx. One that matches no dialog is dropped: nothing may answer an ACK.
      this.#dialogSession(request)?.step({ type: 'request', request });
      return;
    }
    const refusal = this.#refusal(request);
    if (refusal) transaction.respond(this.#signed(refusal));
    else if (request.method === 'CANCEL') this.#onCancel(request, transaction);
    else if (request.headers.require(To).params.has('tag')) this.#onDialog(request, transaction);
    else if (request.method === 'INVITE') this.#onInvite(request, transaction);
    else if (request.method === 'OPTIONS') transaction.respond(this.#capabilities(request));
    else transaction.respond(this.#signed(makeResponse(request, 481, this.#newTag())));
  }

  /** The checks of §8.2.1 to §8.2.3 that a request has to pass before anyone looks at it. */
  #refusal(request: SipRequest): SipResponse | undefined {
    const { headers, method } = request;
    if (!ALLOWED_METHODS.includes(method)) {
      const response = makeResponse(request, 405, this.#newTag());
      response.headers.set(Allow, ...ALLOWED_METHODS);
      return response;
    }
    if (!isSipUri(request.uri)) return makeResponse(request, 416, this.#newTag());
    const required = method === 'CANCEL' ? [] : headers.all(Require);
    const unknown = required.filter(option => !SESSION_OPTIONS.includes(option.toLowerCase()));
    if (unknown.length > 0) {
      const response = makeResponse(request, 420, this.#newTag());
      response.headers.set(Unsupported, ...unknown);
      return response;
    }
    const type =
      request.body.length > 0 ? headers.first(ContentType)?.type.toLowerCase() : undefined;
    if (method === 'INVITE' && request.body.length > 0 && type !== 'application/sdp') {
      const response = makeResponse(request, 415, this.#newTag());
      response.headers.set(Accept, { type: 'application/sdp', params: new Params() });
      return response;
    }
    return undefined;
  }

  #onInvite(request: SipRequest, transaction: ServerTransaction): void {
    const key = inviteKey(request);
    if (this.#sessionOfInvite.has(key)) {
      // The same INVITE by another path (§8.2.2.2).
      transaction.respond(this.#signed(makeResponse(request, 482, this.#newTag())));
      return;
    }
    this.#transactionOf.set(request, transaction);
    void this.#admit(request, transaction, key).catch(error => {
      this.#options.logger.warn({ reason: asError(error).message }, 'could not take a call');
      transaction.respond(this.#signed(makeResponse(request, 500, this.#newTag())));
    });
  }

  async #admit(request: SipRequest, transaction: ServerTransaction, key: string): Promise<void> {
    const local = await this.localEndpointFor(transaction.source.address);
    const user = isSipUri(request.uri) ? (request.uri.user ?? '') : '';
    const state = calleeSession({
      ...this.#sessionSeams,
      invite: request,
      contact: this.#contact(user, local),
      localTag: this.#newTag(),
    });
    const session = this.#newSession(state, local);
    this.#sessionOfInvite.set(key, session);
    session.step({ type: 'start' });
    this.onSession(session);
  }

  #onCancel(request: SipRequest, transaction: ServerTransaction): void {
    const session = this.#sessionOfInvite.get(inviteKey(request));
    transaction.respond(this.#signed(makeResponse(request, session ? 200 : 481, this.#newTag())));
    session?.step({ type: 'cancelled' });
  }

  #onDialog(request: SipRequest, transaction: ServerTransaction): void {
    const session = this.#dialogSession(request);
    if (!session) {
      transaction.respond(this.#signed(makeResponse(request, 481)));
      return;
    }
    this.#transactionOf.set(request, transaction);
    session.step({ type: 'request', request });
  }

  #dialogSession({ headers }: SipRequest): SipSession | undefined {
    const localTag = headers.require(To).params.get('tag') ?? '';
    const remoteTag = headers.require(From).params.get('tag') ?? '';
    return this.#sessionOfDialog.get(dialogKey(headers.require(CallId), localTag, remoteTag));
  }

  #capabilities(request: SipRequest): SipResponse {
    const response = this.#signed(makeResponse(request, 200, this.#newTag()));
    response.headers.set(Accept, { type: 'application/sdp', params: new Params() });
    return response;
  }

  // ---- sessions

  get #sessionSeams(): Pick<Session, 'timers' | 'chance'> {
    return { timers: this.#timers, chance: () => randomUnit(this.#options.random) };
  }

  #newSession(state: Session, local: Endpoint): SipSession {
    const host: SessionHost = {
      after: (ms, fire) => this.#options.clock.after(ms, fire),
      send: (session, request) => this.#sendInDialog(session, request),
      acknowledge: ack => void this.#sendAck(ack, local),
      respond: (request, response) =>
        this.#transactionOf.get(request)?.respond(this.#signed(response)),
      adopt: (session, dialog) => this.#adopt(session, dialog),
      release: session => this.#release(session),
    };
    return new SipSession(state, local, host);
  }

  #adopt(session: SipSession, { callId, localTag, remoteTag }: Dialog): void {
    const key = dialogKey(callId, localTag, remoteTag);
    this.#sessionOfDialog.set(key, session);
    this.#keyOfSession.set(session, key);
  }

  #release(session: SipSession): void {
    this.#sessionOfDialog.delete(this.#keyOfSession.get(session) ?? '');
    this.#keyOfSession.delete(session);
    this.#sessionOfInvite.delete(inviteKey(session.invite));
  }

  #sendInDialog(session: SipSession, request: SipRequest): void {
    const cancels = request.method === 'CANCEL';
    // Counted from now on, not from when the address is known: `stop` waits for it.
    const settled = this.#expectResponse();
    void this.#destination(request)
      .then(to => {
        if (!cancels) this.#addVia(request, session.local);
        this.#transmit(request, to, {
          ...(cancels ? {} : this.#reissuing(session, session.local)),
          response: (response, sent) => {
            const { status } = response;
            if (status < 200 || cancels) return;
            session.step({ type: 'dialog-response', request: sent, status, response });
          },
          failed: error => {
            const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
            if (!cancels) session.step({ type: 'dialog-response', request, status });
          },
          settled,
        });
      })
      .catch(error => {
        this.#undeliverable(request, error);
        settled();
      });
  }

  async #sendAck(ack: SipRequest, local: Endpoint): Promise<void> {
    try {
      const to = await this.#destination(ack);
      // Sent again as it is, and with the branch it had, when the 2xx comes again.
      if (!ack.headers.has(Via)) this.#addVia(ack, local);
      this.#transactions?.sendStateless(ack, to);
    } catch (error) {
      this.#undeliverable(ack, error);
    }
  }

  #undeliverable(request: SipRequest, error: unknown): void {
    const reason = asError(error).message;
    this.#options.logger.warn({ method: request.method, reason }, 'could not send a request');
  }

  #destination(request: SipRequest): Promise<Endpoint> {
    return resolveUri(nextHop(request), this.#options.lookup);
  }

  // ---- requests that go out

  #transmit(request: SipRequest, to: Endpoint, handlers: RequestHandlers, challenges = 0): void {
    const settled = handlers.settled ?? this.#expectResponse();
    this.#running.transactions.request(request, to, {
      response: response => {
        const again = this.#answerChallenge(request, response, handlers, challenges);
        if (again) {
          this.#transmit(again, to, { ...handlers, settled }, challenges + 1);
          return;
        }
        handlers.response(response, request);
        if (response.status >= 200) settled();
      },
      failed: error => {
        handlers.failed(error);
        settled();
      },
    });
  }

  /** The request once more, with credentials; undefined where it was not challenged or has none. */
  #answerChallenge(
    request: SipRequest,
    challenge: SipResponse,
    { reissue }: RequestHandlers,
    challenges: number,
  ): SipRequest | undefined {
    const { authenticator } = this.#options;
    const { status } = challenge;
    if ((status !== 401 && status !== 407) || !authenticator || !reissue) return undefined;
    if (challenges >= MAX_CHALLENGES) return undefined;
    const { method, uri, body, headers } = request;
    const again = new SipRequest({ method, uri, body, headers: headers.clone() });
    if (!authenticator.authorize(again, challenge)) return undefined;
    reissue(request, again);
    return again;
  }

  /** Gives a challenged request of a session its next sequence number and branch. */
  #reissuing(session: SipSession, local: Endpoint): Pick<RequestHandlers, 'reissue'> {
    return {
      reissue: (challenged, request) => {
        const sequence = session.nextSequence(challenged);
        request.headers.set(CSeq, { sequence, method: request.method });
        this.#addVia(request, local);
        session.step({ type: 'reissued', challenged, request });
      },
    };
  }

  /** Another request of ours awaits its final response, until the function returned is called. */
  #expectResponse(): () => void {
    let pending = true;
    this.#pending++;
    return () => {
      if (!pending) return;
      pending = false;
      this.#pending--;
      if (this.#pending === 0) this.#onIdle?.();
    };
  }

  #newRequest(
    method: string,
    uri: SipUri,
    local: Endpoint,
    from: InviteOptions['from'],
    tag: string,
  ): SipRequest {
    const request = new SipRequest({ method, uri });
    const ours = sipUri({ user: from.user, host: local.address, port: local.port });
    const params = new Params().set('tag', tag);
    this.#addVia(request, local);
    request.headers
      .set(MaxForwards, 70)
      .set(From, { ...(from.displayName && { displayName: from.displayName }), uri: ours, params })
      .set(To, { uri, params: new Params() })
      .set(CallId, randomToken(this.#options.random, 16))
      .set(CSeq, { sequence: 1, method })
      .set(UserAgentField, this.#options.product);
    return request;
  }

  #addVia(request: SipRequest, local: Endpoint): void {
    const { transactions, transport } = this.#running;
    request.headers.set(Via, {
      transport: transport.protocol,
      host: local.address,
      port: local.port,
      params: new Params().set('branch', transactions.newBranch()).set('rport'),
    });
  }

  #contact(user: string, { address, port }: Endpoint): NameAddr {
    return { uri: sipUri({ user, host: address, port }), params: new Params() };
  }

  #newTag(): string {
    return randomToken(this.#options.random, 8);
  }

  #signed(response: SipResponse): SipResponse {
    const { headers, status } = response;
    headers.set(Server, this.#options.product);
    if (status >= 200 && status < 300) {
      headers.set(Allow, ...ALLOWED_METHODS).set(Supported, ...SESSION_OPTIONS);
    }
    return response;
  }
}

interface RequestHandlers {
  /** @param request the one that was answered: a challenged request goes out more than once */
  response(response: SipResponse, request: SipRequest): void;
  failed(error: CodedError): void;
  /** Makes a copy of a challenged request one that can be sent; without it a challenge is an answer. */
  reissue?(challenged: SipRequest, copy: SipRequest): void;
  settled?(): void;
}

/** An INVITE and the CANCEL to it have these in common, and no other INVITE does (§8.2.2.2, §9.1). */
function inviteKey({ headers }: SipRequest): string {
  const from = headers.require(From).params.get('tag') ?? '';
  return `${headers.require(CallId)} ${from} ${headers.require(CSeq).sequence}`;
}
