/** Ordinary SIP phones around a simulated telephone that has users: the fixture of the tests of its server role. */
import { Params, parseUri, type SipResponse, sipUri } from '@sip-stack/parser';
import { silentLogger } from '../../src/core/logger.js';
import type { Locator } from '../../src/discovery/locator.js';
import type { Telephone, TelephoneOptions } from '../../src/runtime/telephone.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { DigestClient, passwordAccount } from '../../src/sip/digest/client.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { MemoryStore } from '../../src/storage/memory-store.js';
import { record } from '../sip/pair.js';

export const KITCHEN = '10.0.0.1';
export const SERVER = { address: KITCHEN, port: 5060 };

export interface OrdinaryPhone {
  readonly agent: UserAgent;
  readonly address: string;
  readonly calls: string[][];
  readonly sessions: SipSession[];
}

/** Of the kitchen, beside its users. */
export interface HouseholdSettings extends Pick<TelephoneOptions, 'watchers' | 'overlay'> {
  readonly locator?: Locator;
}

export class Household {
  readonly world = new Simulation({ seed: 5 });
  readonly #agents: UserAgent[] = [];
  /** What the kitchen keeps over a restart. */
  readonly store = new MemoryStore();
  kitchen!: Telephone;

  /** @param users as in the settings; each with the password `password-NAME`; the first may be other settings */
  async open(...named: (string | HouseholdSettings)[]): Promise<void> {
    const users = named.filter(name => typeof name === 'string');
    const [settings] = named.filter(name => typeof name !== 'string');
    this.kitchen = await this.world.addPhone('kitchen', KITCHEN, {
      ...settings,
      users: users.map(name => ({ name, password: `password-${name}` })),
      store: () => this.store,
    });
  }

  /** The kitchen stops, and starts anew. */
  async restart(...users: string[]): Promise<void> {
    await this.#withinTime(this.kitchen.stop());
    await this.open(...users);
  }

  /** An ordinary phone that answers after a second, with credentials if it has a name. */
  async phone(
    address: string,
    name?: string,
    password = `password-${name}`,
  ): Promise<OrdinaryPhone> {
    const { clock, network } = this.world;
    const random = new SeededRandom(this.#agents.length + 100);
    const account = passwordAccount(name ?? '', password);
    const client = new DigestClient({ account: () => account, random });
    const agent = new UserAgent({
      network: network.host(address),
      clock,
      random,
      logger: silentLogger,
      listen: { address, port: 5060 },
      product: 'Ordinary/1',
      resolve: resolverByLookup(async () => []),
      ...(name !== undefined && { authenticator: { begin: () => client.begin() } }),
    });
    const phone: OrdinaryPhone = { agent, address, calls: [], sessions: [] };
    agent.onSession = session => {
      phone.calls.push(record(session));
      phone.sessions.push(session);
      session.ring();
      clock.after(1000, () => session.accept('answer'));
    };
    await agent.start();
    this.#agents.push(agent);
    return phone;
  }

  /** Asks the kitchen; the answer's status, within half a minute of virtual time. */
  async ask(
    { agent }: OrdinaryPhone,
    method: string,
    to: string,
    {
      from = to,
      headers = {},
      body,
    }: { from?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
  ): Promise<SipResponse> {
    const asked = agent.request({
      method,
      uri: parseUri(`sip:${method === 'REGISTER' ? KITCHEN : to}`),
      to: SERVER,
      from: { uri: parseUri(`sip:${from}`), params: new Params() },
      ...(method === 'REGISTER' && {
        toward: { uri: parseUri(`sip:${to}`), params: new Params() },
      }),
      headers,
      ...(body && { body }),
    });
    return this.#withinTime(asked);
  }

  async register(phone: OrdinaryPhone, aor: string, expires = 600): Promise<number> {
    return (await this.ask(phone, 'REGISTER', aor, { headers: { Expires: String(expires) } }))
      .status;
  }

  call(from: OrdinaryPhone, caller: string, uri: string) {
    const session = from.agent.invite({
      uri: sipUri({ user: uri.split('@')[0], host: uri.split('@')[1] ?? '' }),
      to: SERVER,
      from: { user: caller, host: KITCHEN },
      local: { address: from.address, port: 5060 },
      offer: 'offer',
    });
    return { session, events: record(session) };
  }

  async close(): Promise<void> {
    const stopped = Promise.all(this.#agents.map(agent => agent.stop()));
    await this.world.clock.advance(5000);
    await stopped;
    await this.world.stop();
  }

  async #withinTime<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const settled = work.finally(() => {
      done = true;
    });
    settled.catch(() => undefined);
    await this.world.clock.advanceUntil(() => done, 40_000);
    return settled;
  }
}
