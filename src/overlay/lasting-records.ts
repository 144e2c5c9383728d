/**
 * Records held for the ring that are meant to last, on this device's card: so that no power cut of all members at once
 * loses them. What lives for a day or less is not written: its publisher puts it again, and writing wears the card.
 *
 * Lives are counted on while this device runs. Clocks are wrong at boot, so time without power counts for nothing: a record
 * may live longer than it was to, never shorter.
 */
import type { Clock, Timer } from '../core/clock.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Store } from '../storage/store.js';
import { isId } from './ring/ids.js';
import { compareVersions, MAX_LIFE_MS, type RingRecord } from './ring/records.js';
import type { RingAccess } from './ring-access.js';

export interface LastingBounds {
  readonly records: number;
  /** Octets of all values. */
  readonly bytes: number;
  /** Octets of values written in a day of running: whoever floods the ring does not wear the card out. */
  readonly bytesWrittenADay: number;
}

export const LASTING_BOUNDS: LastingBounds = {
  records: 1000,
  bytes: 32 * 2 ** 20,
  bytesWrittenADay: 64 * 2 ** 20,
};

const DAY_MS = 86_400_000;
/** How long this device has run is written so often, while it holds anything: what a power cut adds to a life, at most. */
const COUNT_EVERY_MS = 6 * 3_600_000;
/** What a file costs, whatever is in it. */
const FILE_BYTES = 4096;

export interface LastingRecordsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the overlay. */
  readonly overlay: string;
  /** Whether the publisher of a record signed it. */
  readonly verifyRecord: (record: RingRecord) => boolean;
  readonly bounds?: LastingBounds;
}

export interface LastingStatus {
  readonly records: number;
  readonly bytes: number;
  /** Writes that failed since the start: what they were of is held in memory, and tried again. */
  readonly failures: number;
}

/** As it is stored: all but `ageMs`, which is told by when it ends. */
interface Stored {
  readonly sequence: number;
  readonly lifeMs: number;
  /** Base64; null: a tombstone. */
  readonly value: string | null;
  readonly signature: string;
  /** In ms of running time. */
  readonly endsAt: number;
}

interface Held {
  readonly record: RingRecord;
  readonly endsAt: number;
}

export class LastingRecords {
  readonly #options: LastingRecordsOptions;
  readonly #bounds: LastingBounds;
  readonly #prefix: string;
  /** By key and publisher. */
  readonly #held = new Map<string, Held>();
  #bytes = 0;
  #ranBefore = 0;
  #startedAt: number;
  #counter: Timer | undefined;
  #day = 0;
  #writtenToday = 0;
  #failures = 0;
  #complained: string | undefined;
  #closed = false;
  #giving = false;

  private constructor(options: LastingRecordsOptions) {
    this.#options = options;
    this.#bounds = options.bounds ?? LASTING_BOUNDS;
    this.#prefix = `ring/${options.overlay}/`;
    this.#startedAt = options.clock.now();
  }

  /** Reads what was kept before. Throws what the store throws; what is no record, or of a later version, is passed over. */
  static async load(options: LastingRecordsOptions): Promise<LastingRecords> {
    const lasting = new LastingRecords(options);
    await lasting.#load();
    return lasting;
  }

  /** All that is kept, with its age now. */
  get records(): RingRecord[] {
    const ran = this.#ran;
    return [...this.#held.values()]
      .filter(({ endsAt }) => endsAt > ran)
      .map(({ record, endsAt }) => ({ ...record, ageMs: lifeOf(record) - (endsAt - ran) }));
  }

  get status(): LastingStatus {
    return { records: this.#held.size, bytes: this.#bytes, failures: this.#failures };
  }

  /**
   * Resolves when all would survive a power cut.
   *
   * @throws {CodedError} `RING_STORE_FULL` beyond the bounds, and what the store throws
   */
  async keep(records: readonly RingRecord[]): Promise<void> {
    try {
      await Promise.all(records.map(record => this.#keep(record)));
    } catch (error) {
      this.#failures++;
      this.#complain(asError(error));
      throw error;
    }
  }

  /** These, and no newer ones in their place. */
  forget(records: readonly RingRecord[]): void {
    for (const record of records) {
      if (this.#held.get(nameOf(record))?.record.signature === record.signature) this.#drop(record);
    }
  }

  /** What is kept by a device that has no place in the ring any more is given to those who have. */
  async giveTo(ring: RingAccess, goesOn: () => boolean): Promise<void> {
    if (this.#giving) return;
    this.#giving = true;
    await this.#giveAll(ring, goesOn);
    this.#giving = false;
  }

  async #giveAll(ring: RingAccess, goesOn: () => boolean): Promise<void> {
    const { logger } = this.#options;
    for (const record of this.records) {
      try {
        if (goesOn() && !(await isThere(ring, record))) await ring.put(record);
      } catch (error) {
        const reason = asError(error).message;
        logger.debug({ key: record.key, reason }, 'a record could not be given to the ring');
        continue;
      }
      if (!goesOn()) return;
      this.forget([record]);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#counter?.cancel();
    if (this.#held.size > 0) await this.#count().catch(() => undefined);
  }

  get #ran(): number {
    return this.#ranBefore + this.#options.clock.now() - this.#startedAt;
  }

  async #load(): Promise<void> {
    const { store, logger, verifyRecord } = this.#options;
    const ran = await store.get<number>(`${this.#prefix}ran`);
    this.#ranBefore = typeof ran === 'number' && ran >= 0 ? ran : 0;
    this.#startedAt = this.#options.clock.now();
    for (const key of await store.keys(this.#prefix)) {
      const [id = '', publisher = ''] = key.slice(this.#prefix.length).split('-');
      if (!isId(id)) continue;
      const held = heldOf(id, publisher, await this.#read(key));
      if (!held) continue;
      // Where the count of hours was lost.
      const endsAt = Math.min(held.endsAt, this.#ran + lifeOf(held.record));
      if (endsAt > this.#ran && verifyRecord(held.record)) this.#add({ ...held, endsAt });
      else this.#drop(held.record);
    }
    if (this.#held.size === 0) return;
    logger.info({ ...this.status }, 'records of the ring were kept here');
    this.#countLater();
  }

  async #read(key: string): Promise<Partial<Stored> | undefined> {
    try {
      return await this.#options.store.get<Partial<Stored>>(key);
    } catch (error) {
      this.#options.logger.warn({ key, reason: asError(error).message }, 'a record is passed over');
      return undefined;
    }
  }

  async #keep(record: RingRecord): Promise<void> {
    const { store } = this.#options;
    const name = nameOf(record);
    const before = this.#held.get(name);
    const same = before?.record.signature === record.signature;
    if (!same) this.#makeRoom(record, before);
    const endsAt = same ? before.endsAt : this.#ran + lifeOf(record) - Math.max(0, record.ageMs);
    const held = { record, endsAt };
    // At once: what is forgotten while it is written is deleted after that.
    this.#add(held);
    try {
      await store.set(`${this.#prefix}${name}`, storedOf(held));
    } catch (error) {
      if (this.#held.get(name) === held) {
        this.#remove(name);
        if (before) this.#add(before);
      }
      throw error;
    }
    this.#countLater();
  }

  /** @throws {CodedError} `RING_STORE_FULL` */
  #makeRoom(record: RingRecord, before: Held | undefined): void {
    const ran = this.#ran;
    for (const { record: over, endsAt } of [...this.#held.values()]) {
      if (endsAt <= ran) this.#drop(over);
    }
    const day = Math.floor(ran / DAY_MS);
    if (day !== this.#day) this.#writtenToday = 0;
    this.#day = day;
    const { records, bytes, bytesWrittenADay } = this.#bounds;
    const more = this.#held.size + (before ? 0 : 1);
    const grows = this.#bytes + costOf(record) - (before ? costOf(before.record) : 0);
    if (more > records || grows > bytes || this.#writtenToday + costOf(record) > bytesWrittenADay) {
      throw new CodedError(
        'RING_STORE_FULL',
        `expected at most ${records} lasting records of ${bytes} octets, and ${bytesWrittenADay} octets written a day`,
        { remedy: 'They are kept in memory: nothing has to be done, unless it goes on for days.' },
      );
    }
    this.#writtenToday += costOf(record);
  }

  #add(held: Held): void {
    const name = nameOf(held.record);
    this.#remove(name);
    this.#held.set(name, held);
    this.#bytes += costOf(held.record);
  }

  #remove(name: string): void {
    const held = this.#held.get(name);
    if (held && this.#held.delete(name)) this.#bytes -= costOf(held.record);
  }

  #drop(record: RingRecord): void {
    const name = nameOf(record);
    this.#remove(name);
    this.#options.store.delete(`${this.#prefix}${name}`).catch(error => {
      this.#options.logger.debug({ reason: asError(error).message }, 'a record stays on the card');
    });
  }

  #countLater(): void {
    if (this.#counter || this.#closed) return;
    this.#counter = this.#options.clock.after(COUNT_EVERY_MS, () => {
      this.#counter = undefined;
      if (this.#held.size === 0) return;
      this.#count().catch(error => this.#complain(asError(error)));
      this.#countLater();
    });
  }

  #count(): Promise<void> {
    return this.#options.store.set(`${this.#prefix}ran`, Math.round(this.#ran));
  }

  /** Once, until it is another reason. */
  #complain({ message: reason }: Error): void {
    if (this.#complained === reason) return;
    this.#complained = reason;
    this.#options.logger.warn({ reason }, 'a record of the ring is kept in memory only');
  }
}

/** The same, or a newer one. */
async function isThere(ring: RingAccess, record: RingRecord): Promise<boolean> {
  const held = await ring.get(record.key);
  return held.some(
    each => each.publisher === record.publisher && compareVersions(each, record) >= 0,
  );
}

function nameOf({ key, publisher }: RingRecord): string {
  return `${key}-${publisher}`;
}

function lifeOf({ lifeMs }: RingRecord): number {
  return Math.min(lifeMs, MAX_LIFE_MS);
}

function costOf({ value }: RingRecord): number {
  return FILE_BYTES + (value?.length ?? 0);
}

function storedOf({ record, endsAt }: Held): Stored {
  const { sequence, lifeMs, value, signature } = record;
  const text = value ? Buffer.from(value).toString('base64') : null;
  return { sequence, lifeMs, value: text, signature, endsAt };
}

/** Undefined for what is none. */
function heldOf(key: string, publisher: string, stored: Partial<Stored> | undefined) {
  if (!stored) return undefined;
  const { sequence, lifeMs, value, signature, endsAt } = stored;
  const numbers = [sequence, lifeMs, endsAt].every(Number.isFinite);
  if (!numbers || typeof signature !== 'string' || (value !== null && typeof value !== 'string')) {
    return undefined;
  }
  const octets = value === null ? undefined : Buffer.from(value, 'base64');
  const told = { sequence: Number(sequence), lifeMs: Number(lifeMs), value: octets, signature };
  return { record: { key, publisher, ageMs: 0, ...told }, endsAt: Number(endsAt) };
}
