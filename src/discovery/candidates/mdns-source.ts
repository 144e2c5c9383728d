/** Super-nodes that announce themselves on this network, by multicast DNS. */
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import type { PhoneSighting } from '../discovery.js';
import { MdnsBrowser } from '../mdns/mdns-browser.js';
import type { MdnsLinks } from '../mdns/mdns-links.js';
import {
  type Candidate,
  type CandidateSource,
  candidateKey,
  type Search,
  transportOf,
} from './candidate.js';
import {
  NODE_ROLE,
  nodeIdIn,
  overlayIn,
  SUPER_NODE_KEYS,
  SUPER_NODE_SERVICE,
} from './super-node-service.js';
import { untilAborted } from './until-aborted.js';

export interface MdnsSourceOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly links: MdnsLinks;
}

/** The best addresses of a super-node are enough: a LAN has IPv4, IPv6 and link-local ones. */
const ADDRESSES_OF_ONE = 3;

export class MdnsSource implements CandidateSource {
  readonly name = 'mdns';
  readonly #options: MdnsSourceOptions;
  #browser: MdnsBrowser | undefined;

  constructor(options: MdnsSourceOptions) {
    this.#options = options;
  }

  async search({ found, signal }: Search): Promise<void> {
    const service = `${SUPER_NODE_SERVICE}.local`;
    const keys = Object.values(SUPER_NODE_KEYS);
    const browser = new MdnsBrowser({ ...this.#options, service, keys });
    const tell = (sighting: PhoneSighting) => {
      for (const candidate of candidatesOf(sighting)) found(candidate);
    };
    browser.on('up', tell);
    browser.on('changed', tell);
    this.#browser = browser;
    try {
      await browser.start();
      await untilAborted(signal);
    } finally {
      await browser.stop();
    }
  }

  /** Who does not answer is asked for, and forgotten unless it answers that. */
  failed(candidate: Candidate): void {
    const key = candidateKey(candidate);
    for (const sighting of this.#browser?.phones() ?? []) {
      const isIt = candidatesOf(sighting).some(each => candidateKey(each) === key);
      if (isIt) this.#browser?.doubt(sighting.name);
    }
  }
}

function candidatesOf({ endpoints, texts = {} }: PhoneSighting): Candidate[] {
  const overlay = overlayIn(texts[SUPER_NODE_KEYS.overlay]);
  const nodeId = nodeIdIn(texts[SUPER_NODE_KEYS.nodeId]);
  const transport = transportOf(texts[SUPER_NODE_KEYS.transport] ?? 'tls');
  // Without a name of the overlay it is not one of ours; what comes late is told as a change.
  if (overlay === undefined || transport === undefined) return [];
  if (texts[SUPER_NODE_KEYS.role] === NODE_ROLE) return [];
  return endpoints.slice(0, ADDRESSES_OF_ONE).map(({ address: host, port }) => {
    return { host, port, transport, overlay, ...(nodeId && { nodeId }), source: 'mdns' };
  });
}
