/**
 * The server's side of digest authentication: RFC 7616 §3.3-§3.5, RFC 3261 §22, RFC 8760 §2.
 * Serves a user agent server (401) or a proxy (407). Time is handed in.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  AuthenticationInfo,
  type AuthenticationValue,
  Authorization,
  Params,
  ProxyAuthenticate,
  ProxyAuthenticationInfo,
  ProxyAuthorization,
  parseUri,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  sameUri,
  WwwAuthenticate,
} from '@sip-stack/parser';
import type { Random } from '../../core/random.js';
import { makeResponse } from '../response.js';
import {
  computeResponse,
  type DigestAlgorithm,
  type DigestHash,
  formatCount,
  hashOf,
  secretOf,
} from './computation.js';
import { Nonces } from './nonces.js';
import { type DigestCredentials, isDigest, readCredentials, writeChallenge } from './values.js';

/** Who may do things here. */
export interface CredentialStore {
  /** H(user:realm:password) for this hash; undefined for an unknown user or a hash not kept. */
  ha1(username: string, realm: string, hash: DigestHash): string | undefined;
}

export interface DigestServerOptions {
  readonly realm: string;
  readonly store: CredentialStore;
  readonly random: Random;
  /** By default a user agent server. */
  readonly role?: 'user-agent' | 'proxy';
  /** Offered in this order, one header field each; by default SHA-256 and MD5 (RFC 8760 §2.3). */
  readonly algorithms?: readonly DigestAlgorithm[];
}

export type Refusal =
  /** 401 or 407. Whether user or password was wrong, or none given, is not told. */
  | { readonly type: 'challenge'; readonly challenges: readonly AuthenticationValue[] }
  /** 400 */
  | { readonly type: 'malformed'; readonly reason: string };

export interface Acceptance {
  readonly type: 'accepted';
  readonly username: string;
  /** Writes the proof that this side knows the password too, once the response is complete (RFC 7616 §3.5). */
  prove(response: SipResponse): void;
}

const DEFAULT_ALGORITHMS: readonly DigestAlgorithm[] = ['SHA-256', 'MD5'];

const USER_AGENT = {
  status: 401,
  challenge: WwwAuthenticate,
  credentials: Authorization,
  info: AuthenticationInfo,
};
const PROXY = {
  status: 407,
  challenge: ProxyAuthenticate,
  credentials: ProxyAuthorization,
  info: ProxyAuthenticationInfo,
};

/** Whether a request of this method can be sent again with credentials, RFC 3261 §22.1. */
export function isChallengeable(method: string): boolean {
  return method !== 'ACK' && method !== 'CANCEL';
}

export class DigestServer {
  readonly #options: DigestServerOptions;
  readonly #algorithms: readonly DigestAlgorithm[];
  readonly #role: typeof USER_AGENT | typeof PROXY;
  readonly #nonces: Nonces;
  readonly #decoyKey: Uint8Array;

  constructor(options: DigestServerOptions) {
    this.#options = options;
    this.#algorithms = options.algorithms ?? DEFAULT_ALGORITHMS;
    this.#role = options.role === 'proxy' ? PROXY : USER_AGENT;
    this.#nonces = new Nonces(options.random);
    this.#decoyKey = options.random.bytes(32);
  }

  /**
   * Judges a request whose method `isChallengeable`; each right one counts as a use of its nonce.
   *
   * @param now in ms, on a scale that never goes back
   * @throws {SipSyntaxError} for a credentials line that cannot be read
   */
  check(request: SipRequest, now: number): Acceptance | Refusal {
    const value = request.headers
      .all(this.#role.credentials)
      .find(
        ({ scheme, params }) => isDigest(scheme) && params.get('realm') === this.#options.realm,
      );
    if (!value) return this.#challenge(now, false);
    const credentials = readCredentials(value);
    if (!credentials) {
      return { type: 'malformed', reason: 'the digest credentials lack something' };
    }
    if (!namesTarget(credentials, request)) {
      return { type: 'malformed', reason: 'the digest credentials are for another URI' };
    }
    const secret = this.#verify(credentials, request);
    if (secret === undefined) return this.#challenge(now, false);
    // Without `qop` nothing is counted, so such a nonce is good for one request.
    const count = credentials.protection?.count ?? 1;
    if (!this.#nonces.use(credentials.nonce, count, now)) return this.#challenge(now, true);
    return {
      type: 'accepted',
      username: credentials.username,
      prove: response => this.#prove(credentials, secret, response),
    };
  }

  /** The response a refused request deserves. */
  refuse(request: SipRequest, refusal: Refusal, localTag: string): SipResponse {
    if (refusal.type === 'malformed') {
      const response = makeResponse(request, 400, localTag);
      response.reason = `Bad Request: ${refusal.reason}`;
      return response;
    }
    const response = makeResponse(request, this.#role.status, localTag);
    response.headers.set(this.#role.challenge, ...refusal.challenges);
    return response;
  }

  #challenge(now: number, stale: boolean): Refusal {
    const { realm } = this.#options;
    const nonce = this.#nonces.issue(now);
    const challenges = this.#algorithms.map(algorithm =>
      writeChallenge({ realm, nonce, algorithm, stale }, ['auth', 'auth-int']),
    );
    return { type: 'challenge', challenges };
  }

  /** The secret the response was made with; undefined for an unknown user as for a wrong password. */
  #verify(credentials: DigestCredentials, request: SipRequest): string | undefined {
    const { username, realm, nonce, algorithm, protection, response } = credentials;
    if (!this.#algorithms.includes(algorithm)) return undefined;
    const hash = hashOf(algorithm);
    // Made for everyone, so that an unknown user takes no less time.
    const decoy = this.#decoy(username, hash);
    const known = this.#options.store.ha1(username, realm, hash);
    const secret = secretOf(algorithm, known ?? decoy, nonce, protection?.cnonce ?? '');
    const { method, body } = request;
    const expected = Buffer.from(computeResponse(secret, { ...credentials, method, body }));
    const given = Buffer.from(response.toLowerCase());
    const same = given.length === expected.length && timingSafeEqual(given, expected);
    return same && known !== undefined ? secret : undefined;
  }

  /** As long as a real one. */
  #decoy(username: string, hash: DigestHash): string {
    const decoy = createHmac('sha256', this.#decoyKey).update(username).digest('hex');
    return hash === 'MD5' ? decoy.slice(0, 32) : decoy;
  }

  #prove(credentials: DigestCredentials, secret: string, response: SipResponse): void {
    const { protection } = credentials;
    if (!protection) return;
    const { qop, cnonce, count } = protection;
    const rspauth = computeResponse(secret, { ...credentials, method: '', body: response.body });
    response.headers.set(
      this.#role.info,
      Params.from({ qop, rspauth, cnonce, nc: formatCount(count) }),
    );
  }
}

/** RFC 7616 §3.4.6: what was signed is what is asked for. */
function namesTarget({ uri }: DigestCredentials, request: SipRequest): boolean {
  try {
    return sameUri(parseUri(uri), request.uri);
  } catch (error) {
    if (error instanceof SipSyntaxError) return false;
    throw error;
  }
}
