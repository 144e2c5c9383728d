/** Whom we talk to over TLS: authorities and names (RFC 5922), pinned keys, or anybody on a LAN. */
import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { CodedError } from '../../core/errors.js';
import type { TlsIdentity, TlsPeer } from '../../core/network.js';

export type TlsTrust =
  /** Encrypted, and nobody proves anything: phones of a LAN that never met. */
  | { readonly type: 'anybody' }
  /**
   * Both sides prove to own a key; `accept` decides about it (by `keyFingerprint`) and about the name
   * it was asked for. Dates and issuers do not matter: clocks are wrong at boot.
   */
  | {
      readonly type: 'keys';
      readonly accept: (fingerprint: string, name: string | undefined) => boolean;
    }
  /**
   * Certificates lead to one of these authorities (PEM; by default those of the runtime) and a server
   * proves the name we asked for. A client may come without one.
   */
  | { readonly type: 'authorities'; readonly certificates?: readonly string[] };

/**
 * How whom we call by `name` has to prove who it is; undefined for an address, and for who calls us.
 * The same name always gets the same answer.
 */
export type TrustPolicy = (name: string | undefined) => TlsTrust;

export interface TlsSettings {
  /** Needed to listen; shown to servers that ask. A function is asked at each handshake. */
  readonly identity?: TlsIdentity | (() => Promise<TlsIdentity>);
  readonly trust: TlsTrust | TrustPolicy;
}

export function trustFor({ trust }: TlsSettings, name: string | undefined): TlsTrust {
  return typeof trust === 'function' ? trust(name) : trust;
}

/**
 * Passes, or throws `CodedError` `TLS_UNTRUSTED`.
 *
 * @param name whom we called; undefined where the other side called us, or an address was called
 */
export function checkPeer(
  trust: TlsTrust,
  { certificate, chainProblem }: TlsPeer,
  role: 'dialled' | 'accepted',
  name?: string,
): void {
  switch (trust.type) {
    case 'anybody':
      return;
    case 'keys':
      if (!certificate) throw untrusted('it showed no certificate');
      if (trust.accept(keyFingerprint(certificate), name)) return;
      throw untrusted('its key is not one we know');
    case 'authorities':
      if (!certificate && role === 'accepted') return;
      if (!certificate || chainProblem !== undefined) {
        throw untrusted(chainProblem ?? 'it showed no certificate');
      }
      if (name === undefined || speaksFor(certificate, name)) return;
      throw untrusted(`its certificate is not for ${name}`);
  }
}

/** SHA-256 of the public key (SubjectPublicKeyInfo), base64, as RFC 7469 §2.4 pins it. */
export function keyFingerprint({ publicKey }: X509Certificate): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}

/**
 * Whether a certificate is for this SIP domain: a `sip:` URI or a DNS name among its alternative names,
 * else its common name; whole names only, no wildcards (RFC 5922 §7.1, §7.2).
 */
export function speaksFor(certificate: X509Certificate, name: string): boolean {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const alternatives = certificate.subjectAltName;
  if (alternatives === undefined) {
    return /^CN=(.+)$/m.exec(certificate.subject)?.[1]?.toLowerCase() === wanted;
  }
  // Node quotes values that hold commas and the like; no name we look for does.
  const plain = alternatives.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return plain.split(', ').some(entry => {
    const [, kind, found] = /^(URI|DNS|IP Address):(.*)$/.exec(entry) ?? [];
    const value = found?.toLowerCase();
    if (kind === 'URI') return value === `sip:${wanted}`;
    return value === wanted && (kind === 'IP Address') === (isIP(wanted) !== 0);
  });
}

function untrusted(reason: string): CodedError {
  return new CodedError('TLS_UNTRUSTED', `the other side could not prove who it is: ${reason}`, {
    remedy: 'Check its certificate, and which certificates or keys this phone trusts.',
  });
}
