/**
 * The user agent: its transports, the transactions, and the sessions on them.
 * Requests that come in go to whom they concern (RFC 3261 §8.2, §12.2.2).
 */
import { isIPv6 } from 'node:net';
import {
  Accept,
  Allow,
  CallId,
  Contact,
  ContentType,
  CSeq,
  type DialogReference,
  From,
  isSipUri,
  type NameAddr,
  Params,
  Replaces,
  Server,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  type SipUri,
  Supported,
  sipUri,
  To,
  type Uri,
} from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { withoutZone } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint, Network } from '../core/network.js';
import { type Random, randomToken, randomUnit } from '../core/random.js';
import { ALLOWED_METHODS, refusalOf } from './admission.js';
import { type Dialog, dialogKey, withTag } from './dialog.js';
import { type RequestAuthenticator, RequestClient, type RequestSeries } from './request-client.js';
import { describeTarget } from './resolution/plan.js';
import type { UriResolver } from './resolver.js';
import { makeResponse } from './response.js';
import { calleeSession, callerSession } from './session/machine.js';
import { SESSION_OPTIONS } from './session/requests.js';
import { type SessionHost, SipSession } from './session/session.js';
import { SessionRequests } from './session/session-requests.js';
import { askForTimer } from './session/session-timer.js';
import type { Session } from './session/state.js';
import { type ServerTransaction, TransactionLayer } from './transaction/layer.js';
import { RFC3261_TIMERS, type TransactionTimers } from './transaction/machine.js';
import type { SipProtocol, Target, TransportStatistics } from './transport/transport.js';
import { TransportManager, type TransportOptions } from './transport/transport-manager.js';

/** Which bound endpoint `local` tells. */
const LOCAL_PREFERENCE: readonly SipProtocol[] = ['UDP', 'TCP', 'TLS', 'WS', 'WSS'];

/** How long `stop` waits for the other side to acknowledge that its calls have ended. */
const FAREWELL_MS = 1000;

export interface UserAgentOptions extends TransportOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** User-Agent and Server, e.g. `Ringline/0.1.0`. */
  readonly product: string;
  /** For Contact and Route of the other side, which may name anything. */
  readonly resolve: UriResolver;
  readonly timers?: TransactionTimers;
  /** Without one, a challenge (401, 407) is a refusal. */
  readonly authenticator?: RequestAuthenticator;
}

/** Who calls. */
export interface CallerIdentity {
  readonly user: string;
  readonly displayName?: string;
  /** Domain of the account; our own address by default. */
  readonly host?: string;
}

export interface InviteOptions {
  /** Request-URI. */
  readonly uri: SipUri;
  /** Where the request is sent; an endpoint alone by the protocol that `uri` names. */
  readonly to: Endpoint | Target;
  readonly from: CallerIdentity;
  /** The address of ours that `to` sees, from `localEndpointFor`. */
  readonly local: Endpoint;
  readonly offer: string;
  /** Further header fields, as text. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RequestOptions {
  readonly method: string;
  /** Request-URI. */
  readonly uri: Uri;
  /** Where the request is sent; an endpoint alone by the protocol that `uri` names. */
  readonly to: Endpoint | Target;
  /** Without a tag. */
  readonly from: NameAddr;
  /** To; the Request-URI by default. */
  readonly toward?: NameAddr;
  /** Further header fields as text; they win over those the user agent writes. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly series?: RequestSeries;
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
  #started: Started | undefined;

  constructor(options: UserAgentOptions) {
    this.#options = options;
    this.#timers = options.timers ?? RFC3261_TIMERS;
  }

  /** The address and port really bound for UDP; for another protocol where UDP is not listened for. */
  get local(): Endpoint {
    const bound = LOCAL_PREFERENCE.map(protocol => this.transports.local(protocol));
    return bound.find(endpoint => endpoint !== undefined) ?? { address: '0.0.0.0', port: 0 };
  }

  /** For keep-alives, and for where other protocols are listened for. */
  get transports(): TransportManager {
    return this.#running.transports;
  }

  get statistics(): TransportStatistics {
    return this.transports.statistics;
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

  /** Throws as `TransportManager.open` does. */
  async start(): Promise<void> {
    const transports = await TransportManager.open(this.#options);
    const transactions = new TransactionLayer(
      { ...this.#options, transports, timers: this.#timers },
      { request: (request, transaction) => this.#receive(request, transaction) },
    );
    const client = new RequestClient({ ...this.#options, transactions });
    const requests = new SessionRequests({ ...this.#options, transactions, client });
    this.#started = { transports, transactions, client, requests };
  }

  /** Hangs up every call, waits a moment for the other sides to hear it, and closes. */
  async stop(): Promise<void> {
    if (!this.#started) return;
    const { transports, transactions, client } = this.#started;
    for (const session of [...this.#keyOfSession.keys()]) session.hangUp();
    await client.idle(FAREWELL_MS);
    for (const session of this.#keyOfSession.keys()) session.abandon();
    this.#keyOfSession.clear();
    this.#sessionOfDialog.clear();
    this.#sessionOfInvite.clear();
    transactions.close();
    transports.close();
    this.#started = undefined;
  }

  /** Our address as `remote` sees it. Throws `CodedError` `NO_ROUTE`. */
  async localEndpointFor(remote: string): Promise<Endpoint> {
    const { address, port } = this.local;
    if (isIPv6(address) !== isIPv6(remote)) {
      throw new CodedError(
        'NO_ROUTE',
        `${remote} is out of reach for a phone that listens on ${address}`,
        {
          remedy: 'Listen on an address of the same kind: --listen [::]:5060 for IPv6.',
        },
      );
    }
    if (address !== '0.0.0.0' && address !== '::') return this.local;
    return { address: await this.#options.network.sourceAddressFor(remote), port };
  }

  /**
   * Calls. What becomes of it is told by the session's events.
   *
   * @throws {CodedError} `UNSUPPORTED_TRANSPORT`
   */
  invite(options: InviteOptions): SipSession {
    const { client } = this.#running;
    const { uri, local, offer } = options;
    const target = targetOf(uri, options.to);
    const localTag = this.#newTag();
    const from = withTag(this.#ours(options.from, local), localTag);
    const request = client.compose({ method: 'INVITE', uri, local, from });
    const contact = this.#contact(options.from.user, local, target.protocol);
    request.headers
      .set(Contact, contact)
      .set(Allow, ...ALLOWED_METHODS)
      .set(Supported, ...SESSION_OPTIONS)
      .set(ContentType, { type: 'application/sdp', params: new Params() });
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      request.headers.setText(name, value);
    }
    request.body = new TextEncoder().encode(offer);
    const state = callerSession({ ...this.#sessionSeams, invite: request, contact, localTag });
    askForTimer(state.timer, request);
    const session = this.#newSession(state, local, target);
    this.#keyOfSession.set(session, '');
    session.step({ type: 'start' });
    return session;
  }

  /** Asks what `uri` can do (§11). Resolves with the final response; throws `CodedError`. */
  async ping(uri: SipUri, to: Endpoint | Target, user: string): Promise<SipResponse> {
    const { endpoint } = targetOf(uri, to);
    const local = await this.localEndpointFor(endpoint.address);
    const from = this.#ours({ user }, local);
    const headers = { Accept: 'application/sdp' };
    return this.request({ method: 'OPTIONS', uri, to, from, headers });
  }

  /**
   * A request outside any dialog (REGISTER, OPTIONS, MESSAGE, PUBLISH …), answering challenges.
   * Resolves with the final response, whatever its status; throws `CodedError` `REQUEST_TIMEOUT`, `NO_ROUTE`.
   */
  async request(options: RequestOptions): Promise<SipResponse> {
    const { client } = this.#running;
    const { method, uri, toward, headers = {}, body } = options;
    const target = targetOf(uri, options.to);
    const local = await this.localEndpointFor(target.endpoint.address);
    const series = options.series ?? client.newSeries();
    const from = withTag(options.from, this.#newTag());
    const request = client.compose({ method, uri, local, from, series, ...(toward && { toward }) });
    if (isSipUri(from.uri)) {
      const contact = this.#contact(from.uri.user ?? '', local, target.protocol);
      request.headers.set(Contact, contact);
    }
    for (const [name, value] of Object.entries(headers)) request.headers.setText(name, value);
    request.body = body ?? request.body;
    return new Promise((resolve, reject) => {
      client.send(request, target, {
        reissue: (_challenged, again) => {
          again.headers.set(CSeq, { sequence: ++series.sequence, method });
          client.addVia(again, local);
        },
        response: response => response.status >= 200 && resolve(response),
        failed: reject,
      });
    });
  }

  newSeries(): RequestSeries {
    return this.#running.client.newSeries();
  }

  get #running(): Started {
    if (!this.#started) throw new Error('the user agent is not started');
    return this.#started;
  }

  // ---- requests that come in

  #receive(request: SipRequest, transaction: ServerTransaction | undefined): void {
    if (!transaction) {
      // An ACK to a 2xx. One that matches no dialog is dropped: nothing may answer an ACK.
      this.#dialogSession(request)?.step({ type: 'request', request });
      return;
    }
    const refusal = refusalOf(request, this.#newTag());
    if (refusal) transaction.respond(this.#signed(refusal));
    else if (request.method === 'CANCEL') this.#onCancel(request, transaction);
    else if (request.headers.require(To).params.has('tag')) this.#onDialog(request, transaction);
    else if (request.method === 'INVITE') this.#onInvite(request, transaction);
    else if (request.method === 'OPTIONS') transaction.respond(this.#capabilities(request));
    else transaction.respond(this.#signed(makeResponse(request, 481, this.#newTag())));
  }

  #onInvite(request: SipRequest, transaction: ServerTransaction): void {
    const key = inviteKey(request);
    if (this.#sessionOfInvite.has(key)) {
      // The same INVITE by another path (§8.2.2.2).
      transaction.respond(this.#signed(makeResponse(request, 482, this.#newTag())));
      return;
    }
    const replaces = request.headers.first(Replaces);
    const replaced = replaces && this.#replaced(replaces);
    if (replaces && !replaced?.established) {
      transaction.respond(this.#signed(makeResponse(request, 481, this.#newTag())));
      return;
    }
    this.#transactionOf.set(request, transaction);
    void this.#admit(request, transaction, key, replaced).catch(error => {
      this.#options.logger.warn({ reason: asError(error).message }, 'could not take a call');
      const status = error instanceof SipSyntaxError ? error.status : 500;
      transaction.respond(this.#signed(makeResponse(request, status, this.#newTag())));
    });
  }

  /** RFC 3891 §3: the dialog named, from the other end's point of view. */
  #replaced({ callId, params }: DialogReference): SipSession | undefined {
    const [ours, theirs] = [params.get('to-tag') ?? '', params.get('from-tag') ?? ''];
    return this.#sessionOfDialog.get(dialogKey(callId, ours, theirs));
  }

  async #admit(
    request: SipRequest,
    transaction: ServerTransaction,
    key: string,
    replaced: SipSession | undefined,
  ): Promise<void> {
    const { source } = transaction;
    const local = await this.localEndpointFor(source.endpoint.address);
    const user = isSipUri(request.uri) ? (request.uri.user ?? '') : '';
    const state = calleeSession({
      ...this.#sessionSeams,
      invite: request,
      contact: this.#contact(user, local, source.protocol),
      localTag: this.#newTag(),
    });
    const session = this.#newSession(state, local, source);
    session.replaces = replaced;
    this.#sessionOfInvite.set(key, session);
    session.step({ type: 'start' });
    this.onSession(session);
  }

  #onCancel(request: SipRequest, transaction: ServerTransaction): void {
    const session = this.#sessionOfInvite.get(inviteKey(request));
    // The tag that the INVITE's own responses have (§9.2).
    const tag = session?.localTag ?? this.#newTag();
    transaction.respond(this.#signed(makeResponse(request, session ? 200 : 481, tag)));
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

  /** @param peer how the other side was or is first reached */
  #newSession(state: Session, local: Endpoint, peer: Target): SipSession {
    const host: SessionHost = {
      after: (ms, fire) => this.#options.clock.after(ms, fire),
      send: (session, request) => this.#running.requests.send(session, request, peer),
      acknowledge: ack => void this.#started?.requests.acknowledge(ack, local, peer),
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

  #ours({ user, displayName, host }: CallerIdentity, { address, port }: Endpoint): NameAddr {
    const here = { user, host: withoutZone(address), port };
    const uri = sipUri(host === undefined ? here : { user, host });
    return { ...(displayName && { displayName }), uri, params: new Params() };
  }

  /** Where requests within the dialog reach us: by the protocol it began with. */
  #contact(user: string, local: Endpoint, protocol: SipProtocol): NameAddr {
    const uri = sipUri({ user, ...this.transports.sentBy(protocol, local) });
    if (protocol !== 'UDP') uri.params.set('transport', protocol.toLowerCase());
    return { uri, params: new Params() };
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

interface Started {
  readonly transports: TransportManager;
  readonly transactions: TransactionLayer;
  readonly client: RequestClient;
  readonly requests: SessionRequests;
}

function targetOf(uri: Uri, to: Endpoint | Target): Target {
  return 'protocol' in to ? to : { ...describeTarget(uri), endpoint: to };
}

/** An INVITE and the CANCEL to it have these in common, and no other INVITE does (§8.2.2.2, §9.1). */
function inviteKey({ headers }: SipRequest): string {
  const from = headers.require(From).params.get('tag') ?? '';
  return `${headers.require(CallId)} ${from} ${headers.require(CSeq).sequence}`;
}
