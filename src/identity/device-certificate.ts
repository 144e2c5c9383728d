/**
 * What a user says about devices, as signed records that hold in all overlays.
 *
 *   device   subject: device-ID, body = [device key: bytes .size 32, [*capability: text]]
 *   devices  subject: user-ID,   body = [*[device-ID: bytes .size 20, sequence: uint]]
 *
 * Certificates and lists count on together, in `sequence`: a list takes back every certificate as old as itself that
 * is not on it. `boot` is 0: a user starts once.
 */
import { type CborValue, decodeCbor, encodeCbor } from './cbor.js';
import { isCount, isOctets, isText, itemsOf } from './fields.js';
import { FRESHNESS_BOUNDS } from './freshness.js';
import { deviceIdOf } from './identity.js';
import { accept, type Outcome, refuse } from './refusal.js';
import { MAX_RECORD_OCTETS, readRecord, type SignedRecord, signRecord } from './signed-record.js';
import { KEY_OCTETS, type Signer, type Verifier } from './signing.js';

/** What a device may do for its user: be reached by the name, write the user's records, open what is sealed to the user. */
export const CAPABILITIES = ['reach', 'publish', 'read'] as const;

export interface DeviceCertificate {
  /** Raw keys. */
  readonly user: Uint8Array;
  readonly device: Uint8Array;
  /** As they are written; those of later versions too. */
  readonly capabilities: readonly string[];
  readonly sequence: number;
  /** In s, from when a holder first had it. */
  readonly lifetime: number;
}

export interface ListedDevice {
  readonly deviceId: string;
  /** Of its newest certificate; older ones are taken back. */
  readonly sequence: number;
}

export interface DeviceList {
  readonly user: Uint8Array;
  readonly devices: readonly ListedDevice[];
  readonly sequence: number;
  readonly lifetime: number;
}

const DEVICE = 'device';
const DEVICES = 'devices';
const ID_OCTETS = 20;
const MAX_CAPABILITIES = 16;
const MAX_CAPABILITY_OCTETS = 32;
/** Nobody has more at once. */
export const MAX_DEVICES = 64;

const CERTIFICATE_BOUNDS = { octets: 1024, depth: 2, items: 3 + MAX_CAPABILITIES } as const;
const LIST_BOUNDS = { octets: MAX_RECORD_OCTETS, depth: 2, items: 1 + 3 * MAX_DEVICES } as const;

/** @throws {CodedError} `BAD_RECORD` */
export function issueDeviceCertificate(
  user: Signer,
  certificate: Omit<DeviceCertificate, 'user'>,
): Uint8Array {
  const { device, capabilities, sequence, lifetime } = certificate;
  return signRecord(user, {
    kind: DEVICE,
    overlay: '',
    subject: deviceIdOf(device),
    boot: 0,
    sequence,
    lifetime,
    body: encodeCbor([device, capabilities]),
  });
}

/** Refused as by `readRecord`. */
export function readDeviceCertificate(
  octets: Uint8Array,
  verifier: Verifier,
): Outcome<DeviceCertificate> {
  const read = readRecord(octets, { kind: DEVICE, overlay: '' }, verifier);
  if (!read.ok) return read;
  const body = decodeCbor(read.value.body, CERTIFICATE_BOUNDS);
  if (!body.ok) return body;
  const [device, capabilities, ...more] = itemsOf(body.value);
  if (!isOctets(device, KEY_OCTETS) || !areCapabilities(capabilities) || more.length > 0) {
    return refuse('MALFORMED', 'expected a device key and what the device may do');
  }
  if (deviceIdOf(device) !== read.value.subject) {
    return refuse('WRONG_KEY', `expected the key of device ${read.value.subject}, found another`);
  }
  return accept({ device, capabilities, ...issuedBy(read.value) });
}

/** @throws {CodedError} `BAD_RECORD` */
export function issueDeviceList(user: Signer, list: Omit<DeviceList, 'user'>): Uint8Array {
  const { devices, sequence, lifetime } = list;
  const body = devices.map(({ deviceId, sequence }) => [Buffer.from(deviceId, 'hex'), sequence]);
  return signRecord(user, {
    kind: DEVICES,
    overlay: '',
    subject: deviceIdOf(user.publicKey),
    boot: 0,
    sequence,
    lifetime,
    body: encodeCbor(body),
  });
}

/** Refused as by `readRecord`. */
export function readDeviceList(octets: Uint8Array, verifier: Verifier): Outcome<DeviceList> {
  const read = readRecord(octets, { kind: DEVICES, overlay: '' }, verifier);
  if (!read.ok) return read;
  const body = decodeCbor(read.value.body, LIST_BOUNDS);
  if (!body.ok) return body;
  if (read.value.subject !== deviceIdOf(read.value.key)) {
    return refuse('WRONG_KEY', `expected the key of user ${read.value.subject}, found another`);
  }
  const devices = itemsOf(body.value).map(listedDevice);
  if (!Array.isArray(body.value) || devices.length > MAX_DEVICES || !devices.every(isListed)) {
    return refuse('MALFORMED', `expected at most ${MAX_DEVICES} devices with their numbers`);
  }
  return accept({ devices, ...issuedBy(read.value) });
}

function issuedBy({ key, sequence, lifetime }: SignedRecord) {
  return { user: key, sequence, lifetime };
}

function areCapabilities(value: CborValue | undefined): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_CAPABILITIES &&
    value.every(each => isText(each, MAX_CAPABILITY_OCTETS))
  );
}

function listedDevice(value: CborValue): ListedDevice | undefined {
  const [id, sequence, ...more] = itemsOf(value);
  const most = FRESHNESS_BOUNDS.sequences - 1;
  if (!isOctets(id, ID_OCTETS) || !isCount(sequence, most) || more.length > 0) return undefined;
  return { deviceId: Buffer.from(id).toString('hex'), sequence };
}

function isListed(device: ListedDevice | undefined): device is ListedDevice {
  return device !== undefined;
}
