/**
 * Hosts on one Ethernet, each a network namespace with a single on-link address: no router, no DNS,
 * nothing configured. The switch is a bridge in a namespace of its own, so this machine's network is
 * never touched, and each namespace lives only as long as the process that holds it, which ends with
 * this one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { run } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';

/** Put before a command: enter the namespaces of `holder`, and die with this process. */
function entering(holder: number): string[] {
  return [
    ...['setpriv', '--pdeathsig', 'KILL', '--'],
    ...['nsenter', '--target', String(holder), '--net', '--mount', '--'],
  ];
}

/** Two networks, each behind a switch of its own; the second is empty unless somebody is moved there. */
const NETWORKS = {
  near: { bridge: 'lan', prefix: '192.0.2' },
  far: { bridge: 'far', prefix: '198.51.100' },
} as const;
export type NetworkName = keyof typeof NETWORKS;
/** Of its address in both. */
const ROUTER = 254;
/** From the number of a host to that of its other address: there are fewer hosts than this. */
const TO_OTHER = 100;

export class Host {
  readonly name: string;
  /** Put before a command to run it on this host. */
  readonly enter: readonly string[];
  readonly #lan: Lan;
  #address: string;

  constructor(lan: Lan, name: string, address: string, holder: number) {
    this.#lan = lan;
    this.name = name;
    this.#address = address;
    this.enter = entering(holder);
  }

  get address(): string {
    return this.#address;
  }

  /** One of the same network that no other host ever has; where it has that, the one that it had first. */
  get otherAddress(): string {
    const octets = this.#address.split('.');
    const number = Number(octets.pop());
    return [...octets, number + (number > TO_OTHER ? -TO_OTHER : TO_OTHER)].join('.');
  }

  /** Gives it another IPv4 address in place of the one it has, as DHCP would. */
  async setAddress(address: string): Promise<void> {
    const ip = [...this.enter, 'ip', 'address'];
    await run([...ip, 'del', `${this.#address}/24`, 'dev', 'eth0']);
    this.#address = address;
    await run([...ip, 'add', `${address}/24`, 'dev', 'eth0']);
  }

  /** While it has no IPv4 address, and only the one of IPv6 that every link has by itself. */
  async withoutIPv4<Result>(work: () => Promise<Result>): Promise<Result> {
    const ip = [...this.enter, 'ip', 'address'];
    await run([...ip, 'del', `${this.#address}/24`, 'dev', 'eth0']);
    try {
      return await work();
    } finally {
      await run([...ip, 'add', `${this.#address}/24`, 'dev', 'eth0']);
    }
  }

  /** While it speaks no IPv6, as many are set up. */
  async withoutIPv6<Result>(work: () => Promise<Result>): Promise<Result> {
    const disable = (value: 0 | 1) =>
      run([
        ...[...this.enter, 'sh', '-c'],
        `echo ${value} > /proc/sys/net/ipv6/conf/eth0/disable_ipv6`,
      ]);
    await disable(1);
    try {
      return await work();
    } finally {
      await disable(0);
    }
  }

  /** Puts its cable into the switch of the other network, where DHCP gives it an address; `openRouter` comes first. */
  async moveTo(network: NetworkName): Promise<void> {
    const ip = [...this.enter, 'ip'];
    const { prefix } = NETWORKS[network];
    await this.#lan.plug(this.name, network);
    await run([...ip, 'address', 'del', `${this.#address}/24`, 'dev', 'eth0']);
    this.#address = `${prefix}.${this.#address.split('.').at(-1)}`;
    await run([...ip, 'address', 'add', `${this.#address}/24`, 'dev', 'eth0']);
    await this.addRoute();
  }

  /** To the other network, by the router. */
  async addRoute(): Promise<void> {
    const [here = NETWORKS.near, there = NETWORKS.far] = Object.values(NETWORKS).sort(
      (one, other) => Number(this.#isIn(other)) - Number(this.#isIn(one)),
    );
    const by = ['via', `${here.prefix}.${ROUTER}`];
    await run([...this.enter, 'ip', 'route', 'replace', `${there.prefix}.0/24`, ...by]);
  }

  async removeRoute(): Promise<void> {
    const [there = NETWORKS.far] = Object.values(NETWORKS).filter(each => !this.#isIn(each));
    await run([...this.enter, 'ip', 'route', 'del', `${there.prefix}.0/24`]);
  }

  #isIn({ prefix }: { readonly prefix: string }): boolean {
    return this.#address.startsWith(`${prefix}.`);
  }

  /** Pulls the cable out of the switch, or puts it back. */
  setCable(state: 'up' | 'down'): Promise<string> {
    return this.#lan.setPort(this.name, state);
  }

  /** Takes the interface itself down, as `ip link set eth0 down` would, or up. */
  setInterface(state: 'up' | 'down'): Promise<string> {
    return run([...this.enter, 'ip', 'link', 'set', 'eth0', state]);
  }
}

export class Lan {
  readonly #switch: number;
  readonly #cleanup: Cleanup;
  #hosts = 0;
  #far: readonly string[] = [];

  private constructor(cleanup: Cleanup, switchHolder: number) {
    this.#cleanup = cleanup;
    this.#switch = switchHolder;
  }

  static async open(cleanup: Cleanup): Promise<Lan> {
    const lan = new Lan(cleanup, await holdNamespaces(cleanup));
    await lan.#onSwitch('link', 'add', 'lan', 'type', 'bridge', 'forward_delay', '0');
    await lan.#onSwitch('link', 'set', 'lan', 'up');
    await lan.#onSwitch('link', 'add', 'far', 'type', 'bridge', 'forward_delay', '0');
    await lan.#onSwitch('link', 'set', 'far', 'up');
    return lan;
  }

  /** Connects one more host, by interface `eth0`. */
  async addHost(name: string): Promise<Host> {
    const holder = await holdNamespaces(this.#cleanup);
    const host = new Host(this, name, `192.0.2.${++this.#hosts}`, holder);
    const peer = ['peer', 'name', 'eth0', 'netns', String(holder)];
    await this.#onSwitch('link', 'add', name, 'type', 'veth', ...peer);
    await this.#onSwitch('link', 'set', name, 'master', 'lan', 'up');
    await run([...host.enter, 'ip', 'address', 'add', `${host.address}/24`, 'dev', 'eth0']);
    await run([...host.enter, 'ip', 'link', 'set', 'lo', 'up']);
    await host.setInterface('up');
    return host;
  }

  /** Moves these hosts to a switch that no cable leads to. */
  async cut(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) await this.#onSwitch('link', 'set', host, 'master', 'far');
    this.#far = hosts;
  }

  /** Undoes `cut`. */
  async heal(): Promise<void> {
    for (const host of this.#far) await this.#onSwitch('link', 'set', host, 'master', 'lan');
    this.#far = [];
  }

  /** Joins the two networks by a router, which these hosts know; multicast stays in each. */
  async openRouter(hosts: readonly Host[]): Promise<void> {
    for (const { bridge, prefix } of Object.values(NETWORKS)) {
      await this.#onSwitch('address', 'replace', `${prefix}.${ROUTER}/24`, 'dev', bridge);
    }
    const forward = 'echo 1 > /proc/sys/net/ipv4/ip_forward';
    await run([...entering(this.#switch), 'sh', '-c', forward]);
    for (const host of hosts) await host.addRoute();
  }

  async closeRouter(hosts: readonly Host[]): Promise<void> {
    for (const host of hosts) await host.removeRoute();
    for (const { bridge } of Object.values(NETWORKS)) {
      await this.#onSwitch('address', 'flush', 'dev', bridge);
    }
  }

  plug(host: string, network: NetworkName): Promise<string> {
    return this.#onSwitch('link', 'set', host, 'master', NETWORKS[network].bridge);
  }

  setPort(host: string, state: 'up' | 'down'): Promise<string> {
    return this.#onSwitch('link', 'set', host, state);
  }

  /** Put before a command to run it at the switch, where it sees all that goes over its interface `lan`. */
  get enterSwitch(): readonly string[] {
    return entering(this.#switch);
  }

  #onSwitch(...ip: string[]): Promise<string> {
    return run([...entering(this.#switch), 'ip', ...ip]);
  }
}

/** Starts a process that holds new namespaces until its input closes; answers its process ID. */
async function holdNamespaces(cleanup: Cleanup): Promise<number> {
  // /sys shows the interfaces of the namespace it was mounted in.
  const script = 'mount -t sysfs sysfs /sys && echo ready && exec cat';
  const holder = spawn('unshare', ['--net', '--mount', 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  cleanup.add(() => {
    holder.stdin.end();
  });
  const [ready] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
  if (!String(ready).startsWith('ready') || holder.pid === undefined) {
    throw new PlainFailure('no network namespace could be made: run this as root');
  }
  return holder.pid;
}
