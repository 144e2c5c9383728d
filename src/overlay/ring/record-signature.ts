/**
 * How the publisher of a record signs it: with the key of which its id is the hash, which the signature brings along.
 * One function signs and one verifies, for records of all kinds.
 */
import { createHash } from 'node:crypto';
import { idSigned, signAsId } from '../../identity/id-signature.js';
import type { Signer, Verifier } from '../../identity/signing.js';
import { isId } from './ids.js';
import { type RingRecord, recordText } from './records.js';

export type RecordToSign = Omit<RingRecord, 'signature' | 'ageMs'>;

/** Over all but the age; `record.publisher` has to be the id of `device`. */
export function recordSignatureBy(device: Signer, record: RecordToSign): string {
  return signAsId(device, recordSignedText(record));
}

/** For `MemberTools.verifyRecord`. */
export function recordIsSigned(verifier: Verifier, record: RingRecord): boolean {
  return (
    isId(record.key) &&
    idSigned(verifier, record.publisher, recordSignedText(record), record.signature)
  );
}

/** Of its own kind, so that nothing else a member signs passes for it. */
export function recordSignedText(record: RecordToSign): string {
  return `ring record 1 ${createHash('sha256').update(recordText(record)).digest('hex')}`;
}
