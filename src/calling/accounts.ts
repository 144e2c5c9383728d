/** The phone's accounts at ordinary SIP servers. */
import { EventEmitter } from 'node:events';
import {
  From,
  isSipUri,
  type NameAddr,
  type SipRequest,
  type SipUri,
  type Uri,
} from '@sip-stack/parser';
import type { Random } from '../core/random.js';
import { DigestClient, passwordAccount } from '../sip/digest/client.js';
import type { AuthenticationExchange, RequestAuthenticator } from '../sip/request-client.js';
import type { Target } from '../sip/transport/transport.js';
import {
  Account,
  type AccountContext,
  type AccountOptions,
  type AccountStatus,
} from './account.js';

/** How long stopping waits for servers to hear that the phone is gone. */
const LEAVE_WITHIN_MS = 1000;

export interface AccountSettings extends AccountOptions {
  /** To log in with. */
  readonly user: string;
  readonly password: string;
  /** Whether its server is told when the phone is on a call (RFC 3903). */
  readonly presence?: boolean;
}

/** Credentials for requests made in an account's name, and for no others. */
export class AccountCredentials implements RequestAuthenticator {
  readonly #clients: readonly { readonly aor: SipUri; readonly client: DigestClient }[];

  constructor(accounts: readonly AccountSettings[], random: Random) {
    this.#clients = accounts.map(({ aor, user, password }) => {
      const account = passwordAccount(user, password);
      return { aor, client: new DigestClient({ account: () => account, random }) };
    });
  }

  begin(request: SipRequest): AuthenticationExchange | undefined {
    const { uri } = request.headers.require(From);
    return this.#clients.find(({ aor }) => isAddress(aor, uri))?.client.begin();
  }
}

export interface AccountsEvents {
  status: [status: AccountStatus];
}

export class Accounts extends EventEmitter<AccountsEvents> {
  readonly #accounts: readonly Account[];

  constructor(context: AccountContext, settings: readonly AccountSettings[]) {
    super();
    this.#accounts = settings.map(options => new Account(context, options));
    for (const account of this.#accounts) {
      account.on('status', status => this.emit('status', status));
    }
  }

  get status(): readonly AccountStatus[] {
    return this.#accounts.map(account => account.status);
  }

  /** The account through which somebody in its domain is called. */
  forTarget({ host }: SipUri): Account | undefined {
    return this.#accounts.find(({ aor }) => aor.host.toLowerCase() === host.toLowerCase());
  }

  /** What a call of that user's says to be reached by, where `peer` has the account registered. */
  contact(user: string, peer: Target): NameAddr | undefined {
    return this.#accounts.find(account => {
      return account.aor.user === user && account.isServer(peer.endpoint);
    })?.contact;
  }

  /** Whether a server that has us registered is at this address: it may be believed who calls (RFC 3325). */
  isServer(peer: Target): boolean {
    return this.#accounts.some(account => account.isServer(peer.endpoint));
  }

  /** Whether this is the address of an account of ours. */
  owns(uri: Uri): boolean {
    return this.#accounts.some(({ aor }) => isAddress(aor, uri));
  }

  /** Whether a call to this user part is one to an account of ours. */
  has(user: string): boolean {
    return this.#accounts.some(({ aor }) => aor.user === user);
  }

  start(): void {
    for (const account of this.#accounts) account.start();
  }

  networkChanged(): void {
    for (const account of this.#accounts) account.networkChanged();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#accounts.map(account => account.stop(LEAVE_WITHIN_MS)));
  }
}

function isAddress(aor: SipUri, uri: Uri): boolean {
  if (!isSipUri(uri)) return false;
  return uri.user === aor.user && uri.host.toLowerCase() === aor.host.toLowerCase();
}
