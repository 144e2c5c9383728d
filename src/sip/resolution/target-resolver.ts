/**
 * From a URI to the places its request may be sent, best first: RFC 3263 §4, with the address
 * families of RFC 7984. Answers within a stated time, on a network without any DNS too.
 */
import { isIPv6 } from 'node:net';
import type { Uri } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import type { Random } from '../../core/random.js';
import type { DnsAnswer, DnsClient, NaptrRecord } from './dns.js';
import { isLocalName, type Plan, PROTOCOLS, planFor, type SipProtocol } from './plan.js';
import { orderServers } from './srv-order.js';

export interface Target {
  readonly protocol: SipProtocol;
  readonly endpoint: Endpoint;
  /**
   * The name the other side has to prove over TLS: the URI's, not that of the server a DNS answer
   * names (RFC 5922 §7.1). Absent for protocols without TLS and where the URI has an address.
   */
  readonly tlsName?: string;
}

/** Addresses of a host name, best first; empty where it has none. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

export type AddressFamily = 'IPv4' | 'IPv6';

export interface TargetResolverOptions {
  readonly dns: DnsClient;
  /** The system's way: hosts file and mDNS. */
  readonly lookup: HostLookup;
  readonly clock: Clock;
  readonly random: Random;
  /** Spoken here, most wanted first. */
  readonly protocols: readonly SipProtocol[];
  /** Those this host has a route for, preferred first; asked anew each time. */
  readonly families: () => readonly AddressFamily[];
}

/** The three steps of a resolution; together no more than 5 s. */
const SERVICES_LIMIT_MS = 2000;
const ADDRESSES_LIMIT_MS = 1500;
const LOOKUP_LIMIT_MS = 1500;
export const RESOLUTION_LIMIT_MS = SERVICES_LIMIT_MS + ADDRESSES_LIMIT_MS + LOOKUP_LIMIT_MS;

/** Nobody needs more, and a domain must not keep a phone busy. */
const MAX_NAPTR = 8;
const MAX_SERVERS = 16;
const MAX_ADDRESSES = 8;
const MAX_TARGETS = 32;

/** A server by its name. */
interface Server {
  readonly protocol: SipProtocol;
  readonly host: string;
  readonly port: number;
}

/** What was found, and whether someone who might have known more did not answer. */
interface Finding<T> {
  readonly found: readonly T[];
  readonly unanswered: boolean;
}

interface ServerFinding extends Finding<Server> {
  /** Records say that there is no such service. */
  readonly declined: boolean;
}

const NOT_ANSWERED: ServerFinding = { found: [], unanswered: true, declined: false };

export class TargetResolver {
  readonly #options: TargetResolverOptions;

  constructor(options: TargetResolverOptions) {
    this.#options = options;
  }

  /**
   * Takes `RESOLUTION_LIMIT_MS` at most. Never empty.
   *
   * @throws {CodedError} `UNSUPPORTED_URI`, `UNSUPPORTED_TRANSPORT`, `NO_SUCH_HOST`,
   *   `SERVICE_NOT_OFFERED`, `NO_DNS_ANSWER`
   */
  async resolve(uri: Uri): Promise<readonly Target[]> {
    const plan = planFor(uri, this.#options.protocols);
    if (plan.type === 'literal') return [targetOf(plan, plan.host, plan.tlsName)];
    const { found: servers, unanswered } =
      plan.type === 'host' ? { found: [plan], unanswered: false } : await this.#servers(plan);
    const hosts = [...new Set(servers.map(({ host }) => host))];
    const addresses = new Map<string, Finding<string>>();
    await Promise.all(hosts.map(async host => addresses.set(host, await this.#addresses(host))));
    const targets = servers.flatMap(server =>
      (addresses.get(server.host)?.found ?? []).map(address =>
        targetOf(server, address, plan.tlsName),
      ),
    );
    if (targets.length > 0) return targets.slice(0, MAX_TARGETS);
    const silent = unanswered || [...addresses.values()].some(finding => finding.unanswered);
    throw silent ? noAnswer(plan.host) : noSuchHost(plan.host);
  }

  /** NAPTR and SRV are asked at the same time: routers are known that drop the former. */
  async #servers(plan: Plan & { type: 'services' }): Promise<Finding<Server>> {
    const direct = plan.protocols.map(protocol =>
      this.#within(SERVICES_LIMIT_MS, this.#byService(protocol, plan.host), NOT_ANSWERED),
    );
    const byNaptr = plan.askNaptr
      ? await this.#within(SERVICES_LIMIT_MS, this.#byNaptr(plan), NOT_ANSWERED)
      : undefined;
    if (byNaptr && byNaptr.found.length > 0) return byNaptr;
    const finding = join(await Promise.all(direct));
    if (finding.found.length > 0) return finding;
    if (finding.declined) throw notOffered(plan.host);
    const protocol = plan.fallback;
    const self = { protocol, host: plan.host, port: PROTOCOLS[protocol].defaultPort };
    return { found: [self], unanswered: finding.unanswered };
  }

  async #byNaptr({ host, protocols }: Plan & { type: 'services' }): Promise<ServerFinding> {
    const answer = await this.#options.dns.naptr(host);
    const usable = recordsOf(answer)
      .toSorted((a, b) => a.order - b.order || a.preference - b.preference)
      .flatMap(record => {
        const protocol = protocolOf(record, protocols);
        return protocol === undefined ? [] : [{ ...record, protocol }];
      });
    const findings = usable.slice(0, MAX_NAPTR).map(({ protocol, flags, replacement }) => {
      if (flags.toLowerCase() === 's') return this.#bySrv(protocol, replacement);
      const port = PROTOCOLS[protocol].defaultPort;
      const found = [{ protocol, host: replacement, port }];
      return { found, unanswered: false, declined: false };
    });
    return join(await Promise.all(findings));
  }

  async #byService(protocol: SipProtocol, host: string): Promise<ServerFinding> {
    const { service } = PROTOCOLS[protocol];
    if (service === undefined) return { found: [], unanswered: false, declined: false };
    return this.#bySrv(protocol, `${service}.${host}`);
  }

  async #bySrv(protocol: SipProtocol, name: string): Promise<ServerFinding> {
    const answer = await this.#options.dns.srv(name);
    const records = recordsOf(answer);
    const offered = records.filter(record => record.name !== '' && record.name !== '.');
    const servers = orderServers(offered, this.#options.random).slice(0, MAX_SERVERS);
    return {
      found: servers.map(({ name: host, port }) => ({ protocol, host, port })),
      unanswered: answer.type === 'failed',
      declined: records.length > 0 && offered.length === 0,
    };
  }

  async #addresses(host: string): Promise<Finding<string>> {
    const families = this.#options.families();
    const asked = isLocalName(host) ? [] : families;
    const answers = await Promise.all(asked.map(family => this.#ask(family, host)));
    const found = takeTurns(answers.map(recordsOf));
    if (found.length > 0) return { found, unanswered: false };
    const looked = await this.#within(LOOKUP_LIMIT_MS, this.#options.lookup(host), []);
    const byFamily = families.map(family =>
      looked.filter(address => isIPv6(address) === (family === 'IPv6')),
    );
    return {
      found: takeTurns(byFamily),
      unanswered: answers.some(({ type }) => type === 'failed'),
    };
  }

  #ask(family: AddressFamily, host: string): Promise<DnsAnswer<string>> {
    const { dns } = this.#options;
    const answer = family === 'IPv6' ? dns.aaaa(host) : dns.a(host);
    return this.#within(ADDRESSES_LIMIT_MS, answer, {
      type: 'failed',
      reason: 'no answer in time',
    });
  }

  /** `otherwise` where `work` fails, or takes longer. */
  #within<T>(ms: number, work: Promise<T>, otherwise: T): Promise<T> {
    return new Promise(resolve => {
      const timer = this.#options.clock.after(ms, () => resolve(otherwise));
      void work
        .catch(() => otherwise)
        .then(result => {
          timer.cancel();
          resolve(result);
        });
    });
  }
}

function targetOf(
  { protocol, port }: { protocol: SipProtocol; port: number },
  address: string,
  name: string | undefined,
): Target {
  const endpoint = { address, port };
  const { secure } = PROTOCOLS[protocol];
  return secure && name !== undefined
    ? { protocol, endpoint, tlsName: name }
    : { protocol, endpoint };
}

/** The protocol a NAPTR record leads to; undefined where it is none of `protocols`, or needs rewriting. */
function protocolOf(
  { flags, service, regexp }: NaptrRecord,
  protocols: readonly SipProtocol[],
): SipProtocol | undefined {
  if (regexp !== '' || !['s', 'a'].includes(flags.toLowerCase())) return undefined;
  return protocols.find(name => PROTOCOLS[name].naptr === service.toUpperCase());
}

function recordsOf<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.type === 'found' ? answer.records : [];
}

function join(findings: readonly ServerFinding[]): ServerFinding {
  return {
    found: findings.flatMap(({ found }) => found).slice(0, MAX_SERVERS),
    unanswered: findings.some(({ unanswered }) => unanswered),
    declined: findings.some(({ declined }) => declined),
  };
}

/** One of each in turn, so that a family without a way costs one attempt and not all (RFC 8305 §4). */
function takeTurns(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) =>
    lists.flatMap(list => list.slice(turn, turn + 1)),
  );
  return turns.flat().slice(0, MAX_ADDRESSES);
}

function noSuchHost(host: string): CodedError {
  return new CodedError('NO_SUCH_HOST', `the name ${host} is not known on this network`, {
    remedy: 'Check the spelling, or call by address.',
  });
}

function notOffered(host: string): CodedError {
  return new CodedError('SERVICE_NOT_OFFERED', `${host} says that it takes no SIP calls`, {
    remedy: 'Ask whoever runs this domain for another address.',
  });
}

function noAnswer(host: string): CodedError {
  return new CodedError('NO_DNS_ANSWER', `nobody on this network could say where ${host} is`, {
    remedy:
      'Check the name server of this network. Without one, call by address or by the name of a phone on this LAN.',
  });
}
