/** Where a phone listens beside UDP and TCP: the ports of TLS and WebSocket. */
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';

/** At the address of `listen`; `off`: not at all. */
export type PortChoice = number | 'off';

export type OptionalProtocol = 'TLS' | 'WS' | 'WSS';

export type PortChoices = Readonly<Partial<Record<OptionalProtocol, PortChoice>>>;

/** What is left out is not listened for. */
export type OptionalListen = Readonly<Partial<Record<OptionalProtocol, Endpoint>>>;

const HIGHEST_PORT = 65_535;

/** @throws {CodedError} `BAD_PORT` */
export function parsePortChoice(text: string): PortChoice {
  if (text === 'off') return text;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
  if (port <= HIGHEST_PORT) return port;
  throw new CodedError(
    'BAD_PORT',
    `expected a port from 0 to ${HIGHEST_PORT} or off, found "${text}"`,
    {
      remedy: 'The address is that of --listen; port 0 takes any free one.',
    },
  );
}

/** TLS one port above the others, as 5061 is above 5060 (RFC 3261 §19.1.2), and no WebSocket, unless said otherwise. */
export function optionalListen({ address, port }: Endpoint, choices: PortChoices): OptionalListen {
  const above = port === 0 || port === HIGHEST_PORT ? 0 : port + 1;
  const ports: Required<PortChoices> = { TLS: above, WS: 'off', WSS: 'off', ...choices };
  const at = (choice: PortChoice) => (choice === 'off' ? undefined : { address, port: choice });
  const [TLS, WS, WSS] = [at(ports.TLS), at(ports.WS), at(ports.WSS)];
  return { ...(TLS && { TLS }), ...(WS && { WS }), ...(WSS && { WSS }) };
}
