/** `ringline user`: the user's key, and the devices that speak for the user. */
import { CodedError } from '../core/errors.js';
import { CAPABILITIES } from '../identity/device-certificate.js';
import { deviceIdOf } from '../identity/identity.js';
import { keyFromText, keyToText, recordFromText, recordToText } from '../identity/text-form.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';
import { type OwnKeys, withOwnKeys } from './own-keys.js';
import { readPassphrase } from './passphrase.js';

export interface UserFlags {
  readonly passphraseFile?: string;
  /** Capabilities, with commas between. */
  readonly may?: string;
}

export async function showUser(directory: string, output: Output): Promise<number> {
  return withOwnKeys(directory, output, async keys => {
    const device = await keys.device.publicKey();
    const user = await keys.user.user();
    const certificate = await keys.user.certified();
    const devices = await keys.user.devices();
    const userKey = user?.key.publicKey ?? certificate?.user;
    const fields = {
      event: 'user',
      deviceId: deviceIdOf(device),
      deviceKey: keyToText(device),
      ...(userKey && { userId: deviceIdOf(userKey), userKey: keyToText(userKey) }),
      ...(user && { name: user.name, devices }),
      ...(certificate && { may: certificate.capabilities }),
    };
    const lines = [
      `device ID    ${fields.deviceId}`,
      `device key   ${fields.deviceKey}`,
      userKey
        ? `user ID      ${deviceIdOf(userKey)}\nuser key     ${keyToText(userKey)}`
        : 'user         none: `ringline user create NAME`, or have this device certified',
      ...(user ? [`name         ${user.name}, whose key lies here`] : []),
      `may          ${certificate?.capabilities.join(', ') ?? 'nothing for any user'}`,
      ...devices.map(({ deviceId, capabilities, sequence }) => {
        return `certified    ${deviceId}  ${capabilities.join(', ')}  (${sequence})`;
      }),
    ];
    output.event(fields, lines.join('\n'));
    return EXIT.ok;
  });
}

/** Makes a key, and certifies this device. */
export async function createUser(name: string, directory: string, output: Output): Promise<number> {
  return withOwnKeys(directory, output, async keys => {
    const user = await keys.user.make(name);
    await certifyOwn(keys);
    output.event(
      { event: 'created', name, userId: user.key.userId, userKey: keyToText(user.key.publicKey) },
      `${name} has a key, and this device speaks for ${name}. Keep a copy: \`ringline user export\`.`,
    );
    return EXIT.ok;
  });
}

export async function exportUser(
  directory: string,
  flags: UserFlags,
  output: Output,
): Promise<number> {
  const passphrase = await readPassphrase(flags.passphraseFile, true);
  return withOwnKeys(directory, output, async keys => {
    const text = await keys.user.export(passphrase);
    output.event({ event: 'exported', text }, text);
    return EXIT.ok;
  });
}

export async function importUser(
  text: string,
  directory: string,
  flags: UserFlags,
  output: Output,
): Promise<number> {
  const passphrase = await readPassphrase(flags.passphraseFile, false);
  return withOwnKeys(directory, output, async keys => {
    const { name, key } = await keys.user.import(text, passphrase);
    await certifyOwn(keys);
    output.event(
      { event: 'imported', name, userId: key.userId },
      `This device has the key of ${name}, and speaks for ${name}.`,
    );
    return EXIT.ok;
  });
}

export async function certifyDevice(
  deviceKey: string,
  directory: string,
  flags: UserFlags,
  output: Output,
): Promise<number> {
  const device = keyFromText(deviceKey);
  const capabilities = capabilitiesOf(flags.may);
  return withOwnKeys(directory, output, async keys => {
    const text = recordToText('certificate', await keys.user.certify(device, capabilities));
    const fields = { event: 'certified', deviceId: deviceIdOf(device), capabilities, text };
    output.event(fields, text);
    return EXIT.ok;
  });
}

export async function revokeDevice(
  deviceId: string,
  directory: string,
  output: Output,
): Promise<number> {
  return withOwnKeys(directory, output, async keys => {
    const text = recordToText('devices', await keys.user.revoke(deviceId));
    output.event(
      { event: 'revoked', deviceId, text },
      `${text}\nA phone that runs here tells the ring within ten minutes, or when it starts.`,
    );
    return EXIT.ok;
  });
}

export async function acceptCertificate(
  text: string,
  directory: string,
  output: Output,
): Promise<number> {
  const octets = recordFromText('certificate', text);
  return withOwnKeys(directory, output, async keys => {
    const certificate = await keys.user.accept(octets, await keys.device.publicKey());
    const userId = deviceIdOf(certificate.user);
    const may = certificate.capabilities;
    output.event(
      { event: 'accepted', userId, may },
      `This device may ${may.join(', ') || 'do nothing'} for user ${userId}.`,
    );
    return EXIT.ok;
  });
}

async function certifyOwn({ device, user }: OwnKeys): Promise<void> {
  const own = await device.publicKey();
  await user.accept(await user.certify(own, CAPABILITIES), own);
}

function capabilitiesOf(given: string | undefined): string[] {
  const wanted =
    given === undefined ? [...CAPABILITIES] : given.split(',').map(each => each.trim());
  const known: readonly string[] = CAPABILITIES;
  const unknown = wanted.find(each => !known.includes(each));
  if (unknown === undefined) return wanted;
  throw new CodedError('BAD_USAGE', `expected ${known.join(', ')}, found "${unknown}"`, {
    remedy: 'For example: --may reach,publish',
  });
}
