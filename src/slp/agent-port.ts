/** What all agents stand on: their sockets, their requests, the connections of others, and a look at the addresses. */
import { type AgentProblem, AgentSockets, type Arrival } from './agent-sockets.js';
import { Alarm } from './alarm.js';
import { failure } from './answers.js';
import { CONFIG_CLOSE_CONN_MS, ErrorCode } from './constants.js';
import { decode, decodeHeader } from './decode.js';
import { encode, encodeForDatagram } from './encode.js';
import { SlpError } from './errors.js';
import type { SlpMessage } from './message.js';
import { MessageFramer } from './message-framer.js';
import type { Clock, Network, Random, StreamConnection } from './network.js';
import { Requests } from './requests.js';

export interface AgentPortOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly listen: 'no' | 'group' | 'port';
  /** What is no reply to a request of ours. */
  readonly onMessage: (message: SlpMessage, asked: Asked) => void;
  /** There is a link that was not there before. */
  readonly onNetwork: () => void;
  readonly onProblem: (problem: AgentProblem) => void;
}

export interface Asked {
  readonly own: readonly string[];
  readonly local: string;
  readonly reply: (message: SlpMessage) => void;
}

/** How soon a new address is noticed. */
const ADDRESS_LOOK_MS = 5000;
/** Connections of others at once; one more is closed. */
const MOST_CONNECTIONS = 64;

export class AgentPort {
  readonly requests: Requests;
  readonly #options: AgentPortOptions;
  readonly #sockets: AgentSockets;
  readonly #connections = new Set<StreamConnection>();
  readonly #look: Alarm;

  constructor(options: AgentPortOptions) {
    this.#options = options;
    const { network, clock, random, listen, onProblem } = options;
    this.#sockets = new AgentSockets({
      network,
      listen,
      onMessage: (data, arrival) => this.#arrived(data, arrival),
      onConnection: (connection, local) => this.#accept(connection, local),
      onProblem,
    });
    this.requests = new Requests({ network, clock, random, sockets: this.#sockets });
    this.#look = new Alarm(clock, () => void this.#lookAround(true));
  }

  async start(): Promise<void> {
    await this.#lookAround(false);
  }

  async stop(): Promise<void> {
    this.#look.set(undefined);
    for (const connection of this.#connections) connection.destroy();
    await this.#sockets.close();
    this.#look.set(undefined);
  }

  multicast(messageFor: (local: string) => SlpMessage): void {
    this.#sockets.multicast(local => encode(messageFor(local)));
  }

  async #lookAround(tell: boolean): Promise<void> {
    const grew = await this.#sockets.refresh();
    this.#look.set(this.#options.clock.now() + ADDRESS_LOOK_MS);
    if (grew && tell) this.#options.onNetwork();
  }

  #arrived(data: Uint8Array, { from, local, by, reply }: Arrival): void {
    const send = (message: SlpMessage) =>
      reply(by === 'stream' ? encode(message) : encodeForDatagram(message));
    /** What is too long for SLP altogether, the attributes of a thousand services say, is no answer. */
    const answer = (request: SlpMessage) => (message: SlpMessage) => {
      try {
        send(message);
      } catch (error) {
        if (!(error instanceof SlpError)) throw error;
        const instead = request.multicast ? undefined : failure(request, ErrorCode.INTERNAL_ERROR);
        if (instead) send(instead);
      }
    };
    let message: SlpMessage;
    try {
      message = decode(data);
    } catch (error) {
      if (!(error instanceof SlpError)) throw error;
      const complaint = this.#options.listen === 'no' ? undefined : complaintAbout(data, error);
      if (complaint) send(complaint);
      return;
    }
    if (by === 'datagram' && this.requests.heard(message, from)) return;
    this.#options.onMessage(message, {
      own: this.#sockets.addresses,
      local,
      reply: answer(message),
    });
  }

  #accept(connection: StreamConnection, local: string): void {
    if (this.#connections.size >= MOST_CONNECTIONS) {
      connection.destroy();
      return;
    }
    this.#connections.add(connection);
    const framer = new MessageFramer();
    const { clock } = this.#options;
    const idle = new Alarm(clock, () => connection.destroy());
    const stay = () => idle.set(clock.now() + CONFIG_CLOSE_CONN_MS);
    stay();
    connection.onClose = () => {
      idle.set(undefined);
      this.#connections.delete(connection);
    };
    let stalled = false;
    connection.onDrain = () => {
      stalled = false;
    };
    const reply = (data: Uint8Array) => {
      stalled = !connection.write(data);
    };
    connection.onData = data => {
      stay();
      try {
        for (const message of framer.push(data)) {
          // Who asks on and does not read has its answers pile up here.
          if (stalled) return connection.destroy();
          this.#arrived(message, { from: connection.remote, local, by: 'stream', reply });
        }
      } catch (error) {
        if (!(error instanceof SlpError)) throw error;
        connection.destroy();
      }
    };
  }
}

/** What a request that cannot be read is answered with, where its header says whom and what (§7). */
function complaintAbout(data: Uint8Array, error: SlpError): SlpMessage | undefined {
  try {
    const header = decodeHeader(data);
    return header.multicast ? undefined : failure(header, error.status);
  } catch {
    return undefined;
  }
}
