/** Whether a call's voice is encrypted, and the keys we choose for it. */
import type { Random } from '../core/random.js';
import { SRTP_SUITES } from '../media/srtp/suites.js';
import type { CryptoSuite, LocalCrypto } from '../sip/sdes.js';

/**
 * `auto`: offered where the signalling is encrypted, since the keys travel in it; used whenever the other side
 * offers it. `offer`: offered always. `require`: no call without it. `off`: never.
 */
export const ENCRYPTION_POLICIES = ['auto', 'off', 'offer', 'require'] as const;
export type EncryptionPolicy = (typeof ENCRYPTION_POLICIES)[number];

/** How the voice of a call is encrypted. */
export interface CallEncryption {
  readonly suite: string;
  /** Nobody could read the keys on this side's way to the next SIP hop; what lies behind it nobody knows. */
  readonly keysProtected: boolean;
}

/** Offered, best first: each line makes the INVITE longer, and these two are what phones have. */
const OFFERED = ['AES_CM_128_HMAC_SHA1_80', 'AEAD_AES_256_GCM'];

/**
 * For one leg: another has to have other keys, for it may use the same packet indices again.
 *
 * @param secureSignalling the keys go through TLS
 */
export function localCrypto(
  policy: EncryptionPolicy,
  secureSignalling: boolean,
  random: Random,
): LocalCrypto | undefined {
  if (policy === 'off') return undefined;
  const keys = new Map<string, Uint8Array>();
  return {
    mode: policy === 'auto' ? (secureSignalling ? 'offer' : 'answer') : policy,
    suites: SRTP_SUITES,
    offered: SRTP_SUITES.filter(({ name }) => OFFERED.includes(name)),
    key: ({ name, keyOctets, saltOctets }: CryptoSuite) => {
      const key = keys.get(name) ?? random.bytes(keyOctets + saltOctets);
      keys.set(name, key);
      return key;
    },
  };
}
