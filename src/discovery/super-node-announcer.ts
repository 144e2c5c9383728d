/** Makes this super-node known, in every way phones look for one: mDNS, SLP, and a record in the DNS. */
import { attributesOf, ServiceAgent } from 'slp-js';
import type { Clock } from '../core/clock.js';
import { ANY, heardAt } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { InterfaceAddress, Network, NetworkWatcher } from '../core/network.js';
import type { Random } from '../core/random.js';
import {
  NODE_ROLE,
  SUPER_NODE_KEYS,
  SUPER_NODE_SERVICE,
  SUPER_NODE_SLP_TYPE,
} from './candidates/super-node-service.js';
import type { Advertiser } from './discovery.js';
import { PROTOCOL_VERSION } from './mdns/mdns-advertiser.js';

export interface SuperNode {
  /** Name of the overlay. */
  readonly overlay: string;
  /** 40 hexadecimal digits. */
  readonly nodeId: string;
  /** Where it takes SIP from members and nodes: by TLS, by TCP, or both. */
  readonly ports: { readonly TLS?: number; readonly TCP?: number };
}

/** Keeps records in the DNS; `DynamicDns` does. */
export interface DomainRecords {
  publish(superNode: SuperNode, addresses: readonly InterfaceAddress[]): void;
  /** Takes them back, in a bounded time. */
  stop(): Promise<void>;
}

export interface SuperNodeAnnouncerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly network: Network;
  /** The address it listens at; at all there are by default. */
  readonly listen?: string;
  /** Started by whoever has it. */
  readonly advertiser: Pick<Advertiser, 'publish' | 'withdraw'>;
  /** Without one, addresses that come later are not announced. */
  readonly watcher?: NetworkWatcher;
  readonly domain?: DomainRecords;
  /** Whether by SLP too; true by default. */
  readonly slp?: boolean;
  /** Something its owner should know: it is announced in other ways all the same. */
  readonly onProblem?: (error: Error) => void;
}

/** Under which it is published by mDNS. */
export const SUPER_NODE_KEY = 'super-node';
/** Of the node ID: enough that no two super-nodes of a network ask for one name. */
const NAME_DIGITS = 16;

export class SuperNodeAnnouncer {
  readonly #options: SuperNodeAnnouncerOptions;
  #superNode: SuperNode | undefined;
  #started = false;
  #agent: ServiceAgent | undefined;
  /** URLs offered by SLP. */
  readonly #offered = new Set<string>();

  constructor(options: SuperNodeAnnouncerOptions) {
    this.#options = options;
  }

  /** Called again, it announces what has changed. @throws {CodedError} `NO_PORT` */
  async start(superNode: SuperNode): Promise<void> {
    const { ports } = superNode;
    if (ports.TLS === undefined && ports.TCP === undefined)
      throw new CodedError('NO_PORT', 'expected a port of TLS or of TCP, found neither', {
        remedy: 'Let the phone take SIP over TLS: leave `tls.port` out, or choose a free port.',
      });
    this.#superNode = superNode;
    this.#options.advertiser.publish(SUPER_NODE_KEY, superNodePublication(superNode));
    if (!this.#started) {
      this.#started = true;
      this.#options.watcher?.on('change', this.#follow);
      if (this.#options.slp ?? true) await this.#startAgent();
    }
    this.#follow();
  }

  /** Says goodbye in all these ways, within some seconds. */
  async stop(): Promise<void> {
    if (!this.#superNode) return;
    this.#superNode = undefined;
    this.#started = false;
    this.#options.watcher?.off('change', this.#follow);
    this.#options.advertiser.withdraw(SUPER_NODE_KEY);
    const agent = this.#agent;
    this.#agent = undefined;
    this.#offered.clear();
    await Promise.all([agent?.stop(), this.#options.domain?.stop()]);
  }

  async #startAgent(): Promise<void> {
    const { onProblem, logger } = this.#options;
    const told = new Set<string>();
    const agent = new ServiceAgent({
      ...this.#options,
      onProblem: ({ code, message, remedy }) => {
        // One of each kind: every link has the same.
        if (told.has(code)) return;
        told.add(code);
        logger.warn(
          { code, message },
          'who asks everybody by SLP does not hear of this super-node',
        );
        const text = `who asks everybody by SLP does not hear of this super-node: ${message}`;
        onProblem?.(new CodedError(code, text, remedy === undefined ? {} : { remedy }));
      },
    });
    this.#agent = agent;
    await agent.start();
  }

  /** What names addresses follows them; mDNS does so by itself. */
  readonly #follow = (): void => {
    const { network, domain, listen = ANY } = this.#options;
    const superNode = this.#superNode;
    if (!superNode) return;
    const here = heardAt(listen, network.addresses());
    const addresses = here.filter(({ internal }) => !internal);
    this.#offer(superNode, addresses);
    domain?.publish(superNode, addresses);
  };

  #offer(
    { overlay, nodeId, ports: { TLS, TCP } }: SuperNode,
    addresses: readonly InterfaceAddress[],
  ): void {
    const agent = this.#agent;
    if (!agent) return;
    const attributes = attributesOf({
      id: nodeId,
      overlay: [overlay],
      version: PROTOCOL_VERSION,
      ...(TLS !== undefined && { tls: TLS }),
    });
    const urls = new Set<string>();
    for (const { family, address } of addresses) {
      // SLP over IPv6 is another protocol (RFC 3111).
      if (family === 'IPv4') urls.add(`${SUPER_NODE_SLP_TYPE}:sip://${address}:${TCP ?? TLS}`);
    }
    for (const url of this.#offered) {
      if (urls.has(url)) continue;
      agent.withdraw(url);
      this.#offered.delete(url);
    }
    for (const url of urls) {
      agent.offer({ url, attributes });
      this.#offered.add(url);
    }
  }
}

/** What is published by mDNS, under one key, of a super-node, or of a node that may become one. */
export function superNodePublication(
  { overlay, nodeId, ports }: SuperNode,
  role: 'super-node' | 'node' = 'super-node',
) {
  const texts = [
    'txtvers=1',
    `${SUPER_NODE_KEYS.overlay}=${overlay}`,
    `${SUPER_NODE_KEYS.nodeId}=${nodeId}`,
    `v=${PROTOCOL_VERSION}`,
    ...(ports.TLS === undefined ? [`${SUPER_NODE_KEYS.transport}=tcp`] : []),
    ...(role === NODE_ROLE ? [`${SUPER_NODE_KEYS.role}=${NODE_ROLE}`] : []),
  ];
  const port = ports.TLS ?? ports.TCP ?? 0;
  const name = nodeId.slice(0, NAME_DIGITS);
  return { name, services: [{ type: SUPER_NODE_SERVICE, port, texts }] };
}
