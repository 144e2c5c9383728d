/**
 * A signature that brings its key along: for those who know a device by its ID alone, which is the hash of the key.
 * Base64url of key (32 octets) and signature (64): 128 characters.
 */
import { deviceIdOf } from './identity.js';
import { KEY_OCTETS, SIGNATURE_OCTETS, type Signer, type Verifier } from './signing.js';

const TEXT = /^[\w-]{128}$/;
/** Keeps these signatures from being taken for those of records. */
const SIGNED_HEAD = 'ringline said by its id 1\n';

export function signAsId(signer: Signer, text: string): string {
  const signature = signer.sign(Buffer.from(SIGNED_HEAD + text));
  return Buffer.concat([signer.publicKey, signature]).toString('base64url');
}

/** Whether the device of this ID signed `text`; false for whatever is no signature. */
export function idSigned(
  verifier: Verifier,
  deviceId: string,
  text: string,
  signature: string,
): boolean {
  if (!TEXT.test(signature)) return false;
  const octets = Buffer.from(signature, 'base64url');
  const key = octets.subarray(0, KEY_OCTETS);
  return (
    octets.length === KEY_OCTETS + SIGNATURE_OCTETS &&
    deviceIdOf(key) === deviceId &&
    verifier.verify(key, Buffer.from(SIGNED_HEAD + text), octets.subarray(KEY_OCTETS))
  );
}
