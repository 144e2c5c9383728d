/** Who signs and who verifies, as the rooms above need it: the simulator has others that cost no time of the machine. */
import {
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';

export interface Signer {
  /** Raw Ed25519 public key: 32 octets (RFC 8032 §5.1.5). */
  readonly publicKey: Uint8Array;
  /** 64 octets (RFC 8032 §5.1.6). */
  sign(data: Uint8Array): Uint8Array;
}

export interface Verifier {
  /** False for anything that is no signature of this key; never throws. */
  verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
}

/** Of a raw Ed25519 or X25519 key, public or private: RFC 8032 §5.1.5, RFC 7748 §5. */
export const KEY_OCTETS = 32;
/** RFC 8032 §5.1.6. */
export const SIGNATURE_OCTETS = 64;

/** What precedes the private key in PKCS #8: RFC 8410 §7. */
const PKCS8_HEAD = {
  Ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  X25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
} as const;

type Curve = keyof typeof PKCS8_HEAD;

export class Ed25519Signer implements Signer {
  readonly publicKey: Uint8Array;
  readonly #secret: KeyObject;

  /** @param seed 32 octets (RFC 8032 §5.1.5) */
  constructor(seed: Uint8Array) {
    this.#secret = privateKeyOf('Ed25519', seed);
    this.publicKey = rawPublicKey(this.#secret);
  }

  sign(data: Uint8Array): Uint8Array {
    return sign(null, data, this.#secret);
  }
}

export class Ed25519Verifier implements Verifier {
  verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== KEY_OCTETS || signature.length !== SIGNATURE_OCTETS) return false;
    try {
      return verify(null, data, publicKeyOf('Ed25519', publicKey), signature);
    } catch {
      // Octets that are no point of the curve.
      return false;
    }
  }
}

/** @param secret 32 octets */
export function privateKeyOf(curve: Curve, secret: Uint8Array): KeyObject {
  const key = Buffer.concat([PKCS8_HEAD[curve], secret]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

/** By JWK: 4 µs where DER takes 75 (Node 20). */
export function publicKeyOf(curve: Curve, raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: curve, x }, format: 'jwk' });
}

export function rawPublicKey(secret: KeyObject): Uint8Array {
  const { x } = createPublicKey(secret).export({ format: 'jwk' });
  return Buffer.from(String(x), 'base64url');
}

/** 32 octets of HKDF-SHA256 (RFC 5869). */
export function derivedKey(secret: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, purpose, KEY_OCTETS));
}
