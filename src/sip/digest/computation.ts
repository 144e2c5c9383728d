/**
 * What is hashed in digest authentication: RFC 7616 §3.4, with the hashes RFC 8760 §2 brings to SIP.
 * Texts are hashed as UTF-8; every result is lower-case hexadecimal.
 */
import { createHash } from 'node:crypto';

/** Strongest first. */
export const DIGEST_HASHES = ['SHA-512-256', 'SHA-256', 'MD5'] as const;
export type DigestHash = (typeof DIGEST_HASHES)[number];

const OPENSSL_NAMES: Readonly<Record<DigestHash, string>> = {
  'SHA-512-256': 'sha512-256',
  'SHA-256': 'sha256',
  MD5: 'md5',
};

/** With `-sess` the secret is bound to the first nonce and cnonce (RFC 7616 §3.4.2). */
export type DigestAlgorithm = DigestHash | `${DigestHash}-sess`;

/** `auth-int` covers the body too. */
export type Qop = 'auth' | 'auth-int';

/** What protects against replay and chosen plaintext; absent in the manner of RFC 2069. */
export interface Protection {
  readonly qop: Qop;
  readonly cnonce: string;
  /** How often this nonce has been used, this time included. */
  readonly count: number;
}

export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly protection: Protection | undefined;
  /** Empty for what a server proves of itself, RFC 7616 §3.5. */
  readonly method: string;
  /** As written in the credentials. */
  readonly uri: string;
  readonly body: Uint8Array;
}

/** An algorithm by its name in any case; MD5 where none is named, undefined for an unknown one. */
export function readAlgorithm(name = 'MD5'): DigestAlgorithm | undefined {
  const wanted = name.toUpperCase();
  for (const hash of DIGEST_HASHES) {
    if (wanted === hash) return hash;
    if (wanted === `${hash}-SESS`) return `${hash}-sess`;
  }
  return undefined;
}

export function isSession(algorithm: DigestAlgorithm): boolean {
  return algorithm.endsWith('-sess');
}

export function hashOf(algorithm: DigestAlgorithm): DigestHash {
  return algorithm.replace('-sess', '') as DigestHash;
}

export function digestHex(hash: DigestHash, data: string | Uint8Array): string {
  return createHash(OPENSSL_NAMES[hash]).update(data).digest('hex');
}

/** H(user:realm:password): all that a server needs to keep of a password, RFC 7616 §3.4.2. */
export function ha1Of(hash: DigestHash, username: string, realm: string, password: string): string {
  return digestHex(hash, `${username}:${realm}:${password}`);
}

/** H(A1), RFC 7616 §3.4.2: the HA1 itself, or for `-sess` bound to a nonce and cnonce. */
export function secretOf(
  algorithm: DigestAlgorithm,
  ha1: string,
  nonce: string,
  cnonce: string,
): string {
  return isSession(algorithm) ? digestHex(hashOf(algorithm), `${ha1}:${nonce}:${cnonce}`) : ha1;
}

/**
 * `response` (RFC 7616 §3.4.1) or `rspauth` (§3.5).
 *
 * @param secret from `secretOf`
 */
export function computeResponse(secret: string, input: DigestInput): string {
  const { nonce, protection, method, uri, body } = input;
  const hash = hashOf(input.algorithm);
  const covered = protection?.qop === 'auth-int' ? `:${digestHex(hash, body)}` : '';
  const ha2 = digestHex(hash, `${method}:${uri}${covered}`);
  if (!protection) return digestHex(hash, `${secret}:${nonce}:${ha2}`);
  const { qop, cnonce, count } = protection;
  return digestHex(hash, `${secret}:${nonce}:${formatCount(count)}:${cnonce}:${qop}:${ha2}`);
}

/** `nc`: eight hexadecimal digits, RFC 7616 §3.4. */
export function formatCount(count: number): string {
  return count.toString(16).padStart(8, '0');
}
