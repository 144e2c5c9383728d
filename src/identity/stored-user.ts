/**
 * The user's key where it lies on this device, with what it certified; and what a user elsewhere certified this device
 * for. What is signed is numbered on before it is given out, so that no number is given twice.
 */
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Store } from '../storage/store.js';
import {
  type DeviceCertificate,
  issueDeviceCertificate,
  issueDeviceList,
  MAX_DEVICES,
  readDeviceCertificate,
} from './device-certificate.js';
import { sameOctets } from './fields.js';
import { deviceIdOf } from './identity.js';
import { foldedName } from './names.js';
import { refusalError } from './refusal.js';
import { openSecret, sealSecret } from './sealed-secret.js';
import { Ed25519Verifier, KEY_OCTETS } from './signing.js';
import { UserKey } from './user-key.js';

const USER_RECORD = 'identity/user';
const DEVICES_RECORD = 'identity/user-devices';
const CERTIFICATE_RECORD = 'identity/certificate';
const LIST_RECORD = 'identity/device-list';

/** A year: a device unheard of for longer is certified again. */
export const CERTIFICATE_LIFETIME_S = 365 * 86_400;

interface UserRecord {
  readonly name: string;
  /** 32 octets, base64url. */
  readonly secret: string;
}

interface DevicesRecord {
  /** The next. */
  readonly sequence: number;
  readonly devices: readonly CertifiedDevice[];
  /** The newest that was signed, base64url. */
  readonly list?: string;
}

export interface CertifiedDevice {
  readonly deviceId: string;
  readonly sequence: number;
  readonly capabilities: readonly string[];
}

export interface User {
  readonly name: string;
  readonly key: UserKey;
}

export interface StoredUserOptions {
  readonly store: Store;
  readonly random: Random;
}

/** Every method throws `CodedError` `BAD_IDENTITY` where the stored key is not one, and whatever the store throws. */
export class StoredUser {
  readonly #store: Store;
  readonly #random: Random;

  constructor({ store, random }: StoredUserOptions) {
    this.#store = store;
    this.#random = random;
  }

  /** Undefined where the user's key does not lie here. */
  async user(): Promise<User | undefined> {
    const record = await this.#store.get<Partial<UserRecord>>(USER_RECORD);
    if (!record) return undefined;
    const secret = Buffer.from(String(record.secret), 'base64url');
    if (secret.length === KEY_OCTETS && typeof record.name === 'string') {
      return { name: record.name, key: new UserKey(secret) };
    }
    throw new CodedError(
      'BAD_IDENTITY',
      `expected a user key of ${KEY_OCTETS} octets in ${USER_RECORD}, found ${secret.length}`,
      { remedy: 'Import the key again from what was exported, after moving the record away.' },
    );
  }

  /** @throws {CodedError} `USER_EXISTS`, `BAD_NAME` */
  async make(name: string): Promise<User> {
    return this.#keep(name, UserKey.make(this.#random), 1);
  }

  /** @throws {CodedError} `NO_USER_KEY`, `BAD_PASSPHRASE` */
  async export(passphrase: string): Promise<string> {
    const { name, key } = await this.#needed();
    const { sequence: counter } = await this.#devices();
    const secret = key.secret();
    return sealSecret({ kind: 'user', name, counter, secret }, passphrase, this.#random);
  }

  /** @throws {CodedError} `BAD_KEY_TEXT`, `WRONG_PASSPHRASE`, `USER_EXISTS` */
  async import(text: string, passphrase: string): Promise<User> {
    const { name, counter, secret } = await openSecret(text, 'user', passphrase);
    return this.#keep(name, new UserKey(secret), counter);
  }

  async devices(): Promise<readonly CertifiedDevice[]> {
    return (await this.#devices()).devices;
  }

  /** A device certificate. @throws {CodedError} `NO_USER_KEY`, `TOO_MANY_DEVICES` */
  async certify(device: Uint8Array, capabilities: readonly string[]): Promise<Uint8Array> {
    const { key } = await this.#needed();
    const deviceId = deviceIdOf(device);
    const { sequence, devices, list } = await this.#devices();
    const others = devices.filter(each => each.deviceId !== deviceId);
    if (others.length >= MAX_DEVICES) {
      throw new CodedError('TOO_MANY_DEVICES', `expected at most ${MAX_DEVICES} devices`, {
        remedy: 'Revoke one that is not used: `ringline user revoke`.',
      });
    }
    const lifetime = CERTIFICATE_LIFETIME_S;
    const certificate = { device, capabilities, sequence, lifetime };
    const octets = issueDeviceCertificate(key.signer, certificate);
    await this.#store.set(DEVICES_RECORD, {
      sequence: sequence + 1,
      devices: [...others, { deviceId, sequence, capabilities }],
      ...(list !== undefined && { list }),
    });
    return octets;
  }

  /** A list of devices without this one. @throws {CodedError} `NO_USER_KEY`, `NO_SUCH_DEVICE` */
  async revoke(deviceId: string): Promise<Uint8Array> {
    const { key } = await this.#needed();
    const { sequence, devices } = await this.#devices();
    const others = devices.filter(each => each.deviceId !== deviceId);
    if (others.length === devices.length) {
      const known = devices.map(each => each.deviceId).join(', ') || 'none';
      throw new CodedError('NO_SUCH_DEVICE', `expected one of ${known}, found "${deviceId}"`);
    }
    const list = { devices: others, sequence, lifetime: CERTIFICATE_LIFETIME_S };
    const octets = issueDeviceList(key.signer, list);
    const text = Buffer.from(octets).toString('base64url');
    const record: DevicesRecord = { sequence: sequence + 1, devices: others, list: text };
    await this.#store.set(DEVICES_RECORD, record);
    return octets;
  }

  /** Keeps what a user certified this device for. @throws {CodedError} a refusal's, or `WRONG_KEY` */
  async accept(certificate: Uint8Array, device: Uint8Array): Promise<DeviceCertificate> {
    const read = readDeviceCertificate(certificate, new Ed25519Verifier());
    if (!read.ok) throw refusalError(read, 'Ask for the certificate again.');
    if (!sameOctets(read.value.device, device)) {
      const found = deviceIdOf(read.value.device);
      throw new CodedError(
        'WRONG_KEY',
        `expected a certificate of ${deviceIdOf(device)}, found one of ${found}`,
        { remedy: 'Have the key certified that `ringline user show` prints here.' },
      );
    }
    await this.#store.set(CERTIFICATE_RECORD, Buffer.from(certificate).toString('base64url'));
    return read.value;
  }

  /** Of this device, as it travels; undefined where no user certified it. */
  async certificate(): Promise<Uint8Array | undefined> {
    return octetsOf(await this.#store.get<string>(CERTIFICATE_RECORD));
  }

  /** For whom this device speaks, and what it may do; undefined where no user certified it. */
  async certified(): Promise<DeviceCertificate | undefined> {
    const octets = await this.certificate();
    const read = octets && readDeviceCertificate(octets, new Ed25519Verifier());
    return read?.ok ? read.value : undefined;
  }

  /**
   * The newest list of the devices of the user this device speaks for, as it was made or learnt here; undefined where none
   * was ever taken back.
   */
  async list(): Promise<Uint8Array | undefined> {
    const { list = await this.#store.get<string>(LIST_RECORD) } = await this.#devices();
    return octetsOf(list);
  }

  /** Keeps a list that others told of: it is the newest, and of the user this device speaks for. */
  async keepList(octets: Uint8Array): Promise<void> {
    await this.#store.set(LIST_RECORD, Buffer.from(octets).toString('base64url'));
  }

  async #keep(name: string, key: UserKey, sequence: number): Promise<User> {
    if (foldedName(name) === undefined) {
      throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
    }
    const secret = Buffer.from(key.secret()).toString('base64url');
    const record: UserRecord = { name, secret };
    if (!(await this.#store.add(USER_RECORD, record))) {
      const present = await this.user();
      throw new CodedError('USER_EXISTS', `a user's key lies here already: ${present?.name}`, {
        remedy: 'Choose another data directory (--data), or export it and move the record away.',
      });
    }
    await this.#store.set(DEVICES_RECORD, { sequence, devices: [] });
    return { name, key };
  }

  async #needed(): Promise<User> {
    const user = await this.user();
    if (user) return user;
    throw new CodedError('NO_USER_KEY', "no user's key lies on this device", {
      remedy: 'Make one (`ringline user create NAME`), import one, or do this where it lies.',
    });
  }

  async #devices(): Promise<DevicesRecord> {
    return (await this.#store.get<DevicesRecord>(DEVICES_RECORD)) ?? { sequence: 1, devices: [] };
  }
}

function octetsOf(text: string | undefined): Uint8Array | undefined {
  return text === undefined ? undefined : Buffer.from(String(text), 'base64url');
}
