/** SIP over UDP, RFC 3261 §18, with the response routing of RFC 3581. */
import {
  parseMessage,
  type SipMessage,
  SipSyntaxError,
  serializeMessage,
  Via,
} from '@sip-stack/parser';
import type { Logger } from '../core/logger.js';
import type { DatagramSocket, Endpoint, Network } from '../core/network.js';
import { readableRequest } from './malformed.js';
import { makeResponse } from './response.js';
import type { SipTransport, TransportStatistics } from './transport.js';

/** The largest payload of a UDP datagram over IPv4. */
const MAX_DATAGRAM_OCTETS = 65_507;

export class UdpTransport implements SipTransport {
  readonly protocol = 'UDP';
  readonly reliable = false;
  readonly local: Endpoint;
  readonly statistics: TransportStatistics = { received: 0, sent: 0, malformed: 0, sendErrors: 0 };
  onMessage: (message: SipMessage, from: Endpoint) => void = () => undefined;
  readonly #socket: DatagramSocket;
  readonly #logger: Logger;

  static async open(network: Network, local: Endpoint, logger: Logger): Promise<UdpTransport> {
    const socket = await network.bindDatagram({ ...local, trafficClass: 'signalling' });
    return new UdpTransport(socket, logger);
  }

  private constructor(socket: DatagramSocket, logger: Logger) {
    this.#socket = socket;
    this.#logger = logger;
    this.local = socket.local;
    socket.onMessage = (data, from) => this.#receive(data, from);
    socket.onError = error => this.#failed(error);
  }

  send(message: SipMessage, to: Endpoint, onFailure: (error: Error) => void): void {
    const data = serializeMessage(message);
    this.statistics.sent++;
    this.#socket.send(data, to, error => {
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
    let message: SipMessage;
    try {
      message = parseMessage(data, { bodyBytes: MAX_DATAGRAM_OCTETS });
      // The datagram is lent for the length of this call, and the parser's body is a view of it.
      message.body = message.body.slice();
      if (message.kind === 'request') markSource(message, from);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      this.statistics.malformed++;
      this.#logger.debug({ from, reason: error.message }, 'not a SIP message');
      this.#refuse(data, from, error);
      return;
    }
    this.statistics.received++;
    this.onMessage(message, from);
  }

  #refuse(data: Uint8Array, from: Endpoint, { status }: SipSyntaxError): void {
    const request = readableRequest(data);
    // Back to where it came from: its Via may be what is malformed.
    if (request?.headers.has(Via)) this.send(makeResponse(request, status), from, () => undefined);
  }

  #failed(error: Error): void {
    this.statistics.sendErrors++;
    this.#logger.debug({ reason: error.message }, 'could not send');
  }
}

/** Writes where a request really came from into its top Via: RFC 3261 §18.2.1, RFC 3581 §4. */
function markSource(message: SipMessage, from: Endpoint): void {
  const via = message.headers.require(Via);
  const wantsPort = via.params.has('rport');
  if (!wantsPort && via.host === from.address) return;
  via.params.set('received', from.address);
  if (wantsPort) via.params.set('rport', String(from.port));
}

/** Where the response to a request goes, by its top Via: RFC 3261 §18.2.2, RFC 3581 §4. */
export function responseDestination(message: SipMessage): Endpoint {
  const via = message.headers.require(Via);
  const rport = Number(via.params.get('rport') || 0);
  return {
    address: via.params.get('received') ?? via.params.get('maddr') ?? via.host,
    port: rport || via.port || 5060,
  };
}
