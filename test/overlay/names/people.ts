/** People with keys and devices, and a ring in memory, for the tests of names. */
import { CodedError } from '../../../src/core/errors.js';
import { silentLogger } from '../../../src/core/logger.js';
import { issueDeviceCertificate } from '../../../src/identity/device-certificate.js';
import { DeviceTrust } from '../../../src/identity/device-trust.js';
import type { Enrolments } from '../../../src/identity/enrolment.js';
import { FreshnessGuard } from '../../../src/identity/freshness-guard.js';
import { deviceIdOf } from '../../../src/identity/identity.js';
import { NameJudge } from '../../../src/identity/name-judge.js';
import { PinBook } from '../../../src/identity/pin-book.js';
import { Ed25519Signer, Ed25519Verifier } from '../../../src/identity/signing.js';
import { NameLookup } from '../../../src/overlay/names/name-lookup.js';
import { makeNameRecord } from '../../../src/overlay/names/name-record.js';
import type { Id } from '../../../src/overlay/ring/ids.js';
import { recordIsSigned } from '../../../src/overlay/ring/record-signature.js';
import { RecordStore, type RingRecord } from '../../../src/overlay/ring/records.js';
import type { RingAccess } from '../../../src/overlay/ring-access.js';
import type { SeededRandom } from '../../../src/simulation/seeded-random.js';
import type { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';

export const OVERLAY = 'ringline';
export const verifier = new Ed25519Verifier();

export interface Device {
  readonly signer: Ed25519Signer;
  readonly id: string;
  readonly certificate: Uint8Array;
}

export interface Someone {
  readonly user: Ed25519Signer;
  readonly devices: readonly Device[];
}

/** A user with so many devices, each certified for everything. */
export function someone(random: SeededRandom, devices = 1): Someone {
  const user = new Ed25519Signer(random.bytes(32));
  return {
    user,
    devices: Array.from({ length: devices }, (_, sequence) => {
      const signer = new Ed25519Signer(random.bytes(32));
      const certificate = issueDeviceCertificate(user, {
        device: signer.publicKey,
        capabilities: ['reach', 'publish', 'read'],
        sequence: sequence + 1,
        lifetime: 86_400,
      });
      return { signer, id: deviceIdOf(signer.publicKey), certificate };
    }),
  };
}

export function binding(name: string, at: string, more: Partial<BindingFields> = {}) {
  const contacts = [`sip:${name}@${at}`];
  const by: 'user' | 'voucher' = 'user';
  return { name, overlay: OVERLAY, by, contacts, boot: 1, sequence: 0, lifetime: 3600, ...more };
}

interface BindingFields {
  readonly by: 'user' | 'voucher';
  readonly overlay: string;
  readonly contacts: readonly string[];
  readonly boot: number;
  readonly sequence: number;
  readonly lifetime: number;
}

export function recordOf(
  device: Device,
  name: string,
  at: string,
  more: Partial<BindingFields> & { enrolment?: Uint8Array } = {},
): RingRecord {
  const { enrolment, ...fields } = more;
  const { certificate } = device;
  const proof = { certificate, ...(enrolment && { enrolment }) };
  return makeNameRecord(device.signer, binding(name, at, fields), proof);
}

/** What holders of the ring do, in one place. Counts what it is asked. */
export class FakeRing implements RingAccess {
  readonly asked: Id[] = [];
  readonly puts: RingRecord[] = [];
  /** What it fails with; undefined: it works. */
  failure: 'NO_RING' | 'NO_ANSWER' | undefined;
  /** It says nothing at all. */
  silent = false;
  readonly #clock: VirtualClock;
  readonly #delayMs: number;
  readonly #store = new RecordStore();

  constructor(clock: VirtualClock, delayMs = 100) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  async get(key: Id): Promise<readonly RingRecord[]> {
    this.asked.push(key);
    await this.#wait();
    return this.#store.get(key, this.#clock.now()).filter(({ value }) => value !== undefined);
  }

  async put(record: RingRecord): Promise<number> {
    this.puts.push(record);
    await this.#wait();
    const signed = recordIsSigned(verifier, record);
    const refusal = signed ? this.#store.put(record, this.#clock.now()) : 'bad-signature';
    if (refusal) throw new CodedError('NOT_KEPT', `not kept: ${refusal}`);
    return 5;
  }

  async #wait(): Promise<void> {
    await new Promise<void>(resolve => {
      if (!this.silent) this.#clock.after(this.#delayMs, resolve);
    });
    if (this.failure) throw new CodedError(this.failure, 'as the test wants it');
  }
}

export interface Asker {
  readonly clock: VirtualClock;
  readonly pins: PinBook;
  readonly lookup: NameLookup;
  readonly problems: string[];
}

/** Somebody who looks for people in a ring. */
export async function asker(
  clock: VirtualClock,
  ring: RingAccess,
  { enrolments, ownDeviceId = '' }: { enrolments?: Enrolments; ownDeviceId?: string } = {},
): Promise<Asker> {
  const pins = await PinBook.load({ store: new MemoryStore(), overlay: OVERLAY });
  const tools = {
    overlay: OVERLAY,
    verifier,
    trust: new DeviceTrust(verifier),
    guard: new FreshnessGuard(),
  };
  const judge = new NameJudge({ pins, ...(enrolments && { enrolments }) });
  const lookup = new NameLookup({ clock, logger: silentLogger, ring, tools, judge, ownDeviceId });
  const problems: string[] = [];
  lookup.on('problem', ({ code, message }) => problems.push(`${code} ${message}`));
  return { clock, pins, lookup, problems };
}

/** What becomes of a promise while the clock runs. */
export async function during<T>(
  clock: VirtualClock,
  work: Promise<T>,
  withinMs = 60_000,
): Promise<T> {
  let settled = false;
  const end = () => {
    settled = true;
  };
  work.then(end, end);
  await clock.advanceUntil(() => settled, withinMs);
  return work;
}
