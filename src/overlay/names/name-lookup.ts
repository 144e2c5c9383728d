/** Whose a name is and where, as the ring says: asked, verified, judged. */
import { EventEmitter } from 'node:events';
import type { Clock } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { withinTime } from '../../discovery/within-time.js';
import type { BindingTools } from '../../identity/binding.js';
import { sameOctets } from '../../identity/fields.js';
import { deviceIdOf } from '../../identity/identity.js';
import type { NameClaim, NameClash, NameJudge, NameStanding } from '../../identity/name-judge.js';
import { foldedName } from '../../identity/names.js';
import type { RingAccess } from '../ring-access.js';
import { learnDevices, type NamedDevice, nameKey, readNameRecord } from './name-record.js';

/** A call does not wait longer for the ring: several timeouts of one hop (1 s) and a new owner fit in. */
export const RING_WITHIN_MS = 6000;
/** Records of one name that are read: more are those of somebody who mints devices. */
export const MAX_RECORDS = 64;

/** Who has a name, and all devices that person is reached at. */
export interface FoundName {
  /** Folded. */
  readonly name: string;
  /** Raw key of the user; of the super-node's user where it is vouched for. */
  readonly user: Uint8Array;
  readonly standing: NameStanding;
  /** The one with the longest life first. */
  readonly devices: readonly NamedDevice[];
}

export interface NameLookupEvents {
  /** Several keys claim a name. `NAME_CLASH`: the call goes to who has it, or to nobody where that cannot be told. */
  problem: [error: CodedError];
}

export interface NameLookupOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ring: Pick<RingAccess, 'get'>;
  readonly tools: BindingTools;
  readonly judge: NameJudge;
  /** Left out: who calls their own name wants their other devices. */
  readonly ownDeviceId: string;
}

export class NameLookup extends EventEmitter<NameLookupEvents> {
  readonly #options: NameLookupOptions;
  /** Clashes told already, as they were told. */
  readonly #told = new Map<string, string>();

  constructor(options: NameLookupOptions) {
    super();
    this.#options = options;
  }

  /**
   * Undefined where nobody has the name. Gives up after `RING_WITHIN_MS`.
   *
   * @throws {CodedError} `NAME_CLASH` where several have it and none was talked to, `BAD_NAME`, and those of
   *   `RingAccess.get`
   */
  async find(name: string, signal?: AbortSignal): Promise<FoundName | undefined> {
    const { clock, ring, tools } = this.#options;
    const answer = ring.get(nameKey(name, tools.overlay), signal);
    const records = await withinTime(clock, RING_WITHIN_MS, answer, signal);
    if (!records) {
      throw new CodedError(
        'NO_ANSWER',
        `the ring did not say within ${RING_WITHIN_MS} ms who has "${name}"`,
      );
    }
    const now = clock.now();
    const devices: NamedDevice[] = [];
    const bounded = records.slice(0, MAX_RECORDS);
    learnDevices(bounded, tools);
    for (const record of bounded) {
      const read = readNameRecord(record, name, tools, now);
      if (read.ok) devices.push(read.value);
      else this.#refused(name, record.publisher, read.code, read.detail);
    }
    return this.#judged(name, devices, now);
  }

  /** Whether who was found has the name still, by what is known now. */
  stands({ name, devices }: FoundName): boolean {
    const { judge, clock } = this.#options;
    const claims = devices.map(({ claim }) => claim);
    return judge.judge(name, claims, clock.now()).chosen !== undefined;
  }

  #judged(name: string, devices: readonly NamedDevice[], now: number): FoundName | undefined {
    const claims = devices.map(({ claim }) => claim);
    const { chosen, clash, refused } = this.#options.judge.judge(name, claims, now);
    for (const { refusal } of refused)
      this.#refused(name, 'its user', refusal.code, refusal.detail);
    const told = clash && this.#clash(name, clash, chosen?.claim);
    if (!chosen) {
      if (told) throw told;
      return undefined;
    }
    const { claim, standing } = chosen;
    const out = new Set(refused.map(each => each.claim));
    const reached = devices
      .filter(device => !out.has(device.claim) && isOfSame(device.claim, claim))
      .filter(({ deviceId }) => deviceId !== this.#options.ownDeviceId)
      .sort((one, other) => other.lifeLeftMs - one.lifeLeftMs);
    return { name: foldedName(name) ?? name, user: keyOf(claim), standing, devices: reached };
  }

  /** Told once, until it is another. */
  #clash(
    name: string,
    { holder, claims }: NameClash<NameClaim>,
    chosen: NameClaim | undefined,
  ): CodedError {
    const rivals = [...new Set(claims.map(describe))].sort();
    const has = holder ? `user ${deviceIdOf(holder)}` : chosen && describe(chosen);
    const who = has ? `${has} has it here, and ${rivals.join(' and ')}` : rivals.join(' and ');
    const error = new CodedError(
      'NAME_CLASH',
      has
        ? `"${name}" is claimed by several: ${who} claims it too`
        : `"${name}" is claimed by several, none of whom was talked to before: ${who}`,
      { remedy: !has && claims.every(isVouched) ? CERTIFY : COMPARE },
    );
    const key = foldedName(name) ?? name;
    if (this.#told.get(key) !== error.message) {
      this.#told.set(key, error.message);
      if (this.#told.size > MAX_CLASHES) this.#told.delete([...this.#told.keys()][0] ?? key);
      this.emit('problem', error);
    }
    return error;
  }

  #refused(name: string, publisher: string, code: string, reason: string): void {
    this.#options.logger.info({ name, publisher, code, reason }, 'a record of a name was refused');
  }
}

const MAX_CLASHES = 100;
const COMPARE = 'Compare user IDs with the person (`ringline user show`) by other means.';
const CERTIFY =
  'If the phones it is registered at belong together, have one user certify both (`ringline user certify`).';

function isVouched({ kind }: NameClaim): boolean {
  return kind === 'vouched';
}

function keyOf(claim: NameClaim): Uint8Array {
  return claim.kind === 'signed' ? claim.user : claim.by;
}

function isOfSame(one: NameClaim, other: NameClaim): boolean {
  return one.kind === other.kind && sameOctets(keyOf(one), keyOf(other));
}

function describe(claim: NameClaim): string {
  const id = deviceIdOf(keyOf(claim));
  return claim.kind === 'signed' ? `user ${id}` : `user ${id} for an ordinary phone`;
}
