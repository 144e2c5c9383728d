/** A responder on virtual time: it wakes when it asked to be woken; what it sends is told in words. */
import type { Endpoint, InterfaceAddress } from '../../src/core/network.js';
import {
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  queryOf,
  type RecordType,
  responseOf,
} from '../../src/discovery/mdns/dns-message.js';
import { step, wakeAt } from '../../src/discovery/mdns/responder.js';
import {
  newResponderState,
  type Publication,
  type ResponderAction,
  type ResponderEvent,
  type ResponderLink,
} from '../../src/discovery/mdns/responder-state.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';

export const SIP = '_sip._udp.local';
export const HOST = 'ringline-a1.local';
export const PEER: Endpoint = { address: '192.0.2.9', port: 5353 };

export function link(id: string, ...literals: string[]): ResponderLink {
  const addresses = literals.map((address): InterfaceAddress => {
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    return { name: id, address, family, prefix: 24, internal: false };
  });
  return { id, addresses };
}

export function phone(name: string, ...texts: string[]): Publication {
  return { name, services: [{ type: '_sip._udp', port: 5060, texts: ['txtvers=1', ...texts] }] };
}

export class ResponderBench {
  now = 0;
  readonly log: { at: number; action: ResponderAction }[] = [];
  readonly state;

  constructor(seed = 1, host = 'ringline-a1') {
    const random = new SeededRandom(seed);
    this.state = newResponderState(host, () => random.unit());
  }

  /** On one link, named and announced; what it took is forgotten. */
  static settled(publication = phone('alice'), ...links: ResponderLink[]): ResponderBench {
    const bench = new ResponderBench();
    bench.publish(publication);
    bench.network(...(links.length > 0 ? links : [link('eth0', '192.0.2.1')]));
    bench.advance(10_000);
    bench.log.length = 0;
    return bench;
  }

  publish(publication: Publication, key = 'phone'): void {
    this.#take({ kind: 'publish', now: this.now, key, publication });
  }

  withdraw(key: string): void {
    this.#take({ kind: 'withdraw', now: this.now, key });
  }

  network(...links: ResponderLink[]): void {
    this.#take({ kind: 'network', now: this.now, links });
  }

  stop(): void {
    this.#take({ kind: 'stop', now: this.now });
  }

  hear(message: DnsMessage, { on = 'eth0', source = PEER, unicast = false } = {}): void {
    this.#take({ kind: 'heard', now: this.now, link: on, source, unicast, message });
  }

  /** A question of another host. */
  ask(
    names: readonly (readonly [RecordType, string])[],
    { known = [], unicast = false, truncated = false, id = 0, ...from }: Asking = {},
  ): void {
    const questions = names.map(([type, name]): DnsQuestion => ({ type, name, unicast }));
    this.hear(queryOf({ id, questions, answers: known, truncated }), from);
  }

  answer(...answers: DnsRecord[]): void {
    this.hear(responseOf({ answers }));
  }

  /** Another host asks for a name it wants. */
  probe(name: string, ...authorities: DnsRecord[]): void {
    this.hear(queryOf({ questions: [{ name, type: 'ANY', unicast: false }], authorities }));
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (let at = wakeAt(this.state); at <= until; at = wakeAt(this.state)) {
      if (at < this.now) throw new Error(`wants to be woken at ${at}, and it is ${this.now}`);
      this.now = at;
      this.#take({ kind: 'due', now: at });
    }
    this.now = until;
  }

  /** `time in ms: what`, and nothing of it said again. */
  said(): string[] {
    return this.log.splice(0).map(({ at, action }) => `${Math.round(at)} ${inWords(action)}`);
  }

  /** The same without the time. */
  what(): string[] {
    return this.log.splice(0).map(({ action }) => inWords(action));
  }

  /** Every record multicast or sent, with its time. */
  sent(): { at: number; record: DnsRecord; section: 'answer' | 'additional' }[] {
    return this.log.splice(0).flatMap(({ at, action }) => {
      if (action.kind !== 'send') return [];
      const { answers, additionals } = action.message;
      return [
        ...answers.map(record => ({ at, record, section: 'answer' as const })),
        ...additionals.map(record => ({ at, record, section: 'additional' as const })),
      ];
    });
  }

  #take(event: ResponderEvent): void {
    for (const action of step(this.state, event)) this.log.push({ at: this.now, action });
    if (wakeAt(this.state) <= this.now) throw new Error('wants to be woken at once, for ever');
  }
}

interface Asking {
  readonly known?: readonly DnsRecord[];
  readonly unicast?: boolean;
  readonly truncated?: boolean;
  readonly id?: number;
  readonly on?: string;
  readonly source?: Endpoint;
}

export function inWords(action: ResponderAction): string {
  switch (action.kind) {
    case 'send': {
      const { response, questions, answers, authorities, additionals } = action.message;
      const to = action.to ? `to ${action.to.address} ${action.to.port} ` : '';
      const records = (list: readonly DnsRecord[]) => list.map(recordInWords).join(', ');
      if (!response)
        return `${action.link} probe ${questions.map(({ name }) => name).join(' ')} with ${records(authorities)}`;
      const more = additionals.length > 0 ? ` + ${records(additionals)}` : '';
      return `${action.link} ${to}${records(answers)}${more}`;
    }
    case 'named':
      return `named ${action.name}`;
    case 'renamed':
      return `${action.from} is taken, ${action.to} is next${action.contested ? ' after a while' : ''}`;
    case 'yielded':
      return `${action.name} is taken for ${action.type}`;
  }
}

/** A record without name: type, data, TTL, and ! for the cache-flush bit. */
export function recordInWords({ data, ttl, flush }: DnsRecord): string {
  return `${data.type} ${dataInWords(data)} ${ttl}${flush ? '!' : ''}`;
}

function dataInWords(data: DnsRecord['data']): string {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return data.address;
    case 'PTR':
      return data.target;
    case 'SRV':
      return `${data.host}:${data.port}`;
    case 'TXT':
      return data.texts.map(text => Buffer.from(text).toString()).join(' ');
    case 'NSEC':
      return data.types.join(' ');
    default:
      return Buffer.from(data.octets).toString('hex');
  }
}

/** Records of another host. */
export function server(name: string, host = 'rival.local', ttl = 120): DnsRecord {
  const data = { type: 'SRV', priority: 0, weight: 0, port: 5060, host } as const;
  return { name: `${name}.${SIP}`, ttl, flush: true, data };
}

export function text(name: string, ...texts: string[]): DnsRecord {
  const data = { type: 'TXT', texts: texts.map(each => Buffer.from(each)) } as const;
  return { name: `${name}.${SIP}`, ttl: 4500, flush: true, data };
}

export function pointer(name: string, ttl = 4500): DnsRecord {
  return { name: SIP, ttl, flush: false, data: { type: 'PTR', target: `${name}.${SIP}` } };
}

export function address(name: string, literal: string, ttl = 120): DnsRecord {
  return { name, ttl, flush: true, data: { type: 'A', address: literal } };
}
