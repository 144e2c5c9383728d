/** Whom a phone believes: over TLS names prove themselves and addresses cannot; web pages have their origin. */
import type { TlsIdentity } from '../core/network.js';
import type { TlsFiles } from '../identity/tls-files.js';
import { isLocalName } from '../sip/resolution/plan.js';
import type { TlsSettings, TlsTrust, TrustPolicy } from '../sip/transport/tls-trust.js';
import type { WebSocketOptions } from '../sip/transport/web-socket.js';

/** What the configuration says of TLS. */
export interface TlsChoices {
  /** Instead of the phone's own. */
  readonly identity?: TlsIdentity;
  /** Where that came from. */
  readonly files?: TlsFiles;
  /** PEM; those that Node.js knows by default. */
  readonly authorities?: readonly string[];
  /** Of a server that is called by name; by default that an authority vouches for it. */
  readonly trust?: 'authorities' | 'anybody';
}

export function tlsSettings(
  choices: TlsChoices,
  own: () => Promise<TlsIdentity>,
): TlsSettings & { readonly identity: () => Promise<TlsIdentity> } {
  const { identity } = choices;
  return { identity: identity ? async () => identity : own, trust: trustPolicy(choices) };
}

/** Programs that are no web pages have no origin. */
export function webSocketOptions(origins: readonly string[] | undefined): WebSocketOptions {
  if (!origins) return {};
  return { acceptOrigin: origin => origin === undefined || origins.includes(origin) };
}

const ANYBODY: TlsTrust = { type: 'anybody' };

/**
 * A server called by name has to prove that name (RFC 5922). Phones of the LAN are called by address and never
 * met before: with them it is encryption alone, and so it is with names of the LAN, for which no public
 * authority vouches, unless authorities are named.
 */
export function trustPolicy({ trust = 'authorities', authorities }: TlsChoices): TrustPolicy {
  if (trust === 'anybody') return () => ANYBODY;
  const proved: TlsTrust = {
    type: 'authorities',
    ...(authorities && { certificates: authorities }),
  };
  return name => {
    if (name === undefined) return ANYBODY;
    return authorities === undefined && isLocalName(name) ? ANYBODY : proved;
  };
}
