/** The ways a scenario of SIPp goes over: which protocol, which family of addresses, what a stream suffers. */
import { formatEndpoint, parseEndpoint } from '../../src/core/endpoint.js';
import type { Endpoint } from '../../src/core/network.js';
import type { Cleanup } from '../harness/program.js';
import { type Manner, startRelay } from '../harness/relay.js';
import type { ScenarioOptions } from '../harness/sipp.js';
import { freePort } from '../harness/udp.js';
import { selfSigned } from '../sip/certificate.js';

export interface Way {
  readonly protocol: 'UDP' | 'TCP' | 'TLS';
  readonly family: 'IPv4' | 'IPv6';
  readonly manner: Manner;
}

export const WAYS = {
  UDP: { protocol: 'UDP', family: 'IPv4', manner: 'as it comes' },
  TCP: { protocol: 'TCP', family: 'IPv4', manner: 'as it comes' },
  'TCP, cut': { protocol: 'TCP', family: 'IPv4', manner: 'cut' },
  'TCP, joined': { protocol: 'TCP', family: 'IPv4', manner: 'joined' },
  'TCP, joined and cut': { protocol: 'TCP', family: 'IPv4', manner: 'joined and cut' },
  TLS: { protocol: 'TLS', family: 'IPv4', manner: 'as it comes' },
  'UDP over IPv6': { protocol: 'UDP', family: 'IPv6', manner: 'as it comes' },
  'TCP over IPv6': { protocol: 'TCP', family: 'IPv6', manner: 'as it comes' },
} as const satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof WAYS;

/** Where the phone that runs takes calls, for each family. */
export type PhonePlaces = Readonly<Record<Way['family'], { plain: string; tls: string }>>;

/** What a scenario is played with, and where it then can be called. */
export interface Passage {
  readonly scenario: Pick<ScenarioOptions, 'address' | 'port' | 'protocol' | 'keys'>;
  /** `HOST:PORT` and the parameter of its protocol, as a SIP URI has them. */
  readonly at: string;
}

const loopback = (way: Way) => (way.family === 'IPv6' ? '::1' : '127.0.0.1');

/** For a peer that is called: by way of a relay, unless it is by UDP. */
export async function wayToPeer(cleanup: Cleanup, way: Way): Promise<Passage> {
  const address = loopback(way);
  const port = await freePort(address);
  if (way.protocol === 'UDP') return passage(way, port, { address, port });
  const relayed = await startRelay({
    cleanup,
    address,
    to: { address, port },
    phone: 'caller',
    manner: way.manner,
    ...(way.protocol === 'TLS' && { tls: selfSigned('peer') }),
  });
  return passage(way, port, { address, port: relayed });
}

/** For a peer that calls; answers also whom it calls, a phone or the relay before it. */
export async function wayToPhone(
  cleanup: Cleanup,
  way: Way,
  phones: PhonePlaces,
): Promise<Passage & { readonly target: string }> {
  const address = loopback(way);
  const port = await freePort(address);
  const own = passage(way, port, { address, port });
  const { plain, tls } = phones[way.family];
  if (way.protocol === 'UDP') return { ...own, target: plain };
  const relayed = await startRelay({
    cleanup,
    address,
    to: parseEndpoint(way.protocol === 'TLS' ? tls : plain, { address, port: 0 }),
    phone: 'called',
    manner: way.manner,
    ...(way.protocol === 'TLS' && { tls: selfSigned('peer') }),
  });
  return { ...own, target: formatEndpoint({ address, port: relayed }) };
}

function passage(way: Way, port: number, reachable: Endpoint): Passage {
  const { protocol } = way;
  const parameter = protocol === 'UDP' ? '' : `;transport=${protocol.toLowerCase()}`;
  const at = `${formatEndpoint(reachable)}${parameter}`;
  return {
    scenario: {
      address: loopback(way),
      port,
      // SIPp itself speaks no TLS here: a relay does.
      protocol: protocol === 'UDP' ? 'UDP' : 'TCP',
      keys: { protocol, at },
    },
    at,
  };
}
