/**
 * Whom we talked to under which name: the key is pinned, and the name stays its own here until a person says
 * otherwise. Kept in the store, one record a pin; bounded: whom we talked to once goes before whom we talked to again,
 * and of those who was longest not talked to. Ages are counted in talks, since clocks are wrong.
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../core/errors.js';
import type { Store } from '../storage/store.js';
import { sameOctets } from './fields.js';
import { foldedName } from './names.js';
import { KEY_OCTETS } from './signing.js';

export interface Pin {
  /** Folded. */
  readonly name: string;
  /** Raw Ed25519 key of the user. */
  readonly user: Uint8Array;
}

interface KeptPin extends Pin {
  readonly key: string;
  talks: number;
  /** Greater for whom we talked to later. */
  used: number;
}

interface PinRecord {
  readonly name: string;
  /** Base64url. */
  readonly user: string;
  readonly talks: number;
  readonly used: number;
}

export interface PinBookOptions {
  readonly store: Store;
  readonly overlay: string;
  /** 1000 by default: some 4 MiB of small files. */
  readonly maxPins?: number;
}

const MAX_PINS = 1000;

export class PinBook {
  readonly #store: Store;
  readonly #folder: string;
  readonly #maxPins: number;
  readonly #pins = new Map<string, KeptPin>();
  #lastUsed = 0;

  private constructor({ store, overlay, maxPins = MAX_PINS }: PinBookOptions) {
    this.#store = store;
    this.#folder = `pins/${digest(overlay)}`;
    this.#maxPins = maxPins;
  }

  /** Throws what the store throws; records that are no pins are passed over. */
  static async load(options: PinBookOptions): Promise<PinBook> {
    const book = new PinBook(options);
    for (const key of await book.#store.keys(`${book.#folder}/`)) {
      const record = await book.#store.get<Partial<PinRecord>>(key);
      const pin = record && keptPin(key, record);
      if (!pin) continue;
      book.#pins.set(pin.name, pin);
      book.#lastUsed = Math.max(book.#lastUsed, pin.used);
    }
    return book;
  }

  get size(): number {
    return this.#pins.size;
  }

  pinned(name: string): Pin | undefined {
    const folded = foldedName(name);
    const pin = folded === undefined ? undefined : this.#pins.get(folded);
    return pin && { name: pin.name, user: pin.user };
  }

  /**
   * We talked to the one of this name and key; for calls that were answered, not for whatever calls. Pins the key where
   * the name has none; a clash changes nothing.
   *
   * @throws {CodedError} `BAD_NAME`, and whatever the store throws
   */
  async talked(name: string, user: Uint8Array): Promise<'pinned' | 'known' | 'clash'> {
    const folded = checked(name);
    const known = this.#pins.get(folded);
    if (!known) {
      await this.#pin(folded, user);
      return 'pinned';
    }
    if (!sameOctets(known.user, user)) return 'clash';
    // Each write wears the card: who was talked to lately is late enough.
    const late = known.used > this.#lastUsed - this.#maxPins / 2;
    if (known.talks > 1 && late) return 'known';
    known.talks++;
    known.used = ++this.#lastUsed;
    await this.#write(known);
    return 'known';
  }

  /** A person has decided whose the name is. */
  async decide(name: string, user: Uint8Array): Promise<void> {
    await this.#pin(checked(name), user);
  }

  async forget(name: string): Promise<void> {
    const pin = this.#pins.get(checked(name));
    if (!pin) return;
    this.#pins.delete(pin.name);
    await this.#store.delete(pin.key);
  }

  async #pin(name: string, user: Uint8Array): Promise<void> {
    const key = `${this.#folder}/${digest(name)}`;
    const pin: KeptPin = { name, user: user.slice(), key, talks: 1, used: ++this.#lastUsed };
    this.#pins.set(name, pin);
    await Promise.all([this.#write(pin), ...this.#surplus(pin).map(each => this.#drop(each))]);
  }

  #surplus(newest: KeptPin): KeptPin[] {
    const surplus = this.#pins.size - this.#maxPins;
    if (surplus <= 0) return [];
    const others = [...this.#pins.values()].filter(pin => pin !== newest);
    const weight = ({ talks }: KeptPin) => Math.min(talks, 2);
    others.sort((one, other) => weight(one) - weight(other) || one.used - other.used);
    return others.slice(0, surplus);
  }

  #drop(pin: KeptPin): Promise<void> {
    this.#pins.delete(pin.name);
    return this.#store.delete(pin.key);
  }

  #write({ key, name, user, talks, used }: KeptPin): Promise<void> {
    const record: PinRecord = { name, user: Buffer.from(user).toString('base64url'), talks, used };
    return this.#store.set(key, record);
  }
}

function keptPin(key: string, record: Partial<PinRecord>): KeptPin | undefined {
  const { name, talks, used } = record;
  const user = Buffer.from(String(record.user), 'base64url');
  return typeof name === 'string' &&
    foldedName(name) === name &&
    user.length === KEY_OCTETS &&
    Number.isSafeInteger(talks) &&
    Number.isSafeInteger(used)
    ? { key, name, user, talks: Number(talks), used: Number(used) }
    : undefined;
}

function checked(name: string): string {
  const folded = foldedName(name);
  if (folded !== undefined) return folded;
  throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
}

/** Names go into file names by their hash. */
function digest(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}
