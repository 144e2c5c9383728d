/** Who may register here, and how they prove it: RFC 3261 §22, with the hashes of RFC 8760. */
import { isSipUri, ProxyAuthorization, type SipRequest, sipUri, type Uri } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import type { Random } from '../../core/random.js';
import { randomToken } from '../../core/random.js';
import { ha1Of } from '../digest/computation.js';
import { type CredentialStore, DigestServer } from '../digest/server.js';
import type { Authentication } from '../registrar/registrar.js';
import type { Source } from '../transport/transport.js';
import { Challenges, OFFERS, type Offer } from './challenges.js';

/** Somebody who may register a phone of theirs here. */
export interface UserSettings {
  /** The user part of their address; compared without regard to case. */
  readonly name: string;
  readonly password: string;
}

export interface UsersOptions {
  readonly users: readonly UserSettings[];
  /** What the password is for, as phones show it. */
  readonly realm: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The host of the address that stands for all by which a user may be called. */
const CANONICAL_HOST = 'local';

type Role = 'user-agent' | 'proxy';

export class Users {
  readonly #options: UsersOptions;
  readonly #passwords: ReadonlyMap<string, string>;
  readonly #challenges = new Challenges();
  readonly #servers = new Map<string, DigestServer>();

  constructor(options: UsersOptions) {
    this.#options = options;
    this.#passwords = new Map(options.users.map(({ name, password }) => [fold(name), password]));
  }

  get names(): readonly string[] {
    return [...this.#passwords.keys()];
  }

  /** The user of that name, whatever its case. */
  find(name: string | undefined): string | undefined {
    const user = fold(name ?? '');
    return this.#passwords.has(user) ? user : undefined;
  }

  /** The one address under which a user's phones are kept. */
  addressOf(user: string): Uri {
    return sipUri({ user: fold(user), host: CANONICAL_HOST });
  }

  /** As `addressOf`, for any of the addresses of a user. */
  canonical(uri: Uri): Uri {
    return isSipUri(uri) && uri.user !== undefined ? this.addressOf(uri.user) : uri;
  }

  /**
   * Whose request this is.
   *
   * @param role who asks: the registrar is asked as a user agent (401), the proxy as such (407)
   * @throws {SipSyntaxError} for a credentials line that cannot be read
   */
  authenticate(request: SipRequest, source: Source, role: Role): Authentication {
    const { clock, random, logger } = this.#options;
    const now = clock.now();
    const tried = request.headers.has(role === 'proxy' ? 'Proxy-Authorization' : 'Authorization');
    const offer = this.#challenges.offerTo(request, source, { tried, now });
    const server = this.#server(role, offer);
    const judgement = server.check(request, now);
    if (judgement.type === 'accepted') {
      return { type: 'proven', user: fold(judgement.username) };
    }
    const { method } = request;
    const from = source.endpoint.address;
    if (tried) logger.info({ method, from }, 'credentials were not accepted');
    const response = server.refuse(request, judgement, randomToken(random, 8));
    return { type: 'refused', response };
  }

  /** Takes off what was meant for us: whom it goes on to could try passwords on it. */
  withholdCredentials({ headers }: SipRequest): void {
    const others = headers
      .all(ProxyAuthorization)
      .filter(({ params }) => params.get('realm') !== this.#options.realm);
    headers.set(ProxyAuthorization, ...others);
  }

  /** One for each way of asking; their nonces are their own. */
  #server(role: Role, offer: Offer): DigestServer {
    const key = `${role} ${offer}`;
    const known = this.#servers.get(key);
    if (known) return known;
    const { realm, random } = this.#options;
    const algorithms = OFFERS[offer];
    const server = new DigestServer({ realm, random, role, algorithms, store: this.#store });
    this.#servers.set(key, server);
    return server;
  }

  readonly #store: CredentialStore = {
    ha1: (username, realm, hash) => {
      const password = this.#passwords.get(fold(username));
      return password === undefined ? undefined : ha1Of(hash, username, realm, password);
    },
  };
}

function fold(name: string): string {
  return name.toLowerCase();
}
