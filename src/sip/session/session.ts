/** A session as its user holds it: the driver of one session machine. */
import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import {
  CSeq,
  From,
  isSipUri,
  type NameAddr,
  type SipRequest,
  type SipResponse,
  To,
} from '@sip-stack/parser';
import type { Timer } from '../../core/clock.js';
import { withZoneOf } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';
import type { Dialog } from '../dialog.js';
import { PROTOCOLS } from '../resolution/plan.js';
import type { Target } from '../transport/transport.js';
import { stepSession } from './machine.js';
import { sdpOf } from './requests.js';
import type {
  DialogMessage,
  EndReason,
  Session,
  SessionAction,
  SessionEvent,
  SessionNotice,
} from './state.js';

export interface SipSessionEvents {
  /** The other side works on it, though nothing may ring yet. */
  proceeding: [];
  ringing: [];
  /** The other side's answer before it takes the call: its tones and announcements can be heard. */
  earlyMedia: [sdp: string];
  /** The other side took the call; `sdp` is its answer, or its offer where we made none. */
  answered: [sdp: string | undefined];
  /** The other side has our 2xx; `sdp` is its answer where ours was the offer. */
  confirmed: [sdp: string | undefined];
  /** The other side wants other media: call `accept` or `reject`. */
  reoffer: [sdp: string | undefined];
  /** The other side's answer to `offer`; undefined where it gave none. */
  reanswered: [sdp: string | undefined];
  /** The other side's answer to where our media is since we have moved. */
  moved: [sdp: string | undefined];
  /** The other side keeps to what was agreed before. */
  offerRefused: [status: number];
  /** INFO, REFER, NOTIFY or MESSAGE within the dialog: answer it with `respond`. */
  request: [request: SipRequest];
  /** What became of a request made with `send`: its final status, 408 where nobody answered. */
  response: [method: string, status: number];
  /** Once, and last. */
  ended: [reason: EndReason];
}

/** What a session needs of the user agent. */
export interface SessionHost {
  after(ms: number, fire: () => void): Timer;
  /** What the other side is to reach us by at this address of ours. */
  contactAt(local: Endpoint): NameAddr;
  send(session: SipSession, request: SipRequest): void;
  acknowledge(ack: SipRequest): void;
  respond(request: SipRequest, response: SipResponse): void;
  adopt(session: SipSession, dialog: Dialog): void;
  disown(session: SipSession, dialog: Dialog): void;
  release(session: SipSession): void;
}
export class SipSession extends EventEmitter<SipSessionEvents> {
  /** How the other side was or is first reached; later, where it was last heard from. */
  peer: Target;
  /** The session a caller wants to take part in (RFC 3911). */
  joins: SipSession | undefined;
  /** The session whose place a caller wants this one to take (RFC 3891). */
  replaces: SipSession | undefined;
  readonly #state: Session;
  readonly #host: SessionHost;
  readonly #timers = new Map<string, Timer>();
  readonly #over = new AbortController();
  #local: Endpoint;

  constructor(state: Session, local: Endpoint, peer: Target, host: SessionHost) {
    super();
    this.#state = state;
    this.#local = local;
    this.peer = peer;
    this.#host = host;
  }

  /** The local address this session talks from; goes into SDP and Contact. */
  get local(): Endpoint {
    return this.#local;
  }

  /** The literal address that requests to the other side are sent to, as far as is known here. */
  get hop(): string {
    const { dialog, invite } = this.#state;
    const uri = dialog && (dialog.routeSet[0]?.uri ?? dialog.remoteTarget);
    const known = this.peer.endpoint.address;
    if (!uri || uri === invite.uri || !isSipUri(uri)) return known;
    const host = uri.host.replace(/^\[|\]$/g, '');
    return isIP(host) === 0 ? known : withZoneOf(host, known);
  }

  /** Aborted when nothing more comes of it. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether SIP goes to and from the next hop through TLS. */
  get secure(): boolean {
    return PROTOCOLS[this.peer.protocol].secure;
  }

  get callId(): string {
    return this.#state.invite.headers.text('Call-ID') ?? '';
  }

  get established(): boolean {
    return this.#state.phase === 'established';
  }

  /** Our tag, in every response to the INVITE and in that to its CANCEL. */
  get localTag(): string {
    return this.#state.localTag;
  }

  /** Names the dialog, as Replaces (RFC 3891) does; the remote tag is empty before there is one. */
  get dialogId(): { callId: string; localTag: string; remoteTag: string } {
    const { dialog, localTag } = this.#state;
    return { callId: this.callId, localTag, remoteTag: dialog?.remoteTag ?? '' };
  }

  /** Who is at the other end. */
  get remote(): NameAddr {
    const { invite, role } = this.#state;
    return invite.headers.require(role === 'caller' ? To : From);
  }

  /** The user part that was called; empty where the URI had none. */
  get calledUser(): string {
    const { uri } = this.#state.invite;
    return isSipUri(uri) ? (uri.user ?? '') : '';
  }

  /** The offer in the INVITE; undefined where the caller leaves it to us. */
  get offer(): string | undefined {
    return sdpOf(this.#state.invite);
  }

  /** The INVITE this session began with. */
  get invite(): SipRequest {
    return this.#state.invite;
  }

  /** Callee: 180. */
  ring(): void {
    this.step({ type: 'ring' });
  }

  /** Callee: 183, with our answer as early media where it is given. */
  progress(sdp?: string): void {
    this.step({ type: 'progress', sdp });
  }

  /** Takes the call, or the other side's new offer, with this session description. */
  accept(sdp: string): void {
    this.step({ type: 'accept', sdp });
  }

  /** Refuses the call, or the other side's new offer. */
  reject(status: number): void {
    this.step({ type: 'reject', status });
  }

  /** Offers other media: `reanswered`, `offerRefused` or `ended` follows. */
  reoffer(sdp: string): void {
    this.step({ type: 'offer', sdp });
  }

  /**
   * Our address is another from now on: the other side is told, again and again until it has heard it. `moved` or
   * `reanswered` follows, or nothing where it is not told before the call is taken.
   *
   * @param sdp our media there; undefined where there is none yet
   */
  move(local: Endpoint, sdp: string | undefined): void {
    this.#local = local;
    this.step({ type: 'move', contact: this.#host.contactAt(local), sdp });
  }

  /** Whether the other side has not answered yet where we are since we moved. */
  get unheard(): boolean {
    return this.#state.ours?.moves ?? false;
  }

  /** The other side may be here now: it is told there. By way of proxies it is they who know. */
  relocate(to: Endpoint): void {
    this.step({ type: 'relocated', to });
  }

  /** Sends INFO, REFER, NOTIFY or MESSAGE within the dialog; `response` follows. */
  send(message: DialogMessage): void {
    this.step({ type: 'send', message });
  }

  /** Answers a `request`; with further header fields as text. */
  respond(
    request: SipRequest,
    status: number,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    this.step({ type: 'respond', request, status, headers });
  }

  /** Ends the session in whatever way its state asks for: CANCEL, a refusal or BYE. */
  hangUp(): void {
    this.step({ type: 'hang-up' });
  }

  /** For the user agent. */
  step(event: SessionEvent): void {
    for (const action of stepSession(this.#state, event)) this.#perform(action);
  }

  /** For the user agent: the CSeq of a request that is sent once more with credentials. */
  nextSequence(request: SipRequest): number {
    const { dialog } = this.#state;
    const { sequence } = request.headers.require(CSeq);
    if (!dialog) return sequence + 1;
    dialog.localSequence = Math.max(dialog.localSequence, sequence) + 1;
    return dialog.localSequence;
  }

  /** For the user agent: forgets the session without telling the other side. */
  abandon(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #perform(action: SessionAction): void {
    switch (action.type) {
      case 'send':
        this.#host.send(this, action.request);
        return;
      case 'acknowledge':
        this.#host.acknowledge(action.ack);
        return;
      case 'respond':
        this.#host.respond(action.request, action.response);
        return;
      case 'set-timer': {
        const { timer, ms } = action;
        this.#timers.get(timer)?.cancel();
        this.#timers.set(
          timer,
          this.#host.after(ms, () => this.step({ type: 'timer', timer })),
        );
        return;
      }
      case 'cancel-timer':
        this.#timers.get(action.timer)?.cancel();
        this.#timers.delete(action.timer);
        return;
      case 'notify':
        this.#notify(action.notice);
        return;
      case 'dialog':
        this.#host.adopt(this, action.dialog);
        return;
      case 'dialog-over':
        this.#host.disown(this, action.dialog);
        return;
      case 'release':
        this.abandon();
        this.#over.abort('the session is over');
        this.#host.release(this);
        return;
    }
  }

  #notify(notice: SessionNotice): void {
    switch (notice.type) {
      case 'proceeding':
        this.emit('proceeding');
        return;
      case 'ringing':
        this.emit('ringing');
        return;
      case 'early-media':
        this.emit('earlyMedia', notice.sdp);
        return;
      case 'request':
        this.#hand(notice.request);
        return;
      case 'response':
        this.emit('response', notice.request.method, notice.status);
        return;
      case 'reanswered':
        this.emit('reanswered', notice.sdp);
        return;
      case 'moved':
        this.emit('moved', notice.sdp);
        return;
      case 'offer-refused':
        this.emit('offerRefused', notice.status);
        return;
      case 'answered':
        this.emit('answered', notice.sdp);
        return;
      case 'confirmed':
        this.emit('confirmed', notice.sdp);
        return;
      case 'reoffer':
        this.emit('reoffer', notice.sdp);
        return;
      case 'ended':
        this.emit('ended', notice.reason);
        return;
    }
  }

  /** A request that nobody listens for is not supported here. */
  #hand(request: SipRequest): void {
    if (!this.emit('request', request)) this.respond(request, 405);
  }
}
