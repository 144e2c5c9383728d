/** SIP over UDP, RFC 3261 §18. */
import { type SipMessage, type SipResponse, serializeMessage } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import type { DatagramSocket, Endpoint, Network } from '../../core/network.js';
import type { Random } from '../../core/random.js';
import { DatagramFlows } from './datagram-flows.js';
import { readIncoming } from './incoming.js';
import { bindingResponse, isStun, readStun } from './stun.js';
import type {
  SipTransport,
  Source,
  Target,
  TransportEvents,
  TransportStatistics,
} from './transport.js';

/** The largest payload of a UDP datagram over IPv4. */
const MAX_DATAGRAM_OCTETS = 65_507;

export interface UdpTransportOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly listen: Endpoint;
  readonly statistics: TransportStatistics;
  readonly events: TransportEvents;
}

export class UdpTransport implements SipTransport {
  readonly local: Endpoint;
  /** Those that are kept alive. */
  readonly flows: DatagramFlows;
  readonly #socket: DatagramSocket;
  readonly #options: UdpTransportOptions;

  static async open(options: UdpTransportOptions): Promise<UdpTransport> {
    const { network, listen } = options;
    const socket = await network.bindDatagram({ ...listen, trafficClass: 'signalling' });
    return new UdpTransport(socket, options);
  }

  private constructor(socket: DatagramSocket, options: UdpTransportOptions) {
    this.#socket = socket;
    this.#options = options;
    this.local = socket.local;
    this.flows = new DatagramFlows({
      ...options,
      send: (data, to) => socket.send(data, to, error => this.#failed(error)),
    });
    socket.onMessage = (data, from) => this.#receive(data, from);
    socket.onError = error => this.#failed(error);
  }

  send(message: SipMessage, to: Target, onFailure: (error: Error) => void): undefined {
    const data = serializeMessage(message);
    this.#options.statistics.sent++;
    this.#socket.send(data, to.endpoint, error => {
      this.#failed(error);
      onFailure(error);
    });
  }

  close(): void {
    this.flows.close();
    this.#socket.close();
  }

  #receive(data: Uint8Array, from: Endpoint): void {
    // Keep-alives (RFC 5626 §4.4.1) and stray zero octets.
    if (data.length <= 4) return;
    if (isStun(data)) {
      this.#receiveStun(data, from);
      return;
    }
    // Back to where it came from: its Via may be what is malformed.
    const source: Source = { protocol: 'UDP', endpoint: from };
    const refuse = (response: SipResponse) => this.send(response, source, () => undefined);
    const limits = { bodyBytes: MAX_DATAGRAM_OCTETS };
    const message = readIncoming(data, from, limits, { ...this.#options, refuse });
    if (!message) return;
    // The datagram is lent for the length of this call, and the parser's body is a view of it.
    message.body = message.body.slice();
    this.#options.events.message(message, source);
  }

  /** RFC 5626 §8: whoever keeps a flow to us alive is told where we see them. */
  #receiveStun(data: Uint8Array, from: Endpoint): void {
    const message = readStun(data);
    if (message?.type === 'request') {
      this.#socket.send(bindingResponse(message.id, from), from, error => this.#failed(error));
    } else if (message) {
      this.flows.receive(message, from);
    } else {
      this.#options.statistics.malformed++;
    }
  }

  #failed(error: Error): void {
    this.#options.statistics.sendErrors++;
    this.#options.logger.debug({ reason: error.message }, 'could not send');
  }
}
