/** Phones and proxies on a virtual network: the fixture of the tests of proxies. */
import { isSipUri, parseMessage, type SipMessage, sipUri, type Uri } from '@sip-stack/parser';
import type { Test } from 'tap';
import { silentLogger } from '../../src/core/logger.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { type LinkOptions, VirtualNetwork } from '../../src/simulation/virtual-network.js';
import type { ProxyHooks } from '../../src/sip/proxy/hooks.js';
import { SipProxy } from '../../src/sip/proxy/proxy.js';
import { type NextHop, type Target, targetOf } from '../../src/sip/proxy/target.js';
import { Registrar, type RegistrarHooks } from '../../src/sip/registrar/registrar.js';
import type { RequestAuthenticator } from '../../src/sip/request-client.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { TransactionLayer } from '../../src/sip/transaction/layer.js';
import { TransportManager } from '../../src/sip/transport/transport-manager.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { record } from './pair.js';

export interface Phone {
  readonly address: string;
  readonly agent: UserAgent;
  /** What its sessions told, in order of their arrival. */
  readonly calls: string[][];
  readonly sessions: SipSession[];
  /** By default it rings, and answers after a second. */
  onSession: (session: SipSession) => void;
}

export interface ProxyHost {
  readonly address: string;
  readonly proxy: SipProxy;
  readonly registrar: Registrar;
  readonly layer: TransactionLayer;
}

/** What a proxy host may be given; by default it is responsible for its domain and asks its registrar. */
export type ProxyChanges = Partial<ProxyHooks>;

export class Lab {
  readonly clock = new VirtualClock();
  readonly network: VirtualNetwork;
  readonly phones: Phone[] = [];
  readonly proxies: ProxyHost[] = [];
  /** Where domains are. */
  readonly domains = new Map<string, NextHop>();
  readonly seed: number;

  constructor(seed = 1, link: Partial<LinkOptions> = {}) {
    this.seed = seed;
    this.network = new VirtualNetwork({ clock: this.clock, seed, link });
  }

  /** @param outbound the proxy that stands for every name the phone looks up */
  async phone(
    address: string,
    outbound?: string,
    authenticator?: RequestAuthenticator,
  ): Promise<Phone> {
    const agent = new UserAgent({
      network: this.network.host(address),
      clock: this.clock,
      random: new SeededRandom(this.seed * 1000 + this.phones.length),
      logger: silentLogger,
      listen: { address: '0.0.0.0', port: 5060 },
      product: 'Test/1',
      resolve: resolverByLookup(async () => (outbound === undefined ? [] : [outbound])),
      ...(authenticator && { authenticator }),
    });
    const phone: Phone = {
      address,
      agent,
      calls: [],
      sessions: [],
      onSession: session => {
        session.ring();
        this.clock.after(1000, () => session.accept('answer'));
      },
    };
    agent.onSession = session => {
      phone.calls.push(record(session));
      phone.sessions.push(session);
      phone.onSession(session);
    };
    await agent.start();
    this.phones.push(phone);
    return phone;
  }

  /** @param authenticate who registers; anybody, by default */
  async proxy(
    address: string,
    domain: string,
    changes: ProxyChanges = {},
    authenticate?: RegistrarHooks['authenticate'],
  ): Promise<ProxyHost> {
    const random = new SeededRandom(this.seed * 7000 + this.proxies.length);
    const { clock } = this;
    const logger = silentLogger;
    const transports = await TransportManager.open({
      network: this.network.host(address),
      clock,
      random,
      logger,
      listen: { address: '0.0.0.0', port: 5060 },
    });
    const registrar = new Registrar({
      clock,
      random,
      logger,
      hooks: {
        authenticate: authenticate ?? (async () => ({ type: 'proven', user: 'anyone' })),
        authorize: () => undefined,
        serviceRoute: () => [],
        changed: () => undefined,
      },
    });
    const layer = new TransactionLayer(
      { transports, clock, random, logger },
      {
        request: (request, transaction, source) => {
          const ours = isSipUri(request.uri) && request.uri.host === domain;
          if (transaction && request.method === 'REGISTER' && ours) {
            void registrar.request(request, transaction);
          } else {
            proxy.request(request, transaction, source);
          }
        },
      },
    );
    const hooks: ProxyHooks = {
      admit: async () => undefined,
      targets: async ({ uri }) => {
        const contacts = registrar.lookup(uri);
        return isSipUri(uri) && uri.user === 'nobody' ? 404 : contacts.map(targetOf);
      },
      resolve: async uri => this.#resolve(uri),
      isSelf: uri => uri.host === address,
      isResponsible: uri => isSipUri(uri) && uri.host === domain,
      addressFor: () => ({ transport: 'UDP', host: address, port: 5060 }),
      recordRoute: ({ method }) => method === 'INVITE' || method === 'REGISTER',
      ...changes,
    };
    const proxy = new SipProxy({ transactions: layer, clock, random, logger, hooks });
    this.domains.set(domain, hop(address));
    const host = { address, proxy, registrar, layer };
    this.proxies.push(host);
    return host;
  }

  /** A socket that writes what no user agent of ours would, and reads everything. */
  async device(address: string, port = 5062) {
    const heard: SipMessage[] = [];
    const socket = await this.network
      .host(address)
      .bindDatagram({ address, port, trafficClass: 'default' });
    socket.onMessage = data => {
      heard.push(parseMessage(data.slice()));
    };
    const send = (to: string, text: string) =>
      socket.send(Buffer.from(text), { address: to, port: 5060 });
    return { heard, send };
  }

  /** Registers phones for an address by REGISTER to a proxy host; Contact parameters may follow. */
  async register(aor: string, at: string, ...contacts: string[]): Promise<void> {
    const domain = aor.split('@')[1] ?? '';
    const registrations = this.#registrations++;
    const { heard, send } = await this.device('10.0.0.99', 6000 + registrations);
    const lines = [
      `REGISTER sip:${domain} SIP/2.0`,
      `Via: SIP/2.0/UDP 10.0.0.99:${6000 + registrations};branch=z9hG4bKr${registrations}`,
      'Max-Forwards: 70',
      `From: <sip:${aor}>;tag=r${registrations}`,
      `To: <sip:${aor}>`,
      `Call-ID: r${registrations}`,
      'CSeq: 1 REGISTER',
      ...contacts.map(contact => `Contact: ${contact}`),
    ];
    send(at, `${lines.join('\r\n')}\r\n\r\n`);
    await this.clock.advance(100);
    const [response] = heard;
    if (response?.kind !== 'response' || response.status !== 200) throw new Error('not registered');
  }

  #registrations = 0;

  /** A call to `uri` by way of the proxy at `via`. */
  call(
    from: Phone,
    uri: string,
    via: string,
    offer = 'offer',
  ): { session: SipSession; events: string[] } {
    const [user, host = ''] = uri.split('@');
    const session = from.agent.invite({
      uri: sipUri({ user, host }),
      to: { address: via, port: 5060 },
      from: { user: 'caller' },
      local: { address: from.address, port: 5060 },
      offer,
    });
    return { session, events: record(session) };
  }

  /** First lines of what was sent between two hosts, in order; 100s left out. */
  sent(from: string, to: string): string[] {
    return this.network.trace
      .filter(entry => entry.from.startsWith(`${from}:`) && entry.to.startsWith(`${to}:`))
      .map(({ what }) =>
        what
          .split(' ')
          .slice(1)
          .join(' ')
          .replace(/ ?SIP\/2.0 ?/, ''),
      )
      .filter(line => !line.startsWith('100'));
  }

  /** After every timer of the RFC has run out nothing is left anywhere. */
  async isIdle(t: Test): Promise<void> {
    await this.clock.advance(300_000);
    for (const { agent, address } of this.phones) {
      const idle = { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 };
      t.same(agent.load, idle, `nothing is left at phone ${address}`);
    }
    for (const { proxy, layer, address } of this.proxies) {
      t.equal(proxy.size, 0, `no context is left at proxy ${address}`);
      t.same(layer.size, { clients: 0, servers: 0 }, `no transaction is left at proxy ${address}`);
    }
    for (const { registrar } of this.proxies) registrar.stop();
    t.equal(this.clock.pending, 0, 'no timer is left');
  }

  #resolve(uri: Uri): NextHop[] {
    if (!isSipUri(uri)) return [];
    const domain = this.domains.get(uri.host);
    if (domain) return [domain];
    return /^[\d.]+$/.test(uri.host) ? [hop(uri.host, uri.port)] : [];
  }
}

/** Where a message goes to or came from. */
export const hop = (address: string, port = 5060): NextHop => ({
  protocol: 'UDP',
  endpoint: { address, port },
});

export const target = (uri: Uri, changes: Partial<Target> = {}): Target => ({
  uri,
  q: 1,
  route: [],
  ...changes,
});
