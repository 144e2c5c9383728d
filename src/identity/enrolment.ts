/**
 * Who belongs to a private overlay: whoever its enrolment key certified. As signed records of that overlay:
 *
 *   enrolment   subject: name, body = [user key: bytes .size 32, [*role: text]]
 *   expulsions  subject: '',   body = [*[user key: bytes .size 32, sequence: uint]]
 *
 * Both count on in one `sequence`; an expulsion takes back every enrolment of the user as old as its number.
 */
import { CodedError } from '../core/errors.js';
import { decodeCbor, encodeCbor } from './cbor.js';
import { isCount, isOctets, isText, itemsOf, sameOctets } from './fields.js';
import { FRESHNESS_BOUNDS } from './freshness.js';
import { foldedName } from './names.js';
import { moveToEnd } from './recent.js';
import { accept, type Outcome, refuse } from './refusal.js';
import { MAX_RECORD_OCTETS, readRecord, signRecord } from './signed-record.js';
import { KEY_OCTETS, type Signer, type Verifier } from './signing.js';

export interface Overlay {
  readonly name: string;
  /** Raw Ed25519 key of a private overlay; an open one has none. */
  readonly enrolmentKey?: Uint8Array;
}

/** `super-node`: may be a member of the ring, and vouch for phones without keys. */
export const ROLES = ['user', 'super-node'] as const;

export interface Enrolment {
  /** Folded: `names.ts`. */
  readonly name: string;
  /** Raw Ed25519 key. */
  readonly user: Uint8Array;
  readonly roles: readonly string[];
  readonly sequence: number;
  /** In s, from when a holder first had it. */
  readonly lifetime: number;
}

export interface Expulsion {
  readonly user: Uint8Array;
  /** Enrolments up to this one are taken back. */
  readonly sequence: number;
}

const ENROLMENT = 'enrolment';
const EXPULSIONS = 'expulsions';
const MAX_ROLES = 8;
const MAX_ROLE_OCTETS = 32;
export const MAX_EXPULSIONS = 1000;
/** Names whose newest enrolment is remembered. */
const MAX_NAMES = 10_000;

const ENROLMENT_BOUNDS = { octets: 1024, depth: 2, items: 4 + MAX_ROLES } as const;
const EXPULSION_BOUNDS = {
  octets: MAX_RECORD_OCTETS,
  depth: 2,
  items: 2 + 3 * MAX_EXPULSIONS,
} as const;

/** @throws {CodedError} `BAD_NAME`, `BAD_RECORD` */
export function issueEnrolment(
  enroller: Signer,
  overlay: string,
  { name, user, roles, sequence, lifetime }: Enrolment,
): Uint8Array {
  const subject = foldedName(name);
  if (subject === undefined) {
    throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
  }
  const body = encodeCbor([user, roles]);
  const content = { kind: ENROLMENT, overlay, subject, boot: 0, sequence, lifetime, body };
  return signRecord(enroller, content);
}

/** Refused as by `readRecord`; with `NOT_CERTIFIED` by another key than the overlay's. */
export function readEnrolment(
  octets: Uint8Array,
  { name: overlay, enrolmentKey }: Overlay,
  verifier: Verifier,
): Outcome<Enrolment & { readonly enrolmentKey: Uint8Array }> {
  const read = readRecord(octets, { kind: ENROLMENT, overlay }, verifier);
  if (!read.ok) return read;
  const { key, subject: name, sequence, lifetime, body } = read.value;
  if (enrolmentKey && !sameOctets(key, enrolmentKey)) {
    return refuse('NOT_CERTIFIED', `"${name}" was not enrolled by the key of overlay "${overlay}"`);
  }
  const decoded = decodeCbor(body, ENROLMENT_BOUNDS);
  if (!decoded.ok) return decoded;
  const [user, roleList, ...more] = itemsOf(decoded.value);
  const roles = itemsOf(roleList).filter((role): role is string => isText(role, MAX_ROLE_OCTETS));
  return isOctets(user, KEY_OCTETS) &&
    Array.isArray(roleList) &&
    roles.length === roleList.length &&
    roles.length <= MAX_ROLES &&
    more.length === 0 &&
    foldedName(name) === name
    ? accept({ name, user, roles, sequence, lifetime, enrolmentKey: key })
    : refuse('MALFORMED', 'expected a name, the key of a user and what it may be');
}

/** @throws {CodedError} `BAD_RECORD` */
export function issueExpulsions(
  enroller: Signer,
  overlay: string,
  { expelled, sequence, lifetime }: ExpulsionList,
): Uint8Array {
  const body = encodeCbor(expelled.map(({ user, sequence }) => [user, sequence]));
  const content = { kind: EXPULSIONS, overlay, subject: '', boot: 0, sequence, lifetime, body };
  return signRecord(enroller, content);
}

export interface ExpulsionList {
  readonly expelled: readonly Expulsion[];
  readonly sequence: number;
  readonly lifetime: number;
}

/** Refused as by `readRecord`. */
export function readExpulsions(
  octets: Uint8Array,
  { name: overlay, enrolmentKey }: Overlay,
  verifier: Verifier,
): Outcome<ExpulsionList> {
  const expected = { kind: EXPULSIONS, overlay, ...(enrolmentKey && { key: enrolmentKey }) };
  const read = readRecord(octets, expected, verifier);
  if (!read.ok) return read;
  const decoded = decodeCbor(read.value.body, EXPULSION_BOUNDS);
  if (!decoded.ok) return decoded;
  const expelled: Expulsion[] = [];
  for (const entry of itemsOf(decoded.value)) {
    const [user, sequence, ...more] = itemsOf(entry);
    const most = FRESHNESS_BOUNDS.sequences - 1;
    if (!isOctets(user, KEY_OCTETS) || !isCount(sequence, most) || more.length > 0) {
      return refuse('MALFORMED', 'expected keys of users, each with a number');
    }
    expelled.push({ user, sequence });
  }
  if (!Array.isArray(decoded.value) || expelled.length > MAX_EXPULSIONS) {
    return refuse('MALFORMED', `expected a list of at most ${MAX_EXPULSIONS}`);
  }
  const { sequence, lifetime } = read.value;
  return accept({ expelled, sequence, lifetime });
}

interface Seen {
  readonly sequence: number;
  readonly user: Uint8Array;
  /** In ms of our own time. */
  readonly at: number;
}

export interface EnrolmentClaim {
  readonly user: Uint8Array;
  /** Of the user; any where not given. */
  readonly name?: string;
  readonly role?: (typeof ROLES)[number];
  readonly enrolment: Uint8Array | undefined;
}

/** Judges enrolments of one private overlay by the newest it has seen. */
export class Enrolments {
  readonly #overlay: Required<Overlay>;
  readonly #verifier: Verifier;
  readonly #maxNames: number;
  readonly #newest = new Map<string, Seen>();
  #expulsions: ExpulsionList = { expelled: [], sequence: -1, lifetime: 0 };
  #expelled = new Map<string, number>();

  constructor(overlay: Required<Overlay>, verifier: Verifier, maxNames = MAX_NAMES) {
    this.#overlay = overlay;
    this.#verifier = verifier;
    this.#maxNames = maxNames;
  }

  /** Takes a newer list of those expelled. Refused as by `readExpulsions`, and with `STALE`. */
  learn(octets: Uint8Array): Outcome<ExpulsionList> {
    const read = readExpulsions(octets, this.#overlay, this.#verifier);
    if (!read.ok) return read;
    if (read.value.sequence < this.#expulsions.sequence) {
      const expected = `expected a list newer than ${this.#expulsions.sequence}`;
      return refuse('STALE', `${expected}, found ${read.value.sequence}`);
    }
    this.#expulsions = read.value;
    this.#expelled = new Map(
      read.value.expelled.map(({ user, sequence }) => [hex(user), sequence]),
    );
    for (const [name, { user, sequence }] of this.#newest) {
      if (sequence <= (this.#expelled.get(hex(user)) ?? -1)) this.#newest.delete(name);
    }
    return read;
  }

  /**
   * Refused as by `readEnrolment`, and with `UNSIGNED`, `NOT_CERTIFIED`, `STALE`, `EXPIRED` or `REVOKED`.
   *
   * @param now in ms, of a clock that does not jump back
   */
  check({ user, name, role, enrolment }: EnrolmentClaim, now: number): Outcome<Enrolment> {
    if (!enrolment) return refuse('UNSIGNED', `expected an enrolment in "${this.#overlay.name}"`);
    const read = readEnrolment(enrolment, this.#overlay, this.#verifier);
    if (!read.ok) return read;
    const found = read.value;
    if (!sameOctets(found.user, user)) {
      return refuse('WRONG_KEY', `"${found.name}" was enrolled with another key`);
    }
    if (name !== undefined && foldedName(name) !== found.name) {
      return refuse('NOT_CERTIFIED', `expected an enrolment as "${name}", found "${found.name}"`);
    }
    const expelledUpTo = this.#expelled.get(hex(user));
    if (expelledUpTo !== undefined && found.sequence <= expelledUpTo) {
      return refuse('REVOKED', `"${found.name}" was expelled from "${this.#overlay.name}"`);
    }
    return this.#refusal(found, now) ?? this.#role(found, role);
  }

  /** The key that holds a name here, as far as is known. */
  holder(name: string): Uint8Array | undefined {
    const folded = foldedName(name);
    return folded === undefined ? undefined : this.#newest.get(folded)?.user;
  }

  #refusal({ name, user, sequence, lifetime }: Enrolment, now: number) {
    const seen = this.#newest.get(name);
    if (seen && sequence < seen.sequence) {
      const expected = `expected enrolment ${seen.sequence} of "${name}"`;
      return refuse('STALE', `${expected}, found ${sequence}`);
    }
    const first = seen && seen.sequence === sequence ? seen : { sequence, user, at: now };
    moveToEnd(this.#newest, name, first, this.#maxNames);
    if (now - first.at <= lifetime * 1000) return undefined;
    return refuse('EXPIRED', `the enrolment of "${name}" held for ${lifetime} s`);
  }

  #role(found: Enrolment, role: EnrolmentClaim['role']): Outcome<Enrolment> {
    if (role === undefined || found.roles.includes(role)) return accept(found);
    const roles = found.roles.join(', ') || 'nothing';
    return refuse('NOT_CERTIFIED', `"${found.name}" is enrolled as ${roles}, not as ${role}`);
  }
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex');
}
