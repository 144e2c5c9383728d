/** An identity whose key is made on first use and kept in the store. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Store } from '../storage/store.js';
import { deviceIdOf, type IdentityProvider } from './identity.js';

const KEY_RECORD = 'identity/device';
const BOOTS_RECORD = 'identity/boots';

/** Octets of an Ed25519 private key, RFC 8032 §5.1.5. */
const SEED_OCTETS = 32;

/** What precedes the seed in a PKCS #8 Ed25519 key: RFC 8410 §7. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

interface KeyRecord {
  readonly algorithm: 'Ed25519';
  /** 32 octets, base64url. */
  readonly seed: string;
}

export interface StoredIdentityOptions {
  readonly store: Store;
  readonly random: Random;
}

interface DeviceKey {
  readonly secret: KeyObject;
  readonly publicKey: Uint8Array;
  readonly deviceId: string;
}

/** Every method throws `CodedError` `BAD_IDENTITY` where the stored key is not one, and whatever the store throws. */
export class StoredIdentity implements IdentityProvider {
  readonly #store: Store;
  readonly #random: Random;
  #key: Promise<DeviceKey> | undefined;
  #boots: Promise<number> | undefined;

  constructor({ store, random }: StoredIdentityOptions) {
    this.#store = store;
    this.#random = random;
  }

  async deviceId(): Promise<string> {
    return (await this.#deviceKey()).deviceId;
  }

  async publicKey(): Promise<Uint8Array> {
    return (await this.#deviceKey()).publicKey.slice();
  }

  async sign(data: Uint8Array): Promise<Uint8Array> {
    return sign(null, data, (await this.#deviceKey()).secret);
  }

  bootCount(): Promise<number> {
    this.#boots ??= this.#countBoot();
    return this.#boots;
  }

  #deviceKey(): Promise<DeviceKey> {
    this.#key ??= this.#loadOrMakeKey();
    return this.#key;
  }

  async #loadOrMakeKey(): Promise<DeviceKey> {
    const stored = await this.#store.get<KeyRecord>(KEY_RECORD);
    if (stored) return deviceKey(seedOf(stored));
    const seed = this.#random.bytes(SEED_OCTETS);
    const record: KeyRecord = {
      algorithm: 'Ed25519',
      seed: Buffer.from(seed).toString('base64url'),
    };
    if (await this.#store.add(KEY_RECORD, record)) return deviceKey(seed);
    // Another start was quicker: its key is the one.
    return deviceKey(seedOf((await this.#store.get<KeyRecord>(KEY_RECORD)) ?? record));
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

function deviceKey(seed: Uint8Array): DeviceKey {
  const secret = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const { x } = createPublicKey(secret).export({ format: 'jwk' });
  const publicKey = Buffer.from(String(x), 'base64url');
  return { secret, publicKey, deviceId: deviceIdOf(publicKey) };
}
