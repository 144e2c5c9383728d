/** An account at an ordinary SIP server: registers this phone there, and keeps it registered. */
import { EventEmitter } from 'node:events';
import {
  Contact,
  Expires,
  formatUri,
  isSipUri,
  MinExpires,
  Params,
  RetryAfter,
  type SipResponse,
  type SipUri,
  sipUri,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../core/clock.js';
import { asError, errorCode } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomUnit } from '../core/random.js';
import type { RequestSeries } from '../sip/request-client.js';
import type { UriResolver } from '../sip/resolver.js';
import type { Target } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import {
  DEFAULT_EXPIRES_S,
  newRegistration,
  type RegistrationAction,
  type RegistrationAnswer,
  type RegistrationEvent,
  type RegistrationPhase,
  type RegistrationState,
  stepRegistration,
} from './registration-machine.js';

export interface AccountOptions {
  /** Address of record: `sip:alice@example.net`. */
  readonly aor: SipUri;
  /** Where to register; the domain of the address by default. */
  readonly server?: SipUri;
  /** In seconds. */
  readonly expires?: number;
}

export interface AccountStatus {
  readonly aor: string;
  readonly phase: RegistrationPhase;
  /** Of the last answer, where there was one: `200 OK`. */
  readonly answer: string | undefined;
}

export interface AccountEvents {
  /** Registered, failed (and why), or gone. */
  status: [status: AccountStatus];
}

export interface AccountContext {
  readonly userAgent: UserAgent;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly resolve: UriResolver;
}

export class Account extends EventEmitter<AccountEvents> {
  readonly aor: SipUri;
  readonly #context: AccountContext;
  readonly #server: SipUri;
  readonly #state: RegistrationState;
  #series: RequestSeries | undefined;
  #timer: Timer | undefined;
  #answer: RegistrationAnswer | undefined;
  #settled: (() => void) | undefined;

  constructor(context: AccountContext, { aor, server, expires }: AccountOptions) {
    super();
    this.aor = aor;
    this.#context = context;
    const { scheme, host, port } = aor;
    this.#server = server ?? sipUri({ scheme, host, ...(port !== undefined && { port }) });
    const chance = () => randomUnit(context.random);
    this.#state = newRegistration(expires ?? DEFAULT_EXPIRES_S, chance);
  }

  get status(): AccountStatus {
    const answer = this.#answer && `${this.#answer.status} ${this.#answer.reason}`.trim();
    return { aor: formatUri(this.aor), phase: this.#state.phase, answer };
  }

  /** Registering has begun when this returns; `status` tells what came of it. */
  start(): void {
    this.#series ??= this.#context.userAgent.newSeries();
    this.#step({ type: 'start' });
  }

  /** Our address has changed. */
  networkChanged(): void {
    this.#step({ type: 'network-changed' });
  }

  /** Removes the registration; resolves when the server has heard of it, or after `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    if (this.#state.phase === 'idle' || this.#state.phase === 'stopped') return;
    await new Promise<void>(resolve => {
      const timer = this.#context.clock.after(withinMs, resolve);
      this.#settled = () => {
        timer.cancel();
        resolve();
      };
      this.#step({ type: 'stop' });
    });
    this.#timer?.cancel();
  }

  /** Where requests of this account may be sent, best first. Throws as `UriResolver`. */
  serverTargets(): Promise<readonly Target[]> {
    return this.#context.resolve(this.#server);
  }

  #step(event: RegistrationEvent): void {
    for (const action of stepRegistration(this.#state, event)) this.#perform(action);
  }

  #perform(action: RegistrationAction): void {
    switch (action.type) {
      case 'register':
        void this.#register(action.expiresS).then(answer => this.#step({ type: 'answer', answer }));
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = this.#context.clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'cancel-timer':
        this.#timer?.cancel();
        return;
      case 'tell':
        this.#answer = action.answer;
        this.emit('status', this.status);
        if (this.#state.phase === 'stopped') this.#settled?.();
        return;
    }
  }

  /** Tries each server of the account until one answers (RFC 3263 §4.3). */
  async #register(expires: number): Promise<RegistrationAnswer> {
    let failure: RegistrationAnswer = { status: 503, reason: 'no server was found' };
    try {
      for (const target of await this.serverTargets()) {
        const answer = await this.#registerAt(target, expires);
        if (answer.status !== 408 && answer.status !== 503) return answer;
        failure = answer;
      }
    } catch (error) {
      failure = { status: 503, reason: asError(error).message };
    }
    const { logger } = this.#context;
    logger.debug({ aor: formatUri(this.aor), reason: failure.reason }, 'could not register');
    return failure;
  }

  async #registerAt(to: Target, expires: number): Promise<RegistrationAnswer> {
    const address = { uri: this.aor, params: new Params() };
    try {
      const response = await this.#context.userAgent.request({
        method: 'REGISTER',
        uri: sipUri({ scheme: this.#server.scheme, host: this.aor.host }),
        to,
        from: address,
        toward: address,
        headers: { Expires: String(expires) },
        ...(this.#series && { series: this.#series }),
      });
      return readAnswer(response, this.aor.user);
    } catch (error) {
      const status = errorCode(error) === 'REQUEST_TIMEOUT' ? 408 : 503;
      return { status, reason: asError(error).message };
    }
  }
}

/** RFC 3261 §10.2.4: what was granted stands with our contact, else in Expires. */
function readAnswer({ status, reason, headers }: SipResponse, user = ''): RegistrationAnswer {
  const ours = headers
    .all(Contact)
    .find(contact => contact !== '*' && isSipUri(contact.uri) && contact.uri.user === user);
  const granted = ours && ours !== '*' ? ours.params.get('expires') : undefined;
  const expiresS = granted === undefined ? headers.first(Expires) : Number(granted);
  const minExpiresS = headers.first(MinExpires);
  const retryAfterS = headers.first(RetryAfter)?.seconds;
  return {
    status,
    reason,
    ...(expiresS !== undefined && Number.isFinite(expiresS) && { expiresS }),
    ...(minExpiresS !== undefined && { minExpiresS }),
    ...(retryAfterS !== undefined && { retryAfterS }),
  };
}
