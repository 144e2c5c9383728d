/** A DNS client that asks nothing twice: answers are kept as long as they say, questions under way are shared. */
import type { Clock } from '../../core/clock.js';
import type { DnsAnswer, DnsClient, NaptrRecord, SrvRecord } from './dns.js';

export const CACHE_CAPACITY = 256;

/** No answer is believed for longer: RFC 8767 §4 advises days, a phone can ask again. */
const LONGEST_MS = 86_400_000;

/** That there is no such name; RFC 2308 §5 allows hours, people who set up a name wait less. */
export const LONGEST_ABSENCE_MS = 60_000;

/** Within this time a name server that did not answer is not waited for again. RFC 2308 §7 allows 5 minutes. */
export const FAILURE_MS = 5000;

/** A question under way is shared for so long. */
const LONGEST_QUESTION_MS = 10_000;

interface Entry {
  readonly answer: Promise<DnsAnswer<unknown>>;
  until: number;
}

export class CachingDns implements DnsClient {
  readonly #dns: DnsClient;
  readonly #clock: Clock;
  readonly #capacity: number;
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>();

  constructor(dns: DnsClient, clock: Clock, capacity = CACHE_CAPACITY) {
    this.#dns = dns;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  naptr(name: string): Promise<DnsAnswer<NaptrRecord>> {
    return this.#ask('NAPTR', name, () => this.#dns.naptr(name));
  }

  srv(name: string): Promise<DnsAnswer<SrvRecord>> {
    return this.#ask('SRV', name, () => this.#dns.srv(name));
  }

  a(name: string): Promise<DnsAnswer<string>> {
    return this.#ask('A', name, () => this.#dns.a(name));
  }

  aaaa(name: string): Promise<DnsAnswer<string>> {
    return this.#ask('AAAA', name, () => this.#dns.aaaa(name));
  }

  /** Forgets everything: another network may have other names. */
  clear(): void {
    this.#entries.clear();
  }

  get size(): number {
    return this.#entries.size;
  }

  #ask<T>(
    type: string,
    name: string,
    question: () => Promise<DnsAnswer<T>>,
  ): Promise<DnsAnswer<T>> {
    const key = `${type} ${name.toLowerCase()}`;
    const known = this.#entries.get(key);
    const valid = known && this.#clock.now() < known.until;
    const entry = valid ? known : this.#begin(question());
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#capacity && oldest !== undefined) this.#entries.delete(oldest);
    // A key is asked with one type of question only.
    return entry.answer as Promise<DnsAnswer<T>>;
  }

  #begin(answer: Promise<DnsAnswer<unknown>>): Entry {
    const entry: Entry = { answer, until: this.#clock.now() + LONGEST_QUESTION_MS };
    void answer.then(result => {
      entry.until = this.#clock.now() + lifetimeOf(result);
    });
    return entry;
  }
}

function lifetimeOf(answer: DnsAnswer<unknown>): number {
  switch (answer.type) {
    case 'found':
      return Math.min(answer.ttlMs, LONGEST_MS);
    case 'absent':
      return Math.min(answer.ttlMs, LONGEST_ABSENCE_MS);
    case 'failed':
      return FAILURE_MS;
  }
}
