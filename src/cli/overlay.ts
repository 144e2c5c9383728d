/** `ringline overlay`: found a private overlay, enrol users in it, belong to one. */

import { CodedError } from '../core/errors.js';
import { Enrolments, type Overlay, readEnrolment } from '../identity/enrolment.js';
import { deviceIdOf } from '../identity/identity.js';
import { Ed25519Verifier } from '../identity/signing.js';
import type { Membership } from '../identity/stored-overlay.js';
import { keyFromText, keyToText, recordFromText, recordToText } from '../identity/text-form.js';
import { expulsionSignature } from '../overlay/names/expulsion-record.js';
import { DEFAULT_OVERLAY } from '../overlay/names/own-user.js';
import { askPhone } from '../runtime/control-client.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';
import { type OwnKeys, withOwnKeys } from './own-keys.js';
import { readPassphrase } from './passphrase.js';

export interface OverlayFlags {
  readonly passphraseFile?: string;
  readonly superNode?: boolean;
}

const ENROLMENT_HEAD = 'ringline-enrolment-1:';

/** Founds it, and belongs to it where the user's key lies here. */
export async function createOverlay(
  name: string,
  directory: string,
  flags: OverlayFlags,
  output: Output,
): Promise<number> {
  const passphrase = await readPassphrase(flags.passphraseFile, true);
  return withOwnKeys(directory, output, async keys => {
    const { enrolmentKey } = await keys.overlay.create(name, passphrase);
    const user = await keys.user.user();
    if (user) {
      const founder = { name: user.name, user: user.key.publicKey, roles: ['user', 'super-node'] };
      const enrolment = await keys.overlay.enrol(name, passphrase, founder);
      await keys.overlay.join(enrolment, user.key.publicKey);
    }
    const joined = user ? `, and ${user.name} belongs to it` : '';
    output.event(
      { event: 'founded', overlay: name, enrolmentKey: keyToText(enrolmentKey), joined: !!user },
      `The overlay "${name}" is founded${joined}. Its enrolment key is ${keyToText(enrolmentKey)}`,
    );
    return EXIT.ok;
  });
}

export async function enrolUser(
  overlay: string,
  name: string,
  userKey: string,
  directory: string,
  flags: OverlayFlags,
  output: Output,
): Promise<number> {
  const user = keyFromText(userKey);
  const passphrase = await readPassphrase(flags.passphraseFile, false);
  const roles = flags.superNode ? ['user', 'super-node'] : ['user'];
  return withOwnKeys(directory, output, async keys => {
    const octets = await keys.overlay.enrol(overlay, passphrase, { name, user, roles });
    const text = recordToText('enrolment', octets);
    output.event({ event: 'enrolled', overlay, name, userId: deviceIdOf(user), roles, text }, text);
    return EXIT.ok;
  });
}

export async function expelUser(
  overlay: string,
  userKey: string,
  directory: string,
  flags: OverlayFlags,
  output: Output,
): Promise<number> {
  const user = keyFromText(userKey);
  const passphrase = await readPassphrase(flags.passphraseFile, false);
  return withOwnKeys(directory, output, async keys => {
    const list = await keys.overlay.expel(overlay, passphrase, user, expulsionSignature);
    const text = recordToText('expulsions', list);
    const userId = deviceIdOf(user);
    const inRing = await toldByPhone(directory, overlay);
    output.event(
      { event: 'expelled', overlay, userId, inRing, text },
      `User ${userId} is expelled from "${overlay}". ${inRing ? IN_RING : NOT_IN_RING}`,
    );
    return EXIT.ok;
  });
}

const IN_RING = 'The ring knows it; all phones do within 10 minutes.';
const NOT_IN_RING =
  'The ring does not know it yet: the phone of this device has to run, and tells it then.';

/** Whether the phone that runs with these keys could tell the ring. */
async function toldByPhone(directory: string, overlay: string): Promise<boolean> {
  const session = await askPhone(directory, { method: 'tell-expelled', overlay });
  for await (const event of session?.events ?? []) if (event.event === 'told') return event.inRing;
  return false;
}

/** @param given an enrolment, or the name of an open overlay */
export async function joinOverlay(
  given: string,
  directory: string,
  output: Output,
): Promise<number> {
  return withOwnKeys(directory, output, async keys => {
    if (!given.startsWith(ENROLMENT_HEAD)) {
      await keys.overlay.joinOpen(given);
      output.event(
        { event: 'joined', overlay: given, open: true },
        `This device belongs to the open overlay "${given}": a name is whose key claimed it first.`,
      );
      return EXIT.ok;
    }
    const octets = recordFromText('enrolment', given);
    const { overlay, name } = await keys.overlay.join(octets, await ownUserKey(keys));
    const enrolmentKey = keyToText(overlay.enrolmentKey ?? new Uint8Array());
    output.event(
      { event: 'joined', overlay: overlay.name, open: false, name, enrolmentKey },
      `This device belongs to the overlay "${overlay.name}", as ${name}. See that its founder has the same enrolment key:\n${enrolmentKey}`,
    );
    return EXIT.ok;
  });
}

export async function showOverlay(directory: string, output: Output): Promise<number> {
  return withOwnKeys(directory, output, async keys => {
    const membership = await keys.overlay.membership();
    if (!membership) {
      output.event(
        { event: 'overlay', overlay: DEFAULT_OVERLAY, open: true },
        `overlay        ${DEFAULT_OVERLAY}, open: where everybody is who has joined no other`,
      );
      return EXIT.ok;
    }
    const { name, enrolmentKey } = membership.overlay;
    if (!enrolmentKey) {
      output.event({ event: 'overlay', overlay: name, open: true }, `overlay        ${name}, open`);
      return EXIT.ok;
    }
    const key = keyToText(enrolmentKey);
    const { users, here } = await expelledFrom({ name, enrolmentKey }, membership, keys);
    const what =
      users === 1 ? '1 user, as far as is known here' : `${users} users, as far as is known here`;
    output.event(
      {
        event: 'overlay',
        overlay: name,
        open: false,
        enrolmentKey: key,
        expelled: users,
        expelledHere: here,
      },
      [
        `overlay        ${name}, private`,
        `enrolment key  ${key}`,
        `expelled       ${users === 0 ? 'nobody, as far as is known here' : what}`,
        ...(here ? ['this device    speaks for one who was EXPELLED'] : []),
      ].join('\n'),
    );
    return EXIT.ok;
  });
}

/** By the newest list that lies here. */
async function expelledFrom(
  overlay: Required<Overlay>,
  { enrolment }: Membership,
  keys: OwnKeys,
): Promise<{ readonly users: number; readonly here: boolean }> {
  const verifier = new Ed25519Verifier();
  const enrolments = new Enrolments(overlay, verifier);
  let users = 0;
  for (const { list } of await keys.overlay.expulsions(overlay.name)) {
    const learnt = enrolments.learn(list);
    if (learnt.ok) users = learnt.value.expelled.length;
  }
  const own = enrolment && readEnrolment(enrolment, overlay, verifier);
  if (!own?.ok) return { users, here: false };
  const checked = enrolments.check({ ...own.value, enrolment }, 0);
  return { users, here: !checked.ok && checked.code === 'REVOKED' };
}

async function ownUserKey({ user }: OwnKeys): Promise<Uint8Array> {
  const own = await user.user();
  if (own) return own.key.publicKey;
  const certified = await user.certified();
  if (certified) return certified.user;
  throw new CodedError('NO_USER_KEY', 'this device speaks for no user', {
    remedy: 'Make a user (`ringline user create NAME`), or have this device certified by one.',
  });
}
