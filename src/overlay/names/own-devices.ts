/**
 * The devices of the user this phone speaks for: which of them were taken back, as the user's newest list has it. Whoever
 * has the user's key makes the list; from there it goes along with each binding, and so to all who ask for the name.
 */
import { EventEmitter } from 'node:events';
import type { Clock } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Random } from '../../core/random.js';
import { readDeviceCertificate } from '../../identity/device-certificate.js';
import type { DeviceTrust } from '../../identity/device-trust.js';
import { sameOctets } from '../../identity/fields.js';
import { refusalError } from '../../identity/refusal.js';
import type { Verifier } from '../../identity/signing.js';
import type { StoredUser } from '../../identity/stored-user.js';
import { LookAgain } from './look-again.js';

export interface OwnDevicesEvents {
  /** There is a newer list. */
  list: [];
  /** `REVOKED`: this device was taken back itself. */
  problem: [error: Error];
}

export interface OwnDevicesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly stored: StoredUser;
  readonly trust: DeviceTrust;
  readonly verifier: Verifier;
  /** Of this device. */
  readonly certificate: Uint8Array;
  /** Asks the ring for our own names; never fails. */
  readonly ask: () => Promise<void>;
}

export class OwnDevices extends EventEmitter<OwnDevicesEvents> {
  readonly #options: OwnDevicesOptions;
  readonly #looking: LookAgain;
  #list: Uint8Array | undefined;
  #stopped = false;
  #told = false;

  constructor(options: OwnDevicesOptions) {
    super();
    this.#options = options;
    this.#looking = new LookAgain({ ...options, look: () => this.#look() });
  }

  /** The newest; undefined where no device was ever taken back. */
  get list(): Uint8Array | undefined {
    return this.#list;
  }

  /** Reads what is kept here, and looks from now on. */
  async start(): Promise<void> {
    this.#list = await this.#options.stored.list();
    if (this.#list) this.#options.trust.learn(this.#list);
    this.#looking.later();
  }

  /** There is a ring, or another: it may know more. */
  ringChanged(): void {
    this.#looking.soon();
  }

  stop(): void {
    this.#stopped = true;
    this.#looking.stop();
  }

  async #look(): Promise<void> {
    const { logger, ask } = this.#options;
    try {
      await this.#readStored();
      await ask();
      if (!this.#stopped) await this.#takeNewest();
    } catch (error) {
      logger.debug(
        { reason: asError(error).message },
        'which devices were taken back is not known',
      );
    }
  }

  /** The owner may have taken a device back here, beside the phone that runs. */
  async #readStored(): Promise<void> {
    const stored = await this.#options.stored.list();
    if (stored) this.#options.trust.learn(stored);
  }

  async #takeNewest(): Promise<void> {
    const { trust, verifier, certificate, stored, clock } = this.#options;
    const own = readDeviceCertificate(certificate, verifier);
    if (!own.ok) return;
    const { user, device } = own.value;
    const newest = trust.newest(user);
    if (newest && !(this.#list && sameOctets(newest, this.#list))) {
      this.#list = newest;
      await stored.keepList(newest);
      this.emit('list');
    }
    const checked = trust.check({ device, user, capability: 'reach', certificate }, clock.now());
    if (checked.ok || checked.code !== 'REVOKED' || this.#told) return;
    this.#told = true;
    this.emit('problem', refusalError(checked, CERTIFY_AGAIN));
  }
}

const CERTIFY_AGAIN =
  'Nobody calls this phone by its name any more. If that was not meant, certify it anew: `ringline user certify`.';
