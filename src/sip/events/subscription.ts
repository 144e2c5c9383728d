/** One subscription of ours at somebody else: the driver of a subscriber machine. */
import { EventEmitter } from 'node:events';
import {
  Accept,
  Contact,
  ContentType,
  CSeq,
  Event,
  Expires,
  From,
  MinExpires,
  type NameAddr,
  Params,
  RetryAfter,
  type SipRequest,
  type SipResponse,
  type SipUri,
  type TokenWithParams,
} from '@sip-stack/parser';
import { asError, errorCode } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import { randomUnit } from '../../core/random.js';
import {
  admitSequence,
  type Dialog,
  dialogOfCallee,
  refreshTarget,
  requestInDialog,
  withTag,
} from '../dialog.js';
import type { DialogUser } from '../dialogs.js';
import { makeResponse } from '../response.js';
import type { CallerIdentity } from '../self.js';
import { isSips } from '../sips.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Target } from '../transport/transport.js';
import { type EventContext, NamedTimers } from './context.js';
import { contentOf, statedIn } from './notification.js';
import type { Content, EventPackage } from './package.js';
import {
  newSubscription,
  type SubscriberAction,
  type SubscriberEvent,
  type SubscriberPhase,
  type SubscriberState,
  type SubscriberTimer,
  type SubscriptionAnswer,
  type SubscriptionEnd,
  type SubscriptionKind,
  stepSubscriber,
} from './subscriber-machine.js';

/** Phones that one fork reaches; further ones are refused. */
const MAX_BRANCHES = 16;

export interface SubscribeOptions {
  readonly package: EventPackage;
  /** Asked before each attempt: phones move. Throws where nobody is found. */
  readonly locate: () => Promise<{ readonly uri: SipUri; readonly to: Target }>;
  readonly from: CallerIdentity;
  /** In seconds; what the package says by default. */
  readonly expiresS?: number;
  /** `lasting` by default. */
  readonly kind?: Exclude<SubscriptionKind, 'branch' | 'implicit'>;
  /** Tries again where nobody answers or nobody is there. */
  readonly persistent?: boolean;
  /** Of the Event header field, where several subscriptions to one package have to be told apart. */
  readonly id?: string;
}

/** REFER in place of SUBSCRIBE: RFC 3515. */
export interface ReferOptions extends Omit<SubscribeOptions, 'kind' | 'persistent' | 'expiresS'> {
  /** Refer-To and whatever else it has to say, as text. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface SubscriptionEvents {
  phase: [phase: SubscriberPhase];
  /** What a NOTIFY says of the resource; undefined where it says nothing. */
  notified: [content: Content | undefined];
  /** Another phone that the fork reached has a subscription of its own. */
  branch: [branch: Subscription];
  /** The final response to SUBSCRIBE or REFER; NOTIFYs may have come before. */
  answered: [status: number];
  /** Once, and last. */
  ended: [end: SubscriptionEnd];
}

/** One try at having a dialog. */
interface Attempt {
  readonly callId: string;
  readonly localTag: string;
  local: Endpoint | undefined;
  /** How the other side is first reached. */
  peer: Target | undefined;
  contact: NameAddr | undefined;
  /** Of the last request outside the dialog. */
  sequence: number;
  dialog: Dialog | undefined;
  /** Of the Event header field, where the other side chose it: after REFER. */
  eventId: string | undefined;
  /** Clock time from which on no further branch of the fork may come. */
  readonly forksUntil: number;
}

type Options = SubscribeOptions & Partial<Pick<ReferOptions, 'headers'>>;

export interface SubscriptionHost {
  readonly context: EventContext;
  release(subscription: Subscription): void;
  /** A branch of a fork belongs to us from now on. */
  adopt(branch: Subscription): void;
}

export class Subscription extends EventEmitter<SubscriptionEvents> implements DialogUser {
  readonly package: EventPackage;
  readonly #host: SubscriptionHost;
  readonly #options: Options;
  readonly #state: SubscriberState;
  readonly #timers: NamedTimers<SubscriberTimer>;
  #attempt: Attempt | undefined;
  #branches = 0;
  /** The NOTIFY that the machine is looking at. */
  #notify: { request: SipRequest; transaction: ServerTransaction } | undefined;

  constructor(host: SubscriptionHost, options: Options, kind: SubscriptionKind) {
    super();
    const { clock, random, timers } = host.context;
    const { expires } = options.package;
    this.package = options.package;
    this.#host = host;
    this.#options = options;
    this.#timers = new NamedTimers(clock);
    this.#state = newSubscription({
      kind,
      persistent: options.persistent ?? false,
      expiresS: options.expiresS ?? expires.defaultS,
      timerNMs: 64 * timers.t1,
      chance: () => randomUnit(random),
    });
  }

  get phase(): SubscriberPhase {
    return this.#state.phase;
  }

  /** Until it has to be refreshed or is over, in seconds; undefined before it is granted. */
  get expiresInS(): number | undefined {
    const left = this.#timers.left('expire');
    return left === undefined ? undefined : Math.ceil(left / 1000);
  }

  /** Whose state it is, as the other side calls itself; undefined before the first NOTIFY. */
  get remote(): NameAddr | undefined {
    return this.#attempt?.dialog?.remote;
  }

  start(): void {
    this.step({ type: 'start' });
  }

  /** Ends it at the other side; `ended` follows. */
  unsubscribe(): void {
    this.step({ type: 'unsubscribe' });
  }

  /** Our address has changed. */
  networkChanged(): void {
    this.step({ type: 'network-changed' });
  }

  /** Forgets it without telling the other side. */
  abandon(): void {
    this.#timers.clear();
    this.#forget();
  }

  step(event: SubscriberEvent): void {
    for (const action of stepSubscriber(this.#state, event)) this.#perform(action);
  }

  #perform(action: SubscriberAction): void {
    switch (action.type) {
      case 'subscribe':
        this.#subscribe(action.expiresS);
        return;
      case 'refresh':
        void this.#refresh(action.expiresS);
        return;
      case 'answer-notify':
        this.#answerNotify(action.status);
        return;
      case 'deliver':
        this.emit('notified', this.#notify && contentOf(this.#notify.request));
        return;
      case 'forget-dialog':
        this.#forget();
        return;
      case 'set-timer': {
        const { timer, ms } = action;
        this.#timers.set(timer, ms, () => this.step({ type: 'timer', timer }));
        return;
      }
      case 'cancel-timer':
        this.#timers.cancel(action.timer);
        return;
      case 'tell':
        this.emit('phase', this.phase);
        return;
      case 'finish':
        this.#timers.clear();
        this.#host.release(this);
        this.emit('ended', action.end);
        return;
    }
  }

  // ---- requests of ours

  #subscribe(expiresS: number): void {
    this.#forget();
    const { clock, client, self, dialogs, timers } = this.#host.context;
    const attempt: Attempt = {
      callId: client.newSeries().callId,
      localTag: self.newTag(),
      local: undefined,
      peer: undefined,
      contact: undefined,
      sequence: 0,
      dialog: undefined,
      eventId: this.#options.id,
      forksUntil: clock.now() + 64 * timers.t1,
    };
    this.#attempt = attempt;
    dialogs.expect(attempt, this);
    void this.#send(attempt, expiresS).catch(error => {
      this.#host.context.logger.debug({ reason: asError(error).message }, 'could not subscribe');
      this.#answered(attempt, { status: statusOf(error) });
    });
  }

  async #send(attempt: Attempt, expiresS: number): Promise<void> {
    const { client, self, localEndpointFor } = this.#host.context;
    const { from: caller, locate, headers } = this.#options;
    const { uri, to } = await locate();
    const local = await localEndpointFor(to.endpoint.address);
    if (attempt !== this.#attempt) return;
    const contact = self.contact(caller.user, local, to.protocol, isSips(uri));
    Object.assign(attempt, { local, peer: to, contact });
    const { callId, localTag } = attempt;
    const request = client.compose({
      method: headers ? 'REFER' : 'SUBSCRIBE',
      uri,
      local,
      from: withTag(self.address(caller, local), localTag),
      series: { callId, sequence: attempt.sequence },
    });
    attempt.sequence = request.headers.require(CSeq).sequence;
    request.headers.set(Contact, contact);
    if (headers) {
      for (const [name, value] of Object.entries(headers)) request.headers.setText(name, value);
    } else {
      this.#describe(request, expiresS);
    }
    client.send(request, to, {
      reissue: (_challenged, again) => {
        again.headers.set(CSeq, { sequence: ++attempt.sequence, method: request.method });
        client.addVia(again, local);
      },
      response: response => this.#onResponse(attempt, response),
      failed: error => this.#answered(attempt, { status: statusOf(error) }),
    });
  }

  async #refresh(expiresS: number): Promise<void> {
    const attempt = this.#attempt;
    const dialog = attempt?.dialog;
    if (!attempt || !dialog || !attempt.peer) return;
    const { client, inDialog, self, localEndpointFor } = this.#host.context;
    const { peer } = attempt;
    const settled = client.expectResponse();
    try {
      // Asked anew: the other side learns so where we have moved (§4.4.3).
      const local = await localEndpointFor(peer.endpoint.address).catch(() => attempt.local);
      if (attempt !== this.#attempt || !local) return;
      const secure = attempt.contact !== undefined && isSips(attempt.contact.uri);
      const request = requestInDialog(dialog, 'SUBSCRIBE');
      request.headers.set(
        Contact,
        self.contact(this.#options.from.user, local, peer.protocol, secure),
      );
      this.#describe(request, expiresS);
      inDialog.send(
        request,
        { local, peer },
        {
          reissue: (_challenged, again) => {
            again.headers.set(CSeq, { sequence: ++dialog.localSequence, method: 'SUBSCRIBE' });
            client.addVia(again, local);
          },
          response: response => {
            if (response.status >= 200 && response.status < 300) refreshTarget(dialog, response);
            this.#onResponse(attempt, response);
          },
          failed: error => this.#answered(attempt, { status: statusOf(error) }),
        },
      );
    } finally {
      settled();
    }
  }

  #describe(request: SipRequest, expiresS: number): void {
    const { name, types } = this.package;
    const id = this.#attempt?.eventId;
    const params = id === undefined ? new Params() : new Params().set('id', id);
    request.headers
      .set(Event, { token: name, params })
      .set(Accept, ...types.map(type => ContentType.parse(type)))
      .set(Expires, expiresS);
  }

  #onResponse(attempt: Attempt, response: SipResponse): void {
    const { status, headers } = response;
    if (status < 200) return;
    const alone = status < 300 && headers.text('Refer-Sub')?.trim().toLowerCase() === 'false';
    const expiresS = headers.first(Expires);
    const minExpiresS = headers.first(MinExpires);
    const retryAfterS = headers.first(RetryAfter)?.seconds;
    this.#answered(attempt, {
      status,
      ...(alone && { alone }),
      ...(expiresS !== undefined && { expiresS }),
      ...(minExpiresS !== undefined && { minExpiresS }),
      ...(retryAfterS !== undefined && { retryAfterS }),
    });
  }

  #answered(attempt: Attempt, answer: SubscriptionAnswer): void {
    // What becomes of an attempt that was given up is nobody's business.
    if (attempt !== this.#attempt) return;
    if (this.#state.request === 'subscribe') this.emit('answered', answer.status);
    this.step({ type: 'answer', answer });
  }

  // ---- requests of theirs

  request(request: SipRequest, transaction: ServerTransaction | undefined): void {
    const attempt = this.#attempt;
    if (!transaction) return;
    const refuse = (status: number) => this.#respond(request, transaction, status);
    if (request.method !== 'NOTIFY' || !attempt) {
      refuse(attempt ? 405 : 481);
      return;
    }
    const stated = statedIn(request);
    const event = request.headers.first(Event);
    if (!stated || !event) refuse(400);
    else if (!this.#concerns(attempt, event)) refuse(489);
    else if (!attempt.dialog && this.phase === 'subscribing')
      this.#begin(attempt, request, transaction);
    else if (this.#isOfDialog(request)) this.#onNotify(request, transaction);
    else this.#onFork(attempt, request, transaction);
  }

  /** A subscription that was begun by REFER may have the CSeq of that as its id (RFC 3515 §2.4.6). */
  #concerns(attempt: Attempt, { token, params }: TokenWithParams): boolean {
    if (token.toLowerCase() !== this.package.name) return false;
    if (this.#options.headers && !attempt.dialog) attempt.eventId = params.get('id');
    return params.get('id') === attempt.eventId;
  }

  #isOfDialog({ headers }: SipRequest): boolean {
    return headers.require(From).params.get('tag') === this.#attempt?.dialog?.remoteTag;
  }

  /** The NOTIFY makes the dialog (RFC 6665 §4.4.1). */
  #begin(attempt: Attempt, request: SipRequest, transaction: ServerTransaction): void {
    const dialog = dialogOfCallee(request, attempt.localTag);
    dialog.localSequence = attempt.sequence;
    dialog.remoteSequence = undefined;
    attempt.dialog = dialog;
    this.#host.context.dialogs.add(dialog, this);
    this.#onNotify(request, transaction);
  }

  #onNotify(request: SipRequest, transaction: ServerTransaction): void {
    const dialog = this.#attempt?.dialog;
    if (!dialog || !admitSequence(dialog, request)) {
      this.#respond(request, transaction, dialog ? 500 : 481);
      return;
    }
    refreshTarget(dialog, request);
    this.#take(request, transaction);
  }

  #take(request: SipRequest, transaction: ServerTransaction): void {
    const notified = statedIn(request);
    if (!notified) return;
    this.#notify = { request, transaction };
    this.step({ type: 'notify', notified });
    this.#notify = undefined;
  }

  #answerNotify(status: number): void {
    if (this.#notify) this.#respond(this.#notify.request, this.#notify.transaction, status);
  }

  /** Another phone that the SUBSCRIBE reached (§4.1.2.4, §5.4.9). */
  #onFork(attempt: Attempt, request: SipRequest, transaction: ServerTransaction): void {
    const { clock } = this.#host.context;
    const inTime = clock.now() < attempt.forksUntil && this.#branches < MAX_BRANCHES;
    const leaving = this.#state.leave || this.phase === 'leaving';
    const { kind } = this.#state;
    const mayHave =
      this.package.forks && inTime && !leaving && kind !== 'fetch' && kind !== 'branch';
    if (!mayHave) {
      this.#respond(request, transaction, 481);
      return;
    }
    const branch = new Subscription(this.#host, this.#options, 'branch');
    branch.#attempt = { ...attempt, dialog: undefined };
    branch.start();
    this.#branches++;
    branch.once('ended', () => this.#branches--);
    this.#host.adopt(branch);
    this.emit('branch', branch);
    branch.#begin(branch.#attempt, request, transaction);
  }

  #respond(request: SipRequest, transaction: ServerTransaction, status: number): void {
    transaction.respond(this.#host.context.self.signed(makeResponse(request, status)));
  }

  #forget(): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    const { dialogs } = this.#host.context;
    this.#attempt = undefined;
    dialogs.unexpect(attempt, this);
    if (attempt.dialog) dialogs.remove(attempt.dialog, this);
  }
}

function statusOf(error: unknown): number {
  switch (errorCode(error)) {
    case 'REQUEST_TIMEOUT':
      return 408;
    case 'NO_SUCH_NAME':
    case 'NO_SUCH_HOST':
      return 404;
    default:
      return 503;
  }
}
