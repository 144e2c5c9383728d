/**
 * Where a name is reached, signed: by a device of the user who has the name, or by a super-node for an ordinary phone
 * that has no key.
 *
 *   binding, vouched-binding   subject: name, body = [+contact: text]
 */
import { CodedError } from '../core/errors.js';
import { decodeCbor, encodeCbor } from './cbor.js';
import type { DeviceTrust } from './device-trust.js';
import { isText, itemsOf } from './fields.js';
import type { Freshness } from './freshness.js';
import type { FreshnessGuard } from './freshness-guard.js';
import type { NameClaim } from './name-judge.js';
import { foldedName } from './names.js';
import { accept, type Outcome, refuse } from './refusal.js';
import { readRecord, signRecord } from './signed-record.js';
import type { Signer, Verifier } from './signing.js';

export interface Binding extends Freshness {
  readonly name: string;
  readonly overlay: string;
  /** By whom: the user's own device, or a super-node for somebody else. */
  readonly by: 'user' | 'voucher';
  /** SIP URIs, best first; 1 to 8. */
  readonly contacts: readonly string[];
  /** In s. */
  readonly lifetime: number;
}

/** What travels with a binding, so that a stranger can judge it. */
export interface BindingProof {
  readonly binding: Uint8Array;
  /** Of the device that signed it. */
  readonly certificate: Uint8Array | undefined;
  /** Of its user, in a private overlay. */
  readonly enrolment?: Uint8Array;
}

export interface BindingTools {
  readonly overlay: string;
  readonly verifier: Verifier;
  readonly trust: DeviceTrust;
  readonly guard: FreshnessGuard;
}

const KINDS = { user: 'binding', voucher: 'vouched-binding' } as const;
/** What the device that signs has to be certified for. */
const CAPABILITY = { user: 'reach', voucher: 'publish' } as const;
export const MAX_CONTACTS = 8;
const MAX_CONTACT_OCTETS = 256;
const BOUNDS = { octets: 2304, depth: 1, items: 1 + MAX_CONTACTS } as const;

/** @throws {CodedError} `BAD_NAME`, `BAD_RECORD` */
export function signBinding(device: Signer, binding: Binding): Uint8Array {
  const { name, overlay, by, contacts, boot, sequence, lifetime } = binding;
  const subject = foldedName(name);
  if (subject === undefined) {
    throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
  }
  if (!areContacts(contacts)) {
    const expected = `expected 1 to ${MAX_CONTACTS} contacts of up to ${MAX_CONTACT_OCTETS} octets`;
    throw new CodedError('BAD_RECORD', `${expected}, found ${JSON.stringify(contacts)}`);
  }
  const body = encodeCbor(contacts);
  return signRecord(device, { kind: KINDS[by], overlay, subject, boot, sequence, lifetime, body });
}

export interface ReadBinding {
  readonly binding: Binding;
  readonly claim: NameClaim;
  /** The one that signed it, raw. */
  readonly device: Uint8Array;
}

/**
 * The binding, and what it claims for `NameJudge`. Refused as by `readRecord`, `DeviceTrust.check` and
 * `FreshnessGuard.admit`.
 *
 * @param now in ms, of a clock that does not jump back
 */
export function readBinding(
  { binding, certificate, enrolment }: BindingProof,
  { overlay, verifier, trust, guard }: BindingTools,
  now: number,
): Outcome<ReadBinding> {
  const own = readRecord(binding, { kind: KINDS.user, overlay }, verifier);
  const by = !own.ok && own.code === 'WRONG_KIND' ? 'voucher' : 'user';
  const read = by === 'user' ? own : readRecord(binding, { kind: KINDS[by], overlay }, verifier);
  if (!read.ok) return read;
  const { subject: name, key: device, boot, sequence, lifetime, body } = read.value;
  const decoded = decodeCbor(body, BOUNDS);
  if (!decoded.ok) return decoded;
  const contacts = itemsOf(decoded.value);
  if (!areContacts(contacts) || foldedName(name) !== name) {
    return refuse('MALFORMED', 'expected a name and where it is reached');
  }
  const certified = trust.check({ device, capability: CAPABILITY[by], certificate }, now);
  if (!certified.ok) return certified;
  // Last, so that only what was certified takes up memory.
  const fresh = guard.admit(read.value);
  if (!fresh.ok) return fresh;
  const { user } = certified.value;
  const more = enrolment ? { enrolment } : {};
  return accept({
    binding: { name, overlay, by, contacts, boot, sequence, lifetime },
    claim:
      by === 'user' ? { kind: 'signed', user, ...more } : { kind: 'vouched', by: user, ...more },
    device,
  });
}

function areContacts(contacts: readonly unknown[]): contacts is readonly string[] {
  return (
    contacts.length > 0 &&
    contacts.length <= MAX_CONTACTS &&
    contacts.every(each => typeof each === 'string' && isText(each, MAX_CONTACT_OCTETS))
  );
}
