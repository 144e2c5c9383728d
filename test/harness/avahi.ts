/** Avahi, the multicast DNS of most Linux machines, on a host of a LAN, with a message bus of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, requireProgram, run, startChild, temporaryDirectory } from './child.js';
import type { Host } from './lan.js';
import { type Cleanup, PlainFailure } from './program.js';

const BUS_CONFIG = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
`;
const DAEMON_CONFIG = `[server]
use-ipv4=yes
use-ipv6=yes
[wide-area]
enable-wide-area=no
`;
const STARTS_WITHIN_MS = 10_000;

/** One line of `avahi-browse --parsable`. */
export interface AvahiSighting {
  /** `+` seen, `=` resolved, `-` gone. */
  readonly sign: string;
  readonly family: string;
  readonly name: string;
  readonly host: string | undefined;
  readonly port: number;
  readonly text: string;
  /** When it was read, on the scale of `performance.now()`. */
  readonly at: number;
}

export class Avahi {
  readonly #cleanup: Cleanup;
  readonly #enter: readonly string[];

  private constructor(cleanup: Cleanup, host: Host) {
    this.#cleanup = cleanup;
    this.#enter = host.enter;
  }

  static async start(cleanup: Cleanup, host: Host): Promise<Avahi> {
    requireProgram('avahi-browse', 'avahi-utils avahi-daemon');
    requireProgram('dbus-daemon', 'dbus-daemon');
    const directory = temporaryDirectory(cleanup);
    const place = (name: string, content: string) => {
      writeFileSync(`${directory}/${name}`, content);
      return `${directory}/${name}`;
    };
    const avahi = new Avahi(cleanup, host);
    for (const name of ['dbus', 'avahi-daemon']) {
      mkdirSync(`${directory}/${name}`);
      // Seen on this host alone: each has a mount namespace.
      const mount = `mkdir -p /run/${name} && mount --bind ${directory}/${name} /run/${name}`;
      await run([...host.enter, 'sh', '-c', mount]);
    }
    avahi.#spawn('dbus-daemon', `--config-file=${place('bus.conf', BUS_CONFIG)}`, '--nofork');
    await avahi.#until(
      'dbus-send',
      '--system',
      '--print-reply',
      '--dest=org.freedesktop.DBus',
      '/',
      'org.freedesktop.DBus.ListNames',
    );
    const config = place('avahi.conf', DAEMON_CONFIG);
    avahi.#spawn('avahi-daemon', '-f', config, '--no-drop-root', '--no-chroot', '--no-rlimits');
    await avahi.#until('avahi-browse', '-t', '_none._udp');
    return avahi;
  }

  /** Announces a service until it is stopped. */
  publish(name: string, type: string, port: number, texts = ['made=by avahi']): Child {
    return this.#spawn('avahi-publish', '-s', name, type, String(port), ...texts);
  }

  /** What it sees of a type, as it comes and goes. */
  browse(type: string): { readonly seen: AvahiSighting[]; readonly child: Child } {
    const child = this.#spawn('avahi-browse', '-rp', type);
    const seen: AvahiSighting[] = [];
    createInterface({ input: child.process.stdout ?? new PassThrough() }).on('line', line => {
      const [sign = '', , family = '', name = '', , , host, , port, text = ''] = line.split(';');
      // Avahi writes what is no letter or digit as \\ and three decimal digits.
      const plain = name.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number(code)));
      seen.push({
        sign,
        family,
        name: plain,
        host,
        port: Number(port),
        text,
        at: performance.now(),
      });
    });
    return { seen, child };
  }

  /**
   * The address it has of a host. `browse` resolves to one of either family, whichever it has first.
   * @throws PlainFailure where it has none within 5 s
   */
  async addressOf(host: string, family: 4 | 6): Promise<string> {
    const line = await run([...this.#enter, 'avahi-resolve', `-${family}`, '-n', host]);
    return line.split('\t')[1]?.trim() ?? '';
  }

  #spawn(...command: string[]): Child {
    return startChild(this.#cleanup, [...this.#enter, ...command]);
  }

  /** Tries a command until it succeeds. */
  async #until(...command: string[]): Promise<void> {
    const deadline = performance.now() + STARTS_WITHIN_MS;
    for (;;) {
      try {
        await run([...this.#enter, ...command]);
        return;
      } catch (error) {
        if (performance.now() > deadline) throw new PlainFailure(`Avahi does not start: ${error}`);
        await delay(100);
      }
    }
  }
}

/** The first thing in a list that grows for which `wanted` holds. */
export async function comes<T>(
  list: readonly T[],
  wanted: (each: T) => boolean,
  what: string,
  withinMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = list.find(wanted);
    if (found !== undefined) return found;
    if (performance.now() > deadline) {
      const had = list.map(each => `    ${JSON.stringify(each)}`).join('\n');
      throw new PlainFailure(`expected ${what} within ${withinMs} ms, found\n${had}`);
    }
    await delay(20);
  }
}
