/**
 * Who was expelled from a private overlay, as the ring keeps it: one record, published by the key of the overlay itself.
 *
 *   key, publisher   the ID of the enrolment key
 *   sequence         that of the list
 *   life             the longest there is
 *   value            the list, as `issueExpulsions` signs it
 *
 * The overlay's key signs it once, when somebody is expelled; any phone that has it may put it again. Nobody else can
 * publish as that key, holders keep the newest, and under a key that is its publisher's own ID they tell that record alone:
 * so there is nothing to crowd it out with.
 */
import { type ExpulsionList, type Overlay, readExpulsions } from '../../identity/enrolment.js';
import { deviceIdOf } from '../../identity/identity.js';
import { type Outcome, refuse } from '../../identity/refusal.js';
import type { Signer, Verifier } from '../../identity/signing.js';
import type { Id } from '../ring/ids.js';
import { type RecordToSign, recordIsSigned, recordSignatureBy } from '../ring/record-signature.js';
import { MAX_LIFE_MS, type RingRecord } from '../ring/records.js';

export function expulsionKey({ enrolmentKey }: Required<Overlay>): Id {
  return deviceIdOf(enrolmentKey);
}

/** What makes a list a record of the ring; for `StoredOverlay.expel`. */
export function expulsionSignature(enroller: Signer, list: Uint8Array, sequence: number): string {
  return recordSignatureBy(enroller, draft(deviceIdOf(enroller.publicKey), list, sequence));
}

export function expulsionRecord(
  overlay: Required<Overlay>,
  list: Uint8Array,
  { sequence }: ExpulsionList,
  signature: string,
): RingRecord {
  return { ...draft(expulsionKey(overlay), list, sequence), ageMs: 0, signature };
}

/** Refused as by `readExpulsions`, and with `STALE` for another list than the record says. */
export function readExpulsionRecord(
  record: RingRecord,
  overlay: Required<Overlay>,
  verifier: Verifier,
): Outcome<ExpulsionList> {
  const id = expulsionKey(overlay);
  const { key, publisher, sequence, lifeMs, value } = record;
  if (key !== id || publisher !== id) {
    return refuse(
      'WRONG_KEY',
      `expected a record of the overlay's key ${id}, found ${publisher}'s`,
    );
  }
  if (!value || !recordIsSigned(verifier, record)) {
    return refuse('BAD_SIGNATURE', `the record was not signed by ${publisher}, its publisher`);
  }
  const read = readExpulsions(value, overlay, verifier);
  if (!read.ok) return read;
  if (read.value.sequence === sequence && lifeMs === MAX_LIFE_MS) return read;
  return refuse('STALE', `expected list ${sequence}, found ${read.value.sequence}`);
}

function draft(id: Id, value: Uint8Array, sequence: number): RecordToSign {
  return { key: id, publisher: id, sequence, lifeMs: MAX_LIFE_MS, value };
}
