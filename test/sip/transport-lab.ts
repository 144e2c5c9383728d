/** User agents and bare transports on a virtual network: the fixture of the tests of transports. */
import {
  parseMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  sipUri,
} from '@sip-stack/parser';
import { silentLogger } from '../../src/core/logger.js';
import type { Endpoint, StreamConnection } from '../../src/core/network.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';

import { resolverByLookup } from '../../src/sip/resolver.js';

import { TransactionLayer } from '../../src/sip/transaction/layer.js';
import type { Source, Target } from '../../src/sip/transport/transport.js';
import {
  TransportManager,
  type TransportOptions,
} from '../../src/sip/transport/transport-manager.js';

import { UserAgent } from '../../src/sip/user-agent.js';

export const ALICE = '10.0.0.1';
export const BOB = '10.0.0.2';
export const STRANGER = '10.0.0.9';
export const SIP_PORT = 5060;

export interface Lab {
  readonly clock: VirtualClock;
  readonly network: VirtualNetwork;
  agent(address: string, options?: Partial<TransportOptions>): Promise<UserAgent>;
  /** A connection from a host that speaks no SIP by itself. */
  connect(to?: Endpoint, from?: string): Promise<Wiretap>;
  /** Advances until the promise settles. */
  during<T>(promise: Promise<T>, withinMs?: number): Promise<T>;
}

/** One end of a raw connection, with what it heard. */
export interface Wiretap {
  readonly stream: StreamConnection;
  heard: string;
  /** Undefined while open. */
  closed: { error: Error | undefined } | undefined;
}

export function lab(seed = 1): Lab {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed });
  let agents = 0;
  const during = async <T>(promise: Promise<T>, withinMs = 60_000): Promise<T> => {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    await clock.advanceUntil(() => settled, withinMs);
    return done;
  };
  return {
    clock,
    network,
    during,
    async agent(address, options = {}) {
      agents++;
      const agent = new UserAgent({
        network: network.host(address),
        clock,
        random: new SeededRandom(seed * 100 + agents),
        logger: silentLogger,
        listen: { address, port: SIP_PORT },
        product: 'Test/1',
        resolve: resolverByLookup(async () => []),
        ...options,
      });
      await agent.start();
      return agent;
    },
    async connect(to = { address: BOB, port: SIP_PORT }, from = STRANGER) {
      return tap(await during(network.host(from).connectStream({ to })));
    },
  };
}

export function tap(stream: StreamConnection): Wiretap {
  const wiretap: Wiretap = { stream, heard: '', closed: undefined };
  stream.onData = data => {
    wiretap.heard += Buffer.from(data).toString('latin1');
  };
  stream.onClose = error => {
    wiretap.closed = { error };
  };
  return wiretap;
}

/** A request as a stranger writes it. */
export function text(method: string, changes: Record<string, string> = {}, body = ''): string {
  const fields: Record<string, string> = {
    Via: `SIP/2.0/TCP ${STRANGER}:5070;branch=z9hG4bK-${method}`,
    'Max-Forwards': '70',
    From: `<sip:s@${STRANGER}>;tag=1`,
    To: `<sip:bob@${BOB}>`,
    'Call-ID': 'abc',
    CSeq: `1 ${method}`,
    Contact: `<sip:s@${STRANGER}:5070;transport=tcp>`,
    'Content-Length': String(body.length),
    ...changes,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return `${method} sip:bob@${BOB} SIP/2.0\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A request of a given size, ready for a transaction. */
export function request(method: string, branch: string, bodyOctets = 0): SipRequest {
  const message = parseMessage(
    Buffer.from(text(method, { Via: `SIP/2.0/UDP ${ALICE}:5060;branch=${branch}` })),
  );
  if (message.kind !== 'request') throw new Error('expected a request');
  message.body = Buffer.alloc(bodyOctets, 'x');
  return message;
}

export function target(transport: string, address = BOB) {
  return sipUri({ user: 'bob', host: address, params: { transport } });
}

export function ping(agent: UserAgent, transport: string, to: Endpoint): Promise<SipResponse> {
  return agent.ping(target(transport, to.address), to, 'alice');
}

export const BOB_SIP = { address: BOB, port: SIP_PORT };
export const TO_BOB: Target = { protocol: 'TCP', endpoint: BOB_SIP };

/** How many connections a host asked for. */
export const attempts = ({ network }: Lab, from = ALICE) =>
  network.trace.filter(entry => entry.what === 'SYN' && entry.from.startsWith(`${from}:`)).length;

/** Transports alone, and what came in by them. */
export async function transports(
  world: Lab,
  address = ALICE,
  options: Partial<TransportOptions> = {},
) {
  const heard: { message: SipMessage; source: Source }[] = [];
  const lost: { flow: string; error: Error }[] = [];
  const manager = await TransportManager.open({
    network: world.network.host(address),
    clock: world.clock,
    random: new SeededRandom(7),
    logger: silentLogger,
    listen: { address, port: SIP_PORT },
    ...options,
  });
  manager.onMessage = (message, source) => heard.push({ message, source });
  manager.onFlowClosed = (flow, error) => lost.push({ flow, error });
  return { manager, heard, lost };
}

/** Transactions alone: what they send is answered by `bob` if there is one. */
export async function transactions(world: Lab) {
  const { manager } = await transports(world);
  const layer = new TransactionLayer(
    {
      transports: manager,
      clock: world.clock,
      random: new SeededRandom(8),
      logger: silentLogger,
    },
    { request: () => undefined },
  );
  const ask = (message: SipRequest, to: Target) =>
    new Promise<SipResponse>((resolve, reject) => {
      layer.request(message, to, {
        response: response => response.status >= 200 && resolve(response),
        failed: reject,
      });
    });
  return { manager, layer, ask };
}
