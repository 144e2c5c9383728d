/** The proxy: requests come in here, and each gets a response context; ACKs go on without one. */
import { isSipUri, MaxForwards, Route, type SipRequest } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomToken } from '../../core/random.js';
import { makeResponse } from '../response.js';
import type { ServerTransaction, TransactionLayer, TransactionUser } from '../transaction/layer.js';
import { RFC3261_TIMERS, type TransactionTimers } from '../transaction/machine.js';
import { statelessBranch } from './branch.js';
import { inviteKey, type ProxySettings, proxyContext, TIMER_C_MS } from './context.js';
import type { ProxyHooks } from './hooks.js';
import { ResponseContext } from './response-context.js';
import {
  addVia,
  consumeRoute,
  copyRequest,
  countHop,
  nextUri,
  yieldToStrictRouter,
} from './route.js';
import { type NextHop, plainTarget, type Target } from './target.js';

/** Octets of the secret by which a proxy knows its branches. */
const SECRET_OCTETS = 16;

export interface SipProxyOptions {
  readonly transactions: TransactionLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hooks: ProxyHooks;
  /** Option tags of Proxy-Require that are understood; none by default. */
  readonly extensions?: readonly string[];
  readonly timers?: TransactionTimers;
  /** Timer C in ms. */
  readonly timerC?: number;
}

export class SipProxy implements TransactionUser {
  readonly #options: SipProxyOptions;
  readonly #settings: ProxySettings;
  readonly #contexts = new Set<ResponseContext>();
  /** For CANCEL and ACK to find. */
  readonly #invites = new Map<string, ResponseContext>();

  constructor(options: SipProxyOptions) {
    this.#options = options;
    const { isSelf, isResponsible, addressFor, recordRoute } = options.hooks;
    this.#settings = {
      timers: options.timers ?? RFC3261_TIMERS,
      timerC: options.timerC ?? TIMER_C_MS,
      secret: randomToken(options.random, SECRET_OCTETS),
      extensions: options.extensions ?? [],
      isSelf,
      isResponsible,
      addressFor,
      recordRoute,
    };
  }

  /** Requests at work, those included that only wait for late answers. */
  get size(): number {
    return this.#contexts.size;
  }

  request(
    request: SipRequest,
    transaction: ServerTransaction | undefined,
    source: ServerTransaction['source'],
  ): void {
    if (!transaction) void this.#forwardAck(request, source);
    else if (request.method === 'CANCEL') this.#cancel(request, transaction);
    else void this.#begin(request, transaction);
  }

  /** Ends every context where it stands. */
  stop(): void {
    for (const context of this.#contexts) context.release();
  }

  async #begin(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const { hooks } = this.#options;
    const key = request.method === 'INVITE' ? inviteKey(request) : undefined;
    const state = proxyContext(request, {
      source: transaction.source,
      settings: this.#settings,
      tag: this.#newTag(),
    });
    const context = new ResponseContext({
      ...this.#options,
      transaction,
      state,
      released: () => {
        this.#contexts.delete(context);
        if (key !== undefined && this.#invites.get(key) === context) this.#invites.delete(key);
      },
    });
    this.#contexts.add(context);
    if (key !== undefined) this.#invites.set(key, context);
    await context.guard(async () => {
      const response = await hooks.admit(state.request, transaction.source);
      context.step(response ? { type: 'refused', response } : { type: 'admitted' });
    });
  }

  #cancel(cancel: SipRequest, transaction: ServerTransaction): void {
    const context = this.#invites.get(inviteKey(cancel));
    // §16.10 has a CANCEL of nothing known forwarded: this proxy forwards no INVITE without a context.
    transaction.respond(makeResponse(cancel, context ? 200 : 481, this.#newTag()));
    context?.step({ type: 'cancelled' });
  }

  /** An ACK to a 2xx, end to end; that to a refusal ends here. */
  async #forwardAck(ack: SipRequest, source: NextHop): Promise<void> {
    const { logger, hooks, transactions } = this.#options;
    try {
      const invite = this.#invites.get(inviteKey(ack));
      if (invite && !invite.answered) return;
      if (ack.headers.first(MaxForwards) === 0) return;
      const request = copyRequest(ack);
      consumeRoute(request, uri => this.#settings.isSelf(uri));
      const target = await this.#ackTarget(request);
      if (!target) return;
      const next = nextUri(request, target);
      if (isSipUri(next) && hooks.isSelf(next)) return;
      request.uri = target.uri;
      countHop(request);
      for (const value of [...target.route].reverse()) request.headers.prepend(Route, value);
      yieldToStrictRouter(request);
      const direct = target.route.length === 0 ? target.hop : undefined;
      const hop = direct ?? (await hooks.resolve(next))[0];
      if (!hop) return;
      addVia(request, hooks.addressFor(hop), statelessBranch(ack, this.#settings.secret));
      transactions.sendStateless(request, hop);
    } catch (error) {
      logger.debug({ source, reason: asError(error).message }, 'an ACK could not be forwarded');
    }
  }

  /** Undefined for an ACK that belongs nowhere. */
  async #ackTarget(ack: SipRequest): Promise<Target | undefined> {
    const { hooks } = this.#options;
    const { uri, headers } = ack;
    if (headers.has(Route) || !hooks.isResponsible(uri)) return plainTarget(uri);
    // A caller that got a 2xx has a Contact to send to: of our addresses only a GRUU is one (RFC 5627 §4.4).
    if (!isSipUri(uri) || !uri.params.has('gr')) return undefined;
    const targets = await hooks.targets(ack);
    return typeof targets === 'number' ? undefined : targets[0];
  }

  #newTag(): string {
    return randomToken(this.#options.random, 8);
  }
}
