/** Two user agents on a virtual network: the fixture of the tests of sessions. */

import { sipUri } from '@sip-stack/parser';
import { silentLogger } from '../../src/core/logger.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { type LinkOptions, VirtualNetwork } from '../../src/simulation/virtual-network.js';
import type { RequestAuthenticator } from '../../src/sip/request-client.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { unhurried } from './unhurried.js';

export const ALICE = '10.0.0.1';
export const BOB = '10.0.0.2';

export interface Pair {
  clock: VirtualClock;
  network: VirtualNetwork;
  alice: UserAgent;
  bob: UserAgent;
  /** Alice calls Bob. */
  call(offer?: string): SipSession;
}

export async function pair(
  seed = 1,
  link: Partial<LinkOptions> = {},
  authenticator?: RequestAuthenticator,
  addressPauseMs = 0,
): Promise<Pair> {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed, link });
  const hostAt = (address: string) => {
    const host = network.host(address);
    return addressPauseMs > 0 ? unhurried(host, clock, () => addressPauseMs) : host;
  };
  const agent = (address: string, agentSeed: number) =>
    new UserAgent({
      network: hostAt(address),
      clock,
      random: new SeededRandom(agentSeed),
      logger: silentLogger,
      listen: { address: '0.0.0.0', port: 5060 },
      product: 'Test/1',
      resolve: resolverByLookup(async () => []),
      ...(authenticator && { authenticator }),
    });
  const alice = agent(ALICE, seed + 1);
  const bob = agent(BOB, seed + 2);
  await alice.start();
  await bob.start();
  const call = (offer = 'v=0\r\n') => {
    const to = { address: BOB, port: 5060 };
    const local = { address: ALICE, port: 5060 };
    const uri = sipUri({ user: 'bob', host: BOB });
    return alice.invite({ uri, to, from: { user: 'alice' }, local, offer });
  };
  return { clock, network, alice, bob, call };
}

/** Every event of a session, as text, in order. */
export function record(session: SipSession): string[] {
  const events: string[] = [];
  session.on('ringing', () => events.push('ringing'));
  session.on('earlyMedia', sdp => events.push(`early ${sdp}`));
  session.on('reanswered', sdp => events.push(`reanswered ${sdp}`));
  session.on('offerRefused', status => events.push(`offer refused ${status}`));
  session.on('answered', sdp => events.push(`answered ${sdp}`));
  session.on('confirmed', sdp => events.push(`confirmed ${sdp}`));
  session.on('reoffer', sdp => events.push(`reoffer ${sdp}`));
  session.on('ended', ({ by, status }) => events.push(`ended by ${by} ${status}`));
  return events;
}
