/** Somebody's subscription at us: the driver of a notifier machine. */
import {
  Contact,
  CSeq,
  Event,
  Expires,
  MinExpires,
  type NameAddr,
  Params,
  RetryAfter,
  type SipRequest,
  type SipResponse,
  SubscriptionState,
} from '@sip-stack/parser';
import { errorCode } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import { admitSequence, type Dialog, refreshTarget, requestInDialog } from '../dialog.js';
import type { DialogUser } from '../dialogs.js';
import { makeDialogResponse, makeResponse } from '../response.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Source } from '../transport/transport.js';
import { type EventContext, NamedTimers } from './context.js';
import {
  type NotifierAction,
  type NotifierEvent,
  type NotifierState,
  type NotifierTimer,
  newNotifierState,
  type SubscriptionTermination,
  stepNotifier,
} from './notifier-machine.js';
import { type Content, type EventPackage, grantedExpiry } from './package.js';

/** What a watcher is told. */
export type ContentMaker = (watcher: Watcher) => Content | undefined;

export interface WatcherOptions {
  readonly package: EventPackage;
  readonly id: string | undefined;
  /** The SUBSCRIBE or REFER that began it. */
  readonly request: SipRequest;
  readonly dialog: Dialog;
  readonly contact: NameAddr;
  readonly local: Endpoint;
  readonly source: Source;
  /** What it is told, as it is at that moment. */
  readonly content: ContentMaker;
  readonly released: (watcher: Watcher) => void;
}

export class Watcher implements DialogUser {
  readonly package: EventPackage;
  readonly dialog: Dialog;
  /** NOTIFYs sent so far: the number of the next one, from 0. */
  sent = 0;
  readonly #context: EventContext;
  readonly #options: WatcherOptions;
  readonly #state: NotifierState;
  readonly #timers: NamedTimers<NotifierTimer>;
  /** The SUBSCRIBE that the machine is looking at. */
  #asked: { request: SipRequest; transaction: ServerTransaction } | undefined;

  constructor(context: EventContext, options: WatcherOptions) {
    this.#context = context;
    this.#options = options;
    this.package = options.package;
    this.dialog = options.dialog;
    this.#state = newNotifierState(options.package.intervalMs);
    this.#timers = new NamedTimers(context.clock);
  }

  /** Where it was asked for from. */
  get address(): string {
    return this.#options.source.endpoint.address;
  }

  /** The SUBSCRIBE or REFER that began it. */
  get begunBy(): SipRequest {
    return this.#options.request;
  }

  get expiresInS(): number {
    return Math.ceil((this.#timers.left('expire') ?? 0) / 1000);
  }

  /** @param expiresS granted */
  start(transaction: ServerTransaction, expiresS: number): void {
    this.#context.dialogs.add(this.dialog, this);
    this.#asking(this.#options.request, transaction, { type: 'subscribe', expiresS });
  }

  /** What it is told has changed. */
  changed(): void {
    this.#step({ type: 'changed' });
  }

  terminate(end: SubscriptionTermination): void {
    this.#step({ type: 'terminate', end });
  }

  /** Forgets it without telling the other side. */
  abandon(): void {
    this.#timers.clear();
    this.#context.dialogs.remove(this.dialog, this);
  }

  request(request: SipRequest, transaction: ServerTransaction | undefined): void {
    if (!transaction) return;
    const { self } = this.#context;
    const respond = (response: SipResponse) => transaction.respond(self.signed(response));
    if (request.method !== 'SUBSCRIBE') {
      respond(makeResponse(request, request.method === 'NOTIFY' ? 481 : 405));
      return;
    }
    const event = request.headers.first(Event);
    if (!event) {
      respond(makeResponse(request, 400));
    } else if (!this.#isOurs(event.token, event.params.get('id'))) {
      // Another subscription in this dialog: each has a dialog of its own (RFC 6665 §4.5.2).
      respond(makeResponse(request, 403));
    } else if (!admitSequence(this.dialog, request)) {
      respond(makeResponse(request, 500));
    } else {
      const expiresS = grantedExpiry(this.package.expires, request.headers.first(Expires));
      if (expiresS === undefined) {
        respond(tooBrief(request, this.package));
        return;
      }
      refreshTarget(this.dialog, request);
      this.#asking(request, transaction, { type: 'subscribe', expiresS });
    }
  }

  #isOurs(token: string, id: string | undefined): boolean {
    return token.toLowerCase() === this.package.name && id === this.#options.id;
  }

  #asking(request: SipRequest, transaction: ServerTransaction, event: NotifierEvent): void {
    this.#asked = { request, transaction };
    this.#step(event);
    this.#asked = undefined;
  }

  #step(event: NotifierEvent): void {
    for (const action of stepNotifier(this.#state, event)) this.#perform(action);
  }

  #perform(action: NotifierAction): void {
    switch (action.type) {
      case 'accept':
        this.#accept(action.expiresS);
        return;
      case 'refuse':
        this.#respond(action.status);
        return;
      case 'notify':
        this.#notify(action.end);
        return;
      case 'set-timer': {
        const { timer, ms } = action;
        this.#timers.set(timer, ms, () => this.#step({ type: 'timer', timer }));
        return;
      }
      case 'cancel-timer':
        this.#timers.cancel(action.timer);
        return;
      case 'finish':
        this.abandon();
        this.#options.released(this);
        return;
    }
  }

  #accept(expiresS: number): void {
    // RFC 6665 §4.2.1.3: 200 and no longer 202; a REFER has always been answered so (RFC 3515 §2.4.2).
    const status = this.#asked?.request.method === 'REFER' ? 202 : 200;
    this.#respond(status, response => {
      response.headers.set(Contact, this.#options.contact);
      if (status === 200) response.headers.set(Expires, expiresS);
    });
  }

  #respond(status: number, complete: (response: SipResponse) => void = () => undefined): void {
    if (!this.#asked) return;
    const { request, transaction } = this.#asked;
    const response = makeDialogResponse(request, status, this.dialog.localTag);
    complete(response);
    transaction.respond(this.#context.self.signed(response));
  }

  #notify(end: SubscriptionTermination | undefined): void {
    const { client, inDialog } = this.#context;
    const { contact, local, source, content, id } = this.#options;
    const { dialog } = this;
    const request = requestInDialog(dialog, 'NOTIFY');
    const params = id === undefined ? new Params() : new Params().set('id', id);
    request.headers
      .set(Contact, contact)
      .set(Event, { token: this.package.name, params })
      .set(SubscriptionState, end ? terminatedState(end) : activeState(this.expiresInS));
    const told = content(this);
    this.sent++;
    if (told) {
      request.headers.setText('Content-Type', told.type);
      request.body = told.body;
    }
    inDialog.send(
      request,
      { local, peer: source },
      {
        reissue: (_challenged, again) => {
          again.headers.set(CSeq, { sequence: ++dialog.localSequence, method: 'NOTIFY' });
          client.addVia(again, local);
        },
        response: response => this.#answered(response),
        failed: error => {
          const status = errorCode(error) === 'REQUEST_TIMEOUT' ? 408 : 503;
          this.#step({ type: 'answer', status });
        },
      },
    );
  }

  #answered(response: SipResponse): void {
    const { status, headers } = response;
    if (status < 200) return;
    if (status < 300) refreshTarget(this.dialog, response);
    const retryAfterS = headers.first(RetryAfter)?.seconds;
    const event = { type: 'answer', status } as const;
    this.#step(retryAfterS === undefined ? event : { ...event, retryAfterS });
  }
}

/** RFC 6665 §4.2.1.1: 423 tells what would do. */
export function tooBrief(
  request: SipRequest,
  { expires }: EventPackage,
  localTag?: string,
): SipResponse {
  const response = makeResponse(request, 423, localTag);
  response.headers.set(MinExpires, expires.minS);
  return response;
}

function activeState(expiresS: number) {
  return { token: 'active', params: new Params().set('expires', String(expiresS)) };
}

function terminatedState({ reason, retryAfterS }: SubscriptionTermination) {
  const params = new Params().set('reason', reason);
  if (retryAfterS !== undefined) params.set('retry-after', String(retryAfterS));
  return { token: 'terminated', params };
}
