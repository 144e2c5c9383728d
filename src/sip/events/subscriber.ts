/** All our subscriptions at others. */
import { CodedError } from '../../core/errors.js';
import type { EventContext } from './context.js';
import {
  type ReferOptions,
  type SubscribeOptions,
  Subscription,
  type SubscriptionHost,
} from './subscription.js';

/** At once, branches of forks among them. */
export const MAX_SUBSCRIPTIONS = 1000;

export class Subscriber {
  readonly #current = new Set<Subscription>();
  #context: EventContext | undefined;

  get size(): number {
    return this.#current.size;
  }

  get current(): readonly Subscription[] {
    return [...this.#current];
  }

  /**
   * Subscribes; what becomes of it is told by the subscription's events, none before this returns.
   *
   * @throws {CodedError} `TOO_MANY`
   */
  subscribe(options: SubscribeOptions): Subscription {
    const subscription = this.#new(options, options.kind ?? 'lasting');
    subscription.start();
    return subscription;
  }

  /**
   * Asks somebody outside any call to call somebody else, and hears what comes of it (RFC 3515).
   *
   * @throws {CodedError} `TOO_MANY`
   */
  refer(options: ReferOptions): Subscription {
    const subscription = this.#new(options, 'implicit');
    subscription.start();
    return subscription;
  }

  /** Our address has changed: the others learn the new one. */
  networkChanged(): void {
    for (const subscription of this.current) subscription.networkChanged();
  }

  open(context: EventContext): void {
    this.#context = context;
  }

  /** Ends every subscription; the client is not idle before each has had its last NOTIFY. */
  unsubscribeAll(): void {
    for (const subscription of this.current) {
      const settled = this.#context?.client.expectResponse();
      if (settled) subscription.once('ended', settled);
      subscription.unsubscribe();
    }
  }

  close(): void {
    for (const subscription of this.#current) subscription.abandon();
    this.#current.clear();
    this.#context = undefined;
  }

  #new(options: SubscribeOptions | ReferOptions, kind: 'lasting' | 'fetch' | 'implicit') {
    const context = this.#context;
    if (!context) throw new Error('the user agent is not started');
    if (this.#current.size >= MAX_SUBSCRIPTIONS) {
      throw new CodedError('TOO_MANY', `there are ${MAX_SUBSCRIPTIONS} subscriptions already`, {
        remedy: 'Watch fewer phones, or end one of the others first.',
      });
    }
    const host: SubscriptionHost = {
      context,
      adopt: branch => this.#current.add(branch),
      release: released => this.#current.delete(released),
    };
    const subscription = new Subscription(host, options, kind);
    this.#current.add(subscription);
    return subscription;
  }
}
