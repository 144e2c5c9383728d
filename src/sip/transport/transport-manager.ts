/** All transports of one user agent: what the transaction layer sends by (RFC 3261 §18). */
import { type SipMessage, type SipRequest, serializeMessage } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { isWildcard, withoutZone } from '../../core/endpoint.js';
import { CodedError, errorCode } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint, Network } from '../../core/network.js';
import { type Random, randomToken } from '../../core/random.js';
import { PROTOCOLS } from '../resolution/plan.js';
import { ConnectionTransport } from './connection-transport.js';
import { DEFAULT_FLOW_LIMITS, type FlowLimits } from './flow-limits.js';
import { FlowTable } from './flow-table.js';
import type { TlsSettings } from './tls-trust.js';
import type {
  SipProtocol,
  SipTransport,
  Target,
  TransportEvents,
  TransportStatistics,
} from './transport.js';
import { UdpTransport } from './udp-transport.js';
import type { WebSocketOptions } from './web-socket.js';
import { makeWire } from './wire.js';

export interface SentBy {
  readonly host: string;
  readonly port?: number;
}

/** Where to listen; what is left out only opens connections. */
export interface Listen {
  readonly udp?: Endpoint;
  readonly tcp?: Endpoint;
  readonly tls?: Endpoint;
  readonly ws?: Endpoint;
  readonly wss?: Endpoint;
}

export interface TransportOptions {
  /** An endpoint alone: UDP and TCP on the same port, as RFC 3261 §18.2.1 asks. */
  readonly listen: Endpoint | Listen;
  /** Without it neither TLS nor WSS is spoken. */
  readonly tls?: TlsSettings;
  readonly webSocket?: WebSocketOptions;
  readonly flowLimits?: Partial<FlowLimits>;
}

export interface TransportManagerOptions extends TransportOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A request above this size goes by a connection where the path MTU is unknown, RFC 3261 §18.1.1. */
export const MAX_DATAGRAM_REQUEST_OCTETS = 1300;

/** RFC 5626 §4.4.1: 95 to 120 s where the other side names no time; kept at 80 to 100% of it. */
export const KEEP_ALIVE_MS = 119_000;

/** RFC 5626 §4.4.2: 24 to 29 s, since NATs forget datagrams sooner than connections. */
export const DATAGRAM_KEEP_ALIVE_MS = 29_000;

/** With port 0, the port that UDP was given may be taken for TCP: others are tried. */
const SAME_PORT_ATTEMPTS = 10;

export class TransportManager {
  /** Set both before anything can come in, right after `open`. */
  onMessage: TransportEvents['message'] = () => undefined;
  onFlowClosed: TransportEvents['flowClosed'] = () => undefined;
  readonly statistics: TransportStatistics = { received: 0, sent: 0, malformed: 0, sendErrors: 0 };
  readonly #options: TransportManagerOptions;
  readonly #limits: FlowLimits;
  readonly #table: FlowTable;
  readonly #connections = new Map<SipProtocol, ConnectionTransport>();
  /** Who is told when a connection is gone. */
  readonly #watchers = new Map<string, Set<(error: Error) => void>>();
  #udp: UdpTransport | undefined;
  /** Stands in Via for us where nobody can connect to us (RFC 7118 §5.3). */
  readonly #invalidHost: string;

  /** Throws as `Network.bindDatagram` does, and `CodedError` `NO_TLS`. */
  static async open(options: TransportManagerOptions): Promise<TransportManager> {
    const { listen } = options;
    const attempts = 'address' in listen && listen.port === 0 ? SAME_PORT_ATTEMPTS : 1;
    for (let attempt = 1; ; attempt++) {
      const manager = new TransportManager(options);
      try {
        await manager.#listen(listen);
        return manager;
      } catch (error) {
        manager.close();
        if (errorCode(error) !== 'ADDRESS_IN_USE' || attempt >= attempts) throw error;
      }
    }
  }

  private constructor(options: TransportManagerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_FLOW_LIMITS, ...options.flowLimits };
    this.#table = new FlowTable(this.#limits);
    this.#invalidHost = `${randomToken(options.random, 8)}.invalid`;
  }

  /**
   * Takes connections of one more protocol from now on, while all others work.
   *
   * @throws {CodedError} as `open`
   */
  async listen(protocol: Exclude<SipProtocol, 'UDP'>, endpoint: Endpoint): Promise<void> {
    if (PROTOCOLS[protocol].secure && !this.#options.tls?.identity) throw noCertificate();
    await this.#connection(protocol, endpoint).listen(endpoint);
  }

  /** Where a protocol is listened for; undefined where it is not. */
  local(protocol: SipProtocol): Endpoint | undefined {
    return protocol === 'UDP' ? this.#udp?.local : this.#connections.get(protocol)?.local;
  }

  /** Open connections, those being opened included. */
  get connections(): number {
    return this.#table.size;
  }

  /** Whether the connection that is so named in a `Source` is there still. */
  isOpen(flow: string): boolean {
    return this.#table.get(flow) !== undefined;
  }

  /** As `SipTransport.send`. */
  send(message: SipMessage, target: Target, onFailure: (error: Error) => void): string | undefined {
    try {
      return this.#transport(target.protocol).send(message, target, onFailure);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      queueMicrotask(() => onFailure(error));
      return undefined;
    }
  }

  /** Whether a request is too large for the datagram its target asks for (§18.1.1). */
  needsConnection(request: SipRequest, { protocol }: Target): boolean {
    return protocol === 'UDP' && serializeMessage(request).length > MAX_DATAGRAM_REQUEST_OCTETS;
  }

  /** What stands in Via and Contact for us, reached at the address `own` by this protocol. */
  sentBy(protocol: SipProtocol, own: Endpoint): SentBy {
    const host = withoutZone(own.address);
    const local = this.local(protocol);
    if (local) return { host, port: local.port };
    const browserLike = protocol === 'WS' || protocol === 'WSS';
    return browserLike ? { host: this.#invalidHost } : { host, port: own.port };
  }

  /**
   * Keeps the connection that leads to `target` alive, and notices when it is dead (RFC 5626 §4.4.1).
   * Answers false where there is none, or it is not ours to keep.
   */
  keepAlive(target: Target, intervalMs = KEEP_ALIVE_MS): boolean {
    return this.#connections.get(target.protocol)?.find(target)?.keep(intervalMs) ?? false;
  }

  /**
   * Keeps the flow by which a server reaches us (RFC 5626 §4.4), and tells when it is lost: the connection to
   * `target`, or for UDP the way back through NATs.
   *
   * @param answers whether the other side answers keep-alives; who does not is sent none by a connection
   * @returns ends that; undefined where there is no connection
   */
  keepFlow(
    target: Target,
    { answers, intervalMs }: { readonly answers: boolean; readonly intervalMs?: number },
    lost: (error: Error) => void,
  ): (() => void) | undefined {
    if (target.protocol === 'UDP') {
      return this.#udp?.flows.keep({
        to: target.endpoint,
        intervalMs: Math.min(intervalMs ?? DATAGRAM_KEEP_ALIVE_MS, DATAGRAM_KEEP_ALIVE_MS),
        answers,
        lost,
      });
    }
    const flow = this.#connections.get(target.protocol)?.find(target);
    if (!flow) return undefined;
    if (answers) flow.keep(intervalMs ?? KEEP_ALIVE_MS);
    const watching = this.#watchers.get(flow.id) ?? new Set();
    this.#watchers.set(flow.id, watching.add(lost));
    return () => watching.delete(lost);
  }

  /**
   * Asks who is at the other end of the connection to `target` for a sign of life, and tells when anything comes from
   * there. Answers false where there is no connection, or it is not ours to ask by.
   */
  ping(target: Target, heard: () => void): boolean {
    return this.#connections.get(target.protocol)?.find(target)?.ping(heard) ?? false;
  }

  /**
   * Closes connections to `target` by which nothing has come in while a request waits, since `since` or longer. One
   * whose other end was away would take about as long again to send what it has (RFC 6298 §5.5); a new one is there
   * at once.
   *
   * @param since as `Clock.now`
   */
  giveUpSilent(target: Target, since: number): void {
    this.#connections.get(target.protocol)?.giveUpSilent(target, since);
  }

  /** Our addresses changed. While there is none but loopback, connections may only wait for their cable. */
  networkChanged(): void {
    const addresses = this.#options.network.addresses();
    if (addresses.every(({ internal }) => internal)) return;
    this.#table.closeFromElsewhere(new Set(addresses.map(({ address }) => withoutZone(address))));
  }

  /** Closes everything, sending first what is queued. */
  close(): void {
    this.#udp?.close();
    this.#watchers.clear();
    for (const transport of this.#connections.values()) transport.close();
    this.#table.closeAll();
  }

  async #listen(listen: Endpoint | Listen): Promise<void> {
    const shared = 'address' in listen ? listen : undefined;
    const { udp, tcp, tls, ws, wss }: Listen = 'address' in listen ? { udp: listen } : listen;
    if (udp) this.#udp = await UdpTransport.open({ ...this.#common, listen: udp });
    const same = shared && { address: shared.address, port: this.#udp?.local.port ?? 0 };
    const wanted = { TCP: tcp ?? same, TLS: tls, WS: ws, WSS: wss };
    for (const [protocol, endpoint] of Object.entries(wanted)) {
      if (endpoint) await this.listen(protocol as keyof typeof wanted, endpoint);
    }
  }

  /** Throws `CodedError` `UNSUPPORTED_TRANSPORT`, `NO_TLS`. */
  #transport(protocol: SipProtocol): SipTransport {
    if (protocol !== 'UDP') return this.#connection(protocol);
    if (this.#udp) return this.#udp;
    throw new CodedError('UNSUPPORTED_TRANSPORT', 'this phone does not speak SIP over UDP', {
      remedy: 'Let it listen for UDP, or call with ;transport=tcp.',
    });
  }

  /** @param own where it will listen */
  #connection(protocol: Exclude<SipProtocol, 'UDP'>, own?: Endpoint): ConnectionTransport {
    const known = this.#connections.get(protocol);
    if (known) return known;
    const transport = new ConnectionTransport({
      ...this.#common,
      wire: makeWire(protocol, { ...this.#options, limits: this.#limits }),
      limits: this.#limits,
      table: this.#table,
      ...this.#from(own),
    });
    this.#connections.set(protocol, transport);
    return transport;
  }

  get #common() {
    const { network, logger, clock, random } = this.#options;
    const events: TransportEvents = {
      message: (message, source) => this.onMessage(message, source),
      flowClosed: (flow, error) => this.#flowClosed(flow, error),
    };
    return { network, logger, clock, random, statistics: this.statistics, events };
  }

  #flowClosed(flow: string, error: Error): void {
    this.onFlowClosed(flow, error);
    const watching = this.#watchers.get(flow) ?? [];
    this.#watchers.delete(flow);
    for (const lost of watching) lost(error);
  }

  /** Who listens at one address only also calls from it. */
  #from(own: Endpoint | undefined): { from?: string } {
    const { listen } = this.#options;
    const { address } = own ?? ('address' in listen ? listen : listen.udp) ?? {};
    return address === undefined || isWildcard(address) ? {} : { from: address };
  }
}

function noCertificate(): CodedError {
  return new CodedError('NO_TLS', 'expected a certificate to listen with, found none', {
    remedy: 'Give a key and a certificate for it, or do not listen for TLS and WSS.',
  });
}
