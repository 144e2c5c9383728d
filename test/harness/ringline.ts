/** `ringline` commands as child processes, followed by the JSON lines they print. */
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { type Child, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';
import { programFile, programInModules } from './program-file.js';

const PROBE = new URL('./memory-probe.js', import.meta.url).href;
/** Makes a phone one of a later version. */
export const LATER = new URL('./later-phone.js', import.meta.url).href;

/** One line of `--json`. */
export interface RinglineEvent {
  readonly event: string;
  readonly [field: string]: unknown;
  /** When the line was read, on the scale of `performance.now()`. */
  readonly at: number;
}

export interface RinglineOptions {
  readonly cleanup: Cleanup;
  /** What the phone keeps; each process has its own. */
  readonly data: string;
  /** Put before the command, e.g. to enter a host's namespaces. */
  readonly enter?: readonly string[];
  /** Makes `memory` work. */
  readonly probed?: boolean;
  /** Its messages of the ring are those of a later version; what that tells are events. */
  readonly later?: boolean;
  /** Module by module, not of one piece. */
  readonly inModules?: boolean;
}

interface Waiter {
  readonly event: string;
  resolve(event: RinglineEvent): void;
}

export class Ringline {
  readonly startedAt = performance.now();
  readonly child: Child;
  readonly events: RinglineEvent[] = [];
  readonly #command: string;
  readonly #waiters = new Set<Waiter>();

  /** @param args the subcommand and its options, e.g. `['call', 'bob']` */
  constructor(args: readonly string[], options: RinglineOptions) {
    const { cleanup, data, enter = [], probed, later, inModules = later } = options;
    this.#command = `ringline ${args.join(' ')}`;
    const imported = [
      ...(probed ? ['--import', PROBE] : []),
      ...(later ? ['--import', LATER] : []),
    ];
    const file = inModules ? programInModules() : programFile();
    const command = [...enter, process.execPath, ...imported, file, ...args, '--json'];
    this.child = startChild(cleanup, command, { RINGLINE_DATA: data }, 'pipe');
    const { stdout } = this.child.process;
    createInterface({ input: stdout ?? new PassThrough() }).on('line', line => this.#read(line));
  }

  /** Process ID of the phone, where the command was not wrapped. */
  get pid(): number {
    return this.child.process.pid ?? 0;
  }

  get running(): boolean {
    return this.child.process.exitCode === null && this.child.process.signalCode === null;
  }

  /** The first event of that name that has come or comes in time. */
  async heard(event: string, withinMs: number): Promise<RinglineEvent> {
    return this.events.find(past => past.event === event) ?? this.#next(event, withinMs);
  }

  /** Types a line of `call --keys`, and waits until it has done what it does. */
  async type(line: string, withinMs = 10_000): Promise<void> {
    const done = this.#next('done', withinMs);
    this.child.process.stdin?.write(`${line}\n`);
    await done;
  }

  /** What is left when all garbage has been collected. */
  async memory(): Promise<{ usedMegabytes: number; residentMegabytes: number }> {
    this.child.process.kill('SIGUSR2');
    const { usedBytes, residentBytes } = await this.#next('memory', 5000);
    return {
      usedMegabytes: Number(usedBytes) / 1e6,
      residentMegabytes: Number(residentBytes) / 1e6,
    };
  }

  stop(): Promise<void> {
    return this.child.stop();
  }

  #next(event: string, withinMs: number): Promise<RinglineEvent> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        reject(new PlainFailure(`${this.#command}: no "${event}" ${reason}\n${this.#account()}`));
      };
      const waiter: Waiter = {
        event,
        resolve: found => {
          clearTimeout(timer);
          resolve(found);
        },
      };
      const timer = setTimeout(() => fail(`within ${withinMs} ms`), withinMs);
      this.#waiters.add(waiter);
      void this.child.ended.then(how => {
        if (this.#waiters.has(waiter)) fail(`before it ended (${how})`);
      });
    });
  }

  #read(line: string): void {
    const event = parseEvent(line);
    if (!event) return;
    this.events.push(event);
    for (const waiter of this.#waiters) {
      if (waiter.event !== event.event) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
    }
  }

  #account(): string {
    return this.child
      .output()
      .trimEnd()
      .split('\n')
      .slice(-15)
      .map(line => `    ${line}`)
      .join('\n');
  }
}

function parseEvent(line: string): RinglineEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('event' in value)) return undefined;
    return { ...value, event: String(value.event), at: performance.now() };
  } catch {
    return undefined;
  }
}
