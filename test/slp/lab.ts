/** Hosts on a virtual network, and SLP agents on them. */
import {
  DirectoryAgent,
  type DirectoryAgentDriverOptions,
  decode,
  type Network,
  ServiceAgent,
  type ServiceAgentDriverOptions,
  type ServiceAgentNotice,
  type SlpMessage,
  UserAgent,
  type UserAgentOptions,
} from 'slp-js';
import { CodedError } from '../../src/core/errors.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { type LinkOptions, VirtualNetwork } from '../../src/simulation/virtual-network.js';

export interface Heard {
  readonly at: number;
  readonly from: string;
  readonly message: SlpMessage;
}

type Without<T> = Omit<T, 'network' | 'clock' | 'random'>;

export class SlpLab {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: VirtualNetwork;
  /** Everything multicast to port 427 of the group. */
  readonly multicasts: Heard[] = [];
  readonly notices: string[] = [];
  readonly problems: string[] = [];

  private constructor(seed: number, link: Partial<LinkOptions>) {
    this.random = new SeededRandom(seed);
    this.network = new VirtualNetwork({ clock: this.clock, seed, link });
  }

  static async open(seed = 1, link: Partial<LinkOptions> = {}): Promise<SlpLab> {
    const lab = new SlpLab(seed, link);
    const host = lab.network.host('192.0.2.254');
    const [on] = host.addresses();
    const ear = await host.joinMulticast({
      group: { address: '239.255.255.253', port: 427 },
      on: on!,
    });
    ear.onMessage = (data, { address }) => {
      const message = readable(data);
      if (message) lab.multicasts.push({ at: lab.clock.now(), from: address, message });
    };
    return lab;
  }

  async serviceAgent(
    address: string,
    options: Without<ServiceAgentDriverOptions> & { forbidden?: boolean } = {},
  ): Promise<ServiceAgent> {
    const { forbidden, ...rest } = options;
    const agent = new ServiceAgent({
      ...this.#world(address, forbidden),
      onNotice: notice => this.notices.push(`${address} ${inWords(notice)}`),
      onProblem: ({ code }) => this.problems.push(`${address} ${code}`),
      ...rest,
    });
    await agent.start();
    return agent;
  }

  async directoryAgent(
    address: string,
    options: Without<DirectoryAgentDriverOptions> = {},
  ): Promise<DirectoryAgent> {
    const agent = new DirectoryAgent({ ...this.#world(address), ...options });
    await agent.start();
    return agent;
  }

  async userAgent(address: string, options: Without<UserAgentOptions> = {}): Promise<UserAgent> {
    const agent = new UserAgent({ ...this.#world(address), ...options });
    await agent.start();
    return agent;
  }

  /** Lets virtual time pass until it is done. */
  async result<T>(promise: Promise<T>, withinMs = 60_000): Promise<{ value: T; tookMs: number }> {
    const from = this.clock.now();
    let settled: { value: T } | { error: unknown } | undefined;
    promise.then(
      value => {
        settled = { value };
      },
      error => {
        settled = { error };
      },
    );
    await this.clock.advanceUntil(() => settled !== undefined, withinMs);
    if (settled && 'value' in settled)
      return { value: settled.value, tookMs: this.clock.now() - from };
    throw settled?.error;
  }

  /** Datagrams to a single host, by sender and receiver. */
  unicasts(from: string, to = ''): number {
    const isTo = (where: string) => where.startsWith(to) && !where.startsWith('239.');
    return this.network.trace.filter(each => each.from.startsWith(`${from}:`) && isTo(each.to))
      .length;
  }

  #world(address: string, forbidden = false) {
    const network = this.network.host(address);
    return {
      network: forbidden ? withoutPrivilege(network) : network,
      clock: this.clock,
      random: this.random,
    };
  }
}

function readable(data: Uint8Array): SlpMessage | undefined {
  try {
    return decode(data);
  } catch {
    return undefined;
  }
}

/** As for a program that may not have port 427. */
function withoutPrivilege(network: Network): Network {
  const check = (port: number) => {
    if (port < 1024 && port !== 0)
      throw new CodedError('PORT_FORBIDDEN', `port ${port} needs privileges`);
  };
  return {
    addresses: () => network.addresses(),
    connectStream: options => network.connectStream(options),
    bindDatagram: async options => {
      check(options.port);
      return network.bindDatagram(options);
    },
    joinMulticast: async options => {
      check(options.group.port);
      return network.joinMulticast(options);
    },
    listenStream: async options => {
      check(options.port);
      return network.listenStream(options);
    },
  };
}

function inWords(notice: ServiceAgentNotice): string {
  switch (notice.kind) {
    case 'registered':
      return `registered ${notice.url}`;
    case 'refused':
      return `refused ${notice.url} ${notice.error}`;
    case 'daUp':
    case 'daDown':
      return `${notice.kind} ${notice.da.endpoint.address}`;
  }
}
