/** One call, as services and the command line hold it: the driver of a call machine. */
import { EventEmitter } from 'node:events';
import { isSipUri, ReferSub, type SipRequest, type SipUri, type Uri } from '@sip-stack/parser';
import type { Clock, Timer } from '../core/clock.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Random } from '../core/random.js';
import type { Location, Locator } from '../discovery/locator.js';
import type { LegStatistics, MediaEngine, MediaLeg } from '../media/engine.js';
import type { AudioFormat } from '../sip/audio-formats.js';
import { describeTarget, PROTOCOLS } from '../sip/resolution/plan.js';
import type { CallerIdentity } from '../sip/self.js';
import type { SipSession } from '../sip/session/session.js';
import type { DialogMessage } from '../sip/session/state.js';
import type { Target } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import { CallDigits } from './call-digits.js';
import { type CallEnd, endOfError, statusOfEnd } from './call-end.js';
import {
  type CallAction,
  type CallEvent,
  type CallPhase,
  type CallState,
  incomingCall,
  outgoingCall,
  stepCall,
} from './call-machine.js';
import { CallMedia } from './call-media.js';
import { CallOffers } from './call-offers.js';
import { CallRoaming } from './call-roaming.js';
import { callerOf, type DivertedBy, diversionsOf, nameOf } from './caller.js';
import type { DigitRoute } from './digits-machine.js';
import type { CallEncryption, EncryptionPolicy } from './encryption.js';
import { redirections } from './redirections.js';
import type { SilencePolicy } from './silence.js';
import { progressOf, referralOf, referTo, reportedStatus } from './transfer.js';

export interface CallEvents {
  /** `trying`, `ringing` or `connected` was reached. */
  phase: [phase: CallPhase];
  /** The other side waits now, or is heard again, as we asked. */
  held: [held: boolean];
  /** It goes on as before: the other side refused. */
  holdRefused: [status: number];
  /** The call goes on with somebody else: the other side passed us on, or was replaced. */
  transferred: [target: string];
  /** The other side could not reach whom we sent it to; the call goes on. */
  transferFailed: [status: number];
  /** The other side pressed a key. */
  digit: [digit: string, by: DigitRoute];
  /** What became of a request made with `send`: its final status, 408 where nobody answered. */
  answeredRequest: [method: string, status: number];
  /** Once, and last; media is closed, `statistics` are its last. */
  ended: [end: CallEnd, statistics: LegStatistics | undefined];
}

/** What a call needs of the phone it is on. */
export interface CallContext {
  readonly userAgent: UserAgent;
  readonly media: MediaEngine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly locator: Locator;
  /** From this user, and shown under this name. */
  readonly identity: (target: SipUri, at?: Location) => CallerIdentity;
  /** For the o= line; any number. */
  readonly newSessionId: () => number;
  /** Codecs offered and accepted, best first. */
  readonly formats: readonly AudioFormat[];
  readonly encryption: EncryptionPolicy;
  readonly silence: SilencePolicy;
  /** Keys come from it. */
  readonly random: Random;
  /** Whether a server may be believed who calls through it (RFC 3325); none by default. */
  readonly trusts?: (peer: Target) => boolean;
  /** Takes a MESSAGE within a call, and answers it; without it they are refused. */
  readonly onMessage?: (call: Call, request: SipRequest, respond: MessageAnswer) => void;
}

export type MessageAnswer = (status: number, headers?: Readonly<Record<string, string>>) => void;

export class Call extends EventEmitter<CallEvents> {
  readonly direction: 'outgoing' | 'incoming';
  readonly #context: CallContext;
  readonly #state: CallState;
  #uri: SipUri | undefined;
  readonly #timers = new Map<string, Timer>();
  readonly #locating = new AbortController();
  readonly #roaming: CallRoaming;
  readonly #offers: CallOffers;
  #target: string;
  #inviteHeaders: Readonly<Record<string, string>> = {};
  #session: SipSession | undefined;
  #media: CallMedia;
  #digits: CallDigits;
  #divertedBy: readonly DivertedBy[] = [];
  /** Whom the other side has passed us on to, while they are being called. */
  #next: Call | undefined;
  /** One for each device of the person, while they are called at once. */
  #branches: readonly Call[] = [];
  /** Its session and media live on in another call. */
  #retired = false;
  #connectedAt: number | undefined;

  /** @param headers of the INVITE, as text: Replaces, Join, Referred-By */
  static outgoing(
    context: CallContext,
    uri: SipUri,
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): Call {
    const call = new Call(context, outgoingCall(target), uri);
    call.#inviteHeaders = headers;
    return call;
  }

  static incoming(context: CallContext, session: SipSession): Call {
    const trusted = context.trusts?.(session.peer) ?? false;
    const call = new Call(context, incomingCall(nameOf(callerOf(session.invite, trusted))));
    call.#session = session;
    call.#divertedBy = diversionsOf(session.invite);
    call.#listen(session);
    return call;
  }

  private constructor(context: CallContext, state: CallState, uri?: SipUri) {
    super();
    this.#context = context;
    this.#state = state;
    this.#uri = uri;
    this.#media = new CallMedia({ ...context, sessionId: context.newSessionId() });
    this.#digits = this.#newDigits();
    this.#roaming = new CallRoaming({
      ...context,
      call: () => ({
        session: this.#session,
        media: this.#media,
        target: this.#target,
        uri: this.#uri,
        location: this.location,
      }),
    });
    this.#offers = new CallOffers({
      ...context,
      phase: () => this.phase,
      media: () => this.#media,
      step: event => this.#step(event),
      onHeld: held => this.emit('held', held),
      onHoldRefused: status => this.emit('holdRefused', status),
    });
    this.#target = state.target;
    this.direction = state.direction;
  }

  /** Whom it is with, as dialled or as they call themselves; another after a transfer. */
  get target(): string {
    return this.#target;
  }

  get phase(): CallPhase {
    return this.#state.phase;
  }

  /** The user part a call that came in was made to. */
  get calledUser(): string {
    return this.#session?.calledUser ?? '';
  }

  /** Who was called first and sent the call on to us, the latest first; as the call says (RFC 5806). */
  get divertedBy(): readonly DivertedBy[] {
    return this.#divertedBy;
  }

  /** The other side's address, as it gives it. */
  get remoteUri(): Uri | undefined {
    return this.#session?.remote.uri;
  }

  get callId(): string {
    return this.#session?.callId ?? '';
  }

  /** Names our end of it, as Replaces and Join of others have it (RFC 3891, RFC 3911); undefined without a dialog. */
  get dialogName(): string | undefined {
    const { callId, localTag, remoteTag } = this.#session?.dialogId ?? {};
    return remoteTag ? `${callId};to-tag=${localTag};from-tag=${remoteTag}` : undefined;
  }

  /** Where the call goes, once it is being tried. */
  get location(): Location | undefined {
    return this.#state.trying;
  }

  /** Our stream of the call, once media is open: connect it to what should be heard. */
  get leg(): MediaLeg | undefined {
    return this.#media.leg;
  }

  /** The codec in use, once agreed on. */
  get format(): AudioFormat | undefined {
    return this.#media.format;
  }

  /** How its voice is encrypted; undefined while it is not. */
  get encryption(): CallEncryption | undefined {
    return this.#media.encryption;
  }

  /** Clock time at which it was connected. */
  get connectedAt(): number | undefined {
    return this.#connectedAt;
  }

  /** Sets an outgoing call going. */
  start(): void {
    this.#step({ type: 'start' });
  }

  /** Incoming: lets the caller hear that it rings. */
  ring(): void {
    this.#step({ type: 'ringing' });
  }

  /** Incoming: takes the call; `connected` or `ended` follows. */
  answer(): void {
    this.#step({ type: 'answer' });
  }

  /** Incoming: refuses it with a SIP status, e.g. 486 busy, 603 declined. */
  refuse(status: number): void {
    this.#step({ type: 'refuse', status });
  }

  /** Whether we keep the other side waiting. */
  get held(): boolean {
    return this.#media.held;
  }

  /** Keeps the other side waiting, or takes the conversation up again: `held` or `holdRefused` follows. */
  hold(held: boolean): void {
    if (held === this.held || this.phase !== 'connected') return;
    if (this.#session) this.#offers.hold(this.#session, held);
  }

  /**
   * Sends the other side to somebody else; this call ends when they talk, else `transferFailed` tells.
   * A call of ours that they are to take over (an attended transfer) may be named instead of an address.
   */
  transfer(to: SipUri | Call): void {
    if (this.phase !== 'connected') return;
    const consulted = to instanceof Call ? to.#session : undefined;
    const uri = to instanceof Call ? consulted?.remote.uri : to;
    if (uri && isSipUri(uri)) this.#session?.send(referTo(uri, consulted));
  }

  /** Sends a request of the person's within the call, such as a MESSAGE; `answeredRequest` follows. */
  send(message: DialogMessage): void {
    if (this.phase === 'connected') this.#session?.send(message);
  }

  /**
   * Presses keys: `123#`. Resolves when they are sent, or the call has ended.
   *
   * @throws {CodedError} `BAD_DIGITS`, `NO_CALL` where nobody is connected
   */
  async sendDigits(digits: string): Promise<void> {
    if (this.phase !== 'connected') {
      throw new CodedError('NO_CALL', `expected a call that is connected, found it ${this.phase}`);
    }
    await this.#digits.send(digits);
  }

  /** Whether this call is the session's. */
  holds(session: SipSession): boolean {
    return this.#session === session;
  }

  /** Somebody calls to take the place of the other side: takes their call instead (RFC 3891). */
  replaceBy(session: SipSession): void {
    const next = Call.incoming(this.#context, session);
    this.#followedBy(next);
    next.answer();
  }

  /** Ends the call in any phase; idempotent. */
  hangUp(): void {
    this.#step({ type: 'hang-up' });
  }

  /** Our addresses or links changed: the call follows. */
  networkChanged(): void {
    this.#roaming.networkChanged();
    this.#next?.networkChanged();
    for (const branch of this.#branches) branch.networkChanged();
  }

  async statistics(): Promise<LegStatistics | undefined> {
    return this.#media.statistics();
  }

  #step(event: CallEvent): void {
    const { trying, phase } = this.#state;
    const actions = stepCall(this.#state, event);
    // First, so that whoever said so does not say it again.
    if (phase === 'trying' && (isUnreached(event) || isDoubt(event))) trying?.unreached?.();
    for (const action of actions) this.#perform(action);
  }

  #perform(action: CallAction): void {
    switch (action.type) {
      case 'locate':
        this.#run(this.#locate(), end => {
          // Where it goes on trying, nothing is lost.
          return this.phase === 'trying' ? NOTHING_NEW : { type: 'failed', end };
        });
        return;
      case 'try':
        this.#try(action.location);
        return;
      case 'fork':
        this.#branches = action.branches.map((places, branch) => this.#branchAt(places, branch));
        for (const branch of this.#branches) branch.start();
        return;
      case 'adopt': {
        const branch = this.#branches[action.branch];
        if (branch) this.#adopt(branch);
        return;
      }
      case 'end-branches':
        this.#endBranches();
        return;
      case 'ring':
        this.#session?.ring();
        return;
      case 'accept':
        this.#run(this.#accept(), end => ({ type: 'failed', end }));
        return;
      case 'reject':
        this.#dropSession()?.reject(action.status);
        return;
      case 'end-session':
        this.#dropSession()?.hangUp();
        return;
      case 'check-media':
        void this.#checkMedia();
        return;
      case 'set-timer': {
        const { timer, ms } = action;
        this.#timers.get(timer)?.cancel();
        const fire = () => this.#step({ type: 'timer', timer });
        this.#timers.set(timer, this.#context.clock.after(ms, fire));
        return;
      }
      case 'cancel-timer':
        this.#timers.get(action.timer)?.cancel();
        return;
      case 'tell':
        if (this.phase === 'connected') {
          this.#connectedAt = this.#context.clock.now();
          this.location?.answered?.();
        }
        this.emit('phase', this.phase);
        return;
      case 'finish':
        // Without a reason one would be made, with a stack that nobody reads.
        this.#locating.abort('the call has ended');
        this.#next?.hangUp();
        this.#endBranches();
        this.#digits.close();
        this.#roaming.close();
        void this.#finish(action.end);
        return;
    }
  }

  /** An asynchronous step of the set-up; what it throws ends the call, or this location. */
  #run(step: Promise<void>, failed: (end: CallEnd) => CallEvent): void {
    step.catch(error => {
      if (this.#locating.signal.aborted) return;
      const event = failed(endOfError(error));
      const reason = asError(error).message;
      this.#context.logger.debug({ target: this.target, reason }, event.type);
      this.#step(event);
    });
  }

  #try(location: Location): void {
    this.#run(this.#inviteAt(location), end => ({ type: 'location-failed', location, end }));
  }

  /** A call of its own to one of the person's devices; ours goes on as the one that is answered. */
  #branchAt(places: readonly Location[], branch: number): Call {
    // It is this call that looks again where nobody is there, and tells of who answered.
    const found = places.map(({ answered: _, ...place }) => place);
    const context = { ...this.#context, locator: { locate: async () => found } };
    const call = new Call(context, outgoingCall(this.#target, false), this.#uri);
    call.#inviteHeaders = this.#inviteHeaders;
    call.on('phase', phase => {
      if (phase === 'ringing') this.#step({ type: 'branch-ringing', branch });
      if (phase !== 'connected') return;
      const at = call.location?.endpoint;
      const location = places.find(({ endpoint }) => endpoint === at);
      this.#step({ type: 'branch-connected', branch, location });
    });
    call.once('ended', end => this.#step({ type: 'branch-ended', branch, end }));
    return call;
  }

  #endBranches(): void {
    const branches = this.#branches;
    this.#branches = [];
    for (const branch of branches) if (!branch.#retired) branch.hangUp();
  }

  async #locate(): Promise<void> {
    if (!this.#uri) return;
    const locations = await this.#context.locator.locate(this.#uri, this.#locating.signal);
    this.#step({ type: 'located', locations });
  }

  async #inviteAt(location: Location): Promise<void> {
    const { userAgent } = this.#context;
    const local = await userAgent.localEndpointFor(location.endpoint.address);
    await this.#openMedia(local.address, isSecure(location));
    if (this.#state.trying !== location || this.phase !== 'trying') return;
    const session = userAgent.invite({
      uri: location.uri,
      to: location.target ?? location.endpoint,
      from: this.#context.identity(location.uri, location),
      local,
      offer: this.#media.offer(),
      headers: this.#inviteHeaders,
    });
    this.#session = session;
    this.#listen(session);
  }

  async #accept(): Promise<void> {
    const session = this.#session;
    if (!session) return;
    await this.#openMedia(session.local.address, session.secure);
    if (this.phase !== 'answering') return;
    this.#offers.accept(session);
  }

  #listen(session: SipSession): void {
    const offers = this.#offers;
    const current = (handle: () => void) => {
      // A location that was given up may still have something to say.
      if (this.#session === session) handle();
    };
    session.on('proceeding', () => current(() => this.#step({ type: 'proceeding' })));
    session.on('ringing', () => current(() => this.#step({ type: 'ringing' })));
    session.on('earlyMedia', sdp => current(() => offers.early(sdp)));
    session.on('reanswered', sdp => current(() => offers.holdAnswered(sdp)));
    session.on('moved', sdp => current(() => offers.reanswered(sdp)));
    session.on('offerRefused', status => current(() => offers.offerRefused(status)));
    session.on('response', (method, status) => current(() => this.#onResponse(method, status)));
    session.on('request', request => this.#onRequest(session, request));
    session.on('answered', sdp => current(() => offers.answered(sdp)));
    session.on('confirmed', sdp => current(() => offers.confirmed(sdp)));
    session.on('reoffer', sdp => current(() => offers.reoffered(session, sdp)));
    session.on('ended', ({ by, status, reason, response }) =>
      current(() => {
        const locations = response ? redirections(response, this.#uri) : [];
        this.#step({ type: 'session-ended', by, status, reason, locations });
      }),
    );
  }

  #onRequest(session: SipSession, request: SipRequest): void {
    if (this.#retired) return;
    const { onMessage } = this.#context;
    if (request.method === 'REFER') this.#onRefer(session, request);
    else if (request.method === 'NOTIFY') this.#onNotify(session, request);
    else if (request.method === 'INFO') this.#onInfo(session, request);
    else if (request.method === 'MESSAGE' && onMessage)
      onMessage(this, request, (status, headers) => session.respond(request, status, headers));
    else session.respond(request, 405);
  }

  /** A digit, or a sign of life. */
  #onInfo(session: SipSession, info: SipRequest): void {
    const { status, headers } = this.#digits.received(info);
    session.respond(info, status, headers);
  }

  #newDigits(): CallDigits {
    const media = () => this.#media;
    return new CallDigits({
      now: () => this.#context.clock.now(),
      hasEvents: () => media().hasEvents,
      play: (digits, by) => media().sendDigits(digits, by),
      send: message => this.#session?.send(message),
      onDigit: (digit, by) => this.emit('digit', digit, by),
    });
  }

  /** The other side passes us on to somebody: we call them, and tell how it goes. */
  #onRefer(session: SipSession, refer: SipRequest): void {
    const referral = referralOf(refer);
    const busy = this.#next !== undefined;
    if (!referral || busy || this.phase !== 'connected' || this.#session !== session) {
      session.respond(refer, 603);
      return;
    }
    const silent = refer.headers.first(ReferSub)?.subscription === false;
    session.respond(refer, 202, silent ? { [ReferSub.name]: 'false' } : {});
    const tell = (status: number, reason: string) => {
      // Who wants no subscription is told nothing (RFC 4488 §4).
      if (!silent) session.send(progressOf(status, reason));
    };
    tell(100, 'Trying');
    const { uri, headers } = referral;
    const next = Call.outgoing(this.#context, uri, uri.user ?? uri.host, headers);
    next.on('phase', phase => {
      if (phase === 'ringing') tell(180, 'Ringing');
      if (phase === 'connected') tell(200, 'OK');
    });
    next.once('ended', end => tell(statusOfEnd(end), 'Failed'));
    this.#followedBy(next);
    next.start();
  }

  /** How the other side fares with whom we sent it to. */
  #onNotify(session: SipSession, notify: SipRequest): void {
    const status = reportedStatus(notify);
    session.respond(notify, status === undefined ? 489 : 200);
    if (status === undefined || status < 200) return;
    if (status < 300) this.hangUp();
    else this.emit('transferFailed', status);
  }

  /** When `next` is connected, this call goes on with its other side: who listens here hears no gap. */
  #followedBy(next: Call): void {
    this.#next = next;
    next.on('phase', phase => {
      if (phase === 'connected' && this.phase === 'connected') void this.#takeOver(next);
    });
    next.once('ended', () => {
      this.#next = undefined;
    });
  }

  async #takeOver(next: Call): Promise<void> {
    const [session, media] = [this.#dropSession(), this.#media];
    this.#next = undefined;
    this.#target = next.target;
    this.#uri = next.#uri;
    this.#adopt(next);
    this.#media.takePlaceOf(media);
    session?.hangUp();
    this.emit('transferred', this.#target);
    await media.close();
  }

  /** Goes on with the session and media of `other`. */
  #adopt(other: Call): void {
    this.#session = other.#dropSession();
    this.#media = other.#media;
    other.#retire();
    if (this.#session) this.#listen(this.#session);
    // How the new side takes digits is another matter.
    this.#digits.close();
    this.#digits = this.#newDigits();
    this.#hearDigits();
  }

  #retire(): void {
    this.#retired = true;
    this.#state.phase = 'ended';
    this.#roaming.close();
    for (const timer of this.#timers.values()) timer.cancel();
  }

  #onResponse(method: string, status: number): void {
    if (method === 'INFO') this.#digits.answered(status);
    if (method === 'REFER' && status >= 300) this.emit('transferFailed', status);
    this.emit('answeredRequest', method, status);
  }

  async #openMedia(address: string, secureSignalling: boolean): Promise<void> {
    await this.#media.open(address, secureSignalling);
    this.#hearDigits();
    // Hung up meanwhile: what was opened too late is closed at once.
    if (this.phase === 'ended') await this.#media.close();
  }

  #hearDigits(): void {
    const { leg } = this.#media;
    leg?.listenForDigits(heard => this.#digits.heard(heard));
  }

  async #checkMedia(): Promise<void> {
    const ms = await this.#media.silence(this.#context.clock.now() - (this.#connectedAt ?? 0));
    this.#step({ type: 'media-silence', ms });
  }

  #dropSession(): SipSession | undefined {
    const session = this.#session;
    this.#session = undefined;
    return session;
  }

  async #finish(end: CallEnd): Promise<void> {
    let statistics: LegStatistics | undefined;
    try {
      // Both asked for at once: the leg tells its last before it closes.
      const last = this.#media.statistics();
      [statistics] = await Promise.all([last, this.#media.close()]);
    } catch (error) {
      this.#context.logger.warn({ reason: asError(error).message }, 'could not close media');
    }
    this.emit('ended', end, statistics);
  }
}

const NOTHING_NEW: CallEvent = { type: 'located', locations: [] };

/** Whether SIP goes there through TLS. */
function isSecure({ target, uri }: Location): boolean {
  return PROTOCOLS[(target ?? describeTarget(uri)).protocol].secure;
}

/** Perhaps nobody is there. */
function isDoubt(event: CallEvent): boolean {
  return event.type === 'timer' && event.timer === 'look';
}

/** Nobody is there, as far as this event tells. */
function isUnreached(event: CallEvent): boolean {
  if (event.type === 'session-ended') return event.status === 408 || event.status === 503;
  return event.type === 'location-failed' || (event.type === 'timer' && event.timer === 'trying');
}
