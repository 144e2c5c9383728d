/**
 * Where a name is reached, as the ring keeps it: under the key of the name one record of each device that is reached
 * by it, or of each super-node that vouches for an ordinary phone.
 *
 *   key    SHA-1 of "sip:NAME@OVERLAY", the name folded
 *   value  [binding: bytes, certificate: bytes, ? enrolment: bytes / null, ? devices: bytes / null, * any]
 *
 * in deterministic CBOR. `devices` is the newest list of the user's devices that the publisher knows of, so that who asks
 * for the name learns what was taken back. What follows it, nulls where there is nothing, is of later versions, and passed over. The
 * publisher is the device that signed the binding; the sequence is the binding's freshness in one number, so that holders
 * keep the newest without reading it.
 */
import { CodedError } from '../../core/errors.js';
import {
  type Binding,
  type BindingProof,
  type BindingTools,
  type ReadBinding,
  readBinding,
  signBinding,
} from '../../identity/binding.js';
import { decodeCbor, encodeCbor } from '../../identity/cbor.js';
import { readDeviceCertificate } from '../../identity/device-certificate.js';
import { isOctets, itemsOf } from '../../identity/fields.js';
import { type Freshness, versionOf } from '../../identity/freshness.js';
import { deviceIdOf } from '../../identity/identity.js';
import type { NameClaim } from '../../identity/name-judge.js';
import { foldedName } from '../../identity/names.js';
import { accept, type Outcome, refuse } from '../../identity/refusal.js';
import type { Signer } from '../../identity/signing.js';
import { type Id, idOf } from '../ring/ids.js';
import { type RecordToSign, recordIsSigned, recordSignatureBy } from '../ring/record-signature.js';
import type { RingRecord } from '../ring/records.js';

/** A binding of eight contacts has 2.4 KiB, certificates and enrolments up to 1.2 each, a list of 64 devices 1.8. */
export const MAX_NAME_VALUE_OCTETS = 8192;
/** Later versions may add so much. */
const VALUE_BOUNDS = { octets: MAX_NAME_VALUE_OCTETS, depth: 4, items: 64 } as const;

/** What a device shows with each of its bindings. */
export type NameProof = Omit<BindingProof, 'binding' | 'certificate'> & {
  readonly certificate: Uint8Array;
  /** The newest list of its user's devices, where there is one. */
  readonly devices?: Uint8Array;
};

/** One device, or ordinary phone, that is reached by a name. */
export interface NamedDevice {
  readonly binding: Binding;
  /** For whose name it stands: for `NameJudge`. */
  readonly claim: NameClaim;
  /** Of the device that signed it. */
  readonly deviceId: string;
  /** Until it is forgotten, in ms. */
  readonly lifeLeftMs: number;
}

/** @throws {CodedError} `BAD_NAME` */
export function nameKey(name: string, overlay: string): Id {
  const folded = foldedName(name);
  if (folded !== undefined) return idOf(`sip:${folded}@${overlay}`);
  throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
}

/** @throws {CodedError} `BAD_NAME`, `BAD_RECORD` */
export function makeNameRecord(device: Signer, binding: Binding, proof: NameProof): RingRecord {
  const { certificate, enrolment, devices } = proof;
  const octets = signBinding(device, binding);
  const more = devices ? [enrolment ?? null, devices] : enrolment ? [enrolment] : [];
  const value = encodeCbor([octets, certificate, ...more]);
  if (value.length > MAX_NAME_VALUE_OCTETS) {
    const bound = `expected a binding and certificates of at most ${MAX_NAME_VALUE_OCTETS} octets`;
    throw new CodedError('BAD_RECORD', `${bound}, found ${value.length}`, {
      remedy: 'Name fewer contacts.',
    });
  }
  return signed(device, recordFor(device, binding, value));
}

/** What the device had under that name is gone. @throws {CodedError} `BAD_NAME` */
export function makeNameTombstone(
  device: Signer,
  gone: Pick<Binding, 'name' | 'overlay' | 'lifetime' | keyof Freshness>,
): RingRecord {
  return signed(device, recordFor(device, gone, undefined));
}

/**
 * What one record under the key of `name` says. Refused as by `readBinding`, and with `WRONG_KEY` (another name or
 * another device than the record's), `BAD_SIGNATURE`, `EXPIRED`, `TOO_LARGE`, `MALFORMED`, or `STALE` for an older
 * binding in a newer record.
 *
 * @param now in ms, of a clock that does not jump back
 */
export function readNameRecord(
  record: RingRecord,
  name: string,
  tools: BindingTools,
  now: number,
): Outcome<NamedDevice> {
  const { overlay, verifier } = tools;
  const { key, publisher, value, lifeMs, ageMs } = record;
  if (key !== nameKey(name, overlay)) {
    return refuse('WRONG_KEY', `expected a record of "${name}", found one of key ${key}`);
  }
  const lifeLeftMs = lifeMs - Math.max(0, ageMs);
  if (value === undefined || !(lifeLeftMs > 0)) {
    return refuse('EXPIRED', `what device ${publisher} had under "${name}" is gone`);
  }
  const parts = partsOf(value);
  if (!parts.ok) return parts;
  const { binding, certificate, enrolment } = parts.value;
  if (!recordIsSigned(verifier, record)) {
    return refuse('BAD_SIGNATURE', `the record was not signed by ${publisher}, its publisher`);
  }
  const proof = { binding, certificate, ...(enrolment && { enrolment }) };
  const read = readBinding(proof, tools, now);
  if (!read.ok) return read;
  return checked(record, name, lifeLeftMs, read.value);
}

/**
 * Takes the lists of devices from all records of a name, before any of them is read: one device may tell that another was
 * taken back. A list counts for the user of the certificate beside it, and no other.
 */
export function learnDevices(
  records: readonly RingRecord[],
  { trust, verifier }: Pick<BindingTools, 'trust' | 'verifier'>,
): void {
  for (const { value } of records) {
    const parts = value && partsOf(value);
    if (!parts?.ok || !parts.value.devices) continue;
    const { certificate, devices } = parts.value;
    const certified = readDeviceCertificate(certificate, verifier);
    if (certified.ok) trust.learn(devices, certified.value.user);
  }
}

function partsOf(value: Uint8Array): Outcome<NameProof & { readonly binding: Uint8Array }> {
  const decoded = decodeCbor(value, VALUE_BOUNDS);
  if (!decoded.ok) return decoded;
  const [binding, certificate, enrolment = null, devices] = itemsOf(decoded.value);
  const mayBeEnrolled = enrolment === null || isOctets(enrolment);
  if (!isOctets(binding) || !isOctets(certificate) || !mayBeEnrolled) {
    return refuse('MALFORMED', 'expected a binding, a certificate and perhaps an enrolment');
  }
  return accept({
    binding,
    certificate,
    ...(enrolment && { enrolment }),
    // Nothing to be called by: what is no list is passed over.
    ...(isOctets(devices) && { devices }),
  });
}

/** That the record is what its binding says, and not put together of others. */
function checked(
  { publisher, sequence, lifeMs }: RingRecord,
  name: string,
  lifeLeftMs: number,
  { binding, claim, device }: ReadBinding,
): Outcome<NamedDevice> {
  const deviceId = deviceIdOf(device);
  if (binding.name !== foldedName(name)) {
    return refuse('WRONG_KEY', `expected a binding of "${name}", found one of "${binding.name}"`);
  }
  if (deviceId !== publisher) {
    return refuse('WRONG_KEY', `expected a binding of device ${publisher}, found ${deviceId}'s`);
  }
  if (sequence !== versionOf(binding) || lifeMs !== binding.lifetime * 1000) {
    const found = `${versionOf(binding)} for ${binding.lifetime} s`;
    return refuse('STALE', `expected binding ${sequence} for ${lifeMs / 1000} s, found ${found}`);
  }
  return accept({ binding, claim, deviceId, lifeLeftMs });
}

function recordFor(
  { publicKey }: Signer,
  binding: Pick<Binding, 'name' | 'overlay' | 'lifetime' | keyof Freshness>,
  value: Uint8Array | undefined,
): RecordToSign {
  return {
    key: nameKey(binding.name, binding.overlay),
    publisher: deviceIdOf(publicKey),
    sequence: versionOf(binding),
    lifeMs: binding.lifetime * 1000,
    value,
  };
}

function signed(device: Signer, record: RecordToSign): RingRecord {
  return { ...record, ageMs: 0, signature: recordSignatureBy(device, record) };
}
