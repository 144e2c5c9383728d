/**
 * What a phone with users sees in its days, from one stranger: calls, refused and cancelled ones,
 * registrations and questions, by every protocol, and what is no SIP at all.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { Params, type SipUri, sipUri } from '@sip-stack/parser';
import { SystemClock } from '../../src/core/clock.js';
import { silentLogger } from '../../src/core/logger.js';
import type { Endpoint } from '../../src/core/network.js';
import { SystemRandom } from '../../src/core/random.js';
import { SystemNetwork } from '../../src/core/system-network.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { DigestClient, passwordAccount } from '../../src/sip/digest/client.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import type { EndReason } from '../../src/sip/session/state.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { type Cleanup, PlainFailure } from '../harness/program.js';
import { openSocket } from '../harness/udp.js';
import { corpus } from '../sip-parser/corpus.js';
import { mutant } from '../sip-parser/mutate.js';

export const PROTOCOLS = ['UDP', 'TCP', 'TLS', 'WS'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Each round, by each protocol. */
const CALLS = 5;
const QUESTIONS = 3;
/** Each round. */
const BROKEN_MESSAGES = 150;
/** Whatever it is, it takes no longer. */
const LIMIT_MS = 15_000;
const RINGING_MS = 50;
/** Long enough for a caller that gives up to be first on a busy machine. */
const DECLINED_MS = 2000;

export interface TrafficOptions {
  readonly cleanup: Cleanup;
  readonly seed: number;
  readonly places: Readonly<Record<Protocol, Endpoint>>;
  /** As the phone knows them. */
  readonly user: string;
  readonly password: string;
}

/** What was done, and what of it did not end as it should. */
export interface Tally {
  done: number;
  failed: string[];
}

export class MixedTraffic {
  readonly tally: Tally = { done: 0, failed: [] };
  readonly #options: TrafficOptions;
  readonly #agent: UserAgent;
  readonly #random: SeededRandom;
  readonly #messages = corpus().map(({ octets }) => octets.toString('latin1'));
  #mediaPort = 0;
  #udp!: Awaited<ReturnType<typeof openSocket>>;

  static async start(options: TrafficOptions): Promise<MixedTraffic> {
    const traffic = new MixedTraffic(options);
    await traffic.#start();
    return traffic;
  }

  private constructor(options: TrafficOptions) {
    const random = new SystemRandom();
    const account = passwordAccount(options.user, options.password);
    const client = new DigestClient({ account: () => account, random });
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#agent = new UserAgent({
      network: new SystemNetwork(),
      clock: new SystemClock(),
      random,
      logger: silentLogger,
      listen: { address: '127.0.0.1', port: 0 },
      tls: { trust: { type: 'anybody' } },
      product: 'Stranger/1',
      resolve: resolverByLookup(async () => []),
      authenticator: { begin: () => client.begin() },
    });
    // Who is called here rings, and declines after a while unless the caller gives up. Registered by
    // every protocol, it is called by all of them at once: only a 6xx is everybody's answer.
    this.#agent.onSession = session => {
      session.ring();
      setTimeout(() => session.reject(603), DECLINED_MS);
    };
  }

  async #start(): Promise<void> {
    const { cleanup } = this.#options;
    await this.#agent.start();
    cleanup.add(() => this.#agent.stop());
    const media = await openSocket();
    this.#mediaPort = media.address().port;
    cleanup.add(() => void media.close());
    this.#udp = await openSocket();
    cleanup.add(() => void this.#udp.close());
  }

  async round(): Promise<void> {
    await Promise.all([...PROTOCOLS.map(protocol => this.#by(protocol)), this.#broken()]);
  }

  async #by(protocol: Protocol): Promise<void> {
    const { user } = this.#options;
    await this.#expect(`REGISTER by ${protocol}`, 200, this.#register(protocol));
    for (let call = 0; call < CALLS; call++) {
      await this.#expect(`call by ${protocol}`, 'we hang up', this.#call(protocol, '*43'));
    }
    await this.#expect(`call to nobody by ${protocol}`, 404, this.#call(protocol, 'nobody'));
    await this.#expect(`call refused by ${protocol}`, 603, this.#call(protocol, user));
    await this.#expect(`call given up by ${protocol}`, 487, this.#call(protocol, user, RINGING_MS));
    for (let question = 0; question < QUESTIONS; question++) {
      await this.#expect(`OPTIONS by ${protocol}`, 200, this.#ask(protocol));
    }
  }

  async #expect<T>(what: string, expected: T, attempt: Promise<T>): Promise<void> {
    this.tally.done++;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>(resolve => {
      timer = setTimeout(() => resolve(`nothing within ${LIMIT_MS} ms`), LIMIT_MS);
    });
    const found = await Promise.race([attempt, late]).catch(error => String(error));
    clearTimeout(timer);
    if (found !== expected) this.tally.failed.push(`${what}: ${found} in place of ${expected}`);
  }

  /** How it ends: `we hang up` once it was taken, else the status of its refusal. */
  async #call(
    protocol: Protocol,
    user: string,
    giveUpMs?: number,
  ): Promise<number | 'we hang up' | undefined> {
    const { endpoint, uri } = this.#place(protocol, user);
    const session = this.#agent.invite({
      uri,
      to: { protocol, endpoint },
      from: { user: this.#options.user },
      local: await this.#agent.localEndpointFor(endpoint.address),
      offer: this.#offer(),
    });
    if (giveUpMs !== undefined) {
      session.once('ringing', () => setTimeout(() => session.hangUp(), giveUpMs));
    }
    let taken = false;
    session.once('answered', () => {
      taken = true;
      setTimeout(() => session.hangUp(), RINGING_MS);
    });
    const [reason] = (await once(session, 'ended')) as [EndReason];
    return taken ? 'we hang up' : reason.status;
  }

  async #register(protocol: Protocol): Promise<number> {
    const { user } = this.#options;
    const { endpoint, uri } = this.#place(protocol);
    const self = { uri: this.#place(protocol, user).uri, params: new Params() };
    const { status } = await this.#agent.request({
      ...{ method: 'REGISTER', uri, to: { protocol, endpoint }, from: self, toward: self },
      headers: { Expires: '120' },
    });
    return status;
  }

  async #ask(protocol: Protocol): Promise<number> {
    const { endpoint, uri } = this.#place(protocol);
    return (await this.#agent.ping(uri, { protocol, endpoint }, this.#options.user)).status;
  }

  #place(protocol: Protocol, user?: string): { endpoint: Endpoint; uri: SipUri } {
    const endpoint = this.#options.places[protocol];
    return { endpoint, uri: sipUri({ host: endpoint.address, ...(user && { user }) }) };
  }

  #offer(): string {
    const lines = [
      ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'],
      `m=audio ${this.#mediaPort} RTP/AVP 0`,
    ];
    return lines.map(line => `${line}\r\n`).join('');
  }

  /** Datagrams, and a connection that ends in the middle of something. */
  async #broken(): Promise<void> {
    const { UDP, TCP } = this.#options.places;
    for (let index = 0; index < BROKEN_MESSAGES; index++) {
      this.#udp.send(mutant(this.#random, this.#messages), UDP.port, UDP.address);
      if (index % 10 === 0) await new Promise(resolve => setTimeout(resolve, 5));
    }
    const socket = connect(TCP.port, TCP.address);
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.end(mutant(this.#random, this.#messages));
    socket.resume();
    await closed;
    this.tally.done += BROKEN_MESSAGES + 1;
  }
}

/** Of those that the phone says it listens at. */
export function placesOf(listening: readonly { protocol: string; at: string }[]) {
  const place = (protocol: Protocol): Endpoint => {
    const at = listening.find(entry => entry.protocol === protocol)?.at;
    if (at === undefined) throw new PlainFailure(`the phone does not listen for ${protocol}`);
    const colon = at.lastIndexOf(':');
    return { address: at.slice(0, colon), port: Number(at.slice(colon + 1)) };
  };
  return { UDP: place('UDP'), TCP: place('TCP'), TLS: place('TLS'), WS: place('WS') };
}
