/**
 * The user agent: its transports, the transactions, and the sessions on them.
 * Requests that come in go to whom they concern (RFC 3261 §8.2, §12.2.2).
 */
import {
  Accept,
  AllowEvents,
  Contact,
  CSeq,
  isSipUri,
  type NameAddr,
  Params,
  Route,
  type SipRequest,
  type SipResponse,
  type SipUri,
  To,
  type Uri,
} from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { canReach, isWildcard } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint, Network } from '../core/network.js';
import type { Random } from '../core/random.js';
import { refusalOf, SESSION_METHODS } from './admission.js';
import { withTag } from './dialog.js';
import { DialogRequests } from './dialog-requests.js';
import { Dialogs } from './dialogs.js';
import { Notifier } from './events/notifier.js';
import { Subscriber } from './events/subscriber.js';
import { makeRequestReadable } from './readable.js';
import { type RequestAuthenticator, RequestClient, type RequestSeries } from './request-client.js';
import { describeTarget } from './resolution/plan.js';
import type { UriResolver } from './resolver.js';
import { makeResponse } from './response.js';
import { type CallerIdentity, type ContactProvider, Self } from './self.js';
import type { SipSession } from './session/session.js';
import { SessionRequests } from './session/session-requests.js';
import { Sessions } from './session/sessions.js';
import { isSips } from './sips.js';
import { type ServerTransaction, TransactionLayer } from './transaction/layer.js';
import { RFC3261_TIMERS, type TransactionTimers } from './transaction/machine.js';
import type { SipProtocol, Source, Target, TransportStatistics } from './transport/transport.js';
import { TransportManager, type TransportOptions } from './transport/transport-manager.js';

/** Which bound endpoint `local` tells. */
const LOCAL_PREFERENCE: readonly SipProtocol[] = ['UDP', 'TCP', 'TLS', 'WS', 'WSS'];

/** How long `stop` waits for the other side to acknowledge that its calls have ended. */
const FAREWELL_MS = 1000;

/** Those who watch us try again after this time, in seconds: a phone that restarts is back by then. */
const COME_BACK_AFTER_S = 30;

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
  readonly contacts?: ContactProvider;
}

/** How much of each is open. */
export interface Load {
  readonly sessions: number;
  readonly dialogs: number;
  readonly clientTransactions: number;
  readonly serverTransactions: number;
}

/** Takes a request outside any dialog, and answers it. */
export type RequestHandler = (request: SipRequest, transaction: ServerTransaction) => void;

/** @returns whether it has taken the request; an ACK comes without a transaction */
export type RequestRouter = (
  request: SipRequest,
  transaction: ServerTransaction | undefined,
  source: Source,
) => boolean;

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
  /** Who sends it, or From without a tag. */
  readonly from: NameAddr | CallerIdentity;
  /** To; the Request-URI by default. */
  readonly toward?: NameAddr;
  /** Further header fields as text; they win over those the user agent writes. An empty one leaves the field out. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly series?: RequestSeries;
}

export class UserAgent {
  /** A call came in. Answer it with `ring`, `accept` or `reject`; set before `start`. */
  onSession: (session: SipSession) => void = session => session.reject(480);
  /** Our subscriptions to the state of others (RFC 6665). */
  readonly subscriber = new Subscriber();
  /** Those of others here: what can be subscribed to is said by its `serve`. */
  readonly notifier = new Notifier();
  readonly #options: UserAgentOptions;
  readonly #timers: TransactionTimers;
  readonly #handlers = new Map<string, RequestHandler>();
  /** The one to be asked first comes first. */
  #routers: readonly RequestRouter[] = [];
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

  /** For those who serve others on the same sockets. */
  get transactions(): TransactionLayer {
    return this.#running.transactions;
  }

  get statistics(): TransportStatistics {
    return this.transports.statistics;
  }

  /** What is open now: for status and for tests of teardown. */
  get load(): Load {
    const { clients, servers } = this.#running.transactions.size;
    return {
      sessions: this.#running.sessions.size,
      dialogs: this.#running.dialogs.size,
      clientTransactions: clients,
      serverTransactions: servers,
    };
  }

  /** Throws as `TransportManager.open` does. */
  async start(): Promise<void> {
    const transports = await TransportManager.open(this.#options);
    const transactions = new TransactionLayer(
      { ...this.#options, transports, timers: this.#timers },
      { request: (...received) => this.#receive(...received) },
    );
    const client = new RequestClient({ ...this.#options, transactions });
    const allowed = () => this.#allowed();
    const self = new Self({ ...this.#options, transports, allowed });
    const dialogs = new Dialogs();
    const shared = {
      ...this.#options,
      timers: this.#timers,
      client,
      self,
      dialogs,
      localEndpointFor: (remote: string) => this.localEndpointFor(remote),
    };
    const sessions = new Sessions({
      ...shared,
      allowed,
      requests: new SessionRequests({ ...this.#options, transactions, client }),
      onSession: session => this.onSession(session),
    });
    const inDialog = new DialogRequests({ ...this.#options, transactions, client });
    this.subscriber.open({ ...shared, inDialog });
    this.notifier.open({ ...shared, inDialog });
    this.#started = { transports, transactions, client, dialogs, self, sessions };
  }

  /** Hangs up every call, ends every subscription, waits a moment for the other sides to hear it, and closes. */
  async stop(): Promise<void> {
    if (!this.#started) return;
    const { transports, transactions, client, sessions } = this.#started;
    sessions.hangUpAll();
    this.subscriber.unsubscribeAll();
    this.notifier.terminateAll({ reason: 'probation', retryAfterS: COME_BACK_AFTER_S });
    await client.idle(FAREWELL_MS);
    sessions.abandonAll();
    this.subscriber.close();
    this.notifier.close();
    transactions.close();
    transports.close();
    this.#started = undefined;
  }

  /** Our addresses changed: dead connections are given up, subscriptions made anew. Sessions move by themselves. */
  networkChanged(): void {
    this.#started?.transports.networkChanged();
    this.subscriber.networkChanged();
  }

  /** Our address as `remote` sees it. Throws `CodedError` `NO_ROUTE`. */
  async localEndpointFor(remote: string): Promise<Endpoint> {
    const { address, port } = this.local;
    if (!canReach(address, remote)) {
      throw new CodedError(
        'NO_ROUTE',
        `${remote} is out of reach for a phone that listens on ${address}`,
        {
          remedy:
            'Listen at all addresses: --listen [::]:5060, as a phone does that is told nothing.',
        },
      );
    }
    if (!isWildcard(address)) return this.local;
    return { address: await this.#options.network.sourceAddressFor(remote), port };
  }

  /**
   * Calls. What becomes of it is told by the session's events.
   *
   * @throws {CodedError} `UNSUPPORTED_TRANSPORT`
   */
  invite({ to, ...invite }: InviteOptions): SipSession {
    return this.#running.sessions.begin({ ...invite, target: targetOf(invite.uri, to) });
  }

  /** Asks what `uri` can do (§11). Resolves with the final response; throws `CodedError`. */
  async ping(uri: SipUri, to: Endpoint | Target, user: string): Promise<SipResponse> {
    const { endpoint } = targetOf(uri, to);
    const local = await this.localEndpointFor(endpoint.address);
    const from = this.#running.self.address({ user }, local);
    const headers = { Accept: 'application/sdp' };
    return this.request({ method: 'OPTIONS', uri, to, from, headers });
  }

  /**
   * A request outside any dialog (REGISTER, OPTIONS, MESSAGE, PUBLISH …), answering challenges.
   * Resolves with the final response, whatever its status; throws `CodedError` `REQUEST_TIMEOUT`, `NO_ROUTE`.
   */
  async request(options: RequestOptions): Promise<SipResponse> {
    const { client, self } = this.#running;
    const { method, uri, toward, headers = {}, body } = options;
    const target = targetOf(uri, options.to);
    const local = await this.localEndpointFor(target.endpoint.address);
    const series = options.series ?? client.newSeries();
    const sender = 'uri' in options.from ? options.from : self.address(options.from, local);
    const from = withTag(sender, self.newTag());
    const request = client.compose({ method, uri, local, from, series, ...(toward && { toward }) });
    // A MESSAGE begins nothing that could be followed up (RFC 3428 §4).
    if (isSipUri(from.uri) && method !== 'MESSAGE') {
      const user = from.uri.user ?? '';
      const contact = self.contactToward(user, local, target, isSips(uri));
      request.headers.set(Contact, contact);
    }
    const route = 'uri' in options.from ? [] : (options.from.route ?? []);
    if (route.length > 0) request.headers.set(Route, ...route);
    for (const [name, value] of Object.entries(headers)) {
      if (value === '') request.headers.delete(name);
      else request.headers.setText(name, value);
    }
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

  /** Where `peer` reaches `user` at our own address `local`. */
  contact(user: string, local: Endpoint, peer: Target, secure: boolean): NameAddr {
    return this.#running.self.contact(user, local, peer.protocol, secure);
  }

  /** Answers a request outside any dialog; with further header fields as text. */
  respond(
    transaction: ServerTransaction,
    status: number,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const response = this.#running.self.response(transaction.request, status);
    for (const [name, value] of Object.entries(headers)) response.headers.setText(name, value);
    transaction.respond(response);
  }

  newSeries(): RequestSeries {
    return this.#running.client.newSeries();
  }

  /**
   * From now on sees every request first and takes, by answering true, those that are for others than this user agent:
   * a proxy, a registrar. Of several the one that was added last is asked first.
   *
   * @returns ends that
   */
  addRouter(router: RequestRouter): () => void {
    this.#routers = [router, ...this.#routers];
    return () => {
      this.#routers = this.#routers.filter(other => other !== router);
    };
  }

  get #running(): Started {
    if (!this.#started) throw new Error('the user agent is not started');
    return this.#started;
  }

  /**
   * From now on requests of this method outside any dialog go to `handler`, and Allow names it.
   * CANCEL, ACK and INVITE have theirs.
   */
  handle(method: string, handler: RequestHandler): void {
    this.#handlers.set(method, handler);
  }

  // ---- requests that come in

  #receive(request: SipRequest, transaction: ServerTransaction | undefined, source: Source): void {
    for (const router of this.#routers) if (router(request, transaction, source)) return;
    const { self, dialogs, sessions } = this.#running;
    makeRequestReadable(request);
    if (!transaction) {
      // An ACK to a 2xx. One that matches no dialog is dropped: nothing may answer an ACK.
      dialogs.userOf(request)?.request(request, undefined);
      return;
    }
    const refusal = refusalOf(request, { localTag: self.newTag(), allowed: this.#allowed() });
    if (refusal) transaction.respond(self.signed(refusal));
    else if (request.method === 'CANCEL') sessions.cancel(request, transaction);
    else if (request.headers.require(To).params.has('tag')) this.#onDialog(request, transaction);
    else if (request.method === 'INVITE') sessions.take(request, transaction);
    else this.#onOther(request, transaction);
  }

  #onDialog(request: SipRequest, transaction: ServerTransaction): void {
    const user = this.#running.dialogs.userOf(request);
    if (user) user.request(request, transaction);
    else transaction.respond(this.#running.self.signed(makeResponse(request, 481)));
  }

  #onOther(request: SipRequest, transaction: ServerTransaction): void {
    const { self } = this.#running;
    const handler = this.#handlers.get(request.method);
    if (handler) handler(request, transaction);
    else if (request.method === 'SUBSCRIBE') this.notifier.subscribe(request, transaction);
    else if (request.method === 'OPTIONS') transaction.respond(this.#capabilities(request));
    else transaction.respond(self.response(request, 481));
  }

  #capabilities(request: SipRequest): SipResponse {
    const response = this.#running.self.response(request, 200);
    response.headers
      .set(Accept, { type: 'application/sdp', params: new Params() })
      .set(AllowEvents, ...this.notifier.packages);
    return response;
  }

  #allowed(): readonly string[] {
    const subscribe = this.notifier.packages.length > 0 ? ['SUBSCRIBE'] : [];
    return [...new Set([...SESSION_METHODS, ...subscribe, ...this.#handlers.keys()])];
  }
}

interface Started {
  readonly transports: TransportManager;
  readonly transactions: TransactionLayer;
  readonly client: RequestClient;
  readonly dialogs: Dialogs;
  readonly self: Self;
  readonly sessions: Sessions;
}

function targetOf(uri: Uri, to: Endpoint | Target): Target {
  return 'protocol' in to ? to : { ...describeTarget(uri), endpoint: to };
}
