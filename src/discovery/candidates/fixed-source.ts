/** Super-nodes that the configuration names: addresses, or names that are looked up, again from time to time. */
import { isIP } from 'node:net';
import { isSipUri, parseUri, sipUri } from '@sip-stack/parser';
import { type Clock, sleep } from '../../core/clock.js';
import { asError, CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { UriResolver } from '../../sip/resolver.js';
import {
  type Candidate,
  type CandidateSource,
  type CandidateTransport,
  type Search,
  transportOf,
} from './candidate.js';

/** Where a super-node may be; the host is a name or a literal address. */
export type Bootstrap = Pick<Candidate, 'host' | 'port' | 'transport'>;

export interface FixedSourceOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly resolve: UriResolver;
  readonly bootstrap: readonly Bootstrap[];
}

/** Names looked up at once. */
const AT_ONCE = 4;
/** Addresses taken of one name. */
const ADDRESSES_OF_ONE = 8;
/** A name is looked up again: what it stands for may have moved, or the DNS may have been away. */
const FIRST_AGAIN_MS = 30_000;
const LONGEST_AGAIN_MS = 15 * 60_000;

/** RFC 3261 §19.1.2 */
const USUAL_PORTS: Readonly<Record<CandidateTransport, number>> = {
  tls: 5061,
  tcp: 5060,
  udp: 5060,
};

export class FixedSource implements CandidateSource {
  readonly name = 'fixed';
  readonly #options: FixedSourceOptions;

  constructor(options: FixedSourceOptions) {
    this.#options = options;
  }

  async search({ found, signal }: Search): Promise<void> {
    const { bootstrap, clock } = this.#options;
    for (const each of bootstrap) if (isIP(each.host) !== 0) found({ ...each, source: this.name });
    const names = bootstrap.filter(({ host }) => isIP(host) === 0);
    let pauseMs = FIRST_AGAIN_MS;
    while (names.length > 0 && !signal.aborted) {
      const left = [...names];
      const work = async () => {
        for (let each = left.shift(); each && !signal.aborted; each = left.shift())
          for (const host of await this.#lookUp(each)) found({ ...each, host, source: this.name });
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      await sleep(clock, pauseMs, signal).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, LONGEST_AGAIN_MS);
    }
  }

  /** With a port a name stands for its addresses: no SRV records are asked for (RFC 3263 §4.2). */
  async #lookUp({ host, port, transport }: Bootstrap): Promise<string[]> {
    const { resolve, logger } = this.#options;
    try {
      const targets = await resolve(sipUri({ host, port, params: { transport } }));
      const addresses = targets.map(({ endpoint }) => endpoint.address);
      return [...new Set(addresses)].slice(0, ADDRESSES_OF_ONE);
    } catch (error) {
      const { message } = asError(error);
      logger.info({ host, message }, 'a super-node of the configuration is not found');
      return [];
    }
  }
}

/**
 * Reads `HOST`, `HOST:PORT`, `HOST;transport=tcp`: over TLS unless it says otherwise, at the usual port (RFC 3261
 * §19.1.2) unless it has one.
 *
 * @throws {CodedError} `BAD_BOOTSTRAP`
 */
export function parseBootstrap(text: string): Bootstrap {
  const uri = readUri(text);
  const transport = transportOf(uri?.params.get('transport') ?? 'tls');
  const isPlain = uri && uri.user === undefined && uri.headers.size === 0 && uri.port !== 0;
  if (isPlain && transport) {
    const { host, port = USUAL_PORTS[transport] } = uri;
    return { host, port, transport };
  }
  throw new CodedError('BAD_BOOTSTRAP', `expected HOST or HOST:PORT, found "${text}"`, {
    remedy: 'Name a super-node: ring.example.net, 192.0.2.7:5061, 192.0.2.7:5060;transport=tcp.',
  });
}

function readUri(text: string) {
  try {
    const uri = parseUri(`sip:${text}`);
    return isSipUri(uri) ? uri : undefined;
  } catch {
    return undefined;
  }
}
