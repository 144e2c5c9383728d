/** `ringline user …` and `ringline overlay …`, as the command line has them. */
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { defaultDataDirectory } from '../runtime/config-settings.js';
import type { Output } from './output.js';
import type { OverlayFlags } from './overlay.js';
import type { UserFlags } from './user.js';

export interface KeyFlags extends UserFlags, OverlayFlags {
  readonly data?: string;
  readonly config?: string;
  readonly seconds?: number;
  readonly json?: boolean;
}

export type Finish = (flags: KeyFlags, work: (output: Output) => Promise<number>) => Promise<void>;

/** @param finish runs a command's work and sets the exit status */
export function keyCommands(finish: Finish): Command[] {
  return [userCommands(finish), overlayCommands(finish)];
}

function userCommands(finish: Finish): Command {
  const user = group(
    'user',
    "The user's key, and the devices that speak for the user.",
  ).addHelpText(
    'after',
    `
  $ ringline user create alice           on the first phone
  $ ringline user show                   on the second: prints its device key
  $ ringline user certify DEVICEKEY      on the first: prints a certificate
  $ ringline user accept CERTIFICATE     on the second: it speaks for alice now
  $ ringline user revoke DEVICEID        on the first, when the second is lost

Or take the key itself along: \`user export\` prints it under a passphrase, \`user import\` takes it.
`,
  );
  const code = () => import('./user.js');
  leaf(user, 'show', 'Show the keys of this device and of its user.').action((flags: KeyFlags) =>
    finish(flags, async output => (await code()).showUser(dataOf(flags), output)),
  );
  leaf(user, 'create', 'Make a key for a user, on this device.')
    .argument('<name>', 'what others call the user')
    .action((name: string, flags: KeyFlags) =>
      finish(flags, async output => (await code()).createUser(name, dataOf(flags), output)),
    );
  withPassphrase(leaf(user, 'export', "Print the user's key, under a passphrase.")).action(
    (flags: KeyFlags) =>
      finish(flags, async output => (await code()).exportUser(dataOf(flags), flags, output)),
  );
  withPassphrase(leaf(user, 'import', "Take the user's key that was exported elsewhere."))
    .argument('<text>', 'what `ringline user export` printed')
    .action((text: string, flags: KeyFlags) =>
      finish(flags, async output => (await code()).importUser(text, dataOf(flags), flags, output)),
    );
  leaf(user, 'certify', 'Let another device speak for the user; prints its certificate.')
    .argument('<device key>', 'as `ringline user show` prints it there')
    .option('--may <list>', 'what it may do (default: reach,publish,read)')
    .action((key: string, flags: KeyFlags) =>
      finish(flags, async output =>
        (await code()).certifyDevice(key, dataOf(flags), flags, output),
      ),
    );
  leaf(user, 'accept', 'Keep the certificate that a user made for this device.')
    .argument('<certificate>', 'what `ringline user certify` printed')
    .action((text: string, flags: KeyFlags) =>
      finish(flags, async output => (await code()).acceptCertificate(text, dataOf(flags), output)),
    );
  leaf(user, 'revoke', 'Take back what a device was certified for; prints the new list of devices.')
    .argument('<device id>', 'as `ringline user show` prints it')
    .action((id: string, flags: KeyFlags) =>
      finish(flags, async output => (await code()).revokeDevice(id, dataOf(flags), output)),
    );
  return user;
}

function overlayCommands(finish: Finish): Command {
  const overlay = group(
    'overlay',
    'Which overlay this device belongs to; who belongs to a private one.',
  ).addHelpText(
    'after',
    `
  $ ringline overlay create office                 found a private overlay: makes its enrolment key
  $ ringline overlay enrol office ben USERKEY      prints an enrolment for ben
  $ ringline overlay join ENROLMENT                on ben's phone
  $ ringline overlay join village                  an open overlay: anybody belongs who says so
  $ ringline overlay expel office USERKEY          on the founder's phone: whoever was enrolled belongs no more
  $ ringline overlay find                          its super-nodes, by all ways they are looked for

The enrolment key lies here under a passphrase. In an open overlay a name is whose key claimed it first.
`,
  );
  const code = () => import('./overlay.js');
  leaf(overlay, 'show', 'Show which overlay this device belongs to.').action((flags: KeyFlags) =>
    finish(flags, async output => (await code()).showOverlay(dataOf(flags), output)),
  );
  withPassphrase(leaf(overlay, 'create', 'Found a private overlay: make its enrolment key.'))
    .argument('<name>', 'a-z, 0-9 and -')
    .action((name: string, flags: KeyFlags) =>
      finish(flags, async output =>
        (await code()).createOverlay(name, dataOf(flags), flags, output),
      ),
    );
  withPassphrase(leaf(overlay, 'enrol', 'Let a user belong to it; prints the enrolment.'))
    .argument('<overlay>', 'one that was founded here')
    .argument('<name>', 'what others call the user')
    .argument('<user key>', 'as `ringline user show` prints it there')
    .option('--super-node', 'its devices may be members of the ring, and vouch for ordinary phones')
    .action((overlay: string, name: string, key: string, flags: KeyFlags) =>
      finish(flags, async output =>
        (await code()).enrolUser(overlay, name, key, dataOf(flags), flags, output),
      ),
    );
  withPassphrase(
    leaf(
      overlay,
      'expel',
      'Take an enrolment back: all phones of the overlay learn it by the ring.',
    ),
  )
    .argument('<overlay>', 'one that was founded here')
    .argument('<user key>', 'of who is to leave')
    .action((overlay: string, key: string, flags: KeyFlags) =>
      finish(flags, async output =>
        (await code()).expelUser(overlay, key, dataOf(flags), flags, output),
      ),
    );
  leaf(overlay, 'join', 'Belong to an overlay.')
    .argument(
      '<enrolment>',
      'what `ringline overlay enrol` printed, or the name of an open overlay',
    )
    .action((given: string, flags: KeyFlags) =>
      finish(flags, async output => (await code()).joinOverlay(given, dataOf(flags), output)),
    );
  leaf(overlay, 'find', 'Show who may be a super-node of it, by all sources, as they are heard of.')
    .option('--config <file>', 'configuration file')
    .option('--seconds <n>', 'stop after so many seconds (default: 12)', seconds)
    .action((flags: KeyFlags) =>
      finish(flags, async output => {
        const { findSuperNodes, FIND_SECONDS } = await import('./find-super-nodes.js');
        const { config, seconds: given = FIND_SECONDS } = flags;
        const where = { data: dataOf(flags), ...(config !== undefined && { config }) };
        return findSuperNodes({ ...where, seconds: given }, output);
      }),
    );
  return overlay;
}

function seconds(text: string): number {
  const number = Number(text);
  if (number > 0 && number <= 86_400) return number;
  throw new InvalidArgumentError('expected a number of seconds, above 0.');
}

function group(name: string, description: string): Command {
  return new Command(name).description(description);
}

function leaf(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--data <dir>', 'data directory (default: ~/.local/state/ringline)')
    .option('--json', 'print one JSON object a line');
}

function withPassphrase(command: Command): Command {
  return command.option(
    '--passphrase-file <file>',
    'whose first line is the passphrase (default: ask for it)',
  );
}

function dataOf({ data }: KeyFlags): string {
  return resolve(data ?? defaultDataDirectory());
}
