/** Commands to a baresip that runs, and its events: JSON in netstrings, as its module ctrl_tcp has them. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { type Cleanup, PlainFailure } from './program.js';

/** What it says of its own accord, e.g. `CALL_ESTABLISHED`. */
export interface BaresipEvent {
  readonly type: string;
  readonly id?: string;
  readonly param?: string;
}

const ANSWERS_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 20;
/** Of its events, so many of the end are told where one is missed. */
const TOLD_EVENTS = 5;

export class BaresipControl {
  readonly events: BaresipEvent[] = [];
  readonly #socket: Duplex;
  readonly #answers: { ok: boolean; data: string }[] = [];
  #heard = Buffer.alloc(0);
  #taken = 0;

  static async open(cleanup: Cleanup, port: number): Promise<BaresipControl> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    cleanup.add(() => void socket.destroy());
    return new BaresipControl(socket);
  }

  /** On another host of a LAN: what is put before a command to run it there. */
  static openAt(cleanup: Cleanup, enter: readonly string[], port: number): BaresipControl {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; cat <&3 & exec cat >&3`;
    const [program = '', ...args] = [...enter, 'bash', '-c', script];
    const { stdin, stdout } = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    cleanup.add(() => void stdin.end());
    return new BaresipControl(Duplex.from({ readable: stdout, writable: stdin }));
  }

  private constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', octets => {
      this.#heard = Buffer.concat([this.#heard, octets]);
      this.#read();
    });
    // It goes when baresip does.
    socket.on('error', () => socket.destroy());
  }

  /** A command of its menu, e.g. `dial`; answers what it prints. */
  async command(command: string, params = ''): Promise<string> {
    const text = JSON.stringify({ command, params });
    this.#socket.write(`${Buffer.byteLength(text)}:${text},`);
    const what = `baresip: ${command} ${params}`;
    const answer = await soon(
      () => this.#answers.shift(),
      ANSWERS_WITHIN_MS,
      () => what,
    );
    if (!answer.ok) throw new PlainFailure(`${what}: ${answer.data}`);
    return answer.data;
  }

  /** What has happened so far is awaited no more. */
  forget(): void {
    this.#taken = this.events.length;
  }

  /** The next event of that type, after those awaited before. */
  async heard(type: string, withinMs = ANSWERS_WITHIN_MS): Promise<BaresipEvent> {
    return soon(
      () => {
        const at = this.events.findIndex((event, i) => i >= this.#taken && event.type === type);
        if (at < 0) return undefined;
        this.#taken = at + 1;
        return this.events[at];
      },
      withinMs,
      () => `baresip: no ${type}, but ${JSON.stringify(this.events.slice(-TOLD_EVENTS))}`,
    );
  }

  #read(): void {
    for (;;) {
      const colon = this.#heard.indexOf(':');
      const length = Number(this.#heard.subarray(0, Math.max(colon, 0)).toString());
      const end = colon + 1 + length;
      if (colon < 0 || this.#heard.length <= end) return;
      const message = JSON.parse(this.#heard.subarray(colon + 1, end).toString());
      this.#heard = this.#heard.subarray(end + 1);
      if (message.response) {
        this.#answers.push({ ok: message.ok === true, data: String(message.data ?? '') });
      } else {
        this.events.push(message);
      }
    }
  }
}

/** What `look` finds, as soon as it finds it. */
async function soon<T>(
  look: () => T | undefined,
  withinMs: number,
  what: () => string,
): Promise<T> {
  const until = performance.now() + withinMs;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new PlainFailure(`${what()} within ${withinMs} ms`);
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
