/**
 * A signed record: something a key says about a subject, in one overlay, for a while.
 *
 *   record  = [payload: bytes, signature: bytes .size 64]
 *   payload = [1, kind: text, overlay: text, subject: text, key: bytes .size 32,
 *              boot: uint, sequence: uint, lifetime: uint, body: bytes]
 *
 * in deterministic CBOR. What is signed is `SIGNED_HEAD` and the payload: a signature for one kind or overlay holds
 * for no other, nor for anything else that the key signs.
 */
import { CodedError } from '../core/errors.js';
import { type CborValue, decodeCbor, encodeCbor } from './cbor.js';
import { isCount, isOctets, isText, sameOctets } from './fields.js';
import { FRESHNESS_BOUNDS, type Freshness } from './freshness.js';
import { accept, type Outcome, refuse } from './refusal.js';
import { KEY_OCTETS, SIGNATURE_OCTETS, type Signer, type Verifier } from './signing.js';

export interface RecordContent extends Freshness {
  /** Such as `binding`. */
  readonly kind: string;
  /** Its name; '' for what holds in all overlays. */
  readonly overlay: string;
  /** Such as a name or a device-ID. */
  readonly subject: string;
  /** In s, from when a holder first had it: clocks are wrong at boot. */
  readonly lifetime: number;
  readonly body: Uint8Array;
}

export interface SignedRecord extends RecordContent {
  /** The one that signed it, raw. */
  readonly key: Uint8Array;
  /** As it travels. */
  readonly octets: Uint8Array;
}

export interface ExpectedRecord {
  readonly kind: string;
  readonly overlay: string;
  /** Anyone's where not given. */
  readonly key?: Uint8Array;
  readonly subject?: string;
}

/** What one value of the ring holds. */
export const MAX_RECORD_OCTETS = 65_536;
/** Ten years. */
export const MAX_LIFETIME_S = 10 * 365 * 86_400;
const MAX_KIND_OCTETS = 32;
const MAX_OVERLAY_OCTETS = 64;
const MAX_SUBJECT_OCTETS = 256;

const FORMAT = 1;
const SIGNED_HEAD = Buffer.from('ringline signed record 1\n');

const RECORD_BOUNDS = { octets: MAX_RECORD_OCTETS, depth: 1, items: 3 } as const;
const PAYLOAD_BOUNDS = { octets: MAX_RECORD_OCTETS, depth: 1, items: 10 } as const;

/** @throws {CodedError} `BAD_RECORD` for content that no reader would take */
export function signRecord(signer: Signer, content: RecordContent): Uint8Array {
  const { kind, overlay, subject, boot, sequence, lifetime, body } = content;
  const { publicKey } = signer;
  const fields = [
    FORMAT,
    kind,
    overlay,
    subject,
    publicKey,
    boot,
    sequence,
    lifetime,
    body,
  ] as const;
  if (!payloadOf(fields)) {
    const { body: _, ...told } = content;
    throw new CodedError(
      'BAD_RECORD',
      `expected fields within their bounds, found ${JSON.stringify(told)}`,
    );
  }
  const payload = encodeCbor(fields);
  const record = encodeCbor([payload, signer.sign(signedText(payload))]);
  if (record.length <= MAX_RECORD_OCTETS) return record;
  throw new CodedError(
    'BAD_RECORD',
    `expected a record of at most ${MAX_RECORD_OCTETS} octets, found ${record.length}`,
    { remedy: 'Keep larger values in parts.' },
  );
}

/**
 * Refused with `TOO_LARGE`, `MALFORMED`, `WRONG_KIND`, `WRONG_OVERLAY`, `WRONG_KEY` or `BAD_SIGNATURE`.
 * Whether it is fresh is asked of a `FreshnessGuard`.
 */
export function readRecord(
  octets: Uint8Array,
  expected: ExpectedRecord,
  verifier: Verifier,
): Outcome<SignedRecord> {
  const outer = decodeCbor(octets, RECORD_BOUNDS);
  if (!outer.ok) return outer;
  const [payload, signature, ...more] = Array.isArray(outer.value) ? outer.value : [];
  if (!isOctets(payload) || !isOctets(signature, SIGNATURE_OCTETS) || more.length > 0) {
    return refuse('MALFORMED', 'expected a payload and its signature');
  }
  const inner = decodeCbor(payload, PAYLOAD_BOUNDS);
  if (!inner.ok) return inner;
  const content = payloadOf(inner.value);
  if (!content) return refuse('MALFORMED', 'expected the fields of a signed record');
  const { kind, overlay, subject, key } = content;
  if (kind !== expected.kind) {
    return refuse('WRONG_KIND', `expected a record of kind ${expected.kind}, found ${kind}`);
  }
  if (overlay !== expected.overlay) {
    return refuse('WRONG_OVERLAY', `expected overlay "${expected.overlay}", found "${overlay}"`);
  }
  if (expected.key && !sameOctets(key, expected.key)) {
    return refuse('WRONG_KEY', 'expected a record of another key');
  }
  if (expected.subject !== undefined && subject !== expected.subject) {
    return refuse('WRONG_KEY', `expected a record of "${expected.subject}", found "${subject}"`);
  }
  if (!verifier.verify(key, signedText(payload), signature)) {
    return refuse('BAD_SIGNATURE', `the ${kind} of "${subject}" was not signed by its key`);
  }
  return accept({ ...content, octets });
}

function signedText(payload: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNED_HEAD, payload]);
}

function payloadOf(value: CborValue): Omit<SignedRecord, 'octets'> | undefined {
  if (!Array.isArray(value) || value.length !== 9) return undefined;
  const [format, kind, overlay, subject, key, boot, sequence, lifetime, body]: CborValue[] = value;
  const { boots, sequences } = FRESHNESS_BOUNDS;
  return format === FORMAT &&
    isText(kind, MAX_KIND_OCTETS) &&
    isText(overlay, MAX_OVERLAY_OCTETS) &&
    isText(subject, MAX_SUBJECT_OCTETS) &&
    isOctets(key, KEY_OCTETS) &&
    isCount(boot, boots - 1) &&
    isCount(sequence, sequences - 1) &&
    isCount(lifetime, MAX_LIFETIME_S) &&
    isOctets(body)
    ? { kind, overlay, subject, key, boot, sequence, lifetime, body }
    : undefined;
}
