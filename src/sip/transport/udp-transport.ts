/** SIP over UDP, RFC 3261 §18. */
import { type SipMessage, type SipResponse, serializeMessage } from '@sip-stack/parser';
import type { Logger } from '../../core/logger.js';
import type { DatagramSocket, Endpoint, Network } from '../../core/network.js';
import { readIncoming } from './incoming.js';
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
  readonly logger: Logger;
  readonly listen: Endpoint;
  readonly statistics: TransportStatistics;
  readonly events: TransportEvents;
}

export class UdpTransport implements SipTransport {
  readonly local: Endpoint;
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
    this.#socket.close();
  }

  #receive(data: Uint8Array, from: Endpoint): void {
    // Keep-alives (RFC 5626 §4.4.1) and stray zero octets.
    if (data.length <= 4) return;
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

  #failed(error: Error): void {
    this.#options.statistics.sendErrors++;
    this.#options.logger.debug({ reason: error.message }, 'could not send');
  }
}
