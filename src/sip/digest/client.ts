/**
 * The client's side of digest authentication: RFC 7616 §3.4, RFC 3261 §22.2 and §22.3, RFC 8760 §2.
 * A `DigestClient` knows one server, or one proxy and what is behind it; each request to it is an exchange.
 */
import {
  AuthenticationInfo,
  type AuthenticationValue,
  Authorization,
  formatUri,
  type HeaderField,
  type Params,
  ProxyAuthenticate,
  ProxyAuthenticationInfo,
  ProxyAuthorization,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  WwwAuthenticate,
} from '@sip-stack/parser';
import { CodedError } from '../../core/errors.js';
import { type Random, randomToken } from '../../core/random.js';
import {
  computeResponse,
  DIGEST_HASHES,
  type DigestHash,
  ha1Of,
  hashOf,
  secretOf,
} from './computation.js';
import {
  type DigestChallenge,
  type DigestCredentials,
  readChallenge,
  writeCredentials,
} from './values.js';

/** Who one is in a realm. */
export interface DigestAccount {
  readonly username: string;
  /** H(user:realm:password); undefined where it is not known for this hash. */
  ha1(realm: string, hash: DigestHash): string | undefined;
}

export interface DigestClientOptions {
  /** The account for a realm, undefined where there is none. */
  readonly account: (realm: string) => DigestAccount | undefined;
  readonly random: Random;
}

/** What a response means for the authentication of its request. */
export type ExchangeVerdict =
  /** The response is the caller's business. */
  | { readonly type: 'proceed' }
  /** Send the request again: new branch, next CSeq, `authorize` (RFC 3261 §22.2). */
  | { readonly type: 'retry' }
  /** `WRONG_CREDENTIALS`, `NO_CREDENTIALS`, `UNKNOWN_CHALLENGE`, `SERVER_NOT_PROVEN` */
  | { readonly type: 'failed'; readonly error: CodedError };

/** Realms remembered of one server, since a response may name as many as it likes. */
const MAX_SPACES = 16;

/** How often one request follows a server that calls one nonce after the other stale. */
const MAX_ANSWERS = 3;

const CNONCE_OCTETS = 16;

const PROCEED: ExchangeVerdict = { type: 'proceed' };

/** User agent servers and proxies challenge side by side, RFC 3261 §22.3. */
const SIDES = [
  { challenge: WwwAuthenticate, credentials: Authorization, info: AuthenticationInfo },
  {
    challenge: ProxyAuthenticate,
    credentials: ProxyAuthorization,
    info: ProxyAuthenticationInfo,
  },
] as const;

type Side = (typeof SIDES)[number];

/** What is known of one realm on one side, used again for each request (RFC 3261 §22.3). */
interface ProtectionSpace {
  readonly side: Side;
  readonly challenge: DigestChallenge;
  readonly username: string;
  readonly secret: string;
  /** One for the life of a nonce: then `-sess` means the same to all who read RFC 7616 §3.4.2. */
  readonly cnonce: string;
  /** Uses of the nonce. */
  count: number;
}

type Spaces = Map<string, ProtectionSpace>;

export function passwordAccount(username: string, password: string): DigestAccount {
  return { username, ha1: (realm, hash) => ha1Of(hash, username, realm, password) };
}

export class DigestClient {
  readonly #options: DigestClientOptions;
  readonly #spaces: Spaces = new Map();

  constructor(options: DigestClientOptions) {
    this.#options = options;
  }

  /** For one request, from its first sending to its final response. */
  begin(): DigestExchange {
    return new DigestExchange(this.#options, this.#spaces);
  }
}

export class DigestExchange {
  readonly #options: DigestClientOptions;
  readonly #spaces: Spaces;
  /** What the latest sending carried, by protection space. */
  readonly #sent = new Map<string, { space: ProtectionSpace; credentials: DigestCredentials }>();
  /** Challenges met by this request, by protection space. */
  readonly #answers = new Map<string, number>();

  /** From `DigestClient.begin`. */
  constructor(options: DigestClientOptions, spaces: Spaces) {
    this.#options = options;
    this.#spaces = spaces;
  }

  /**
   * Writes the credentials for all realms known so far. Call it for each sending with a CSeq of its
   * own, after everything else is in the request; a retransmission is no new sending.
   */
  authorize(request: SipRequest): void {
    this.#sent.clear();
    for (const side of SIDES) {
      const values: AuthenticationValue[] = [];
      for (const [key, space] of this.#spaces) {
        if (space.side !== side) continue;
        const credentials = credentialsFor(space, request);
        this.#sent.set(key, { space, credentials });
        values.push(writeCredentials(credentials));
      }
      request.headers.set(side.credentials, ...values);
    }
  }

  receive(response: SipResponse): ExchangeVerdict {
    if (response.status === 401 || response.status === 407) return this.#challenged(response);
    for (const side of SIDES) {
      const [info] = readAll(response, side.info);
      if (info && !this.#learn(side, info, response.body)) return failed(notProven());
    }
    return PROCEED;
  }

  #challenged(response: SipResponse): ExchangeVerdict {
    let answerable = false;
    let unknown: string | undefined;
    const withoutAccount: string[] = [];
    for (const side of SIDES) {
      const values = readAll(response, side.challenge);
      for (const realm of new Set(values.map(({ params }) => params.get('realm') ?? ''))) {
        const account = this.#options.account(realm);
        if (!account) {
          withoutAccount.push(realm);
          continue;
        }
        const ofRealm = values.filter(({ params }) => (params.get('realm') ?? '') === realm);
        const choice = strongest(ofRealm, account);
        if (!choice) {
          unknown = realm;
          continue;
        }
        const error = this.#answer(side, choice.challenge, account.username, choice.ha1);
        if (error) return failed(error);
        answerable = true;
      }
    }
    if (answerable) return { type: 'retry' };
    return failed(
      unknown === undefined ? noCredentials(withoutAccount) : unknownChallenge(unknown),
    );
  }

  /** Takes up a challenge; an error where answering it would lead nowhere. */
  #answer(
    side: Side,
    challenge: DigestChallenge,
    username: string,
    ha1: string,
  ): CodedError | undefined {
    const { realm, nonce, algorithm, stale } = challenge;
    const key = `${side.challenge.name} ${realm}`;
    const answers = this.#answers.get(key) ?? 0;
    const sent = this.#sent.get(key)?.credentials;
    // A remembered nonce may be refused for its age alone, said or not. One made for this request may not.
    const refused = !stale && (answers > 0 || sent?.nonce === nonce);
    if (refused || answers >= MAX_ANSWERS) {
      this.#spaces.delete(key);
      return wrongCredentials(username, realm, stale);
    }
    this.#answers.set(key, answers + 1);
    const known = this.#spaces.get(key);
    if (known?.challenge.nonce === nonce && known.challenge.algorithm === algorithm) return;
    const cnonce = randomToken(this.#options.random, CNONCE_OCTETS);
    const secret = secretOf(algorithm, ha1, nonce, cnonce);
    const space: ProtectionSpace = { side, challenge, username, secret, cnonce, count: 0 };
    remember(this.#spaces, key, space);
    return undefined;
  }

  /** RFC 7616 §3.5: the server may prove that it knows the secret too, and name the next nonce. */
  #learn(side: Side, info: Params, body: Uint8Array): boolean {
    const ours = [...this.#sent].filter(([, { space }]) => space.side === side);
    const cnonce = info.get('cnonce');
    const ofCnonce = ours.filter(([, { space }]) => space.cnonce === cnonce);
    const [match, ...others] = ofCnonce.length > 0 ? ofCnonce : ours;
    // Which of several realms it speaks for cannot be told.
    if (!match || others.length > 0) return true;
    const [key, { space, credentials }] = match;
    const proof = info.get('rspauth');
    if (proof !== undefined) {
      const expected = computeResponse(space.secret, { ...credentials, method: '', body });
      if (proof.toLowerCase() !== expected) return false;
    }
    const nonce = info.get('nextnonce');
    const isCurrent = this.#spaces.get(key) === space;
    if (nonce !== undefined && nonce !== space.challenge.nonce && isCurrent) {
      // A session's secret stays bound to the nonce it began with.
      remember(this.#spaces, key, { ...space, challenge: { ...space.challenge, nonce }, count: 0 });
    }
    return true;
  }
}

/** Counts one use of the nonce. */
function credentialsFor(space: ProtectionSpace, request: SipRequest): DigestCredentials {
  const { challenge, username, secret, cnonce } = space;
  const { realm, nonce, opaque, algorithm, qop } = challenge;
  space.count++;
  const protection = qop && { qop, cnonce, count: space.count };
  const uri = formatUri(request.uri);
  const { method, body } = request;
  const response = computeResponse(secret, { algorithm, nonce, protection, method, uri, body });
  return { username, realm, nonce, opaque, uri, algorithm, protection, response };
}

/** The strongest challenge of one realm for which the account has a secret. */
function strongest(
  values: readonly AuthenticationValue[],
  account: DigestAccount,
): { challenge: DigestChallenge; ha1: string } | undefined {
  const challenges = values.map(readChallenge).filter(challenge => challenge !== undefined);
  for (const hash of DIGEST_HASHES) {
    const challenge = challenges.find(({ algorithm }) => hashOf(algorithm) === hash);
    const ha1 = challenge && account.ha1(challenge.realm, hash);
    if (challenge && ha1 !== undefined) return { challenge, ha1 };
  }
  return undefined;
}

function remember(spaces: Spaces, key: string, space: ProtectionSpace): void {
  spaces.delete(key);
  spaces.set(key, space);
  const [oldest] = spaces.keys();
  if (spaces.size > MAX_SPACES && oldest !== undefined) spaces.delete(oldest);
}

/** The values that are well formed: one bad line must not hide a challenge that can be met. */
function readAll<T>({ headers }: SipResponse, field: HeaderField<T>): T[] {
  return headers.texts(field.name).flatMap(text => {
    try {
      return [field.parse(text)];
    } catch (error) {
      if (error instanceof SipSyntaxError) return [];
      throw error;
    }
  });
}

function failed(error: CodedError): ExchangeVerdict {
  return { type: 'failed', error };
}

function wrongCredentials(username: string, realm: string, stale: boolean): CodedError {
  const found = stale ? 'called each of its own nonces stale' : 'refused them';
  return new CodedError(
    'WRONG_CREDENTIALS',
    `expected "${realm}" to accept the name and password of ${username}, but it ${found}`,
    { remedy: 'Check the user name and the password of this account.' },
  );
}

function noCredentials(realms: readonly string[]): CodedError {
  const asking = realms.map(realm => `"${realm}"`).join(', ') || 'without saying for which realm';
  return new CodedError('NO_CREDENTIALS', `a password is asked for: ${asking}; there is none`, {
    remedy: 'Give this account a user name and a password for that realm.',
  });
}

function unknownChallenge(realm: string): CodedError {
  return new CodedError(
    'UNKNOWN_CHALLENGE',
    `"${realm}" asks for a proof of the password that is not known here; known are Digest with ${DIGEST_HASHES.join(', ')}`,
    { remedy: 'Allow one of these algorithms at the server.' },
  );
}

function notProven(): CodedError {
  return new CodedError(
    'SERVER_NOT_PROVEN',
    'expected the server to prove that it knows the password, but its proof is wrong',
    { remedy: 'Someone may stand between; check the address of the server, and prefer TLS.' },
  );
}
