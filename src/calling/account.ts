/** An account at an ordinary SIP server: registers this phone there, and keeps it registered. */
import { EventEmitter } from 'node:events';
import {
  Contact,
  formatUri,
  isSipUri,
  type NameAddr,
  Params,
  type SipUri,
  sipUri,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../core/clock.js';
import { formatEndpoint, sameEndpoint, withoutZone } from '../core/endpoint.js';
import { asError, errorCode } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint } from '../core/network.js';
import { type Random, randomUnit } from '../core/random.js';
import type { RequestSeries } from '../sip/request-client.js';
import type { UriResolver } from '../sip/resolver.js';
import type { Target } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import { type Grant, readAnswer, readGrant } from './registration-answer.js';
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
  /** `UDP 192.0.2.5:5060`, while it is registered. */
  readonly server: string | undefined;
  /** Where the server sends calls: our address as it sees it, or one it gave us (RFC 5627). */
  readonly contact: string | undefined;
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
  /** The URN that names this device, the same after each restart (RFC 5626 §4.1); asked for when it registers. */
  readonly instance?: () => string | undefined;
}

/** The server that has us registered, and what it granted. */
interface Registered {
  readonly target: Target;
  readonly contact: NameAddr;
  readonly grant: Grant;
}

/** The one flow we keep to each server (RFC 5626 §4.2). */
const REG_ID = '1';
const OPTIONS = 'path, outbound, gruu';

export class Account extends EventEmitter<AccountEvents> {
  readonly aor: SipUri;
  readonly #context: AccountContext;
  readonly #server: SipUri;
  readonly #state: RegistrationState;
  #series: RequestSeries | undefined;
  #timer: Timer | undefined;
  #answer: RegistrationAnswer | undefined;
  #settled: (() => void) | undefined;
  #registered: Registered | undefined;
  /** Where the server sees us, if that is not where we are. */
  #seenAt: Endpoint | undefined;
  #stopKeeping: (() => void) | undefined;
  /** What the server has registered is where we were. */
  #hasLeft = false;

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
    const { target } = this.#registered ?? {};
    const { contact } = this;
    return {
      aor: formatUri(this.aor),
      phase: this.#state.phase,
      answer,
      server: target && `${target.protocol} ${formatEndpoint(target.endpoint)}`,
      contact: contact && formatUri(contact.uri),
    };
  }

  /** Registering has begun when this returns; `status` tells what came of it. */
  start(): void {
    this.#series ??= this.#context.userAgent.newSeries();
    this.#step({ type: 'start' });
  }

  /** Where the server that has us registered reaches us. */
  get contact(): NameAddr | undefined {
    if (!this.#registered) return undefined;
    const { contact, grant } = this.#registered;
    // A registrar may give GRUUs in front of proxies that do not follow them within dialogs (Kamailio 5.6 as it
    // comes does): then a BYE to one is lost. Who does outbound has the flow to follow (RFC 5626 §5.3).
    if (grant.gruu && grant.outbound) return { uri: grant.gruu, params: new Params() };
    if (!isSipUri(contact.uri) || this.#hasLeft) return undefined;
    const params = contact.uri.params.clone();
    // Calls come by the flow there is, not by the address (RFC 5626 §4.3).
    if (grant.outbound) params.set('ob');
    return { uri: { ...contact.uri, params }, params: new Params() };
  }

  /** What requests through this account are sent by (RFC 3608). */
  get route(): readonly NameAddr[] {
    return this.#registered?.grant.route ?? [];
  }

  /** Whether the server that has us registered is at this address. */
  isServer({ address }: Endpoint): boolean {
    return this.#registered?.target.endpoint.address === address;
  }

  /** Our address has changed. */
  networkChanged(): void {
    this.#seenAt = undefined;
    this.#hasLeft = true;
    // Its loss is no news.
    this.#stopKeeping?.();
    this.#stopKeeping = undefined;
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
    this.#forget();
  }

  /** Where requests of this account may be sent, best first. Throws as `UriResolver`. */
  async serverTargets(): Promise<readonly Target[]> {
    const [first] = this.route;
    const targets = await this.#context.resolve(first?.uri ?? this.#server);
    const known = this.#registered?.target;
    // The server that has us registered, by the flow there is, comes first.
    const current = targets.find(target => known && isSameTarget(target, known));
    return current ? [current, ...targets.filter(target => target !== current)] : targets;
  }

  #step(event: RegistrationEvent): void {
    for (const action of stepRegistration(this.#state, event)) this.#perform(action);
  }

  #perform(action: RegistrationAction): void {
    switch (action.type) {
      case 'register':
        void this.#register(action).then(answer => {
          this.#step({ type: 'answer', answer });
          if (this.#hasMoved()) this.#step({ type: 'moved' });
        });
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
  async #register(attempt: RegisterAction): Promise<RegistrationAnswer> {
    let failure: RegistrationAnswer = { status: 503, reason: 'no server was found' };
    try {
      for (const target of await this.#context.resolve(this.#server)) {
        const answer = await this.#registerAt(target, attempt);
        if (answer.status !== 408 && answer.status !== 503) return answer;
        failure = answer;
      }
    } catch (error) {
      failure = { status: 503, reason: asError(error).message };
    }
    const { logger } = this.#context;
    logger.debug({ aor: formatUri(this.aor), reason: failure.reason }, 'could not register');
    this.#forget();
    return failure;
  }

  async #registerAt(to: Target, attempt: RegisterAction): Promise<RegistrationAnswer> {
    const { userAgent, instance } = this.#context;
    const address = { uri: this.aor, params: new Params() };
    const user = this.aor.user ?? '';
    const urn = instance?.();
    const quoted = urn === undefined ? undefined : `<${urn}>`;
    try {
      const local = await userAgent.localEndpointFor(to.endpoint.address);
      const contact = this.#contactAt(to, local);
      const response = await userAgent.request({
        method: 'REGISTER',
        uri: sipUri({ scheme: this.#server.scheme, host: this.aor.host }),
        to,
        from: address,
        toward: address,
        headers: {
          Expires: String(attempt.expiresS),
          Contact: this.#contacts(contact, attempt.outbound ? quoted : undefined).join(', '),
          Supported: OPTIONS,
        },
        ...(this.#series && { series: this.#series }),
      });
      const { status } = response;
      if (status < 300 && attempt.expiresS > 0) {
        this.#keep({ target: to, contact, grant: readGrant(response, user, quoted) }, local);
      } else if (status !== 423 && status !== 439) {
        this.#forget();
      }
      return readAnswer(response, user, quoted);
    } catch (error) {
      const status = errorCode(error) === 'REQUEST_TIMEOUT' ? 408 : 503;
      return { status, reason: asError(error).message };
    }
  }

  /** Where the server is to send calls: our own address, or the one it sees us at. */
  #contactAt(to: Target, local: Endpoint): NameAddr {
    const { userAgent } = this.#context;
    const contact = userAgent.contact(
      this.aor.user ?? '',
      local,
      to,
      this.#server.scheme === 'sips',
    );
    if (!this.#seenAt || to.protocol !== 'UDP' || !isSipUri(contact.uri)) return contact;
    const { address: host, port } = this.#seenAt;
    return { ...contact, uri: { ...contact.uri, host, port } };
  }

  /** Ours, and the one it takes the place of. */
  #contacts(contact: NameAddr, instance: string | undefined): string[] {
    const params = contact.params.clone();
    if (instance !== undefined) params.set('+sip.instance', instance).set('reg-id', REG_ID);
    const ours = Contact.format({ ...contact, params });
    const before = this.#registered?.contact;
    const replaced = before && formatUri(before.uri) !== formatUri(contact.uri);
    // Who keeps flows apart knows that it is the same phone (RFC 5626 §6).
    if (!before || !replaced || this.#registered?.grant.outbound) return [ours];
    return [ours, Contact.format({ ...before, params: new Params().set('expires', '0') })];
  }

  #keep(registered: Registered, local: Endpoint): void {
    const { target, grant } = registered;
    const { transports } = this.#context.userAgent;
    this.#stopKeeping?.();
    this.#registered = registered;
    this.#hasLeft = false;
    const here = { address: withoutZone(local.address), port: local.port };
    const behindNat = grant.seenAt !== undefined && !sameEndpoint(grant.seenAt, here);
    const udp = target.protocol === 'UDP';
    this.#seenAt = udp && behindNat && !grant.outbound ? grant.seenAt : undefined;
    if (udp && !behindNat && !grant.outbound) return;
    const { outbound: answers, keepAliveMs: intervalMs } = grant;
    const lost = (error: Error) => this.#step({ type: 'flow-lost', reason: error.message });
    const options = { answers, ...(intervalMs !== undefined && { intervalMs }) };
    this.#stopKeeping = transports.keepFlow(target, options, lost);
  }

  /** Whether the server sees us elsewhere than where we registered. */
  #hasMoved(): boolean {
    const uri = this.#registered?.contact.uri;
    if (!this.#seenAt || !uri || !isSipUri(uri)) return false;
    return !sameEndpoint({ address: uri.host, port: uri.port ?? 0 }, this.#seenAt);
  }

  #forget(): void {
    this.#stopKeeping?.();
    this.#stopKeeping = undefined;
    this.#registered = undefined;
  }
}

type RegisterAction = Extract<RegistrationAction, { type: 'register' }>;

function isSameTarget(a: Target, b: Target): boolean {
  return a.protocol === b.protocol && sameEndpoint(a.endpoint, b.endpoint);
}
