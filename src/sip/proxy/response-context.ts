/** The driver of one proxied request. */
import { type SipRequest, SipSyntaxError } from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { makeResponse } from '../response.js';
import type {
  ClientTransaction,
  ServerTransaction,
  TransactionLayer,
} from '../transaction/layer.js';
import { loopAwareBranch } from './branch.js';
import type { ProxyAction, ProxyContext, ProxyEvent, ProxyTimer } from './context.js';
import type { ProxyHooks } from './hooks.js';
import { stepProxy } from './machine.js';
import { addVia, cancelOf } from './route.js';
import type { NextHop } from './target.js';

export interface ResponseContextOptions {
  readonly state: ProxyContext;
  readonly transaction: ServerTransaction;
  readonly transactions: TransactionLayer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hooks: Pick<ProxyHooks, 'targets' | 'resolve'>;
  released(): void;
}

interface Sent {
  readonly request: SipRequest;
  readonly hop: NextHop;
  readonly transaction: ClientTransaction;
}

type Send = Extract<ProxyAction, { type: 'send' }>;

export class ResponseContext {
  readonly #options: ResponseContextOptions;
  readonly #timers = new Map<string, Timer>();
  /** By branch: what was sent last, for the CANCEL to it. */
  readonly #sent = new Map<number, Sent>();

  constructor(options: ResponseContextOptions) {
    this.#options = options;
  }

  /** A 2xx went back, so that ACKs to it pass. */
  get answered(): boolean {
    return this.#options.state.phase === 'answered';
  }

  step(event: ProxyEvent): void {
    for (const action of stepProxy(this.#options.state, event)) this.#perform(action);
  }

  /** Answers the request with an error where `work` fails. */
  async guard(work: () => Promise<void>): Promise<void> {
    const { state, logger } = this.#options;
    try {
      await work();
    } catch (error) {
      logger.warn({ reason: asError(error).message }, 'a request could not be forwarded');
      const status = error instanceof SipSyntaxError ? error.status : 500;
      const response = makeResponse(state.request, status, state.tag);
      this.step({ type: 'refused', response });
    }
  }

  release(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#options.released();
  }

  #perform(action: ProxyAction): void {
    const { transaction, clock, hooks } = this.#options;
    switch (action.type) {
      case 'respond':
        transaction.respond(action.response);
        return;
      case 'abandon':
        transaction.abandon();
        return;
      case 'forget':
        this.#sent.get(action.branch)?.transaction.abandon();
        return;
      case 'locate':
        void this.guard(async () => {
          this.step({ type: 'located', found: await hooks.targets(action.request) });
        });
        return;
      case 'resolve':
        void this.#resolve(action);
        return;
      case 'send':
        this.#send(action);
        return;
      case 'cancel':
        this.#cancel(action.branch, action.reason);
        return;
      case 'set-timer': {
        const { timer } = action;
        this.#cancelTimer(timer);
        const fire = () => this.step({ type: 'timer', timer });
        this.#timers.set(timerKey(timer), clock.after(action.ms, fire));
        return;
      }
      case 'cancel-timer':
        this.#cancelTimer(action.timer);
        return;
      case 'release':
        this.release();
        return;
    }
  }

  async #resolve({ branch, uri }: Extract<ProxyAction, { type: 'resolve' }>): Promise<void> {
    const { hooks, logger } = this.#options;
    let hops: readonly NextHop[] = [];
    try {
      hops = await hooks.resolve(uri);
    } catch (error) {
      logger.debug({ reason: asError(error).message }, 'a target could not be resolved');
    }
    this.step({ type: 'resolved', branch, hops });
  }

  #send({ branch, request, hop, loop }: Send): void {
    const { transactions, state } = this.#options;
    addVia(
      request,
      state.settings.addressFor(hop),
      loopAwareBranch(transactions.newBranch(), loop),
    );
    const transaction = transactions.request(request, hop, {
      response: response => this.step({ type: 'response', branch, response }),
      failed: ({ code }) => {
        const reason = code === 'REQUEST_TIMEOUT' ? 'timeout' : 'transport';
        this.step({ type: 'failed', branch, reason });
      },
    });
    this.#sent.set(branch, { request, hop, transaction });
  }

  #cancel(branch: number, reason: string | undefined): void {
    const sent = this.#sent.get(branch);
    if (!sent) return;
    const ignored = { response: () => undefined, failed: () => undefined };
    this.#options.transactions.request(cancelOf(sent.request, reason), sent.hop, ignored);
  }

  #cancelTimer(timer: ProxyTimer): void {
    const key = timerKey(timer);
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }
}

function timerKey(timer: ProxyTimer): string {
  return 'branch' in timer ? `${timer.name} ${timer.branch}` : timer.name;
}
