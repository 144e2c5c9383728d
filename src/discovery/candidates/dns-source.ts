/** Super-nodes that a domain names by SRV records (RFC 2782): `_ringline._tcp.example.net`, SIP over TLS. */
import { type Clock, sleep } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import type { DnsAnswer, DnsClient, SrvRecord } from '../../sip/resolution/dns.js';
import { orderServers } from '../../sip/resolution/srv-order.js';
import type { CandidateSource, Search } from './candidate.js';
import { SUPER_NODE_SERVICE } from './super-node-service.js';

export interface DnsSourceOptions {
  readonly dns: DnsClient;
  readonly clock: Clock;
  readonly random: Random;
  /** E.g. `example.net`. */
  readonly domain: string;
}

/** A domain must not keep a phone busy. */
const MAX_SERVERS = 16;
const MAX_ADDRESSES = 4;
/** Records may change, or the DNS may have been away. */
const FIRST_AGAIN_MS = 30_000;
const LONGEST_AGAIN_MS = 15 * 60_000;

export class DnsSource implements CandidateSource {
  readonly name = 'dns';
  readonly #options: DnsSourceOptions;

  constructor(options: DnsSourceOptions) {
    this.#options = options;
  }

  async search(search: Search): Promise<void> {
    let pauseMs = FIRST_AGAIN_MS;
    while (!search.signal.aborted) {
      await this.#ask(search);
      await sleep(this.#options.clock, pauseMs, search.signal).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, LONGEST_AGAIN_MS);
    }
  }

  async #ask({ found, signal }: Search): Promise<void> {
    const { dns, random, domain } = this.#options;
    const answer = await dns.srv(`${SUPER_NODE_SERVICE}.${domain}`);
    const servers = orderServers(recordsOf(answer), random).filter(isOffered);
    for (const { name, port } of servers.slice(0, MAX_SERVERS)) {
      const answers = await Promise.all([dns.a(name), dns.aaaa(name)]);
      if (signal.aborted) return;
      const addresses = answers.flatMap(recordsOf).slice(0, MAX_ADDRESSES);
      for (const host of addresses) found({ host, port, transport: 'tls', source: this.name });
    }
  }
}

function recordsOf<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.type === 'found' ? answer.records : [];
}

/** RFC 2782: a lone dot says that there is no such service. */
function isOffered({ name, port }: SrvRecord): boolean {
  return name !== '' && name !== '.' && port > 0;
}
