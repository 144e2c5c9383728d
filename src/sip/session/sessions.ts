/** All sessions of a user agent: it begins them, and hands each the requests that are its own. */
import {
  Allow,
  CallId,
  Contact,
  ContentType,
  CSeq,
  type DialogReference,
  From,
  isSipUri,
  Join,
  type NameAddr,
  Params,
  Replaces,
  Route,
  type SipRequest,
  SipSyntaxError,
  type SipUri,
  Supported,
} from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint } from '../../core/network.js';
import { type Random, randomUnit } from '../../core/random.js';
import { type Dialog, withTag } from '../dialog.js';
import type { Dialogs, DialogUser } from '../dialogs.js';
import type { RequestClient } from '../request-client.js';
import { makeResponse } from '../response.js';
import type { CallerIdentity, Self } from '../self.js';
import { beginsSipsDialog, isSips } from '../sips.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { TransactionTimers } from '../transaction/machine.js';
import type { Target } from '../transport/transport.js';
import { calleeSession, callerSession } from './machine.js';
import { SESSION_OPTIONS } from './requests.js';
import { type SessionHost, SipSession } from './session.js';
import type { SessionRequests } from './session-requests.js';
import { askForTimer } from './session-timer.js';
import type { Session } from './state.js';

export interface SessionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: TransactionTimers;
  readonly self: Self;
  readonly client: RequestClient;
  readonly requests: SessionRequests;
  readonly dialogs: Dialogs;
  readonly allowed: () => readonly string[];
  /** Throws `CodedError` `NO_ROUTE`. */
  readonly localEndpointFor: (remote: string) => Promise<Endpoint>;
  /** A call came in. */
  readonly onSession: (session: SipSession) => void;
}

export interface NewInvite {
  readonly uri: SipUri;
  readonly target: Target;
  readonly from: CallerIdentity;
  readonly local: Endpoint;
  readonly offer: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An INVITE that came in, while our address toward its sender is asked for. */
interface Admission {
  readonly request: SipRequest;
  readonly transaction: ServerTransaction;
  readonly localTag: string;
  readonly replaced: SipSession | undefined;
  readonly joined: SipSession | undefined;
  /** The caller gave up meanwhile, or the user agent stopped. */
  over: boolean;
}

export class Sessions {
  readonly #options: SessionsOptions;
  /** By which transaction a session answers a request. */
  readonly #transactionOf = new WeakMap<SipRequest, ServerTransaction>();
  readonly #ofInvite = new Map<string, SipSession>();
  readonly #admissions = new Map<string, Admission>();
  readonly #current = new Map<SipSession, SessionDialogs>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#current.size;
  }

  /** Calls. What becomes of it is told by the session's events. */
  begin({ uri, target, from: caller, local, offer, headers = {} }: NewInvite): SipSession {
    const { client, self, allowed } = this.#options;
    const localTag = self.newTag();
    const from = withTag(self.address(caller, local), localTag);
    const request = client.compose({ method: 'INVITE', uri, local, from });
    const contact = self.contactToward(caller.user, local, target, isSips(uri));
    request.headers
      .set(Contact, contact)
      .set(Allow, ...allowed())
      .set(Supported, ...SESSION_OPTIONS)
      .set(ContentType, { type: 'application/sdp', params: new Params() });
    if (caller.route?.length) request.headers.set(Route, ...caller.route);
    for (const [name, value] of Object.entries(headers)) request.headers.setText(name, value);
    request.body = new TextEncoder().encode(offer);
    const state = callerSession({ ...this.#seams, invite: request, contact, localTag });
    askForTimer(state.timer, request);
    const session = this.#newSession(state, local, target);
    session.step({ type: 'start' });
    return session;
  }

  /** Takes an INVITE outside any dialog. */
  take(request: SipRequest, transaction: ServerTransaction): void {
    const { self, logger } = this.#options;
    const refuse = (status: number) => transaction.respond(self.response(request, status));
    const key = inviteKey(request);
    if (this.#ofInvite.has(key) || this.#admissions.has(key)) {
      // The same INVITE by another path (§8.2.2.2).
      refuse(482);
      return;
    }
    const named = [...request.headers.all(Replaces), ...request.headers.all(Join)];
    if (named.length > 1) {
      // One call at most is named (RFC 3891 §3, RFC 3911 §4).
      refuse(400);
      return;
    }
    const replaced = this.#named(request.headers.first(Replaces));
    const joined = this.#named(request.headers.first(Join));
    const other = replaced ?? joined;
    if (named.length > 0 && !other?.established) {
      refuse(481);
      return;
    }
    const localTag = self.newTag();
    const admission = { request, transaction, localTag, replaced, joined, over: false };
    this.#admissions.set(key, admission);
    this.#transactionOf.set(request, transaction);
    void this.#admit(admission, key)
      .catch(error => {
        logger.warn({ reason: asError(error).message }, 'could not take a call');
        refuse(error instanceof SipSyntaxError ? error.status : 500);
      })
      .finally(() => this.#admissions.delete(key));
  }

  cancel(request: SipRequest, transaction: ServerTransaction): void {
    const { self } = this.#options;
    const key = inviteKey(request);
    const session = this.#ofInvite.get(key);
    const admission = this.#admissions.get(key);
    // The tag that the INVITE's own responses have (§9.2).
    const tag = (session ?? admission)?.localTag;
    const status = tag === undefined ? 481 : 200;
    transaction.respond(self.signed(makeResponse(request, status, tag ?? self.newTag())));
    session?.step({ type: 'cancelled' });
    if (!admission || admission.over) return;
    admission.over = true;
    const refusal = makeResponse(admission.request, 487, admission.localTag);
    admission.transaction.respond(self.signed(refusal));
  }

  hangUpAll(): void {
    for (const session of [...this.#current.keys()]) session.hangUp();
  }

  /** Forgets every session without telling the other side. */
  abandonAll(): void {
    for (const admission of this.#admissions.values()) admission.over = true;
    for (const session of [...this.#current.keys()]) {
      session.abandon();
      this.#release(session);
    }
  }

  /** The dialog that Replaces or Join names, from the other end's point of view (RFC 3891 §3, RFC 3911 §4). */
  #named(reference: DialogReference | undefined): SipSession | undefined {
    const { callId = '', params } = reference ?? {};
    const localTag = params?.get('to-tag') ?? '';
    const remoteTag = params?.get('from-tag') ?? '';
    const user = this.#options.dialogs.find({ callId, localTag, remoteTag });
    return user instanceof SessionDialogs ? user.session : undefined;
  }

  async #admit(admission: Admission, key: string): Promise<void> {
    const { self, localEndpointFor, onSession } = this.#options;
    const { request, localTag, replaced, joined } = admission;
    const { source } = admission.transaction;
    const local = await localEndpointFor(source.endpoint.address);
    if (admission.over) return;
    const user = isSipUri(request.uri) ? (request.uri.user ?? '') : '';
    const contact = self.contactToward(user, local, source, beginsSipsDialog(request));
    // Whoever joins is told that there are more than two (RFC 3911 §4, RFC 3840 §5).
    if (joined) contact.params.set('isfocus');
    const state = calleeSession({ ...this.#seams, invite: request, contact, localTag });
    const session = this.#newSession(state, local, source);
    session.replaces = replaced;
    session.joins = joined;
    this.#ofInvite.set(key, session);
    try {
      session.step({ type: 'start' });
    } catch (error) {
      this.#release(session);
      throw error;
    }
    onSession(session);
  }

  get #seams(): Pick<Session, 'timers' | 'chance'> {
    const { timers, random } = this.#options;
    return { timers, chance: () => randomUnit(random) };
  }

  /** @param peer how the other side was or is first reached */
  #newSession(state: Session, local: Endpoint, peer: Target): SipSession {
    const { clock, requests, self } = this.#options;
    const ends = () => ({ local: session.local, peer: session.peer });
    const host: SessionHost = {
      after: (ms, fire) => clock.after(ms, fire),
      contactAt: now => this.#contactAt(state.contact, now, session.peer),
      send: (session, request) => requests.send(session, request, session.peer),
      acknowledge: ack => void requests.acknowledge(ack, ends()),
      respond: (request, response) =>
        this.#transactionOf.get(request)?.respond(self.signed(response)),
      adopt: (session, dialog) => this.#adopt(session, dialog),
      disown: (session, dialog) => this.#disown(session, dialog),
      release: session => this.#release(session),
    };
    const session = new SipSession(state, local, peer, host);
    this.#current.set(session, new SessionDialogs(session, this.#transactionOf));
    return session;
  }

  /** The contact given before, at another address of ours. */
  #contactAt(before: NameAddr, local: Endpoint, peer: Target): NameAddr {
    const { self } = this.#options;
    const user = isSipUri(before.uri) ? (before.uri.user ?? '') : '';
    const { uri, params } = self.contactToward(user, local, peer, isSips(before.uri));
    if (before.params.has('isfocus')) params.set('isfocus');
    return { ...before, uri, params };
  }

  #adopt(session: SipSession, dialog: Dialog): void {
    const user = this.#current.get(session);
    if (!user) return;
    user.dialogs.set(dialog.remoteTag, dialog);
    this.#options.dialogs.add(dialog, user);
  }

  #disown(session: SipSession, dialog: Dialog): void {
    const user = this.#current.get(session);
    if (user?.dialogs.delete(dialog.remoteTag)) this.#options.dialogs.remove(dialog, user);
  }

  #release(session: SipSession): void {
    const user = this.#current.get(session);
    if (!user) return;
    for (const dialog of user.dialogs.values()) this.#options.dialogs.remove(dialog, user);
    this.#current.delete(session);
    this.#ofInvite.delete(inviteKey(session.invite));
  }
}

/** A session as the user of its dialogs. */
class SessionDialogs implements DialogUser {
  readonly session: SipSession;
  /** By remote tag. */
  readonly dialogs = new Map<string, Dialog>();
  readonly #transactionOf: WeakMap<SipRequest, ServerTransaction>;

  constructor(session: SipSession, transactionOf: WeakMap<SipRequest, ServerTransaction>) {
    this.session = session;
    this.#transactionOf = transactionOf;
  }

  request(request: SipRequest, transaction: ServerTransaction | undefined): void {
    if (transaction) {
      this.#transactionOf.set(request, transaction);
      if (leadsNowhere(request)) this.session.peer = transaction.source;
    }
    this.session.step({ type: 'request', request });
  }
}

/** A browser that has moved: it is reached by the connection it has opened now (RFC 7118 §5.2). */
function leadsNowhere({ method, headers }: SipRequest): boolean {
  if (method !== 'INVITE' && method !== 'UPDATE') return false;
  const contact = headers.first(Contact);
  const uri = contact === '*' ? undefined : contact?.uri;
  return uri !== undefined && isSipUri(uri) && uri.host.endsWith('.invalid');
}

/** An INVITE and the CANCEL to it have these in common, and no other INVITE does (§8.2.2.2, §9.1). */
function inviteKey({ headers }: SipRequest): string {
  const from = headers.require(From).params.get('tag') ?? '';
  return `${headers.require(CallId)} ${from} ${headers.require(CSeq).sequence}`;
}
