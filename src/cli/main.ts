#!/usr/bin/env node
/** The `ringline` command. Each subcommand's code is loaded only when it runs. */
import { Command, Option } from 'commander';
import { CODEC_NAMES, parseCodecName } from '../calling/audio-codecs.js';
import { COUNTRIES, parseCountry } from '../calling/country-tones.js';
import { ENCRYPTION_POLICIES, type EncryptionPolicy } from '../calling/encryption.js';
import { HANDSET_KEYS, parseHandsetKey } from '../calling/handset-key.js';
import { SILENCE_POLICIES, type SilencePolicy } from '../calling/silence.js';
import { parseEndpoint } from '../core/endpoint.js';
import { CodedError, errorCode } from '../core/errors.js';
import { parseDigits } from '../media/dtmf/digits.js';
import { type PortChoices, parsePortChoice } from '../runtime/config-listen.js';
import {
  type Config,
  DEFAULT_LISTEN,
  LOG_LEVELS,
  parseLogLevel,
} from '../runtime/config-settings.js';
import { programVersion } from '../runtime/version.js';
import { EXIT, EXIT_TABLE, exitCodeOfError } from './exit-codes.js';
import { keyCommands } from './key-commands.js';
import { newOutput, type Output } from './output.js';
import { simulateCommand } from './simulate-command.js';

/** Flags as commander hands them over. */
interface Flags {
  readonly name?: string;
  readonly listen?: string;
  readonly tls?: string;
  readonly ws?: string;
  readonly wss?: string;
  readonly data?: string;
  readonly config?: string;
  readonly log?: string;
  readonly codec?: string;
  readonly srtp?: EncryptionPolicy;
  readonly silence?: SilencePolicy;
  readonly json?: boolean;
  readonly echo?: boolean;
  readonly clean?: boolean;
  readonly play?: string;
  readonly record?: string;
  readonly seconds?: number;
  readonly message?: string;
  readonly digits?: string;
  readonly tones?: boolean;
  readonly country?: string;
  readonly all?: boolean;
  readonly follow?: boolean;
  readonly keys?: boolean;
}

/** `who` is the argument's name. */
const KEYS: Record<(typeof HANDSET_KEYS)[number], { who?: string; does: string }> = {
  hold: { does: 'keep the other side waiting' },
  resume: { does: 'talk again to who waits; who was talked to waits then' },
  consult: { who: '<who>', does: 'call somebody else, while the other side waits' },
  transfer: { who: '[who]', does: 'send the other side to somebody, or to who was consulted' },
  hangup: { does: 'end the call; who waits goes on waiting' },
  digits: { who: '<keys>', does: 'press keys for the other side: 0 to 9, *, #, A to D' },
};

const KEYS_HELP = HANDSET_KEYS.map(key => {
  const { who = '', does } = KEYS[key];
  return `  ${`${key} ${who}`.padEnd(15)}  ${does}`;
}).join('\n');

const EXIT_HELP = `
Exit status:
${EXIT_TABLE.map(([code, meaning]) => `  ${String(code).padStart(2)}  ${meaning}`).join('\n')}
`;

function program(): Command {
  const ringline = new Command('ringline')
    .exitOverride()
    .description(
      'A SIP desk phone that needs no server: phones on a network find each other by name.',
    )
    .version(programVersion())
    .showHelpAfterError('(`ringline --help` shows what there is)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
Try it, on two machines of one network:
  $ ringline run --name alice        this machine is a phone, seen as alice
  $ ringline who                     who else is there
  $ ringline call alice              from the other machine: alice rings
  $ ringline call sip:alice@ringline   the same, by the overlay alone: wherever she is
  $ ringline call '*43@alice'        alice's echo test: hear yourself
  $ ringline call room@alice         alice's meeting room: hear who else is in it
${EXIT_HELP}`,
    );

  phoneOptions(ringline.command('run'))
    .description(
      'Be a phone: others see it by name and can call it, its echo test (*43) and its room.',
    )
    .addHelpText(
      'after',
      `
Nothing needs to be configured. It prints one line when it can take calls, and runs until ^C.
Calls to its name ring until \`ringline answer\` takes them.

It joins the overlay, by which phones are called where this network does not reach: attached to a
super-node, or as one where one is needed (overlay: role of the configuration; \`ringline status\`).

SIP over TLS is taken one port above --listen. Should that port be in use, a warning says so and the
phone works without.

  $ ringline run                     named after this host, on port 5060
  $ ringline run --name kitchen --listen 192.0.2.7:5070 --wss 8443
  $ ringline run --listen :0 --data /tmp/second   a second phone on this machine
`,
    )
    .action(
      action(async (flags, output) => {
        const { run } = await import('./run.js');
        return run(configOf(flags), flags.config, output);
      }),
    );

  common(ringline.command('call'))
    .argument('<who>', 'a name, something@name, an address or a SIP URI')
    .description('Call somebody, and talk by files: play one, record one.')
    .option(
      '--play <wav>',
      'play this file to them; hang up after it, unless --seconds says otherwise',
    )
    .option('--clean', 'take noise from what is played, and bring speech to the usual level')
    .option('--record <wav>', 'write what they say to this file')
    .option('--tones', 'record what one hears while calling too: ringing, busy, no way through')
    .option(
      '--country <code>',
      `whose tones these are: ${COUNTRIES.join(', ')} (default: country of the configuration, else us)`,
    )
    .option('--seconds <n>', 'hang up after so many seconds of talk', positive)
    .option(
      '--keys',
      'take hold, resume, consult, transfer, hangup and digits from standard input, a line each',
    )
    .option('--digits <keys>', "press these keys when they have answered: '123#'")
    .option('--message <text>', 'send them this text when they have answered')
    .addOption(encryptionOption())
    .addOption(silenceOption())
    .option('--codec <name>', `speak this one and no other: ${CODEC_NAMES.join(', ')}`)
    .option('--name <name>', 'call under this name (default: the host name)')
    .option('--listen <address:port>', 'local address and port (default: any)')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', 'data directory, where the configuration may be')
    .addHelpText(
      'after',
      `
  $ ringline call alice                            alice, on this network or in the overlay
  $ ringline call sip:alice@ringline               by the overlay alone, which knows her key
  $ ringline call room@alice                       her meeting room
  $ ringline call '*43@alice' --play me.wav --record echo.wav
  $ ringline call 192.0.2.7                        whatever answers there
  $ ringline call sip:bob@192.0.2.7:5070 --seconds 30
  $ ringline call sips:alice@local                 over TLS; also 'sip:bob@192.0.2.7;transport=tls'
  $ ringline call alice --keys                     then type, e.g., transfer ben

With --keys the lines of standard input act on the call, as keys of a desk phone do:
${KEYS_HELP}
${EXIT_HELP}`,
    )
    .action(async (who: string, flags: Flags) =>
      finish(flags, async output => {
        const { call } = await import('./call.js');
        return call(who, configOf(flags), flags.config, audioOf(flags), output);
      }),
    );

  common(ringline.command('message'))
    .argument('<who>', 'a name, an address or a SIP URI')
    .argument('<text>', 'what to write')
    .description('Write to somebody: a phone of ours keeps it until it is seen.')
    .option('--name <name>', 'write under this name (default: the host name)')
    .option('--listen <address:port>', 'local address and port (default: any)')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', 'data directory, where the configuration may be')
    .addHelpText(
      'after',
      `
  $ ringline message alice "Lunch at one?"
  $ ringline message sip:bob@192.0.2.7:5070 "Call me back."
${EXIT_HELP}`,
    )
    .action(async (who: string, text: string, flags: Flags) =>
      finish(flags, async output => {
        const { message } = await import('./message.js');
        return message(who, text, configOf(flags), flags.config, output);
      }),
    );

  common(ringline.command('refer'))
    .argument('<phone>', 'the phone that is to call: a name, an address or a SIP URI')
    .argument('<who>', 'whom it calls, as you would dial there')
    .description('Have another phone call somebody, where it lets you (clickToDial).')
    .option('--listen <address:port>', 'local address and port (default: any)')
    .option('--config <file>', 'configuration file, with the account to ask by')
    .option('--data <dir>', 'data directory, where the configuration may be')
    .addHelpText('after', `\n  $ ringline refer kitchen bob\n${EXIT_HELP}`)
    .action(async (phone: string, who: string, flags: Flags) =>
      finish(flags, async output => {
        const { refer } = await import('./refer.js');
        return refer(phone, who, configOf(flags), flags.config, output);
      }),
    );

  common(ringline.command('messages'))
    .description('Show what was written to the phone that runs here, and was not seen yet.')
    .option('--all', 'show what was seen before too')
    .option('--follow', 'go on with what comes in, until ^C')
    .option('--data <dir>', "the running phone's data directory")
    .addHelpText('after', '\n  $ ringline messages --follow\n')
    .action(
      action(async (flags, output) => {
        const { messages } = await import('./messages.js');
        const { all = false, follow = false } = flags;
        return messages(configOf(flags), { all, follow }, output);
      }),
    );

  for (const key of HANDSET_KEYS) keyCommand(ringline, key);

  phoneOptions(ringline.command('answer'))
    .description('Answer calls: those of the phone that runs here, else as a phone of its own.')
    .option('--echo', 'send back what is heard')
    .option('--play <wav>', 'play this file to each caller')
    .option('--clean', 'take noise from that file, and bring speech to the usual level')
    .option('--record <wav>', 'write what the callers say: FILE, then FILE-2, FILE-3 …')
    .addHelpText(
      'after',
      `
Where \`ringline run\` runs with the same data directory, its calls are answered, those that ring now
first, until ^C. Else this is a phone by itself, and takes the options of \`run\`.

  $ ringline answer --echo
  $ ringline answer --play greeting.wav --record message.wav
`,
    )
    .action(
      action(async (flags, output) => {
        const { answer } = await import('./answer.js');
        return answer(configOf(flags), flags.config, audioOf(flags), output);
      }),
    );

  common(ringline.command('who'))
    .description('Show the phones on this network, as they come and go.')
    .option('--seconds <n>', 'stop after so many seconds (default: at ^C)', positive)
    .addHelpText('after', '\n  $ ringline who --seconds 3\n')
    .action(
      action(async (flags, output) => {
        const { who } = await import('./who.js');
        return who(flags.seconds, output);
      }),
    );

  common(ringline.command('watch'))
    .argument('<who...>', 'names, something@name, addresses or SIP URIs')
    .description('Show what other phones do, as it changes: idle, ringing, busy or unknown.')
    .option('--seconds <n>', 'stop after so many seconds (default: at ^C)', positive)
    .option('--name <name>', 'ask under this name (default: the host name)')
    .option('--listen <address:port>', 'local address and port (default: any)')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', "the running phone's data directory")
    .addHelpText(
      'after',
      `
Where \`ringline run\` runs with the same data directory, that phone watches, else one that lives as long.
A phone that is not there is unknown until it is. Ordinary phones and PBXes are asked in the same way
(RFC 4235: busy lamps).

  $ ringline watch kitchen den room@kitchen
  $ ringline watch sip:101@192.0.2.5 --json
`,
    )
    .action(async (who: string[], flags: Flags) =>
      finish(flags, async output => {
        const { watch } = await import('./watch.js');
        return watch(who, configOf(flags), flags.config, flags.seconds, output);
      }),
    );

  common(ringline.command('status'))
    .description('Show the phone that runs on this machine: its name, addresses and calls.')
    .option('--data <dir>', "the running phone's data directory")
    .addHelpText('after', `\n  $ ringline status --json\n${EXIT_HELP}`)
    .action(
      action(async (flags, output) => {
        const { status } = await import('./status.js');
        return status(configOf(flags), output);
      }),
    );

  common(ringline.command('doctor'))
    .description('Check what a phone needs of this machine, and say how to mend what is missing.')
    .option('--data <dir>', 'data directory to check')
    .option('--config <file>', 'configuration file to check')
    .option('--listen <address:port>', 'address and port to check')
    .option('--tls <port>', 'port of TLS to check, or off')
    .option('--ws <port>', 'port of WebSocket to check')
    .option('--wss <port>', 'port of WebSocket over TLS to check')
    .addHelpText('after', '\nExit status: 0 where a phone can run here, 1 where it cannot.\n')
    .action(
      action(async (flags, output) => {
        const { doctor } = await import('./doctor.js');
        return doctor(configOf(flags), flags.config, output);
      }),
    );

  for (const command of [simulateCommand(finish), ...keyCommands(finish)]) {
    ringline.addCommand(command);
    inherit(ringline, command);
  }

  return ringline;
}

/** What makes bad usage exit with 2: a command that was made elsewhere has it not by itself. */
function inherit(from: Command, command: Command): void {
  command.copyInheritedSettings(from);
  for (const sub of command.commands) inherit(command, sub);
}

/** `ringline hold` and its like. */
function keyCommand(ringline: Command, key: (typeof HANDSET_KEYS)[number]): void {
  const { who, does } = KEYS[key];
  const command = common(ringline.command(key));
  const about = key === 'digits' ? "such as '123#'" : 'a name, an address or a SIP URI';
  if (who !== undefined) command.argument(who, about);
  command
    .description(`${does[0]?.toUpperCase()}${does.slice(1)}, at the phone that runs here.`)
    .option('--data <dir>', "the running phone's data directory")
    .addHelpText(
      'after',
      `
Acts on the newest call that it fits, and is done when the other side has agreed:
${KEYS_HELP}
${EXIT_HELP}`,
    )
    .action(async (...given: unknown[]) => {
      const called = who === undefined ? '' : String(given.shift() ?? '');
      await finish(given[0] as Flags, async output => {
        const { press } = await import('./handset.js');
        return press(configOf(given[0] as Flags), parseHandsetKey(`${key} ${called}`), output);
      });
    });
}

function common(command: Command): Command {
  return command.option('--json', 'print one JSON object a line');
}

function phoneOptions(command: Command): Command {
  return common(command)
    .option('--name <name>', 'name on this network (default: the host name)')
    .option(
      '--listen <address:port>',
      'address and port; port 0 takes a free one (default: [::]:5060, all of IPv6 and IPv4)',
    )
    .option('--tls <port>', 'port for SIP over TLS, or off (default: one above --listen)')
    .option('--ws <port>', 'port for SIP over WebSocket (default: off)')
    .option('--wss <port>', 'port for SIP over WebSocket and TLS (default: off)')
    .option(
      '--data <dir>',
      'where it keeps its identity and settings (default: ~/.local/state/ringline)',
    )
    .option('--config <file>', 'YAML file (default: ringline.yaml in the data directory, if there)')
    .addOption(encryptionOption())
    .addOption(silenceOption())
    .addOption(
      new Option('--log <level>', 'log on standard error (default: warn)').choices([...LOG_LEVELS]),
    );
}

function action(
  work: (flags: Flags, output: Output) => Promise<number>,
): (flags: Flags) => Promise<void> {
  return flags => finish(flags, output => work(flags, output));
}

async function finish(flags: Flags, work: (output: Output) => Promise<number>): Promise<void> {
  const output = newOutput(flags.json ?? false);
  try {
    process.exitCode = await work(output);
  } catch (error) {
    output.error(error);
    process.exitCode = exitCodeOfError(error);
  }
}

function encryptionOption(): Option {
  return new Option(
    '--srtp <when>',
    'encrypt voice (default: auto, where SIP goes by TLS or the other phone offers it)',
  ).choices([...ENCRYPTION_POLICIES]);
}

function silenceOption(): Option {
  return new Option(
    '--silence <what>',
    'send pauses of voices, or suppress them where the other phone takes comfort noise (default: send)',
  ).choices([...SILENCE_POLICIES]);
}

function configOf(flags: Flags): Config {
  const { name, listen, tls, ws, wss, data, log, codec, srtp, silence, country } = flags;
  const ports: PortChoices = {
    ...(tls !== undefined && { TLS: parsePortChoice(tls) }),
    ...(ws !== undefined && { WS: parsePortChoice(ws) }),
    ...(wss !== undefined && { WSS: parsePortChoice(wss) }),
  };
  return {
    ...(Object.keys(ports).length > 0 && { ports }),
    ...(name !== undefined && { name }),
    ...(listen !== undefined && { listen: parseEndpoint(listen, DEFAULT_LISTEN) }),
    ...(data !== undefined && { data }),
    ...(log !== undefined && { log: parseLogLevel(log) }),
    ...(codec !== undefined && { codecs: [parseCodecName(codec)] }),
    ...(srtp !== undefined && { srtp }),
    ...(silence !== undefined && { silence }),
    ...(country !== undefined && { country: parseCountry(country) }),
  };
}

function audioOf({ echo, play, record, seconds, message, keys, digits, tones, clean }: Flags) {
  return {
    ...(keys && { keys }),
    ...(message !== undefined && { message }),
    ...(tones && { tones }),
    ...(clean && { clean }),
    ...(digits !== undefined && { digits: parseDigits(digits) }),
    ...(echo && { echo }),
    ...(play !== undefined && { play }),
    ...(record !== undefined && { record }),
    ...(seconds !== undefined && { seconds }),
  };
}

/** Reads a number in that range. */
function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= 86_400) return value;
  throw new CodedError(
    'BAD_USAGE',
    `expected a number of seconds from above 0 to 86400, found "${text}"`,
  );
}

// Who reads us has read enough, as `head` does: that is no error, and there is nothing more to do.
process.stdout.on('error', error => {
  if (errorCode(error) !== 'EPIPE') throw error;
  process.exit();
});

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CodedError) {
    newOutput(process.argv.includes('--json')).error(error);
    process.exitCode = EXIT.usage;
  } else if (error instanceof Error && 'exitCode' in error) {
    // Commander has printed its help or complaint; help asked for is no failure.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    throw error;
  }
}
