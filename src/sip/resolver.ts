/** Where a URI's requests go. Literal addresses for now, and host names by the lookup handed in. */
import { isIP } from 'node:net';
import { isSipUri, type Uri } from '@sip-stack/parser';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import { describeTarget, PROTOCOLS } from './resolution/plan.js';

/** RFC 3261 §19.1.2. */
export const DEFAULT_SIP_PORT = PROTOCOLS.UDP.defaultPort;

/** Addresses of a host name, best first; empty where it has none. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/** @throws {CodedError} `UNSUPPORTED_URI`, `NO_SUCH_HOST` */
export async function resolveUri(uri: Uri, lookup: HostLookup): Promise<Endpoint> {
  if (!isSipUri(uri) || uri.scheme !== 'sip') {
    throw new CodedError('UNSUPPORTED_URI', `expected a sip: address, found a ${uri.scheme}: one`, {
      remedy: 'Call it by a sip: address.',
    });
  }
  const host = uri.params.get('maddr') ?? uri.host;
  const port = uri.port ?? PROTOCOLS[describeTarget(uri).protocol].defaultPort;
  if (isIP(host)) return { address: host, port };
  const [address] = await lookup(host);
  if (address === undefined) {
    throw new CodedError(
      'NO_SUCH_HOST',
      `the name ${host} is not known to the DNS of this network`,
      {
        remedy: 'Check the spelling, or call by address.',
      },
    );
  }
  return { address, port };
}
