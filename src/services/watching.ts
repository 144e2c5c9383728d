/** Watches the lamps of other phones: what each of them does now, as it changes. */
import { EventEmitter } from 'node:events';
import type { SipUri } from '@sip-stack/parser';
import { parseDialled } from '../calling/dialled.js';
import { CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Locator } from '../discovery/locator.js';
import { DialogTable, type LampState, readDialogInfo } from '../sip/events/dialog-info.js';
import { type Content, DIALOG } from '../sip/events/package.js';
import type { Subscriber } from '../sip/events/subscriber.js';
import type { SubscriptionEnd } from '../sip/events/subscriber-machine.js';
import type { Subscription } from '../sip/events/subscription.js';
import { describeTarget } from '../sip/resolution/plan.js';
import type { CallerIdentity } from '../sip/self.js';

export interface WatchingOptions {
  readonly subscriber: Subscriber;
  readonly locator: Locator;
  readonly logger: Logger;
  /** Who asks, of whom. */
  readonly identity: (target: SipUri) => CallerIdentity;
}

export interface WatchedLampEvents {
  /** It is another than before. */
  lamp: [state: LampState];
  /** Nothing more will be told, and why. */
  ended: [reason: CodedError | undefined];
}

export class Watching {
  readonly #options: WatchingOptions;
  readonly #lamps = new Set<WatchedLamp>();

  constructor(options: WatchingOptions) {
    this.#options = options;
  }

  /**
   * Watches somebody until `close`; events follow, none before this returns.
   *
   * @throws {CodedError} `BAD_TARGET`, `TOO_MANY`
   */
  watch(target: string): WatchedLamp {
    const lamp = new WatchedLamp(this.#options, target, parseDialled(target));
    this.#lamps.add(lamp);
    lamp.once('ended', () => this.#lamps.delete(lamp));
    return lamp;
  }

  /** What is watched now. */
  get lamps(): readonly WatchedLamp[] {
    return [...this.#lamps];
  }

  /** A phone has come to this network: whoever was not there may be there now. */
  phoneSeen(): void {
    for (const lamp of this.#lamps) lamp.tryNow();
  }
}

export class WatchedLamp extends EventEmitter<WatchedLampEvents> {
  /** As it was given. */
  readonly target: string;
  readonly #logger: Logger;
  readonly #subscription: Subscription;
  readonly #closed = new AbortController();
  /** A fork may reach several phones of one person: each has its own. */
  readonly #tables = new Map<Subscription, DialogTable>();
  #lamp: LampState | undefined;

  constructor(
    { subscriber, locator, identity, logger }: WatchingOptions,
    target: string,
    uri: SipUri,
  ) {
    super();
    this.target = target;
    this.#logger = logger;
    this.#subscription = subscriber.subscribe({
      package: DIALOG,
      persistent: true,
      from: identity(uri),
      locate: async () => {
        const [location] = await locator.locate(uri, this.#closed.signal);
        if (!location) throw new CodedError('NO_SUCH_NAME', `${target} is not on this network`);
        const { uri: at, endpoint, target: to } = location;
        return { uri: at, to: to ?? { ...describeTarget(at), endpoint } };
      },
    });
    this.#follow(this.#subscription);
    this.#subscription.on('branch', branch => this.#follow(branch));
    this.#subscription.once('ended', end => this.emit('ended', reasonOf(target, end)));
  }

  get lamp(): LampState {
    return this.#lamp ?? 'unknown';
  }

  /** Ends it at the other side; `ended` follows. */
  close(): void {
    this.#closed.abort();
    this.#subscription.unsubscribe();
  }

  /** Does not wait for the next attempt, where the last one came to nothing. */
  tryNow(): void {
    if (this.#subscription.phase === 'waiting') this.#subscription.networkChanged();
  }

  #follow(subscription: Subscription): void {
    subscription.on('notified', content => this.#notified(subscription, content));
    subscription.on('phase', phase => {
      // Begun anew, it counts anew.
      if (phase === 'waiting') this.#tables.delete(subscription);
      if (phase === 'waiting') this.#tell();
    });
    subscription.once('ended', () => {
      this.#tables.delete(subscription);
      if (subscription !== this.#subscription) this.#tell();
    });
  }

  #notified(subscription: Subscription, content: Content | undefined): void {
    if (!content) return;
    const table = this.#tables.get(subscription) ?? new DialogTable();
    this.#tables.set(subscription, table);
    try {
      // Changes to what was never heard: all of it is asked for.
      if (!table.apply(readDialogInfo(content.body))) subscription.networkChanged();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#logger.info({ target: this.target, reason: error.message }, 'no lamp state was read');
    }
    this.#tell();
  }

  #tell(): void {
    const lamps = [...this.#tables.values()].map(({ lamp }) => lamp);
    const found = (['ringing', 'busy', 'idle'] as const).find(state => lamps.includes(state));
    const lamp = found ?? 'unknown';
    if (lamp === this.#lamp) return;
    this.#lamp = lamp;
    this.emit('lamp', lamp);
  }
}

function reasonOf(target: string, end: SubscriptionEnd): CodedError | undefined {
  switch (end.by) {
    case 'local':
      return undefined;
    case 'refusal':
      return new CodedError('REFUSED', `${target} cannot be watched: ${refusalText(end.status)}`);
    case 'notifier': {
      const why = end.reason === 'rejected' ? 'it does not let us' : end.reason || 'it ended that';
      return new CodedError('REFUSED', `${target} is watched no longer: ${why}`);
    }
  }
}

function refusalText(status: number): string {
  switch (status) {
    case 401:
    case 403:
    case 407:
    case 603:
      return 'it does not let us';
    case 405:
    case 489:
    case 501:
      return 'it does not tell its state';
    case 404:
      return 'nobody of that name is there';
    default:
      return `it answered ${status}`;
  }
}
