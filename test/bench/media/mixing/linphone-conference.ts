/** linphonec as a mixer: its local conference, driven by the commands that it reads. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../../../harness/child.js';
import { type Cleanup, PlainFailure } from '../../../harness/program.js';
import { freePort } from '../../../harness/udp.js';
import { Callers } from './callers.js';

const LOOK_EVERY_MS = 20;
const PROMPT_MS = 10_000;
/** Of /proc/PID/stat: USER_HZ, which Linux has at 100 for programs everywhere. */
const TICKS_PER_SECOND = 100;

export class LinphoneConference {
  readonly callers: Callers;
  readonly #child: ReturnType<typeof startChild>;

  /** @param directory its home */
  static async start(
    cleanup: Cleanup,
    directory: string,
    core: string,
  ): Promise<LinphoneConference> {
    // Without this folder it keeps no database, and complains.
    mkdirSync(join(directory, '.local/share/linphone'), { recursive: true });
    const configuration = join(directory, 'linphonerc');
    const port = await freePort();
    writeFileSync(configuration, configurationText(port));
    // Before other programs, as our media thread is, where that is allowed.
    const nice = ['nice', '-n', String(constants.priority.PRIORITY_HIGH)];
    const command = [...nice, 'taskset', '-c', core, 'linphonec', '-c', configuration];
    const child = startChild(cleanup, command, { HOME: directory }, 'pipe');
    const conference = new LinphoneConference(child, await Callers.open(cleanup, port));
    await conference.#printed(/linphonec>/);
    conference.#say('soundcard use files');
    return conference;
  }

  private constructor(child: ReturnType<typeof startChild>, callers: Callers) {
    this.#child = child;
    this.callers = callers;
  }

  /** Has a member that listens at `port` call and takes it in; why it was not, where it was not. */
  async admit(port: number): Promise<string | undefined> {
    const number = this.callers.call(port);
    // Its calls have numbers from 1 on.
    const call = number + 1;
    if (!(await this.#seen(new RegExp(`assigned id ${call}\\b`)))) {
      return this.callers.refusal(number) ?? 'the call did not ring';
    }
    this.#say(`answer ${call}`);
    const answered = await this.callers.answered(number);
    if (answered !== true) return answered;
    this.#say(`conference add ${call}`);
    if (!(await this.callers.joined(number))) return 'it did not take the call into its conference';
    return undefined;
  }

  /** Of processor, so far. */
  get cpuMs(): number {
    const { pid } = this.#child.process;
    // After the name, which is in brackets: state is the third field, utime and stime the 14th and 15th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
  }

  async stop(): Promise<void> {
    this.#child.process.kill('SIGKILL');
    await this.#child.ended;
  }

  #say(command: string): void {
    this.#child.process.stdin?.write(`${command}\n`);
  }

  async #printed(pattern: RegExp): Promise<void> {
    if (await this.#seen(pattern)) return;
    throw new PlainFailure(`linphonec: no ${pattern}:\n${this.#child.output().slice(-2000)}`);
  }

  async #seen(pattern: RegExp): Promise<boolean> {
    const until = performance.now() + PROMPT_MS;
    while (!pattern.test(this.#child.output())) {
      if (performance.now() > until) return false;
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
    }
    return true;
  }
}

/** Voice by UDP alone, no echo canceller, no tones of its own, room for all. */
function configurationText(port: number): string {
  return `[sip]
sip_port=${port}
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0
inc_timeout=60

[rtp]
audio_rtp_port=20000-29998

[net]
firewall_policy=0

[video]
enabled=0

[sound]
echocancellation=0

[misc]
tone_indications=0
max_calls=1000
`;
}
