/**
 * The sockets of an agent: on each IPv4 interface one for itself and the group, as addresses come and go.
 *
 * Port 427 takes a privilege. Without it an agent asks and registers all the same, from a port of its own, and
 * does not hear what is multicast.
 */
import { SLP_GROUP, SLP_PORT } from './constants.js';
import type {
  DatagramSocket,
  Endpoint,
  InterfaceAddress,
  Network,
  StreamConnection,
  StreamListener,
} from './network.js';

export interface Arrival {
  readonly from: Endpoint;
  /** The address of ours it came to, or of the link it came by. */
  readonly local: string;
  readonly by: 'datagram' | 'stream';
  /** Where replies go. */
  readonly reply: (data: Uint8Array) => void;
}

export interface AgentSocketsOptions {
  readonly network: Network;
  /** `no`: only asks; `group`: hears the group, and has port 427 for itself where it can; `port`: must have it. */
  readonly listen: 'no' | 'group' | 'port';
  readonly onMessage: (data: Uint8Array, arrival: Arrival) => void;
  readonly onConnection: (connection: StreamConnection, local: string) => void;
  /** A socket could not be opened, or does not send. */
  readonly onProblem: (problem: AgentProblem) => void;
}

export interface AgentProblem {
  /** `PORT_FORBIDDEN`, `ADDRESS_IN_USE`, or of the operating system. */
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}

interface Link {
  readonly address: InterfaceAddress;
  /** For what comes to this host alone; multicasts leave by `sender`, from the same port. */
  readonly own: DatagramSocket;
  readonly sender: DatagramSocket;
  /** Hears the group. */
  readonly listener: DatagramSocket | undefined;
  readonly streams: StreamListener | undefined;
}

const GROUP: Endpoint = { address: SLP_GROUP, port: SLP_PORT };

export class AgentSockets {
  readonly #options: AgentSocketsOptions;
  readonly #links = new Map<string, Link>();
  #refreshing: Promise<boolean> | undefined;
  #closed = false;
  readonly #told = new Set<string>();

  constructor(options: AgentSocketsOptions) {
    this.#options = options;
  }

  /** Our addresses that have sockets. */
  get addresses(): string[] {
    return [...this.#links.keys()];
  }

  /** Opens and closes sockets as addresses have come and gone; answers whether one has come. */
  refresh(): Promise<boolean> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  multicast(dataFor: (local: string) => Uint8Array): void {
    for (const [local, { sender }] of this.#links) sender.send(dataFor(local), GROUP);
  }

  /** From the link the address is on, where there is one; otherwise from the first, as the routes will have it. */
  send(data: Uint8Array, to: Endpoint): void {
    const link = this.#linkOf(to.address) ?? this.#links.values().next().value;
    link?.own.send(data, to);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#refreshing;
    for (const link of this.#links.values()) closeLink(link);
    this.#links.clear();
  }

  async #refresh(): Promise<boolean> {
    const now = this.#options.network.addresses();
    const wanted = now.filter(({ family, internal }) => family === 'IPv4' && !internal);
    for (const [address, link] of this.#links) {
      if (wanted.some(each => each.address === address)) continue;
      this.#links.delete(address);
      closeLink(link);
    }
    let grew = false;
    for (const address of wanted) {
      if (this.#closed || this.#links.has(address.address)) continue;
      const link = await this.#open(address).catch((error: unknown) => this.#tell(error));
      if (link) this.#links.set(address.address, link);
      grew ||= link !== undefined;
    }
    return grew && !this.#closed;
  }

  async #open(address: InterfaceAddress): Promise<Link> {
    const { network, listen } = this.#options;
    const opened: { close(): void }[] = [];
    const keep = <T extends { close(): void }>(socket: T): T => {
      opened.push(socket);
      return socket;
    };
    try {
      const own = keep(await this.#openOwn(address));
      const { port } = own.local;
      const join = (group: Endpoint) => network.joinMulticast({ group, on: address });
      const sender = keep(await join({ address: SLP_GROUP, port }));
      let listener = port === SLP_PORT ? sender : undefined;
      if (listen !== 'no' && !listener) {
        listener = await join(GROUP).catch((error: unknown) => this.#tell(error));
        if (listener) keep(listener);
      }
      const streams = port === SLP_PORT ? await this.#listenStream(address.address) : undefined;
      if (streams) keep(streams);
      this.#wire(address, own, listener);
      sender.onError = error => void this.#tell(error);
      return { address, own, sender, listener, streams };
    } catch (error) {
      for (const socket of opened) socket.close();
      throw error;
    }
  }

  async #openOwn({ address }: InterfaceAddress): Promise<DatagramSocket> {
    const { network, listen } = this.#options;
    const bind = (port: number) => network.bindDatagram({ address, port, trafficClass: 'default' });
    if (listen === 'no') return bind(0);
    if (listen === 'port') return bind(SLP_PORT);
    // Another agent of this host may have it; replies may come from any port (§6.1).
    return bind(SLP_PORT).catch(() => bind(0));
  }

  async #listenStream(address: string): Promise<StreamListener | undefined> {
    const { network, listen, onConnection: accept } = this.#options;
    const onConnection = (connection: StreamConnection) => accept(connection, address);
    const listening = network.listenStream({ address, port: SLP_PORT, onConnection });
    return listen === 'port' ? listening : listening.catch((error: unknown) => this.#tell(error));
  }

  #wire(
    address: InterfaceAddress,
    own: DatagramSocket,
    listener: DatagramSocket | undefined,
  ): void {
    const arrived = (data: Uint8Array, from: Endpoint) => {
      const reply = (answer: Uint8Array) => own.send(answer, from);
      const local = address.address;
      this.#options.onMessage(data, { from, local, by: 'datagram', reply });
    };
    own.onMessage = arrived;
    own.onError = error => void this.#tell(error);
    if (!listener) return;
    listener.onMessage = (data, from) => {
      // Linux hands a group's packets to each of its sockets, whichever interface they came by.
      const link = this.#linkOf(from.address);
      if (link === undefined || link.address.address === address.address) arrived(data, from);
    };
    listener.onError = error => void this.#tell(error);
  }

  #linkOf(remote: string): Link | undefined {
    return [...this.#links.values()].find(({ address }) => inSubnet(remote, address));
  }

  /** Each problem once: a port that is forbidden is so on every interface. */
  #tell(error: unknown): undefined {
    const problem = problemOf(error);
    const key = `${problem.code} ${problem.message}`;
    if (this.#told.has(key) || this.#closed) return;
    this.#told.add(key);
    this.#options.onProblem(problem);
  }
}

function closeLink({ own, sender, listener, streams }: Link): void {
  streams?.close();
  own.close();
  sender.close();
  if (listener !== sender) listener?.close();
}

function problemOf(error: unknown): AgentProblem {
  const { code, message, remedy } = error as { code?: string; message?: string; remedy?: string };
  const forbidden = code === 'PORT_FORBIDDEN' || code === 'EACCES';
  return {
    code: code ?? 'UNKNOWN',
    message: message ?? String(error),
    remedy: forbidden
      ? `Run with CAP_NET_BIND_SERVICE, or: sysctl net.ipv4.ip_unprivileged_port_start=${SLP_PORT}`
      : remedy,
  };
}

function inSubnet(remote: string, { address, prefix }: InterfaceAddress): boolean {
  const bits = (text: string) =>
    text.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
  const size = 2 ** (32 - prefix);
  return Math.floor(bits(remote) / size) === Math.floor(bits(address) / size);
}
