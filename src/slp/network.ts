/** What the agents need of the world outside: small enough to be handed in by whoever has it. */

/** A literal IP address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** ms on a monotonic scale. */
  now(): number;
  /** ms since 1970. */
  wallTime(): number;
  after(delayMs: number, fire: () => void): Timer;
}

export interface Random {
  bytes(size: number): Uint8Array;
}

export interface InterfaceAddress {
  readonly name: string;
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  /** Prefix length in bits. */
  readonly prefix: number;
  readonly internal: boolean;
}

export interface DatagramSocket {
  readonly local: Endpoint;
  /** `data` is valid only during the call. */
  onMessage: (data: Uint8Array, from: Endpoint) => void;
  onError: (error: Error) => void;
  send(data: Uint8Array, to: Endpoint): void;
  close(): void;
}

export interface StreamConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** `data` is valid only during the call. */
  onData: (data: Uint8Array) => void;
  /** Called when what `write` held back is gone. */
  onDrain: () => void;
  /** Called once, and last. */
  onClose: (error?: Error) => void;
  /** Answers false when more should wait for `onDrain`. */
  write(data: Uint8Array): boolean;
  /** Sends what is queued, and closes. */
  end(): void;
  destroy(error?: Error): void;
}

export interface StreamListener {
  close(): void;
}

/** Failures carry a `code`: `PORT_FORBIDDEN`, `ADDRESS_IN_USE`, or whatever else there is. */
export interface Network {
  bindDatagram(options: {
    address: string;
    port: number;
    trafficClass: 'default';
  }): Promise<DatagramSocket>;
  /**
   * A socket bound to the group and its port, shared with others of this machine. It hears what is sent to the
   * group, and sends by that one interface from its address and the port of the group, whatever routes there are.
   */
  joinMulticast(options: { group: Endpoint; on: InterfaceAddress }): Promise<DatagramSocket>;
  connectStream(options: { to: Endpoint; signal?: AbortSignal }): Promise<StreamConnection>;
  listenStream(options: {
    address: string;
    port: number;
    onConnection: (connection: StreamConnection) => void;
  }): Promise<StreamListener>;
  addresses(): readonly InterfaceAddress[];
}

/** A number in [0, 1). */
export function randomUnit(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return (((a * 256 + b) * 256 + c) * 256 + d) / 2 ** 32;
}
