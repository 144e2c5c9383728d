/** What subscriptions need of the user agent they belong to. */
import type { Clock, Timer } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint } from '../../core/network.js';
import type { Random } from '../../core/random.js';
import type { DialogRequests } from '../dialog-requests.js';
import type { Dialogs } from '../dialogs.js';
import type { RequestClient } from '../request-client.js';
import type { Self } from '../self.js';
import type { TransactionTimers } from '../transaction/machine.js';

export interface EventContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: TransactionTimers;
  readonly client: RequestClient;
  readonly self: Self;
  readonly dialogs: Dialogs;
  readonly inDialog: DialogRequests;
  /** Throws `CodedError` `NO_ROUTE`. */
  readonly localEndpointFor: (remote: string) => Promise<Endpoint>;
}

/** The timers of one machine, by name. */
export class NamedTimers<Name extends string> {
  readonly #clock: Clock;
  readonly #timers = new Map<Name, { readonly timer: Timer; readonly at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(name: Name, ms: number, fire: () => void): void {
    this.cancel(name);
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(name);
      fire();
    });
    this.#timers.set(name, { timer, at: this.#clock.now() + ms });
  }

  cancel(name: Name): void {
    this.#timers.get(name)?.timer.cancel();
    this.#timers.delete(name);
  }

  /** Until it fires, in ms; undefined where it does not run. */
  left(name: Name): number | undefined {
    const running = this.#timers.get(name);
    return running && Math.max(running.at - this.#clock.now(), 0);
  }

  clear(): void {
    for (const name of [...this.#timers.keys()]) this.cancel(name);
  }
}
