/**
 * A user's key: one secret of 32 octets, of which an Ed25519 key for signing and an X25519 key for sealing are
 * derived. It certifies devices and need not lie on each of them.
 */
import { diffieHellman, type KeyObject } from 'node:crypto';
import type { Random } from '../core/random.js';
import { deviceIdOf } from './identity.js';
import { accept, type Outcome, refuse } from './refusal.js';
import { readRecord, signRecord } from './signed-record.js';
import {
  derivedKey,
  Ed25519Signer,
  KEY_OCTETS,
  privateKeyOf,
  publicKeyOf,
  rawPublicKey,
  type Signer,
  type Verifier,
} from './signing.js';

const SIGNING = 'ringline user signing 1';
const SEALING = 'ringline user sealing 1';
const NO_SALT = new Uint8Array();
const SEALING_KEY = 'sealing-key';

/** A key that opens what was sealed to it. */
export interface SealingKey {
  /** Raw X25519 public key. */
  readonly publicKey: Uint8Array;
  /** What both ends compute (RFC 7748 §6.1); undefined for a public key that is none. */
  agree(publicKey: Uint8Array): Uint8Array | undefined;
}

export class X25519Key implements SealingKey {
  readonly publicKey: Uint8Array;
  readonly #secret: KeyObject;

  /** @param secret 32 octets */
  constructor(secret: Uint8Array) {
    this.#secret = privateKeyOf('X25519', secret);
    this.publicKey = rawPublicKey(this.#secret);
  }

  agree(publicKey: Uint8Array): Uint8Array | undefined {
    if (publicKey.length !== KEY_OCTETS) return undefined;
    try {
      const other = publicKeyOf('X25519', publicKey);
      return diffieHellman({ privateKey: this.#secret, publicKey: other });
    } catch {
      // OpenSSL refuses points of small order, with which anybody can compute (RFC 7748 §6.1).
      return undefined;
    }
  }
}

export class UserKey {
  readonly signer: Signer;
  readonly sealing: SealingKey;
  readonly #secret: Uint8Array;

  /** @param secret 32 octets, as `make` draws them */
  constructor(secret: Uint8Array) {
    this.#secret = secret.slice();
    this.signer = new Ed25519Signer(derivedKey(secret, NO_SALT, SIGNING));
    this.sealing = new X25519Key(derivedKey(secret, NO_SALT, SEALING));
  }

  static make(random: Random): UserKey {
    return new UserKey(random.bytes(KEY_OCTETS));
  }

  get publicKey(): Uint8Array {
    return this.signer.publicKey;
  }

  /** 40 hexadecimal digits, as a device has them. */
  get userId(): string {
    return deviceIdOf(this.publicKey);
  }

  /** For where it is kept, or sealed by a passphrase; for nothing else. */
  secret(): Uint8Array {
    return this.#secret.slice();
  }

  /** The key to seal to, signed: for all overlays, for as long as the user's key is used. */
  sealingRecord(lifetime: number): Uint8Array {
    return signRecord(this.signer, {
      kind: SEALING_KEY,
      overlay: '',
      subject: this.userId,
      boot: 0,
      sequence: 0,
      lifetime,
      body: this.sealing.publicKey,
    });
  }
}

/** The raw X25519 key that is sealed to for the user of `userKey`. */
export function readSealingRecord(
  octets: Uint8Array,
  userKey: Uint8Array,
  verifier: Verifier,
): Outcome<Uint8Array> {
  const expected = { kind: SEALING_KEY, overlay: '', key: userKey, subject: deviceIdOf(userKey) };
  const read = readRecord(octets, expected, verifier);
  if (!read.ok) return read;
  const { body } = read.value;
  if (body.length === KEY_OCTETS) return accept(body);
  return refuse('MALFORMED', `expected ${KEY_OCTETS} octets of X25519 key, found ${body.length}`);
}
