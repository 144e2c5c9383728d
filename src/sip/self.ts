/** How a user agent names itself in what it sends: From, Contact, tags, Server and what it can do. */
import {
  Allow,
  isSipUri,
  type NameAddr,
  Params,
  Server,
  type SipRequest,
  type SipResponse,
  Supported,
  sipUri,
} from '@sip-stack/parser';
import { withoutZone } from '../core/endpoint.js';
import type { Endpoint } from '../core/network.js';
import { type Random, randomToken } from '../core/random.js';
import { PROTOCOLS } from './resolution/plan.js';
import { makeResponse } from './response.js';
import { SESSION_OPTIONS } from './session/requests.js';
import { sipsTransport } from './sips.js';
import type { SipProtocol, Target } from './transport/transport.js';
import type { TransportManager } from './transport/transport-manager.js';

/** Who calls, asks or sends. */
export interface CallerIdentity {
  readonly user: string;
  readonly displayName?: string;
  /** Domain of the account; our own address by default. */
  readonly host?: string;
  /** What its requests outside dialogs are sent by, next hop first (RFC 3608 §6.1). */
  readonly route?: readonly NameAddr[];
}

/** Says where `user` is reached by `peer`, where that is not our own address: an account at a server. */
export type ContactProvider = (user: string, peer: Target) => NameAddr | undefined;

export interface SelfOptions {
  readonly random: Random;
  readonly product: string;
  readonly transports: Pick<TransportManager, 'sentBy'>;
  /** Asked each time: features come and go with those who handle their requests. */
  readonly allowed: () => readonly string[];
  readonly contacts?: ContactProvider;
}

export class Self {
  readonly #options: SelfOptions;

  constructor(options: SelfOptions) {
    this.#options = options;
  }

  /** For From, without a tag. */
  address({ user, displayName, host }: CallerIdentity, { address, port }: Endpoint): NameAddr {
    const here = { user, host: withoutZone(address), port };
    const uri = sipUri(host === undefined ? here : { user, host });
    return { ...(displayName && { displayName }), uri, params: new Params() };
  }

  /**
   * Where requests within a dialog reach us: by the protocol it began with.
   *
   * @param secure it has to be `sips:` (§8.1.1.8, §12.1.1), which says no more than the protocol keeps
   */
  contact(user: string, local: Endpoint, protocol: SipProtocol, secure: boolean): NameAddr {
    const place = this.#options.transports.sentBy(protocol, local);
    const sips = secure && PROTOCOLS[protocol].secure;
    const uri = sipUri({ scheme: sips ? 'sips' : 'sip', user, ...place });
    const transport = sips ? sipsTransport(protocol) : protocol.toLowerCase();
    if (transport !== 'udp') uri.params.set('transport', transport);
    return { uri, params: new Params() };
  }

  /** The same, as `peer` knows us: by what the account there was given, if there is one. */
  contactToward(user: string, local: Endpoint, peer: Target, secure: boolean): NameAddr {
    const known = this.#options.contacts?.(user, peer);
    const fits = known && isSipUri(known.uri) && (!secure || known.uri.scheme === 'sips');
    return fits ? known : this.contact(user, local, peer.protocol, secure);
  }

  newTag(): string {
    return randomToken(this.#options.random, 8);
  }

  /** A response to a request outside any dialog. */
  response(request: SipRequest, status: number): SipResponse {
    return this.signed(makeResponse(request, status, this.newTag()));
  }

  /** Adds who answers, and where it agrees, what it can do (§11.2, §13.3.1.4); while it rings too (RFC 3311 §5.1). */
  signed(response: SipResponse): SipResponse {
    const { headers, status } = response;
    headers.set(Server, this.#options.product);
    if (status > 100 && status < 300) headers.set(Allow, ...this.#options.allowed());
    if (status >= 200 && status < 300) headers.set(Supported, ...SESSION_OPTIONS);
    return response;
  }
}
