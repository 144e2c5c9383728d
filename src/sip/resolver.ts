/** Where the requests to a URI may be sent: what the rooms above ask, whoever answers. */
import { isIP } from 'node:net';
import type { Uri } from '@sip-stack/parser';
import { CodedError } from '../core/errors.js';
import { directPlan, PROTOCOLS } from './resolution/plan.js';
import type { HostLookup } from './resolution/target-resolver.js';
import type { Target } from './transport/transport.js';

/** RFC 3261 §19.1.2. */
export const DEFAULT_SIP_PORT = PROTOCOLS.UDP.defaultPort;

/** Targets of a URI, best first, never empty; throws `CodedError` `NO_SUCH_HOST` and the like. */
export type UriResolver = (uri: Uri) => Promise<readonly Target[]>;

/**
 * Resolves addresses by themselves and names by a lookup alone, without the DNS records of RFC 3263
 * (`resolution/target-resolver.ts` knows those): for networks without DNS, and for tests.
 *
 * The resolver throws `CodedError` `UNSUPPORTED_URI`, `UNSUPPORTED_TRANSPORT`, `NO_SUCH_HOST`.
 */
export function resolverByLookup(lookup: HostLookup): UriResolver {
  return async uri => {
    const { host, tlsName, protocol, port } = directPlan(uri);
    const addresses = isIP(host) ? [host] : await lookup(host);
    if (addresses.length === 0) {
      throw new CodedError('NO_SUCH_HOST', `the name ${host} is not known on this network`, {
        remedy: 'Check the spelling, or call by address.',
      });
    }
    const { secure } = PROTOCOLS[protocol];
    return addresses.map(address => ({
      protocol,
      endpoint: { address, port },
      ...(secure && tlsName !== undefined && { tlsName }),
    }));
  };
}
