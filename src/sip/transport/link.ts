/** One connection as SIP sees it: whole messages and keep-alives, whatever carries them. */
import type { X509Certificate } from 'node:crypto';
import { StreamFramer } from '@sip-stack/parser';
import type { StreamConnection } from '../../core/network.js';
import type { FlowLimits } from './flow-limits.js';

export interface LinkEvents {
  /** One message; `data` stays valid. */
  message(data: Uint8Array): void;
  /** The other side is alive: a ping of its own (answered already), or its answer to ours. */
  keepAlive(): void;
  /** Octets of a message that is not whole yet. */
  partial(octets: number): void;
  /** Once, and last; with the error where it did not end in order. */
  closed(error?: Error): void;
}

export interface Link {
  readonly certificate: X509Certificate | undefined;
  /** Octets sent that the network has not taken yet. */
  readonly backlog: number;
  send(data: Uint8Array): void;
  /** Asks for a sign of life. */
  ping(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(error?: Error): void;
}

const CR = 0x0d;
const LF = 0x0a;
/** RFC 5626 §3.5.1. */
const PING = Uint8Array.of(CR, LF, CR, LF);
const PONG = Uint8Array.of(CR, LF);

/** SIP on a stream (RFC 3261 §18.3), kept alive by line ends (RFC 5626 §4.4.1). */
export class StreamLink implements Link {
  readonly #stream: StreamConnection;
  readonly #events: LinkEvents;
  readonly #framer: StreamFramer;
  #begun = false;

  /** @param role who opens a connection sends pings on it, who accepts it answers them */
  constructor(
    stream: StreamConnection,
    role: 'dialled' | 'accepted',
    limits: FlowLimits,
    events: LinkEvents,
  ) {
    this.#stream = stream;
    this.#events = events;
    const keepAlive = role === 'dialled' ? 'pong' : 'ping';
    this.#framer = new StreamFramer({ ...limits.messages, keepAlive });
    stream.onClose = error => events.closed(error);
    stream.onData = data => this.#receive(data);
  }

  get certificate(): X509Certificate | undefined {
    return this.#stream.certificate;
  }

  get backlog(): number {
    return this.#stream.backlog;
  }

  send(data: Uint8Array): void {
    this.#stream.write(data);
  }

  ping(): void {
    this.#stream.write(PING);
  }

  end(): void {
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }

  #receive(data: Uint8Array): void {
    const [first = 0] = data;
    if (!this.#begun && first !== CR && (first < 0x21 || first > 0x7e)) {
      // A TLS handshake, most likely: its sender had better learn at once than wait for an answer.
      this.#stream.destroy(new Error('what came is no SIP'));
      return;
    }
    this.#begun = true;
    const events = this.#framer.push(data);
    for (const event of events) {
      switch (event.type) {
        case 'message':
          this.#events.message(event.data);
          break;
        case 'ping':
          this.#stream.write(PONG);
          this.#events.keepAlive();
          break;
        case 'pong':
          this.#events.keepAlive();
          break;
        case 'error':
          this.#stream.destroy(event.error);
          break;
      }
    }
    // A single line end between messages may be half a ping, and is never half a message.
    if (events.length === 0 && !data.every(octet => octet === CR || octet === LF)) {
      this.#events.partial(data.length);
    }
  }
}
