/**
 * For whom this device speaks in the overlay. A phone that was told nothing belongs to the open overlay `ringline`, and
 * makes a user's key for itself at its first use: it is called by its name without anybody having set it up.
 */
import { CodedError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import { CAPABILITIES } from '../../identity/device-certificate.js';
import { type Overlay, readEnrolment } from '../../identity/enrolment.js';
import type { IdentityProvider } from '../../identity/identity.js';
import { refusalError } from '../../identity/refusal.js';
import { Ed25519Verifier } from '../../identity/signing.js';
import { StoredOverlay } from '../../identity/stored-overlay.js';
import { StoredUser } from '../../identity/stored-user.js';
import type { Store } from '../../storage/store.js';
import type { NameProof } from './name-record.js';

/** Unless `ringline overlay join` has named another. */
export const DEFAULT_OVERLAY = 'ringline';

export interface OwnUser {
  readonly overlay: Overlay;
  /** The user's own, where one was given; in a private overlay the one that was enrolled, and no other holds. */
  readonly name: string | undefined;
  readonly proof: NameProof;
}

export interface OwnUserOptions {
  readonly store: Store;
  readonly random: Random;
  readonly identity: Pick<IdentityProvider, 'publicKey'>;
  /** What the phone was told to be called. */
  readonly phoneName: string;
}

/**
 * Makes what is missing, in an open overlay.
 *
 * @throws {CodedError} `NOT_CERTIFIED` in a private overlay, and whatever the store throws
 */
export async function readyOwnUser(options: OwnUserOptions): Promise<OwnUser> {
  const { store, random, identity, phoneName } = options;
  const stored = new StoredUser({ store, random });
  const membership = await new StoredOverlay({ store, random }).membership();
  const { overlay = { name: DEFAULT_OVERLAY }, enrolment } = membership ?? {};
  const device = await identity.publicKey();
  let certificate = await stored.certificate();
  if (!certificate) {
    if (overlay.enrolmentKey && !(await stored.user())) throw notCertified(overlay.name);
    certificate = await certifyHere(stored, device, phoneName);
  }
  if (enrolment) {
    const read = readEnrolment(enrolment, overlay, new Ed25519Verifier());
    if (!read.ok) throw refusalError(read, 'Join the overlay again: `ringline overlay join`.');
    return { overlay, name: read.value.name, proof: { certificate, enrolment } };
  }
  const user = await stored.user();
  // A user that was made for the phone has no name but the phone's, which others may have taken it from.
  const name = user && user.name !== phoneName ? user.name : undefined;
  return { overlay, name, proof: { certificate } };
}

async function certifyHere(stored: StoredUser, device: Uint8Array, name: string) {
  if (!(await stored.user())) await stored.make(name);
  const certificate = await stored.certify(device, CAPABILITIES);
  await stored.accept(certificate, device);
  return certificate;
}

function notCertified(overlay: string): CodedError {
  return new CodedError(
    'NOT_CERTIFIED',
    `expected this device to be certified by a user of the private overlay "${overlay}", found no certificate`,
    { remedy: "Certify it where the user's key lies: `ringline user certify`." },
  );
}
