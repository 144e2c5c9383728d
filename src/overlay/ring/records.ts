/**
 * Records a member holds: versioned by publisher and sequence, expiring, bounded for each publisher and
 * in all. Lives are relative, since clocks are wrong at boot: `ageMs` travels with the record.
 */
import { distance, type Id } from './ids.js';

export interface RingRecord {
  readonly key: Id;
  /** Whose it is; a key may hold records of several. */
  readonly publisher: string;
  /** Of one publisher's records under one key the highest is the one. */
  readonly sequence: number;
  /** From when it was published until it is forgotten. */
  readonly lifeMs: number;
  readonly ageMs: number;
  /** Undefined: a tombstone; what was there is gone, and an older copy does not bring it back. */
  readonly value: Uint8Array | undefined;
  /** By the publisher, over all but `ageMs`. */
  readonly signature: string;
}

/** Why a record is not kept. */
export type StoreRefusal = 'not-owner' | 'too-large' | 'full' | 'bad-signature' | 'outdated';

export type RecordVersion = Pick<RingRecord, 'key' | 'publisher' | 'sequence'>;

/** 64 KiB: larger values go in parts (values.ts). */
export const MAX_VALUE_BYTES = 65_536;
/** 30 days. */
export const MAX_LIFE_MS = 30 * 86_400_000;
/** What is to live for longer is kept where a power cut does not reach it; all else is put again by its publisher. */
export const LASTING_MS = 86_400_000;

/** Octets count the values, and what else a record costs. */
export interface RecordBounds {
  readonly bytes: number;
  readonly bytesPerPublisher: number;
  /** What is under one key fits one answer, and is read by whoever asks (`MAX_RECORDS` in names/name-lookup.ts). */
  readonly bytesPerKey: number;
  readonly recordsPerKey: number;
}

/** What a small board can spare. */
export const RECORD_BOUNDS: RecordBounds = {
  bytes: 64 * 2 ** 20,
  bytesPerPublisher: 16 * 2 ** 20,
  bytesPerKey: 768 * 2 ** 10,
  recordsPerKey: 64,
};

/** Keys, signature and tables: 650 octets with Node 20, and room for what the memory of others adds. */
const RECORD_OVERHEAD_BYTES = 1_024;
/** Where more than half is taken new records live no longer: a flood of them is over when it ends. */
const CROWDED_LIFE_MS = 3_600_000;
/** What has ended is looked for no more often where there is no room. */
const EXPIRE_EVERY_MS = 1_000;

export interface HeldRecord {
  readonly record: RingRecord;
  /** In the member's own time. */
  readonly expiresAt: number;
  /** When its owner last said that it belongs here. */
  wantedAt: number;
  /** It was ours until now, and nobody who owns it has said yet that it has it. */
  isDisowned: boolean;
  /** It lies where a power cut does not reach it. */
  flushed: boolean;
}

/** What a publisher signs. The value is in it by its octets, so sign a hash of this. */
export function recordText(record: Omit<RingRecord, 'signature' | 'ageMs'>): string {
  const { key, publisher, sequence, lifeMs, value } = record;
  const content = value === undefined ? 'gone' : Buffer.from(value).toString('base64');
  return `record ${key} ${publisher} ${sequence} ${lifeMs} ${content}`;
}

export class RecordStore {
  readonly #held = new Map<Id, Map<string, HeldRecord>>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;
  #records = 0;
  #expiredAt = Number.NEGATIVE_INFINITY;
  readonly #bounds: RecordBounds;
  /** Whether there is a place that a power cut does not reach. */
  readonly lasting: boolean;
  #gone: RingRecord[] = [];

  constructor(bounds: RecordBounds = RECORD_BOUNDS, lasting = false) {
    this.#bounds = bounds;
    this.lasting = lasting;
  }

  get size(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a record whose signature was verified; undefined when kept, or when it was here already. */
  put(record: RingRecord, now: number): StoreRefusal | undefined {
    if ((record.value?.length ?? 0) > MAX_VALUE_BYTES) return 'too-large';
    const life = Math.min(record.lifeMs, MAX_LIFE_MS) - Math.max(0, record.ageMs);
    if (!(life > 0)) return 'outdated';
    const isCrowded = 2 * this.#bytes > this.#bounds.bytes;
    const known = this.#held.get(record.key)?.get(record.publisher);
    if (known) {
      const order = compareVersions(record, known.record);
      if (order < 0) return 'outdated';
      if (order === 0) {
        known.wantedAt = now;
        return undefined;
      }
    }
    const grows = cost(record) - (known ? cost(known.record) : 0);
    if (!this.#fits(record, grows, !known)) {
      if (now - this.#expiredAt < EXPIRE_EVERY_MS) return 'full';
      this.expire(now);
      if (!this.#fits(record, grows, !known)) return 'full';
    }
    if (known) this.#remove(known.record);
    const longest = known || !isCrowded ? life : CROWDED_LIFE_MS;
    const expiresAt = now + Math.min(life, longest);
    this.#add({ record, expiresAt, wantedAt: now, isDisowned: false, flushed: false });
    return undefined;
  }

  /** Those of `records` that are held, are meant to last, and would not survive a power cut. */
  unflushed(records: readonly RingRecord[]): RingRecord[] {
    if (!this.lasting) return [];
    return records.filter(
      record => record.lifeMs > LASTING_MS && this.#same(record)?.flushed === false,
    );
  }

  /** They would survive a power cut now. */
  flushed(records: readonly RingRecord[]): void {
    for (const record of records) {
      const held = this.#same(record);
      if (held) held.flushed = true;
    }
  }

  /** Records that were meant to last, and are held no more; each once. */
  takeGone(): readonly RingRecord[] {
    const gone = this.#gone;
    if (gone.length > 0) this.#gone = [];
    return gone;
  }

  /**
   * What is told of `key`: its records, tombstones too, aged as of `now`. Where the key is the id of one of their publishers
   * it is that one's place, and its record is told alone: others cannot crowd it out.
   */
  get(key: Id, now: number): RingRecord[] {
    const records = this.under(key, now);
    const own = records.find(({ publisher }) => publisher === key);
    return own ? [own] : records;
  }

  /** All records under `key`. */
  under(key: Id, now: number): RingRecord[] {
    const records: RingRecord[] = [];
    for (const held of this.#held.get(key)?.values() ?? []) {
      if (held.expiresAt > now) records.push(aged(held, now));
    }
    return records;
  }

  find({ key, publisher, sequence }: RecordVersion, now: number): RingRecord | undefined {
    const held = this.#held.get(key)?.get(publisher);
    if (!held || held.expiresAt <= now || held.record.sequence < sequence) return undefined;
    return aged(held, now);
  }

  /** Whether `version`, or a later one, is here; notes that it is still wanted here. */
  has({ key, publisher, sequence }: RecordVersion, now: number): boolean {
    const held = this.#held.get(key)?.get(publisher);
    if (!held || held.record.sequence < sequence) return false;
    held.wantedAt = now;
    return true;
  }

  /** Its owner has it. */
  takenOver({ key, publisher, sequence }: RecordVersion): void {
    const held = this.#held.get(key)?.get(publisher);
    if (held && held.record.sequence <= sequence) held.isDisowned = false;
  }

  *all(): IterableIterator<HeldRecord> {
    for (const ofKey of this.#held.values()) yield* ofKey.values();
  }

  drop(version: RecordVersion): void {
    const held = this.#held.get(version.key)?.get(version.publisher);
    if (held) this.#remove(held.record);
  }

  expire(now: number): void {
    this.#expiredAt = now;
    for (const held of [...this.all()]) if (held.expiresAt <= now) this.#remove(held.record);
  }

  #fits({ key, publisher }: RecordVersion, grows: number, another: boolean): boolean {
    const { bytes, bytesPerPublisher, bytesPerKey, recordsPerKey } = this.#bounds;
    if (this.#bytes + grows > bytes) return false;
    if ((this.#bytesOf.get(publisher) ?? 0) + grows > bytesPerPublisher) return false;
    const ofKey = this.#held.get(key);
    if (!ofKey || isOwnPlace(key, publisher)) return true;
    let there = grows;
    for (const { record } of ofKey.values()) there += cost(record);
    return there <= bytesPerKey && ofKey.size + (another ? 1 : 0) <= recordsPerKey;
  }

  #add(held: HeldRecord): void {
    const { record } = held;
    const ofKey = this.#held.get(record.key) ?? new Map<string, HeldRecord>();
    this.#held.set(record.key, ofKey.set(record.publisher, held));
    this.#count(record, 1);
  }

  #same({ key, publisher, signature }: RingRecord): HeldRecord | undefined {
    const held = this.#held.get(key)?.get(publisher);
    return held?.record.signature === signature ? held : undefined;
  }

  #remove(record: RingRecord): void {
    const ofKey = this.#held.get(record.key);
    if (!ofKey?.delete(record.publisher)) return;
    if (this.lasting && record.lifeMs > LASTING_MS) this.#gone.push(record);
    if (ofKey.size === 0) this.#held.delete(record.key);
    this.#count(record, -1);
  }

  #count(record: RingRecord, sign: 1 | -1): void {
    const bytes = (this.#bytesOf.get(record.publisher) ?? 0) + sign * cost(record);
    if (bytes > 0) this.#bytesOf.set(record.publisher, bytes);
    else this.#bytesOf.delete(record.publisher);
    this.#bytes += sign * cost(record);
    this.#records += sign;
  }
}

/** Above zero where `one` replaces `other`. Of one sequence signed twice the greater signature stays, everywhere. */
export function compareVersions(one: RingRecord, other: RingRecord): number {
  if (one.sequence !== other.sequence) return one.sequence - other.sequence;
  if (one.signature === other.signature) return 0;
  return one.signature > other.signature ? 1 : -1;
}

export function versionOf({ key, publisher, sequence }: RingRecord): RecordVersion {
  return { key, publisher, sequence };
}

/** Its own ID, or one of the last places before it (nodes/node-list.ts): others cannot crowd it out there. */
function isOwnPlace(key: Id, publisher: string): boolean {
  return distance(key, publisher) <= 1;
}

function aged({ record, expiresAt }: HeldRecord, now: number): RingRecord {
  return { ...record, ageMs: Math.min(record.lifeMs, MAX_LIFE_MS) - (expiresAt - now) };
}

function cost(record: RingRecord): number {
  return RECORD_OVERHEAD_BYTES + (record.value?.length ?? 0);
}
