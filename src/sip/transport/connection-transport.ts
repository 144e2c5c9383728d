/**
 * SIP over connections (RFC 3261 §18): accepts them, opens them, and sends by one that is there
 * already where it leads to the right place.
 */
import {
  type SipMessage,
  type SipResponse,
  serializeMessage,
  Via,
  type ViaValue,
} from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { withoutZone } from '../../core/endpoint.js';
import { asError, CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint, Network, StreamConnection, StreamListener } from '../../core/network.js';
import type { Random } from '../../core/random.js';
import { PROTOCOLS } from '../resolution/plan.js';
import { Flow } from './flow.js';
import type { FlowLimits } from './flow-limits.js';
import type { FlowTable } from './flow-table.js';
import { readIncoming } from './incoming.js';
import type { Link } from './link.js';
import type { SipTransport, Target, TransportEvents, TransportStatistics } from './transport.js';
import type { Wire } from './wire.js';

export interface ConnectionTransportOptions {
  readonly wire: Wire;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: FlowLimits;
  readonly table: FlowTable;
  readonly statistics: TransportStatistics;
  readonly events: TransportEvents;
  /** The local address connections are opened from; by default the one the route has. */
  readonly from?: string;
}

/** Who moved and came back has opened a new connection: what is silent for so long is passed over for it. */
const SILENT_MS = 1000;

export class ConnectionTransport implements SipTransport {
  readonly #options: ConnectionTransportOptions;
  #listener: StreamListener | undefined;
  #closed = false;

  constructor(options: ConnectionTransportOptions) {
    this.#options = options;
  }

  get local(): Endpoint | undefined {
    return this.#listener?.local;
  }

  /** Throws as `Network.listenStream` does. */
  async listen(endpoint: Endpoint): Promise<void> {
    const listener = await this.#options.network.listenStream({
      ...endpoint,
      onConnection: stream => this.#accept(stream),
    });
    if (this.#closed) listener.close();
    else this.#listener = listener;
  }

  send(message: SipMessage, target: Target, onFailure: (error: Error) => void): string | undefined {
    const { statistics, logger } = this.#options;
    const data = serializeMessage(message);
    const failed = (error: Error) => {
      statistics.sendErrors++;
      logger.debug({ reason: error.message }, 'could not send');
      onFailure(error);
    };
    statistics.sent++;
    const flow = this.find(target) ?? this.#dial(target, failed);
    if (message.kind === 'request' && message.method !== 'ACK') flow?.asks();
    flow?.send(data, failed);
    return flow?.id;
  }

  /** The connection that messages to `target` go by now. */
  find(target: Target): Flow | undefined {
    const { table, wire, clock } = this.#options;
    const named = target.flow === undefined ? undefined : table.get(target.flow);
    if (named) return named;
    let silent: Flow | undefined;
    for (const flow of table.leadingTo(wire.protocol, target.endpoint)) {
      if (!wire.serves(flow, target.tlsName)) continue;
      if (!flow.isSilentSince(clock.now() - SILENT_MS)) return flow;
      silent ??= flow;
    }
    return silent;
  }

  /** As `TransportManager.giveUpSilent`. */
  giveUpSilent({ endpoint }: Target, since: number): void {
    const { table, wire } = this.#options;
    for (const flow of [...table.leadingTo(wire.protocol, endpoint)]) {
      if (flow.isSilentSince(since)) flow.giveUp();
    }
  }

  /** Takes no more connections. */
  close(): void {
    this.#closed = true;
    this.#listener?.close();
  }

  #accept(stream: StreamConnection): void {
    const { wire, table, logger } = this.#options;
    const { address } = stream.remote;
    if (!table.admits(address)) {
      logger.debug({ address }, 'refused a connection: there are too many');
      stream.destroy();
      return;
    }
    const flow = this.#newFlow('accepted', stream.remote, undefined);
    flow.localAddress = stream.local.address;
    flow.opening.signal.addEventListener('abort', () => stream.destroy());
    void this.#begin(flow, () => wire.accept(stream, flow));
  }

  #dial(target: Target, failed: (error: Error) => void): Flow | undefined {
    const { wire, table, network, from } = this.#options;
    const problem = this.#undiallable(target) ?? (table.hasRoom() ? undefined : noRoom());
    if (problem) {
      queueMicrotask(() => failed(problem));
      return undefined;
    }
    const flow = this.#newFlow('dialled', target.endpoint, target.tlsName);
    const { signal } = flow.opening;
    void this.#begin(flow, async () => {
      const to = target.endpoint;
      const stream = await network.connectStream({
        to,
        signal,
        ...(from !== undefined && { from }),
      });
      signal.addEventListener('abort', () => stream.destroy());
      flow.localAddress = stream.local.address;
      return wire.dial(stream, target, flow);
    });
    return flow;
  }

  /** A browser listens nowhere: once its connection is gone, it cannot be reached (RFC 7118 §5.2). */
  #undiallable({ protocol, flow }: Target): CodedError | undefined {
    if (flow === undefined || (protocol !== 'WS' && protocol !== 'WSS')) return undefined;
    return new CodedError('CONNECTION_CLOSED', 'the WebSocket this belongs to is closed');
  }

  async #begin(flow: Flow, open: () => Promise<Link>): Promise<void> {
    try {
      flow.open(await open());
    } catch (error) {
      const { message } = asError(error);
      const failure = new CodedError('CONNECTION_FAILED', message, { cause: error });
      flow.fail(error instanceof CodedError ? error : failure);
    }
  }

  #newFlow(role: 'dialled' | 'accepted', remote: Endpoint, tlsName: string | undefined): Flow {
    const { wire, table, events, clock, random, limits } = this.#options;
    const flow = new Flow({
      id: table.newId(wire.protocol),
      protocol: wire.protocol,
      remote,
      role,
      tlsName,
      clock,
      random,
      limits,
      message: data => this.#receive(flow, data),
      unfinished: change => table.unfinished(change),
      closed: error => {
        table.remove(flow);
        if (flow.established) events.flowClosed(flow.id, error);
      },
    });
    table.add(flow);
    return flow;
  }

  #receive(flow: Flow, data: Uint8Array): void {
    const { wire, limits, events } = this.#options;
    const { remote } = flow.options;
    const refuse = (response: SipResponse) =>
      flow.send(serializeMessage(response), () => undefined);
    const message = readIncoming(data, remote, limits.messages, { ...this.#options, refuse });
    if (!message) return;
    if (message.kind === 'request') this.#considerAlias(flow, message.headers.require(Via));
    events.message(message, { protocol: wire.protocol, endpoint: remote, flow: flow.id });
  }

  /**
   * RFC 5923: whoever asks for it gets our requests to the port it listens at by the connection it
   * opened. It has to have proved who it is over TLS, or else to give the very address it comes from.
   */
  #considerAlias(flow: Flow, via: ViaValue): void {
    if (flow.options.role !== 'accepted' || !via.params.has('alias')) return;
    const { table, wire } = this.#options;
    const { address } = flow.options.remote;
    if (!wire.proven(flow) && via.host !== withoutZone(address)) return;
    table.alias(flow, { address, port: via.port ?? PROTOCOLS[wire.protocol].defaultPort });
  }
}

function noRoom(): CodedError {
  return new CodedError('TOO_MANY_CONNECTIONS', 'there is no room for one more connection', {
    remedy: 'Try again when others have ended.',
  });
}
