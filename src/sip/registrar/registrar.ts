/** The driver of the registrar: who may register what, the clock, and who is told of changes. */
import {
  type NameAddr,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  To,
  type Uri,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomToken } from '../../core/random.js';
import { makeResponse } from '../response.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Source } from '../transport/transport.js';
import { addressOfRecord, type RegisteredContact } from './binding.js';
import { type KeptBinding, keep, revive } from './kept.js';
import {
  lookup,
  newRegistrar,
  type RegistrarEvent,
  type RegistrarLimits,
  type RegistrarState,
  stepRegistrar,
} from './machine.js';

/** How often expired bindings are dropped; they are invisible from the moment they expire. */
export const SWEEP_INTERVAL_MS = 10_000;

/** Who a request is proven to come from, or the answer it gets instead: a challenge, a refusal. */
export type Authentication =
  | { readonly type: 'proven'; readonly user: string }
  | { readonly type: 'refused'; readonly response: SipResponse };

export interface RegistrarHooks {
  /** Comes before anything else, e.g. digest (RFC 3261 §22). */
  authenticate(request: SipRequest, source: Source): Promise<Authentication>;
  /**
   * Whether this user may register this address-of-record.
   *
   * @returns undefined, or the status that says why not: 403, or 404 for no address of this domain
   */
  authorize(user: string, aor: Uri): number | undefined;
  /** The one address for all that mean the same user, as where a domain has several names. */
  canonical?(uri: Uri): Uri;
  /** What the device is to put into Route of its requests (RFC 3608); empty for nothing. */
  serviceRoute(aor: string): readonly NameAddr[];
  /** The bindings of an address-of-record changed or were refreshed. */
  changed(aor: string): void;
}

export interface RegistrarOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hooks: RegistrarHooks;
  readonly limits?: Partial<RegistrarLimits>;
}

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #state: RegistrarState;
  #sweep: Timer | undefined;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#state = newRegistrar(options.limits);
  }

  /** Bindings kept, those included that expired since the last sweep. */
  get size(): number {
    return this.#state.size;
  }

  /** Takes a REGISTER for a domain of ours; never rejects. */
  async request(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    try {
      await this.#register(request, transaction);
    } catch (error) {
      this.#options.logger.warn({ reason: asError(error).message }, 'a registration failed');
      const status = error instanceof SipSyntaxError ? error.status : 500;
      transaction.respond(makeResponse(request, status, this.#newTag()));
    }
  }

  /** Where `uri` can be reached now, best first; empty for an address nobody registered. */
  lookup(uri: Uri): RegisteredContact[] {
    const aor = this.#aorOf(uri);
    return aor === undefined ? [] : lookup(this.#state, aor, this.#options.clock.now());
  }

  /** What there is now, as `restore` takes it. */
  kept(): KeptBinding[] {
    const now = this.#options.clock.now();
    return [...this.#state.bindings].flatMap(([aor, bindings]) =>
      bindings.filter(({ expiresAt }) => expiresAt > now).flatMap(entry => keep(aor, entry) ?? []),
    );
  }

  /** Takes up what there was before a restart. */
  restore(kept: readonly KeptBinding[]): void {
    const now = this.#options.clock.now();
    for (const aor of new Set(kept.map(entry => entry.aor))) {
      const bindings = kept
        .filter(entry => entry.aor === aor)
        .flatMap(entry => revive(entry, now) ?? []);
      this.#step({ type: 'restore', aor, bindings });
    }
  }

  /** Forgets a contact that is known to be gone. */
  remove(uri: Uri, contact: Uri): void {
    const aor = this.#aorOf(uri);
    if (aor === undefined) return;
    this.#step({ type: 'remove', aor, contact, now: this.#options.clock.now() });
  }

  /** Ends its timer; bindings stay. */
  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }

  async #register(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const { hooks, clock } = this.#options;
    const proof = await hooks.authenticate(request, transaction.source);
    if (proof.type === 'refused') {
      transaction.respond(proof.response);
      return;
    }
    const { uri } = request.headers.require(To);
    const aor = this.#aorOf(uri);
    const refusal = aor === undefined ? 404 : hooks.authorize(proof.user, uri);
    if (aor === undefined || refusal !== undefined) {
      transaction.respond(makeResponse(request, refusal ?? 404, this.#newTag()));
      return;
    }
    const response = this.#step({
      type: 'register',
      request,
      aor,
      flow: transaction.source,
      tag: this.#newTag(),
      serviceRoute: hooks.serviceRoute(aor),
      now: clock.now(),
    });
    if (response) transaction.respond(response);
  }

  #aorOf(uri: Uri): string | undefined {
    return addressOfRecord(this.#options.hooks.canonical?.(uri) ?? uri);
  }

  /** @returns the response, where the event was a request */
  #step(event: RegistrarEvent): SipResponse | undefined {
    let response: SipResponse | undefined;
    for (const action of stepRegistrar(this.#state, event)) {
      if (action.type === 'respond') response = action.response;
      else this.#options.hooks.changed(action.aor);
    }
    this.#scheduleSweep();
    return response;
  }

  /** One timer for all bindings, and none while there are none. */
  #scheduleSweep(): void {
    if (this.#sweep || this.#state.size === 0) return;
    const { clock } = this.#options;
    this.#sweep = clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep = undefined;
      this.#step({ type: 'sweep', now: clock.now() });
    });
  }

  #newTag(): string {
    return randomToken(this.#options.random, 8);
  }
}
