/** The DNS as this machine is set up for it, by `node:dns`. */
import { Resolver } from 'node:dns/promises';
import { asError, errorCode } from '../../core/errors.js';
import type { DnsAnswer, DnsClient, NaptrRecord, SrvRecord } from './dns.js';

/** Each name server is asked twice. */
const TRY_MS = 1000;
const TRIES = 2;

/** Node tells no lifetime of SRV and NAPTR records, nor of a name's absence. */
const UNKNOWN_TTL_MS = 60_000;

/** How c-ares calls NXDOMAIN and an answer without records of the type asked for. */
const ABSENT = ['ENOTFOUND', 'ENODATA'];

export class SystemDns implements DnsClient {
  readonly #newResolver: () => Resolver;
  #resolver: Resolver;

  constructor(newResolver = () => new Resolver({ timeout: TRY_MS, tries: TRIES })) {
    this.#newResolver = newResolver;
    this.#resolver = newResolver();
  }

  /** Asks the name servers the machine knows now: a network that comes up brings others. */
  refresh(): void {
    this.#resolver = this.#newResolver();
  }

  naptr(name: string): Promise<DnsAnswer<NaptrRecord>> {
    return answerOf(this.#resolver.resolveNaptr(name), record => record);
  }

  srv(name: string): Promise<DnsAnswer<SrvRecord>> {
    return answerOf(this.#resolver.resolveSrv(name), record => record);
  }

  a(name: string): Promise<DnsAnswer<string>> {
    return answerOf(this.#resolver.resolve4(name, { ttl: true }), ({ address }) => address);
  }

  aaaa(name: string): Promise<DnsAnswer<string>> {
    return answerOf(this.#resolver.resolve6(name, { ttl: true }), ({ address }) => address);
  }
}

async function answerOf<Found extends object, T>(
  question: Promise<Found[]>,
  read: (found: Found) => T,
): Promise<DnsAnswer<T>> {
  try {
    const found = await question;
    return { type: 'found', records: found.map(read), ttlMs: Math.min(...found.map(ttlOf)) };
  } catch (error) {
    if (ABSENT.includes(errorCode(error) ?? '')) return { type: 'absent', ttlMs: UNKNOWN_TTL_MS };
    return { type: 'failed', reason: asError(error).message };
  }
}

function ttlOf(record: object): number {
  return 'ttl' in record && typeof record.ttl === 'number' ? record.ttl * 1000 : UNKNOWN_TTL_MS;
}
