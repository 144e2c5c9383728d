/** Keeps registrations over a restart, sparing the card: who calls need not wait for devices to register anew. */
import type { Clock, Timer } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Store } from '../../storage/store.js';
import type { KeptBinding } from '../registrar/kept.js';

const KEY = 'registrations';

/** Of many changes in this time, one is written. What a power cut takes comes back with the next REGISTER. */
export const WRITE_AFTER_MS = 30_000;

export interface RegistrationsOptions {
  readonly store: Pick<Store, 'get' | 'set'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What there is now. */
  readonly current: () => readonly KeptBinding[];
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  #written = '[]';
  #timer: Timer | undefined;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** What there was before the restart; empty where that cannot be read. */
  async load(): Promise<readonly KeptBinding[]> {
    const { store, logger } = this.#options;
    try {
      const kept = (await store.get<KeptBinding[]>(KEY)) ?? [];
      this.#written = JSON.stringify(kept);
      return kept;
    } catch (error) {
      logger.warn({ reason: asError(error).message }, 'registrations could not be read');
      return [];
    }
  }

  /** Something may have changed. */
  changed(): void {
    this.#timer ??= this.#options.clock.after(WRITE_AFTER_MS, () => void this.#write());
  }

  /** Writes what is not written yet. */
  async stop(): Promise<void> {
    if (this.#timer) await this.#write();
  }

  async #write(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { store, logger, current } = this.#options;
    const kept = current();
    const text = JSON.stringify(kept);
    if (text === this.#written) return;
    this.#written = text;
    try {
      await store.set(KEY, kept);
    } catch (error) {
      logger.warn({ reason: asError(error).message }, 'registrations could not be kept');
    }
  }
}
