/**
 * SIP over WebSocket, RFC 7118: both roles, the subprotocol `sip`, one SIP message in each WebSocket
 * message. `ws` and `node:http` are loaded with the first connection.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, Server } from 'node:http';
import { type Duplex, finished } from 'node:stream';
import { DEFAULT_LIMITS } from '@sip-stack/parser';
import type { RawData, WebSocket, WebSocketServer } from 'ws';
import { formatEndpoint } from '../../core/endpoint.js';
import { asError, CodedError } from '../../core/errors.js';
import type { StreamConnection } from '../../core/network.js';
import type { FlowLimits } from './flow-limits.js';
import type { Link, LinkEvents } from './link.js';
import { StreamDuplex } from './stream-duplex.js';

/** RFC 7118 §4.1. */
const SUBPROTOCOL = 'sip';

export interface WebSocketOptions {
  /**
   * Whether pages of this origin may connect (RFC 6455 §10.2); programs that are no browser send none.
   * By default everybody may, as over UDP.
   */
  readonly acceptOrigin?: (origin: string | undefined) => boolean;
}

export class WebSocketHandshakes {
  readonly #limits: FlowLimits;
  readonly #acceptOrigin: (origin: string | undefined) => boolean;
  readonly #accepting = new WeakMap<Duplex, (socket: WebSocket) => void>();
  #servers: Promise<{ http: Server; webSocket: WebSocketServer }> | undefined;

  constructor(limits: FlowLimits, { acceptOrigin = () => true }: WebSocketOptions) {
    this.#limits = limits;
    this.#acceptOrigin = acceptOrigin;
  }

  /** Throws `CodedError` `WEBSOCKET_FAILED`. */
  async accept(stream: StreamConnection, events: LinkEvents): Promise<Link> {
    this.#servers ??= this.#openServers();
    const { http } = await this.#servers;
    const duplex = new StreamDuplex(stream);
    return new Promise((resolve, reject) => {
      finished(duplex, error => reject(handshakeFailure(stream, error)));
      this.#accepting.set(duplex, socket => {
        duplex.onArrival = octets => events.partial(octets);
        resolve(new WebSocketLink(socket, stream, events));
      });
      http.emit('connection', duplex);
    });
  }

  /** Throws `CodedError` `WEBSOCKET_FAILED`. */
  async dial(stream: StreamConnection, events: LinkEvents): Promise<Link> {
    const { WebSocket } = await import('ws');
    const duplex = new StreamDuplex(stream);
    const socket = new WebSocket(`ws://${formatEndpoint(stream.remote)}/`, [SUBPROTOCOL], {
      ...this.#frameLimits,
      createConnection: () => duplex,
    });
    return new Promise((resolve, reject) => {
      socket.once('open', () => {
        duplex.onArrival = octets => events.partial(octets);
        resolve(new WebSocketLink(socket, stream, events));
      });
      socket.once('error', error => reject(handshakeFailure(stream, error)));
    });
  }

  get #frameLimits(): { perMessageDeflate: false; maxPayload: number } {
    const { headerBytes, bodyBytes } = { ...DEFAULT_LIMITS, ...this.#limits.messages };
    return { perMessageDeflate: false, maxPayload: headerBytes + bodyBytes };
  }

  /** Both listen nowhere: connections are handed to them. */
  async #openServers(): Promise<{ http: Server; webSocket: WebSocketServer }> {
    const [{ createServer }, { WebSocketServer }] = await Promise.all([
      import('node:http'),
      import('ws'),
    ]);
    const http = createServer();
    const webSocket = new WebSocketServer({
      ...this.#frameLimits,
      noServer: true,
      handleProtocols: () => SUBPROTOCOL,
    });
    http.on('request', (_request, response) => {
      response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end();
    });
    http.on('upgrade', (request, socket, head) => {
      const refusal = this.#refusal(request);
      if (refusal) {
        socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      webSocket.handleUpgrade(request, socket, head, opened => {
        this.#accepting.get(socket)?.(opened);
      });
    });
    return { http, webSocket };
  }

  #refusal({ headers }: IncomingMessage): string | undefined {
    const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
    if (!offered.includes(SUBPROTOCOL)) return '400 Bad Request';
    return this.#acceptOrigin(headers.origin) ? undefined : '403 Forbidden';
  }
}

class WebSocketLink implements Link {
  readonly #socket: WebSocket;
  readonly #stream: StreamConnection;
  readonly #events: LinkEvents;
  #error: Error | undefined;

  constructor(socket: WebSocket, stream: StreamConnection, events: LinkEvents) {
    this.#socket = socket;
    this.#stream = stream;
    this.#events = events;
    socket.on('message', data => this.#receive(data));
    socket.on('ping', () => events.keepAlive());
    socket.on('pong', () => events.keepAlive());
    socket.on('error', error => {
      this.#error = error;
    });
    socket.on('close', () => events.closed(this.#error));
  }

  get certificate(): Link['certificate'] {
    return this.#stream.certificate;
  }

  get backlog(): number {
    return this.#socket.bufferedAmount + this.#stream.backlog;
  }

  /** Text, as browsers like it, unless the body is none (RFC 7118 §4.2). */
  send(data: Uint8Array): void {
    this.#socket.send(data, { binary: !isUtf8(data) });
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Says goodbye, without waiting for the other side to do so. */
  end(): void {
    this.#socket.close(1000);
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#error = error;
    this.#socket.terminate();
  }

  #receive(raw: RawData): void {
    // The default `binaryType` gives a buffer of its own for each message.
    const data = Buffer.isBuffer(raw) ? raw : Buffer.concat(Array.isArray(raw) ? raw : []);
    // Line ends keep alive here too (RFC 7118 §6): a ping is two, its answer one.
    if (data.length > 4) {
      this.#events.message(data);
      return;
    }
    if (data.length === 4) this.#socket.send('\r\n');
    this.#events.keepAlive();
  }
}

function handshakeFailure(stream: StreamConnection, cause: unknown): CodedError {
  const where = formatEndpoint(stream.remote);
  const reason = cause ? asError(cause).message : 'the connection closed';
  return new CodedError('WEBSOCKET_FAILED', `no WebSocket for SIP with ${where}: ${reason}`, {
    cause,
    remedy: 'Check that the other side speaks the WebSocket subprotocol "sip" at this port.',
  });
}
