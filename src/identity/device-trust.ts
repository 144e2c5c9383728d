/** Which devices speak for which user, as far as their certificates and the user's newest list say. */
import {
  type DeviceCertificate,
  type DeviceList,
  MAX_DEVICES,
  readDeviceCertificate,
  readDeviceList,
} from './device-certificate.js';
import { sameOctets } from './fields.js';
import { deviceIdOf } from './identity.js';
import { moveToEnd } from './recent.js';
import { type Outcome, refuse } from './refusal.js';
import type { Verifier } from './signing.js';

interface Seen {
  readonly sequence: number;
  /** In ms of our own time, which need not be right. */
  readonly at: number;
}

interface KnownUser {
  list: DeviceList | undefined;
  /** It, as it came. */
  octets: Uint8Array | undefined;
  /** The newest certificate of each device, by device-ID. */
  readonly certificates: Map<string, Seen>;
}

export interface DeviceClaim {
  /** Raw keys; any user of the certificate where `user` is not given. */
  readonly device: Uint8Array;
  readonly user?: Uint8Array;
  readonly capability: string;
  readonly certificate: Uint8Array | undefined;
}

/** Users remembered; of whom was longest unheard of the list is forgotten first. */
const MAX_USERS = 10_000;

export class DeviceTrust {
  readonly #verifier: Verifier;
  readonly #maxUsers: number;
  readonly #users = new Map<string, KnownUser>();

  constructor(verifier: Verifier, maxUsers = MAX_USERS) {
    this.#verifier = verifier;
    this.#maxUsers = maxUsers;
  }

  /**
   * Takes a newer list of devices. Refused as by `readRecord`, and with `STALE`, or `WRONG_KEY` where it is to be that of
   * `user` and is another's.
   */
  learn(octets: Uint8Array, user?: Uint8Array): Outcome<DeviceList> {
    const read = readDeviceList(octets, this.#verifier);
    if (!read.ok) return read;
    if (user && !sameOctets(read.value.user, user)) {
      const expected = `expected a list of user ${deviceIdOf(user)}`;
      return refuse('WRONG_KEY', `${expected}, found one of ${deviceIdOf(read.value.user)}`);
    }
    const known = this.#known(read.value.user);
    const { sequence } = read.value;
    if (known.list && sequence < known.list.sequence) {
      const found = `expected a list newer than ${known.list.sequence}, found ${sequence}`;
      return refuse('STALE', found);
    }
    if (known.list && sequence === known.list.sequence && !sameDevices(known.list, read.value)) {
      return refuse('STALE', `expected one list ${sequence}, found two that differ`);
    }
    known.list = read.value;
    known.octets = octets;
    return read;
  }

  /** The newest list of a user's devices, as it travels; undefined where none is known. */
  newest(user: Uint8Array): Uint8Array | undefined {
    return this.#users.get(nameOf(user))?.octets;
  }

  /**
   * Whether a device may do something for a user. Refused as by `readRecord`, and with `UNSIGNED` (no certificate),
   * `NOT_CERTIFIED`, `STALE`, `EXPIRED` or `REVOKED`.
   *
   * @param now in ms, of a clock that does not jump back
   */
  check(claim: DeviceClaim, now: number): Outcome<DeviceCertificate> {
    const { device, user, capability, certificate } = claim;
    if (!certificate) return refuse('UNSIGNED', 'expected a certificate of the device, found none');
    const read = readDeviceCertificate(certificate, this.#verifier);
    if (!read.ok) return read;
    const deviceId = deviceIdOf(device);
    if (!sameOctets(read.value.device, device)) {
      return refuse('WRONG_KEY', `expected the certificate of device ${deviceId}, found another`);
    }
    if (user && !sameOctets(read.value.user, user)) {
      return refuse('NOT_CERTIFIED', `device ${deviceId} was certified by another user`);
    }
    const refusal = this.#refusal(read.value, deviceId, now);
    if (refusal) return refusal;
    if (read.value.capabilities.includes(capability)) return read;
    const may = read.value.capabilities.join(', ') || 'nothing';
    return refuse('NOT_CERTIFIED', `device ${deviceId} may ${may}, not ${capability}`);
  }

  #refusal({ user, sequence, lifetime }: DeviceCertificate, deviceId: string, now: number) {
    const known = this.#known(user);
    const seen = known.certificates.get(deviceId);
    if (seen && sequence < seen.sequence) {
      const found = `expected certificate ${seen.sequence} of ${deviceId}, found ${sequence}`;
      return refuse('STALE', found);
    }
    if (known.list && isTakenBack(known.list, deviceId, sequence)) {
      const by = `list ${known.list.sequence} of its user`;
      return refuse('REVOKED', `certificate ${sequence} of ${deviceId} was taken back by ${by}`);
    }
    const first = seen && seen.sequence === sequence ? seen : { sequence, at: now };
    // Twice as many as may be listed: those taken back are remembered for a while too.
    moveToEnd(known.certificates, deviceId, first, 2 * MAX_DEVICES);
    if (now - first.at <= lifetime * 1000) return undefined;
    return refuse('EXPIRED', `certificate ${sequence} of ${deviceId} held for ${lifetime} s`);
  }

  #known(user: Uint8Array): KnownUser {
    const name = nameOf(user);
    const known: KnownUser = this.#users.get(name) ?? {
      list: undefined,
      octets: undefined,
      certificates: new Map(),
    };
    moveToEnd(this.#users, name, known, this.#maxUsers);
    return known;
  }
}

function nameOf(user: Uint8Array): string {
  return Buffer.from(user).toString('latin1');
}

function isTakenBack(list: DeviceList, deviceId: string, sequence: number): boolean {
  const listed = list.devices.find(device => device.deviceId === deviceId);
  return listed ? sequence < listed.sequence : sequence <= list.sequence;
}

function sameDevices(one: DeviceList, other: DeviceList): boolean {
  return JSON.stringify(one.devices) === JSON.stringify(other.devices);
}
