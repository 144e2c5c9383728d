/**
 * Who was expelled from the private overlay of this phone, as the newest list has it that is known anywhere: it is looked
 * for in the ring, kept in the store, and put again where the ring has none or an older one. So it lasts as long as one phone
 * that knows of it.
 */
import { EventEmitter } from 'node:events';
import type { Clock } from '../../core/clock.js';
import { asError, errorCode } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Random } from '../../core/random.js';
import { withinTime } from '../../discovery/within-time.js';
import {
  type Enrolment,
  type Enrolments,
  type Overlay,
  readEnrolment,
  readExpulsions,
} from '../../identity/enrolment.js';
import { refusalError } from '../../identity/refusal.js';
import type { Verifier } from '../../identity/signing.js';
import type { KeptExpulsions, StoredOverlay } from '../../identity/stored-overlay.js';
import { compareVersions, type RingRecord } from '../ring/records.js';
import type { RingAccess } from '../ring-access.js';
import { expulsionKey, expulsionRecord, readExpulsionRecord } from './expulsion-record.js';
import { LOOK_AGAIN_MS, LookAgain } from './look-again.js';
import { RING_WITHIN_MS } from './name-lookup.js';

/** One member holds the list for all: a phone reads no more of it than 10 octets a second, some 70 minutes for 1000 users. */
const MS_PER_OCTET = 100;

/** Several rings that began at once, as after a power cut, are one by then. */
const MET_BY_THEN_MS = 60_000;

export interface ExpulsionsEvents {
  /** There is a newer list. */
  list: [];
  /** `REVOKED`: the user of this phone was expelled. And what the store says. */
  problem: [error: Error];
}

export interface ExpulsionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ring: RingAccess;
  readonly overlay: Required<Overlay>;
  readonly stored: Pick<StoredOverlay, 'expulsions' | 'keepExpulsions'>;
  /** Learns the list. */
  readonly enrolments: Enrolments;
  readonly verifier: Verifier;
  /** Of this phone's user. */
  readonly enrolment: Uint8Array;
}

export class Expulsions extends EventEmitter<ExpulsionsEvents> {
  readonly #options: ExpulsionsOptions;
  readonly #looking: LookAgain;
  readonly #own: Enrolment | undefined;
  #newest: RingRecord | undefined;
  #expelled = false;

  constructor(options: ExpulsionsOptions) {
    super();
    this.#options = options;
    const { overlay, verifier, enrolment } = options;
    const own = readEnrolment(enrolment, overlay, verifier);
    this.#own = own.ok ? own.value : undefined;
    this.#looking = new LookAgain({
      ...options,
      onceMoreMs: MET_BY_THEN_MS,
      look: async () => void (await this.tell()),
      everyMs: () => Math.max(LOOK_AGAIN_MS, MS_PER_OCTET * (this.#newest?.value?.length ?? 0)),
    });
  }

  /** Whether the user of this phone was, and has not been enrolled again since. */
  get expelled(): boolean {
    return this.#expelled;
  }

  /** Reads what is kept here, and looks from now on. */
  async start(): Promise<void> {
    await this.#readStored();
    this.#looking.soon();
  }

  /** There is a ring, or another: it may know more, or less. */
  ringChanged(): void {
    this.#looking.soon();
  }

  stop(): void {
    this.#looking.stop();
  }

  /** Looks at once: whether the ring has the newest list that is known here. */
  async tell(): Promise<boolean> {
    const { clock, ring, overlay, logger } = this.#options;
    try {
      await this.#readStored();
      const asked = ring.get(expulsionKey(overlay));
      const records = await withinTime(clock, RING_WITHIN_MS, asked);
      // Who did not answer may have it.
      if (!records) return false;
      let there = false;
      for (const record of records) {
        if (record.signature === this.#newest?.signature || (await this.#learn(record)))
          there = true;
      }
      if (this.#newest && !there) await ring.put({ ...this.#newest, ageMs: 0 });
      return this.#newest !== undefined;
    } catch (error) {
      const reason = asError(error).message;
      logger.debug({ reason, code: errorCode(error) }, 'who was expelled is not known');
      return false;
    }
  }

  /** Also of whoever has expelled somebody here, beside the phone that runs. */
  async #readStored(): Promise<void> {
    const { overlay, stored } = this.#options;
    for (const kept of await stored.expulsions(overlay.name)) this.#takeStored(kept);
  }

  #takeStored({ list, signature }: KeptExpulsions): void {
    const { overlay, verifier, enrolments } = this.#options;
    const read = readExpulsions(list, overlay, verifier);
    // That of another overlay of this name, to which the phone belonged before.
    if (!read.ok) return;
    if (signature !== undefined) {
      this.#take(expulsionRecord(overlay, list, read.value, signature));
    } else if (enrolments.learn(list).ok) {
      // Of an earlier version: the ring does not take it. It goes along with whom the overlay expels next.
      this.#judgeOurselves();
    }
  }

  /** One that the ring holds: kept, where it is newer. */
  async #learn(record: RingRecord): Promise<boolean> {
    if (!this.#take(record)) return false;
    const { stored, overlay } = this.#options;
    const { value: list, signature } = record;
    try {
      if (list) await stored.keepExpulsions(overlay.name, { list, signature });
    } catch (error) {
      // Known until the next start, and then learnt again.
      this.emit('problem', asError(error));
    }
    return true;
  }

  /** Whether it is newer than what was known. */
  #take(record: RingRecord): boolean {
    const { overlay, verifier, enrolments, logger } = this.#options;
    if (this.#newest && compareVersions(record, this.#newest) <= 0) return false;
    const read = readExpulsionRecord(record, overlay, verifier);
    const learnt = read.ok && record.value ? enrolments.learn(record.value) : read;
    if (!learnt.ok) {
      const { code, detail: reason } = learnt;
      logger.info({ code, reason }, 'a list of those expelled was refused');
      return false;
    }
    this.#newest = record;
    this.emit('list');
    this.#judgeOurselves();
    return true;
  }

  #judgeOurselves(): void {
    const { enrolments, enrolment, clock } = this.#options;
    if (!this.#own) return;
    const { user, name } = this.#own;
    const checked = enrolments.check({ user, name, enrolment }, clock.now());
    const expelled = !checked.ok && checked.code === 'REVOKED';
    if (expelled && !this.#expelled) this.emit('problem', refusalError(checked, ENROL_AGAIN));
    this.#expelled = expelled;
  }
}

const ENROL_AGAIN =
  'Nobody of it calls this phone by its name any more. If that was not meant, have its user enrolled again (`ringline overlay enrol`, `overlay join`).';
