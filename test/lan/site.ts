/** The hosts of a check, and phones on them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { phoneStatus } from '../../src/runtime/control-client.js';
import type { PhoneStatus } from '../../src/runtime/phone-status.js';
import { temporaryDirectory } from '../harness/child.js';
import type { Host, Lan } from '../harness/lan.js';
import { type Cleanup, PlainFailure } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';

/** How long a phone may take until it can be called: generous, since it is measured elsewhere. */
export const READY_WITHIN_MS = 15_000;

const LOOK_EVERY_MS = 250;

export interface Site {
  readonly cleanup: Cleanup;
  readonly lan: Lan;
  readonly hosts: readonly Host[];
  /** For sounds and recordings. */
  readonly directory: string;
}

export async function newSite(lan: Lan, cleanup: Cleanup, names: readonly string[]): Promise<Site> {
  const hosts: Host[] = [];
  for (const name of names) hosts.push(await lan.addHost(name));
  return { cleanup, lan, hosts, directory: temporaryDirectory(cleanup) };
}

let phones = 0;

/** The phone of one host: nothing is remembered from any phone before. */
export class Phone {
  readonly host: Host;
  readonly #site: Site;
  readonly #data: string;
  readonly #before: readonly string[];

  /** @param before put before each of its commands */
  constructor(site: Site, hostIndex: number, before: readonly string[] = []) {
    this.#site = site;
    this.#before = before;
    this.host = site.hosts[hostIndex]!;
    this.#data = join(site.directory, `phone${++phones}`);
    mkdirSync(this.#data);
  }

  /** Runs one `ringline` command at this phone. */
  command(...args: string[]): Ringline {
    const enter = [...this.host.enter, ...this.#before];
    return new Ringline(args, { cleanup: this.#site.cleanup, data: this.#data, enter });
  }

  /** Before it runs. */
  configure(yaml: string): this {
    writeFileSync(join(this.#data, 'ringline.yaml'), yaml);
    return this;
  }

  /** Undefined while it does not run. */
  status(): Promise<PhoneStatus | undefined> {
    return phoneStatus(this.#data);
  }

  /** Until it is a member of a ring, or attached to one. */
  async inRing(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const { superNode, member } = (await this.status())?.overlay ?? {};
      if (superNode !== undefined || member?.phase === 'member') return;
      if (performance.now() > until) {
        throw new PlainFailure(`${this.host.name} is in no ring within ${withinMs} ms`);
      }
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  run(): Ringline {
    return this.command('run', '--name', this.host.name);
  }

  async ready(): Promise<Ringline> {
    const running = this.run();
    await running.heard('ready', READY_WITHIN_MS);
    return running;
  }
}
