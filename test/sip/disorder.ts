/**
 * One user agent among strangers who say what is nearly right, at random moments, by UDP and TCP, while
 * its user does what users do. However it goes: nothing is thrown, what the agent asks is well formed,
 * and when the user has hung up and time has passed, nothing of it is left.
 */
import { checkRequest, parseMessage, StreamFramer, sipUri } from '@sip-stack/parser';
import { silentLogger } from '../../src/core/logger.js';
import type { DatagramSocket, Endpoint, StreamConnection } from '../../src/core/network.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { DigestClient, passwordAccount } from '../../src/sip/digest/client.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { Strangers } from './strangers.js';
import { unhurried } from './unhurried.js';

const AGENT: Endpoint = { address: '10.0.0.2', port: 5060 };
const STRANGERS: readonly Endpoint[] = ['10.0.0.11', '10.0.0.12', '10.0.0.13'].map(address => ({
  address,
  port: 5060,
}));

/** A datagram's way, and what comes of it at once. */
const DELIVERED_MS = 2;
/** After the user has hung up: BYE, CANCEL and INVITE have 64 T1 each, one after the other; idle connections 600 s. */
const SETTLED_MS = 1_000_000;
const STREAM_SHARE = 0.25;

export interface Disorder {
  /** What is wrong; empty where all is well. */
  readonly complaints: readonly string[];
  /** How long each input took, in ms of this machine. */
  readonly times: readonly number[];
  /** Calls that came in. */
  readonly calls: number;
  /** Messages the agent said. */
  readonly heard: number;
}

/** @param inputs messages that the strangers say */
export async function playDisorder(seed: number, inputs: number): Promise<Disorder> {
  const complaints: string[] = [];
  const rejected = (reason: unknown) => complaints.push(`a promise was rejected: ${told(reason)}`);
  process.on('unhandledRejection', rejected);
  const scene = new Scene(seed, complaints);
  try {
    await scene.begin();
    while (scene.times.length < inputs) await scene.act();
    await scene.end();
  } catch (error) {
    complaints.push(`input ${scene.times.length} threw: ${told(error)}`);
  } finally {
    process.off('unhandledRejection', rejected);
  }
  const { times, calls, heard } = scene;
  return { complaints, times, calls, heard };
}

class Scene {
  readonly times: number[] = [];
  calls = 0;
  heard = 0;
  readonly #complaints: string[];
  readonly #random: SeededRandom;
  readonly #clock = new VirtualClock();
  readonly #network: VirtualNetwork;
  readonly #agent: UserAgent;
  readonly #strangers: Strangers;
  readonly #sockets: DatagramSocket[] = [];
  readonly #sessions: SipSession[] = [];
  /** To the agent, while it is open. */
  #stream: StreamConnection | undefined;

  constructor(seed: number, complaints: string[]) {
    this.#complaints = complaints;
    this.#random = new SeededRandom(seed);
    this.#strangers = new Strangers(new SeededRandom(seed + 0.5 * 2 ** 32));
    const clock = this.#clock;
    this.#network = new VirtualNetwork({ clock, seed });
    const random = new SeededRandom(seed + 1);
    const account = passwordAccount('bob', 'secret');
    this.#agent = new UserAgent({
      network: unhurried(this.#network.host(AGENT.address), clock, () => this.#random.unit() * 2),
      clock,
      random,
      logger: silentLogger,
      listen: { address: '0.0.0.0', port: AGENT.port },
      product: 'Test/1',
      resolve: resolverByLookup(async () => []),
      authenticator: new DigestClient({ account: () => account, random }),
    });
    this.#agent.onSession = session => {
      this.calls++;
      this.#attend(session);
    };
  }

  async begin(): Promise<void> {
    await this.#agent.start();
    for (const endpoint of STRANGERS) {
      const host = this.#network.host(endpoint.address);
      const socket = await host.bindDatagram({ ...endpoint, trafficClass: 'signalling' });
      socket.onMessage = data => this.#hear(data);
      this.#sockets.push(socket);
      await host.listenStream({ ...endpoint, onConnection: stream => this.#follow(stream) });
    }
  }

  /** The user does something, or not; a stranger says something, or several at once; time passes. */
  async act(): Promise<void> {
    const random = this.#random;
    if (random.unit() < 0.35) this.#use();
    if (random.unit() < STREAM_SHARE && !this.#stream) await this.#connect();
    const count = random.unit() < 0.1 ? 2 : 1;
    const said = Array.from({ length: count }, () => this.#strangers.speak());
    const started = performance.now();
    for (const octets of said) {
      if (this.#stream && random.unit() < STREAM_SHARE) this.#stream.write(octets);
      else this.#one(this.#sockets).send(octets, AGENT);
    }
    await this.#clock.advance(DELIVERED_MS);
    const took = performance.now() - started;
    for (const _ of said) this.times.push(took);
    const pause = random.unit();
    if (pause < 0.1) await this.#clock.advance(random.unit() * 5000);
    if (pause > 0.99) await this.#clock.advance(random.unit() * 70_000);
  }

  /** Everybody goes home. */
  async end(): Promise<void> {
    this.#stream?.end();
    // A last call may be on its way in.
    await this.#clock.advance(DELIVERED_MS);
    for (const session of this.#sessions) session.hangUp();
    await this.#clock.advance(SETTLED_MS);
    for (const [what, count] of Object.entries(this.#agent.load)) {
      if (count > 0) this.#complaints.push(`${count} ${what} left`);
    }
    if (this.#agent.transports.connections > 0) this.#complaints.push('connections left');
    if (this.#clock.pending > 0) this.#complaints.push(`${this.#clock.pending} timers left`);
    // Whoever stops waits for the answers to all that was asked: none can be missing now.
    let stopped = false;
    const stopping = this.#agent.stop().then(() => {
      stopped = true;
    });
    await this.#clock.advance(0);
    if (!stopped) this.#complaints.push('it still waits for answers');
    await this.#clock.advance(SETTLED_MS);
    await stopping;
  }

  // ---- strangers

  async #connect(): Promise<void> {
    const host = this.#network.host(this.#one(STRANGERS).address);
    const connecting = host.connectStream({ to: AGENT });
    await this.#clock.advance(2 * DELIVERED_MS);
    void connecting.then(
      stream => {
        this.#stream = stream;
        this.#follow(stream);
      },
      () => undefined,
    );
  }

  #follow(stream: StreamConnection): void {
    const framer = new StreamFramer();
    stream.onData = data => {
      for (const event of framer.push(data)) if (event.type === 'message') this.#hear(event.data);
    };
    stream.onClose = () => {
      if (this.#stream === stream) this.#stream = undefined;
    };
  }

  #hear(data: Uint8Array): void {
    this.heard++;
    const message = parseMessage(data.slice());
    // A response repeats what a stranger said, which may be malformed; a request is all the agent's own.
    if (message.kind === 'request') checkRequest(message);
    this.#strangers.hear(message);
  }

  // ---- the user

  #attend(session: SipSession): void {
    this.#sessions.push(session);
    session.on('reoffer', () => {
      const choice = this.#random.unit();
      if (choice < 0.6) session.accept('v=0\r\n');
      else if (choice < 0.9) session.reject(488);
    });
    session.on('request', request => {
      const status = this.#one([200, 202, 405, 489, 603]);
      this.#clock.after(this.#random.unit() * 1000, () => session.respond(request, status));
    });
  }

  #use(): void {
    const random = this.#random;
    const session = this.#one(this.#sessions);
    const choice = Math.floor(random.unit() * 10);
    if (!session || choice === 0) this.#call();
    else if (choice === 1) void this.#ask();
    else USES[choice - 2]?.(session);
  }

  #call(): void {
    const to = this.#one(STRANGERS);
    const uri = sipUri({ user: 's', host: to.address });
    if (this.#random.unit() < STREAM_SHARE) uri.params.set('transport', 'tcp');
    const from = { user: 'bob' };
    this.#attend(this.#agent.invite({ uri, to, from, local: AGENT, offer: 'v=0\r\n' }));
  }

  async #ask(): Promise<void> {
    const to = this.#one(STRANGERS);
    const uri = sipUri({ user: 's', host: to.address });
    try {
      await this.#agent.ping(uri, to, 'bob');
    } catch {
      // Nobody answered, which is no wonder.
    }
  }

  #one<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random.unit() * choices.length)]!;
  }
}

const USES: readonly ((session: SipSession) => void)[] = [
  session => session.ring(),
  session => session.progress('v=0\r\n'),
  session => session.accept('v=0\r\n'),
  session => session.accept('v=0\r\n'),
  session => session.reject(486),
  session => session.reoffer('v=0\r\n'),
  session => session.send({ method: 'INFO', headers: {} }),
  session => session.hangUp(),
];

function told(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
