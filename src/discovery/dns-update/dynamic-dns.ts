/** Keeps the records of a super-node in the DNS current: drives `update-machine.ts`. */
import { isIP } from 'node:net';
import type { Clock, Timer } from '../../core/clock.js';
import { isLinkLocal } from '../../core/endpoint.js';
import { asError, CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { DatagramSocket, InterfaceAddress, Network } from '../../core/network.js';
import { type Random, randomUint32, randomUnit } from '../../core/random.js';
import type { HostLookup } from '../../sip/resolution/target-resolver.js';
import { SUPER_NODE_SERVICE } from '../candidates/super-node-service.js';
import type { DomainRecords, SuperNode } from '../super-node-announcer.js';
import type { TsigKey } from './tsig.js';
import {
  newUpdateState,
  stepUpdate,
  type UpdateAction,
  type UpdateEvent,
  type UpdateState,
} from './update-machine.js';
import { type Change, type SentUpdate, signedUpdate } from './update-message.js';

export interface DynamicDnsSettings {
  /** The server that takes updates for the zone: a name or a literal address. */
  readonly server: string;
  readonly port: number;
  readonly zone: string;
  readonly key: TsigKey;
  /** First label of this host's name in the zone; by default made of the node ID. */
  readonly host?: string;
}

export interface DynamicDnsOptions {
  readonly settings: DynamicDnsSettings;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly lookup: HostLookup;
  /** Told once until it is published again; it is tried again by itself. */
  readonly onProblem?: (error: CodedError) => void;
}

export const DNS_PORT = 53;
/** Who asks finds a moved super-node after so long, in s. */
const TTL_S = 120;
const MAX_ADDRESSES = 8;

interface Content {
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly { readonly type: 'A' | 'AAAA'; readonly address: string }[];
}

export class DynamicDns implements DomainRecords {
  readonly #options: DynamicDnsOptions;
  readonly #state: UpdateState;
  #content: Content | undefined;
  /** What was asked to be there last, which has to go. */
  #there: Content | undefined;
  #timer: Timer | undefined;
  #socket: DatagramSocket | undefined;
  #sent: SentUpdate | undefined;
  /** Sending takes a lookup: what comes after another attempt is dropped. */
  #attempt = 0;
  /** What is to be added to our clock, in s. */
  #offsetS = 0;
  #problem = '';
  #gone: () => void = () => undefined;

  constructor(options: DynamicDnsOptions) {
    this.#options = options;
    this.#state = newUpdateState(() => randomUnit(options.random));
  }

  publish({ nodeId, ports }: SuperNode, addresses: readonly InterfaceAddress[]): void {
    const { zone, host = `ringline-${nodeId.slice(0, 12)}` } = this.#options.settings;
    const usable = addresses.filter(isUsable).slice(0, MAX_ADDRESSES);
    if (ports.TLS === undefined || usable.length === 0) return;
    this.#content = {
      host: `${host}.${zone}`,
      port: ports.TLS,
      addresses: usable.map(({ family, address }) => {
        return { type: family === 'IPv4' ? 'A' : 'AAAA', address };
      }),
    };
    this.#take({ kind: 'want', content: JSON.stringify(this.#content) });
  }

  /** Takes the records back; waits two seconds at most for the server to have heard it. */
  stop(): Promise<void> {
    return new Promise(resolve => {
      this.#gone = resolve;
      if (this.#state.phase === 'gone') resolve();
      else this.#take({ kind: 'stop' });
    });
  }

  #take(event: DistributiveOmit<UpdateEvent, 'now'>): void {
    const { clock } = this.#options;
    for (const action of stepUpdate(this.#state, { ...event, now: clock.now() }))
      this.#perform(action);
    this.#timer?.cancel();
    const { dueAt } = this.#state;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, dueAt - clock.now());
    this.#timer = clock.after(delayMs, () => this.#take({ kind: 'due' }));
  }

  #perform(action: UpdateAction): void {
    switch (action.kind) {
      case 'send':
        void this.#send(action.what);
        return;
      case 'set-clock':
        this.#offsetS = action.serverTimeS - this.#options.clock.wallTime() / 1000;
        return;
      case 'published':
        this.#close();
        this.#problem = '';
        this.#options.logger.info({ ...this.#there }, 'the DNS has the records of this super-node');
        return;
      case 'problem':
        this.#close();
        this.#tell(action.code, action.reason);
        return;
      case 'gone':
        this.#close();
        this.#gone();
        return;
    }
  }

  async #send(what: 'wanted' | 'nothing'): Promise<void> {
    const attempt = ++this.#attempt;
    const { network, clock, random, settings } = this.#options;
    try {
      const address = await this.#serverAddress();
      const from = await network.sourceAddressFor(address);
      const socket = await network.bindDatagram({
        address: from,
        port: 0,
        trafficClass: 'default',
      });
      if (attempt !== this.#attempt || this.#state.phase === 'gone') {
        socket.close();
        return;
      }
      this.#socket?.close();
      this.#socket = socket;
      const { zone, key } = settings;
      const changes = changesFor(zone, this.#there, what === 'wanted' ? this.#content : undefined);
      const nowS = clock.wallTime() / 1000 + this.#offsetS;
      const sent = signedUpdate({ zone, changes }, randomUint32(random) % 0x10000, key, nowS);
      this.#sent = sent;
      if (what === 'wanted') this.#there = this.#content;
      socket.onError = () => undefined;
      socket.onMessage = (data, source) => {
        if (source.port !== settings.port || this.#sent !== sent) return;
        const answer = sent.answer(data);
        if (answer) this.#take({ kind: 'answered', answer });
      };
      socket.send(sent.octets, { address, port: settings.port }, () => undefined);
    } catch (error) {
      if (attempt === this.#attempt) this.#take({ kind: 'unsent', reason: asError(error).message });
    }
  }

  async #serverAddress(): Promise<string> {
    const { settings, lookup } = this.#options;
    if (isIP(settings.server) !== 0) return settings.server;
    const [address] = await lookup(settings.server);
    if (address !== undefined) return address;
    throw new Error(`the name ${settings.server} is not known on this network`);
  }

  #close(): void {
    this.#attempt++;
    this.#sent = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }

  #tell(code: string, reason: string): void {
    const { settings, logger, onProblem } = this.#options;
    const { server, port, zone, key } = settings;
    const message = `${zone} does not have the records of this super-node: ${reason} (${server}:${port})`;
    logger.info({ code, reason }, 'the DNS does not have the records of this super-node');
    if (this.#problem === message) return;
    this.#problem = message;
    const remedy = `${remedyFor(code, key.name)} It is tried again by itself.`;
    onProblem?.(new CodedError('DNS_UPDATE_FAILED', message, { remedy }));
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** What makes of what may be there (and of the addresses of any run before) what is wanted. */
function changesFor(zone: string, there: Content | undefined, wanted: Content | undefined) {
  const service = `${SUPER_NODE_SERVICE}.${zone}`;
  const server = ({ host, port }: Content) =>
    ({ type: 'SRV', priority: 0, weight: 0, port, host }) as const;
  const changes: Change[] = [];
  const hosts = new Set([there, wanted].flatMap(each => each?.host ?? []));
  for (const name of hosts)
    for (const type of ['A', 'AAAA'] as const) changes.push({ kind: 'delete-set', name, type });
  const isMoved = there?.host !== wanted?.host || there?.port !== wanted?.port;
  if (there && isMoved) changes.push({ kind: 'delete', name: service, data: server(there) });
  if (!wanted) return changes;
  for (const data of wanted.addresses)
    changes.push({ kind: 'add', name: wanted.host, ttlS: TTL_S, data });
  changes.push({ kind: 'add', name: service, ttlS: TTL_S, data: server(wanted) });
  return changes;
}

/** What means nothing on another link is not for the DNS. */
function isUsable({ address, internal, family }: InterfaceAddress): boolean {
  if (internal) return false;
  return family === 'IPv4' ? !address.startsWith('169.254.') : !isLinkLocal(address);
}

function remedyFor(code: string, key: string): string {
  switch (code) {
    case 'NO_ANSWER':
    case 'UNSENT':
      return 'Check server and port, and that it can be reached by UDP.';
    case 'BADKEY':
      return `Check the name of the key: the server does not take "${key}", with HMAC-SHA256, for this zone.`;
    case 'BADSIG':
      return 'Check the secret of the key: the server has another.';
    case 'BADTIME':
      return 'Check the clock of the server.';
    case 'NOTAUTH':
    case 'NOTZONE':
      return 'Check the zone: this server is not its primary.';
    case 'REFUSED':
      return `Check what the server lets the key "${key}" change: A, AAAA and SRV records of this zone.`;
    default:
      return 'Look into the log of the server.';
  }
}
