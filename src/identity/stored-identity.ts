/** An identity whose key is made on first use and kept in the store. */
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Store } from '../storage/store.js';
import { deviceIdOf, type IdentityProvider } from './identity.js';
import { Ed25519Signer, type Signer } from './signing.js';

const KEY_RECORD = 'identity/device';
const BOOTS_RECORD = 'identity/boots';

/** Octets of an Ed25519 private key, RFC 8032 §5.1.5. */
const SEED_OCTETS = 32;

interface KeyRecord {
  readonly algorithm: 'Ed25519';
  /** 32 octets, base64url. */
  readonly seed: string;
}

export interface StoredIdentityOptions {
  readonly store: Store;
  readonly random: Random;
}

/** Every method throws `CodedError` `BAD_IDENTITY` where the stored key is not one, and whatever the store throws. */
export class StoredIdentity implements IdentityProvider {
  readonly #store: Store;
  readonly #random: Random;
  #key: Promise<Signer> | undefined;
  #boots: Promise<number> | undefined;

  constructor({ store, random }: StoredIdentityOptions) {
    this.#store = store;
    this.#random = random;
  }

  async deviceId(): Promise<string> {
    return deviceIdOf((await this.signer()).publicKey);
  }

  async publicKey(): Promise<Uint8Array> {
    return (await this.signer()).publicKey.slice();
  }

  async sign(data: Uint8Array): Promise<Uint8Array> {
    return (await this.signer()).sign(data);
  }

  bootCount(): Promise<number> {
    this.#boots ??= this.#countBoot();
    return this.#boots;
  }

  signer(): Promise<Signer> {
    this.#key ??= this.#loadOrMakeKey();
    return this.#key;
  }

  async #loadOrMakeKey(): Promise<Signer> {
    const stored = await this.#store.get<KeyRecord>(KEY_RECORD);
    if (stored) return new Ed25519Signer(seedOf(stored));
    const seed = this.#random.bytes(SEED_OCTETS);
    const record: KeyRecord = {
      algorithm: 'Ed25519',
      seed: Buffer.from(seed).toString('base64url'),
    };
    if (await this.#store.add(KEY_RECORD, record)) return new Ed25519Signer(seed);
    // Another start was quicker: its key is the one.
    return new Ed25519Signer(seedOf((await this.#store.get<KeyRecord>(KEY_RECORD)) ?? record));
  }

  async outrunBoot(boot: number): Promise<number> {
    const now = await this.bootCount();
    if (boot < now) return now;
    await this.#store.set(BOOTS_RECORD, boot + 1);
    this.#boots = Promise.resolve(boot + 1);
    return boot + 1;
  }

  async #countBoot(): Promise<number> {
    const boots = ((await this.#store.get<number>(BOOTS_RECORD)) ?? 0) + 1;
    await this.#store.set(BOOTS_RECORD, boots);
    return boots;
  }
}

function seedOf(record: KeyRecord): Uint8Array {
  const seed = Buffer.from(String(record.seed), 'base64url');
  if (record.algorithm === 'Ed25519' && seed.length === SEED_OCTETS) return seed;
  throw new CodedError(
    'BAD_IDENTITY',
    `expected an Ed25519 key of ${SEED_OCTETS} octets in ${KEY_RECORD}, found ${record.algorithm} of ${seed.length}`,
    { remedy: 'Put a good copy back, or delete the record: the phone then gets a new identity.' },
  );
}
