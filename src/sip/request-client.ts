/** Requests that go out: composed, sent, sent again with credentials, and counted until they are answered. */
import {
  CallId,
  CSeq,
  From,
  MaxForwards,
  type NameAddr,
  Params,
  SipRequest,
  type SipResponse,
  To,
  type Uri,
  UserAgent as UserAgentField,
  Via,
} from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { withoutZone } from '../core/endpoint.js';
import type { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import { type Random, randomToken } from '../core/random.js';
import { makeResponseReadable } from './readable.js';
import type { TransactionLayer } from './transaction/layer.js';
import type { Target } from './transport/transport.js';

/** A request is sent again so often; a server that still asks is asked no more. */
const MAX_CHALLENGES = 3;

/** Has credentials for some servers (RFC 3261 §22). */
export interface RequestAuthenticator {
  /** For a request about to be sent; undefined where there are no credentials for its receiver. */
  begin(request: SipRequest): AuthenticationExchange | undefined;
}

/** One request and what it takes to have it accepted; `DigestExchange` is one. */
export interface AuthenticationExchange {
  /** Adds the credentials that are known to be wanted, in place of those of an earlier try. */
  authorize(request: SipRequest): void;
  /** `retry`: send the request again, authorized anew. */
  receive(response: SipResponse): { readonly type: 'proceed' | 'retry' | 'failed' };
}

/** Requests that belong together share a Call-ID and count up: the REGISTERs of one phone (§10.2.4). */
export interface RequestSeries {
  readonly callId: string;
  /** CSeq of the last request. */
  sequence: number;
}

export interface RequestHandlers {
  /** @param request the one that was answered: a challenged request goes out more than once */
  response(response: SipResponse, request: SipRequest): void;
  failed(error: CodedError): void;
  /** Makes a copy of a challenged request one that can be sent; without it a challenge is an answer. */
  reissue?(challenged: SipRequest, copy: SipRequest): void;
  /** Aborted when nobody needs the answer any more: one that takes 64 T1 from then on is forgotten. */
  readonly signal?: AbortSignal;
  /** From `expectResponse`, where the request was counted before it could be sent. */
  settled?(): void;
}

export interface RequestParts {
  readonly method: string;
  readonly uri: Uri;
  /** Our address as the receiver sees it. */
  readonly local: Endpoint;
  /** With its tag. */
  readonly from: NameAddr;
  /** By default the Request-URI. */
  readonly toward?: NameAddr;
  readonly series?: RequestSeries;
}

export interface RequestClientOptions {
  readonly transactions: TransactionLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly product: string;
  readonly authenticator?: RequestAuthenticator;
}

export class RequestClient {
  readonly #options: RequestClientOptions;
  /** Requests without a final response. */
  #pending = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: RequestClientOptions) {
    this.#options = options;
  }

  /** A request outside any dialog, with what §8.1.1 demands of it. */
  compose({
    method,
    uri,
    local,
    from,
    toward,
    series = this.newSeries(),
  }: RequestParts): SipRequest {
    const request = new SipRequest({ method, uri });
    this.addVia(request, local);
    request.headers
      .set(MaxForwards, 70)
      .set(From, from)
      .set(To, toward ?? { uri, params: new Params() })
      .set(CallId, series.callId)
      .set(CSeq, { sequence: ++series.sequence, method })
      .set(UserAgentField, this.#options.product);
    return request;
  }

  newSeries(): RequestSeries {
    return { callId: randomToken(this.#options.random, 16), sequence: 0 };
  }

  /** Gives the request its own Via, with a branch of its own; how it travels, the transaction layer writes. */
  addVia(request: SipRequest, local: Endpoint): void {
    const { transactions } = this.#options;
    request.headers.set(Via, {
      transport: 'UDP',
      host: withoutZone(local.address),
      port: local.port,
      params: new Params().set('branch', transactions.newBranch()).set('rport'),
    });
  }

  send(request: SipRequest, to: Target, handlers: RequestHandlers): void {
    const exchange = handlers.reissue && this.#options.authenticator?.begin(request);
    exchange?.authorize(request);
    const settled = handlers.settled ?? this.expectResponse();
    if (handlers.signal?.aborted) settled();
    else this.#attempt(request, to, { handlers, exchange, settled }, 0);
  }

  #attempt(request: SipRequest, to: Target, sending: Sending, challenges: number): void {
    const { handlers } = sending;
    const { signal } = handlers;
    const settled = () => {
      signal?.removeEventListener('abort', forget);
      sending.settled();
    };
    const transaction = this.#options.transactions.request(request, to, {
      response: response => {
        makeResponseReadable(response);
        const wanted = challenges < MAX_CHALLENGES && !signal?.aborted;
        const again = wanted && answerChallenge(request, response, sending);
        if (again) {
          signal?.removeEventListener('abort', forget);
          this.#attempt(again, to, sending, challenges + 1);
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
    const forget = () => {
      transaction.expire();
      settled();
    };
    signal?.addEventListener('abort', forget);
  }

  /** Another request awaits its final response, until the function returned is called. */
  expectResponse(): () => void {
    let pending = true;
    this.#pending++;
    return () => {
      if (!pending) return;
      pending = false;
      this.#pending--;
      if (this.#pending === 0) this.#onIdle?.();
    };
  }

  /** Resolves when every request has its final response, or after `withinMs`. */
  async idle(withinMs: number): Promise<void> {
    if (this.#pending === 0) return;
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(withinMs, resolve);
      this.#onIdle = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

interface Sending {
  readonly handlers: RequestHandlers;
  readonly exchange: AuthenticationExchange | undefined;
  readonly settled: () => void;
}

/** The request once more, with credentials; undefined where it was not challenged or has none. */
function answerChallenge(
  request: SipRequest,
  response: SipResponse,
  { handlers, exchange }: Sending,
): SipRequest | undefined {
  if (exchange?.receive(response).type !== 'retry') return undefined;
  const { method, uri, body, headers } = request;
  const again = new SipRequest({ method, uri, body, headers: headers.clone() });
  handlers.reissue?.(request, again);
  exchange.authorize(again);
  return again;
}
