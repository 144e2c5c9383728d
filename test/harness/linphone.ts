/** linphonec, headless: commands by standard input; it plays a file and records what it hears. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';
import { freePort } from './udp.js';

export interface LinphoneOptions {
  readonly cleanup: Cleanup;
  /** Its home: configuration, logs. */
  readonly directory: string;
  /** What it plays: a WAV file of 8 kHz, as long as its calls. */
  readonly sound: string;
  /** `USER@HOST:PORT` of the registrar, and the password there. */
  readonly account: { readonly address: string; readonly password: string };
}

const LOOK_EVERY_MS = 20;

export class Linphone {
  readonly child: Child;
  /** Everything it printed since the last line that was awaited. */
  #unread = '';

  /** Registered, and answering every call. */
  static async start(options: LinphoneOptions): Promise<Linphone> {
    const { cleanup, directory, sound, account } = options;
    // Without this folder it keeps no database, and complains.
    mkdirSync(join(directory, '.local/share/linphone'), { recursive: true });
    const configuration = join(directory, 'linphonerc');
    writeFileSync(configuration, configurationText(await freePort()));
    const command = ['linphonec', '-a', '-c', configuration];
    const phone = new Linphone(startChild(cleanup, command, { HOME: directory }, 'pipe'));
    await phone.heard(/linphonec>/);
    phone.say('soundcard use files');
    phone.say(`play ${sound}`);
    const [, place] = account.address.split('@');
    phone.say(`register sip:${account.address} sip:${place} ${account.password}`);
    for (let asked = 0; ; asked++) {
      phone.say('status register');
      await phone.heard(/registered, identity=|registered=|identity=/);
      if (/registered, identity=/.test(phone.child.output())) return phone;
      if (asked > 200)
        throw new PlainFailure(`linphone did not register:\n${phone.child.output()}`);
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }

  private constructor(child: Child) {
    this.child = child;
    child.process.stdout?.on('data', text => {
      this.#unread += text;
    });
  }

  say(command: string): void {
    this.child.process.stdin?.write(`${command}\n`);
  }

  /** Waits for what it prints, after what was awaited before. */
  async heard(pattern: RegExp, withinMs = 30_000): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const found = pattern.exec(this.#unread);
      if (found) {
        this.#unread = this.#unread.slice(found.index + found[0].length);
        return;
      }
      if (performance.now() > until) {
        throw new PlainFailure(
          `linphone: no ${pattern} within ${withinMs} ms\n${this.child.output().slice(-3000)}`,
        );
      }
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  async stop(): Promise<void> {
    this.say('quit');
    const killed = setTimeout(() => this.child.process.kill('SIGKILL'), 10_000);
    await this.child.ended;
    clearTimeout(killed);
  }
}

/** A port of its own for voice: all would take the same. No tones of its own in what it records. */
function configurationText(voicePort: number): string {
  return `[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0

[rtp]
audio_rtp_port=${voicePort}

[net]
firewall_policy=0

[sound]
echocancellation=0

[misc]
tone_indications=0
`;
}
