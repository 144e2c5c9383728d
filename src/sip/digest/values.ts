/** Challenges and credentials of the scheme `Digest`, out of header field values and into them (RFC 7616 §3.3, §3.4). */
import { type AuthenticationValue, Params } from '@sip-stack/parser';
import {
  type DigestAlgorithm,
  formatCount,
  isSession,
  type Protection,
  type Qop,
  readAlgorithm,
} from './computation.js';

export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  /** Goes back as it came. */
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** Undefined: the server asks for none, in the manner of RFC 2069. */
  readonly qop: Qop | undefined;
  /** The password was right, the nonce too old. */
  readonly stale: boolean;
}

export interface DigestCredentials {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** As written. */
  readonly uri: string;
  readonly algorithm: DigestAlgorithm;
  readonly protection: Protection | undefined;
  readonly response: string;
}

const SCHEME = 'Digest';
const COUNT = /^[0-9a-f]{8}$/i;

/** Undefined for what cannot be answered: another scheme, an unknown algorithm or quality of protection. */
export function readChallenge({
  scheme,
  params,
}: AuthenticationValue): DigestChallenge | undefined {
  const realm = params.get('realm');
  const nonce = params.get('nonce');
  const algorithm = readAlgorithm(params.get('algorithm'));
  if (!isDigest(scheme) || realm === undefined || nonce === undefined || !algorithm) {
    return undefined;
  }
  const offered = params.get('qop');
  const qop = offered === undefined ? undefined : chooseQop(offered);
  // A session is bound to a cnonce, which credentials without `qop` do not carry.
  if (qop === undefined && (offered !== undefined || isSession(algorithm))) return undefined;
  const stale = params.get('stale')?.toLowerCase() === 'true';
  return { realm, nonce, opaque: params.get('opaque'), algorithm, qop, stale };
}

/** @param qop what all challenges of ours offer */
export function writeChallenge(
  { realm, nonce, algorithm, stale }: Omit<DigestChallenge, 'opaque' | 'qop'>,
  qop: readonly Qop[],
): AuthenticationValue {
  const params = Params.from({ realm, nonce, algorithm, qop: qop.join(',') });
  if (stale) params.set('stale', 'true');
  return { scheme: SCHEME, params };
}

/** Undefined for another scheme, an unknown algorithm, or a parameter missing or malformed. */
export function readCredentials({
  scheme,
  params,
}: AuthenticationValue): DigestCredentials | undefined {
  const username = params.get('username');
  const realm = params.get('realm');
  const nonce = params.get('nonce');
  const uri = params.get('uri');
  const response = params.get('response');
  const algorithm = readAlgorithm(params.get('algorithm'));
  if (!isDigest(scheme) || !algorithm) return undefined;
  if (username === undefined || realm === undefined || nonce === undefined) return undefined;
  if (uri === undefined || response === undefined) return undefined;
  const protection = readProtection(params);
  if (!protection && (params.has('qop') || isSession(algorithm))) return undefined;
  const opaque = params.get('opaque');
  return { username, realm, nonce, opaque, uri, algorithm, protection, response };
}

export function writeCredentials(credentials: DigestCredentials): AuthenticationValue {
  const { username, realm, nonce, opaque, uri, algorithm, protection, response } = credentials;
  const params = Params.from({ username, realm, nonce, uri, response, algorithm });
  if (opaque !== undefined) params.set('opaque', opaque);
  if (protection) {
    const { qop, cnonce, count } = protection;
    params.set('cnonce', cnonce).set('qop', qop).set('nc', formatCount(count));
  }
  return { scheme: SCHEME, params };
}

export function isDigest(scheme: string): boolean {
  return scheme.toLowerCase() === SCHEME.toLowerCase();
}

/** `auth` where it is offered: what stands between may have good reason to change a session description. */
function chooseQop(offered: string): Qop | undefined {
  const names = offered.toLowerCase().split(',');
  const known = names.map(name => name.trim());
  if (known.includes('auth')) return 'auth';
  return known.includes('auth-int') ? 'auth-int' : undefined;
}

function readProtection(params: Params): Protection | undefined {
  const qop = params.get('qop')?.toLowerCase();
  const cnonce = params.get('cnonce');
  const nc = params.get('nc') ?? '';
  if ((qop !== 'auth' && qop !== 'auth-int') || cnonce === undefined || !COUNT.test(nc)) {
    return undefined;
  }
  return { qop, cnonce, count: Number.parseInt(nc, 16) };
}
