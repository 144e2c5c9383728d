/** baresip, headless: it calls or is called, plays a file and records what it hears. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PayloadFormat } from '../../src/media/engine.js';
import { type Child, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';
import { recordedSeconds, SAMPLE_RATE } from './sound.js';

/** Where Debian keeps its modules. */
const MODULE_PATH = '/usr/lib/baresip/modules';

/** For whatever it is waited for. */
const LIMIT_MS = 30_000;
const LOOK_EVERY_MS = 20;

export interface BaresipOptions {
  readonly cleanup: Cleanup;
  /** Made for this peer: its configuration and recordings. */
  readonly directory: string;
  readonly port: number;
  readonly codec: PayloadFormat['name'];
  /** What it plays: a WAV file as long as the call. */
  readonly sound: string;
  /** Of that file and of the recording, in Hz; 8000 by default. Its resampler takes a decibel away. */
  readonly sampleRate?: number;
  /** A port of this machine by which it takes commands (`baresip-control.ts`). */
  readonly controlPort?: number;
  /** SRTP by SDES: `srtp` where the other side has it too, `srtp-mand` always. */
  readonly encryption?: 'srtp' | 'srtp-mand';
  /** Whom its command `message` writes to. */
  readonly contact?: string;
  /** Registers there; without one it is called and calls by address. Several: at each. */
  readonly account?: BaresipAccount | readonly BaresipAccount[];
  /** Where it runs: its address, and what is put before the command; this machine's loopback by default. */
  readonly host?: { readonly address: string; readonly enter: readonly string[] };
}

const LOOPBACK = { address: '127.0.0.1', enter: [] } as const;

export interface BaresipAccount {
  /** `USER@HOST:PORT`, of the registrar. */
  readonly address: string;
  readonly password: string;
  /** Whatever it calls goes through that registrar. */
  readonly isProxy?: boolean;
}

/**
 * Calls `uri`, hangs up when it has heard sound for so many `seconds`, and answers the recording.
 * The time of a call would not do: where the machine is busy, it hears nothing of the first seconds.
 */
export async function callByBaresip(
  options: BaresipOptions & { readonly uri: string; readonly seconds: number },
): Promise<string> {
  const { directory, uri, seconds } = options;
  writeConfiguration(options, '');
  const child = startBaresip(options, ['-e', `/dial ${uri}`]);
  let ended: number | string | undefined;
  void child.ended.then(how => {
    ended = how;
  });
  const heard = () => recordedSeconds(recordingsOf(directory)[0]).seconds;
  for (const until = performance.now() + seconds * 1000 + LIMIT_MS; heard() < seconds; ) {
    if (ended !== undefined || performance.now() > until) {
      throw new PlainFailure(
        `baresip called ${uri} and heard ${heard()} s of ${seconds}:\n${child.output()}`,
      );
    }
    await delay(LOOK_EVERY_MS);
  }
  await child.stop();
  return recordingOf(directory);
}

/** Answers every call; resolves when it can be called. */
export async function startBaresipCallee(options: BaresipOptions): Promise<Child> {
  writeConfiguration(options, ';answermode=auto');
  const child = startBaresip(options, []);
  await printed(child, 'baresip is ready');
  return child;
}

/** Watches the presence of `uri`, as of somebody it knows; resolves when it runs. */
export async function startBaresipWatcher(
  options: BaresipOptions & { readonly uri: string },
): Promise<Child> {
  writeConfiguration(options, '', ['contact', 'presence']);
  writeFileSync(join(options.directory, 'contacts'), `"Watched" <${options.uri}>;presence=p2p\n`);
  const child = startBaresip(options, []);
  await printed(child, 'baresip is ready');
  return child;
}

/**
 * The path of the recording of what it heard, in its first call, when it is complete: baresip closes it
 * when it has heard of the end of the call, which the other side does not wait for.
 */
export async function recordingOf(directory: string): Promise<string> {
  for (const until = performance.now() + LIMIT_MS; performance.now() < until; ) {
    const [path] = recordingsOf(directory);
    if (path !== undefined && recordedSeconds(path).complete) return path;
    await delay(LOOK_EVERY_MS);
  }
  const found = recordingsOf(directory).join(', ');
  throw new PlainFailure(`baresip ended no recording: ${found || 'was there a call?'}`);
}

/**
 * Before a baresip that has had a call is made to have another: it names a recording by the second in which it begins, and
 * of two in the same second only the later one is left.
 */
export async function nextSecond(): Promise<void> {
  await delay(1000 - (Date.now() % 1000));
}

/** One for each call, in their order; those of calls that go on are not complete. */
export function recordingsOf(directory: string): string[] {
  return readdirSync(directory)
    .filter(file => file.endsWith('-dec.wav'))
    .sort()
    .map(name => join(directory, name));
}

function writeConfiguration(
  options: BaresipOptions,
  accountParameters: string,
  modules: readonly string[] = [],
): void {
  const { directory, port, codec, sound, controlPort, encryption, contact } = options;
  const { sampleRate = SAMPLE_RATE, host: { address } = LOOPBACK } = options;
  const settings = {
    sip_listen: `${address}:${port}`,
    net_interface: address,
    audio_source: `aufile,${sound}`,
    // Its bridge only swallows: as an echo it slips in frames of silence by itself.
    audio_player: 'aubridge,unheard',
    audio_alert: 'aubridge,alert',
    ausrc_srate: sampleRate,
    auplay_srate: sampleRate,
    ausrc_channels: 1,
    auplay_channels: 1,
    snd_path: directory,
    module_path: MODULE_PATH,
  };
  const lines = [
    ...Object.entries(settings).map(([key, value]) => `${key} ${value}`),
    ...[moduleOf(codec), 'aufile', 'aubridge', 'sndfile'].map(name => `module ${name}.so`),
    ...(encryption === undefined ? [] : ['module srtp.so']),
    'module_tmp account.so',
    ...modules.map(name => `module_app ${name}.so`),
    'module_app menu.so',
    ...(contact === undefined ? [] : ['module_app contact.so']),
    ...(controlPort === undefined
      ? []
      : [`ctrl_tcp_listen 127.0.0.1:${controlPort}`, 'module_app ctrl_tcp.so']),
  ];
  mkdirSync(directory, { recursive: true });
  if (contact !== undefined) {
    writeFileSync(join(directory, 'contacts'), `"Contact" <${contact}>\n`);
    writeFileSync(join(directory, 'current_contact'), contact);
  }
  writeFileSync(join(directory, 'config'), `${lines.join('\n')}\n`);
  const media = `audio_codecs=${codec}${encryption === undefined ? '' : `;mediaenc=${encryption}`}`;
  const accounts = logins(options).map(login => `${login};${media}${accountParameters}\n`);
  writeFileSync(join(directory, 'accounts'), accounts.join(''));
}

function moduleOf(codec: string): string {
  return codec.startsWith('PCM') ? 'g711' : codec.toLowerCase();
}

function logins({ account = [], port, host = LOOPBACK }: BaresipOptions): string[] {
  const accounts = [account].flat();
  if (accounts.length === 0) return [`<sip:peer@${host.address}:${port}>;regint=0`];
  return accounts.map(({ address, password, isProxy }) => {
    const [user, registrar] = address.split('@');
    const proxy = isProxy ? `;outbound="sip:${registrar}"` : '';
    return `<sip:${address}>;auth_user=${user};auth_pass=${password};regint=60${proxy}`;
  });
}

function startBaresip(
  { cleanup, directory, host = LOOPBACK }: BaresipOptions,
  args: readonly string[],
): Child {
  return startChild(cleanup, [...host.enter, 'baresip', '-f', directory, ...args]);
}

async function printed(child: Child, text: string): Promise<void> {
  for (const until = performance.now() + LIMIT_MS; performance.now() < until; ) {
    if (child.output().includes(text)) return;
    await delay(LOOK_EVERY_MS);
  }
  throw new PlainFailure(`baresip did not start:\n${child.output()}`);
}
