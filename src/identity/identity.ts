/** Who this device is. Keys come from here, never from a file read elsewhere. */
import { createHash, verify } from 'node:crypto';
import { CodedError } from '../core/errors.js';
import { publicKeyOf, type Signer } from './signing.js';

/** Asynchronous throughout: a key may lie in a chip or with another process. */
export interface IdentityProvider {
  /** See `deviceIdOf`. */
  deviceId(): Promise<string>;
  /** Raw Ed25519 public key: 32 octets (RFC 8032 §5.1.5). */
  publicKey(): Promise<Uint8Array>;
  /** Ed25519 signature: 64 octets (RFC 8032 §5.1.6). */
  sign(data: Uint8Array): Promise<Uint8Array>;
  /** The same key for those who cannot wait, such as a machine that signs what it sends. */
  signer(): Promise<Signer>;
  /**
   * How often this device has started, from 1; stored before it is told, so no two starts share it.
   * It tells fresh from old where clocks are wrong.
   */
  bootCount(): Promise<number>;
  /**
   * Counts on beyond `boot`, which a record that this very device signed shows: the count was lost, and what it
   * signs now would pass for old. Resolves to the count of this start from now on.
   */
  outrunBoot(boot: number): Promise<number>;
}

/** Octets of a raw Ed25519 public key, RFC 8032 §5.1.5. */
export const PUBLIC_KEY_OCTETS = 32;

/** A node-ID of the ring has as many bits as SHA-1, with which Chord began: 160. */
const DEVICE_ID_OCTETS = 20;

/** The device's name in the ring: the first 20 octets of SHA-256 over the public key, in lower-case hexadecimal. */
export function deviceIdOf(publicKey: Uint8Array): string {
  return createHash('sha256')
    .update(publicKey)
    .digest('hex')
    .slice(0, 2 * DEVICE_ID_OCTETS);
}

/**
 * The device as registrars know it (RFC 5626 §4.1): a UUID of the form that is left to its maker (version 8,
 * RFC 9562 §5.8), made of the first 16 octets of its name in the ring.
 */
export function instanceUrnOf(deviceId: string): string {
  const octets = Buffer.from(deviceId, 'hex').subarray(0, 16);
  octets.writeUInt8((octets.readUInt8(6) & 0x0f) | 0x80, 6);
  octets.writeUInt8((octets.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = octets.toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return `urn:uuid:${parts.join('-')}-${hex.slice(20)}`;
}

/**
 * Whether `signature` over `data` was made with the key behind `publicKey` (raw, 32 octets).
 *
 * @throws {CodedError} `BAD_PUBLIC_KEY`
 */
export function verifySignature(
  publicKey: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== PUBLIC_KEY_OCTETS) {
    throw new CodedError(
      'BAD_PUBLIC_KEY',
      `expected an Ed25519 public key of ${PUBLIC_KEY_OCTETS} octets, found ${publicKey.length}`,
    );
  }
  return verify(null, data, publicKeyOf('Ed25519', publicKey), signature);
}
