/** `ringline overlay`: found a private overlay, enrol users in it, belong to one. */

import { CodedError } from '../core/errors.js';
import { deviceIdOf } from '../identity/identity.js';
import { keyFromText, keyToText, recordFromText, recordToText } from '../identity/text-form.js';
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
    const text = recordToText('expulsions', await keys.overlay.expel(overlay, passphrase, user));
    output.event({ event: 'expelled', overlay, userId: deviceIdOf(user), text }, text);
    return EXIT.ok;
  });
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
      output.event({ event: 'overlay' }, 'This device belongs to no overlay.');
      return EXIT.ok;
    }
    const { name, enrolmentKey } = membership.overlay;
    const key = enrolmentKey && keyToText(enrolmentKey);
    output.event(
      { event: 'overlay', overlay: name, open: !key, ...(key && { enrolmentKey: key }) },
      key
        ? `overlay        ${name}, private\nenrolment key  ${key}`
        : `overlay        ${name}, open`,
    );
    return EXIT.ok;
  });
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
