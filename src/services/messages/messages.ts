/**
 * Messages of the person at this phone: sent outside any dialog (RFC 3428), taken there and within calls.
 */
import { CallId, CSeq, formatUri, isSipUri, type SipRequest, type SipUri } from '@sip-stack/parser';
import type { CallEnd } from '../../calling/call-end.js';
import { endOfError } from '../../calling/call-end.js';
import { callerOf, nameOf } from '../../calling/caller.js';
import { parseDialled } from '../../calling/dialled.js';
import { redirections } from '../../calling/redirections.js';
import type { Clock, Timer } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import type { Service } from '../../core/lifecycle.js';
import type { Logger } from '../../core/logger.js';
import type { Location, Locator } from '../../discovery/locator.js';
import { describeTarget } from '../../sip/resolution/plan.js';
import type { CallerIdentity } from '../../sip/self.js';
import type { ServerTransaction } from '../../sip/transaction/layer.js';
import type { Target } from '../../sip/transport/transport.js';
import type { UserAgent } from '../../sip/user-agent.js';
import { MemoryStore } from '../../storage/memory-store.js';
import type { Store } from '../../storage/store.js';
import { Inbox } from './inbox.js';
import type { TextMessage } from './inbox-machine.js';
import {
  newSending,
  type SendingAction,
  type SendingEvent,
  stepSending,
} from './sending-machine.js';
import { MAX_TEXT_OCTETS, readText, writeText } from './text-body.js';

/**
 * Longer text goes by a connection, and not at all where none can be had: what surrounds it takes up to 600
 * octets, and a MESSAGE of more than 1300 may go by nothing that cannot slow down (RFC 3428 §8).
 */
export const MAX_DATAGRAM_TEXT_OCTETS = 700;

/** When a sender may try again whose message found no room, in seconds. */
const RETRY_AFTER_S = 600;

export interface MessagesOptions {
  readonly userAgent: UserAgent;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly locator: Locator;
  readonly identity: (target: SipUri) => CallerIdentity;
  /** Whether a server may be believed who writes through it (RFC 3325). */
  readonly trusts: (peer: Target) => boolean;
  /** Whether a user part means the person here; empty for none. */
  readonly isMe: (user: string) => boolean;
  /** Keeps messages over a restart; asked for when the phone starts. */
  readonly store: () => Store | undefined;
}

/** Answers a request. */
type Respond = (status: number, headers?: Readonly<Record<string, string>>) => void;

export class Messages implements Service {
  readonly #options: MessagesOptions;
  readonly #sending = new Set<Sending>();
  readonly #listeners = new Set<(message: TextMessage) => void>();
  #inbox: Inbox | undefined;

  constructor(options: MessagesOptions) {
    this.#options = options;
    options.userAgent.handle('MESSAGE', (request, transaction) => this.#take(request, transaction));
  }

  async start(): Promise<void> {
    const { store, logger } = this.#options;
    const inbox = await Inbox.open({ store: store() ?? new MemoryStore(), logger });
    inbox.on('message', message => {
      for (const listener of [...this.#listeners]) listener(message);
    });
    this.#inbox = inbox;
  }

  async stop(): Promise<void> {
    for (const sending of [...this.#sending]) sending.giveUp();
  }

  /** Kept and seen by nobody, the oldest first. */
  get unseen(): readonly TextMessage[] {
    return this.#inbox?.unseen ?? [];
  }

  /** Everything kept, the oldest first. */
  get all(): readonly TextMessage[] {
    return this.#inbox?.all ?? [];
  }

  /** @returns ends that */
  listen(listener: (message: TextMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hands somebody what they have not seen, and from now on what comes in; it counts as seen then. */
  show(listener: (message: TextMessage) => void): () => void {
    const showing = (message: TextMessage) => {
      listener(message);
      this.#inbox?.seen(message);
    };
    for (const message of this.unseen) showing(message);
    return this.listen(showing);
  }

  /**
   * Sends text to somebody, named as a call names them.
   *
   * @returns why it was not taken; undefined where it was
   * @throws {CodedError} `BAD_TARGET`, `BAD_TEXT`
   */
  async send(target: string, text: string): Promise<CallEnd | undefined> {
    const uri = parseDialled(target);
    const octets = Buffer.byteLength(text);
    if (text.trim() === '' || octets > MAX_TEXT_OCTETS) {
      throw new CodedError(
        'BAD_TEXT',
        `expected a text of 1 to ${MAX_TEXT_OCTETS} octets, found ${octets === 0 || octets > MAX_TEXT_OCTETS ? octets : 'nothing but blanks'}`,
        { remedy: 'Send a long text in parts.' },
      );
    }
    return new Promise(resolve => {
      const sending = new Sending(this.#options, uri, target, text, end => {
        this.#sending.delete(sending);
        resolve(end);
      });
      this.#sending.add(sending);
      sending.start();
    });
  }

  /** @param trusted where it comes from may be believed who wrote it */
  receive(request: SipRequest, source: string, respond: Respond, trusted = false): void {
    const { clock } = this.#options;
    const read = readText(request);
    if (read.type === 'refused') {
      respond(read.status, read.headers);
      return;
    }
    const { headers } = request;
    const sender = callerOf(request, trusted);
    const from = formatUri(sender.uri);
    const message = {
      from,
      name: nameOf(sender),
      text: read.text,
      receivedAt: clock.wallTime(),
      key: `${headers.require(CallId)} ${headers.require(CSeq).sequence} ${from}`,
      source,
    };
    if (!this.#inbox) {
      respond(480);
      return;
    }
    this.#inbox.receive(message, status =>
      respond(status, status === 480 ? { 'Retry-After': String(RETRY_AFTER_S) } : {}),
    );
  }

  #take(request: SipRequest, transaction: ServerTransaction): void {
    const { userAgent, isMe, trusts } = this.#options;
    const { source } = transaction;
    const respond: Respond = (status, headers) => userAgent.respond(transaction, status, headers);
    const user = isSipUri(request.uri) ? (request.uri.user ?? '') : '';
    if (!isMe(user)) respond(404);
    else this.receive(request, source.endpoint.address, respond, trusts(source));
  }
}

/** One message on its way: the driver of its machine. */
class Sending {
  readonly #options: MessagesOptions;
  readonly #uri: SipUri;
  readonly #text: string;
  readonly #finished: (end: CallEnd | undefined) => void;
  readonly #state;
  /** All copies have this in common, so that the receiver knows them for one. */
  readonly #callId: string;
  readonly #locating = new AbortController();
  #timer: Timer | undefined;

  constructor(
    options: MessagesOptions,
    uri: SipUri,
    target: string,
    text: string,
    finished: (end: CallEnd | undefined) => void,
  ) {
    this.#options = options;
    this.#uri = uri;
    this.#text = text;
    this.#finished = finished;
    this.#state = newSending(target);
    this.#callId = options.userAgent.newSeries().callId;
  }

  start(): void {
    this.#step({ type: 'start' });
  }

  giveUp(): void {
    this.#step({ type: 'give-up' });
  }

  #step(event: SendingEvent): void {
    for (const action of stepSending(this.#state, event)) this.#perform(action);
  }

  #perform(action: SendingAction): void {
    const { clock, locator } = this.#options;
    switch (action.type) {
      case 'locate':
        locator.locate(this.#uri, this.#locating.signal).then(
          locations => this.#step({ type: 'located', locations }),
          error => this.#step({ type: 'not-located', end: endOfError(error) }),
        );
        return;
      case 'send':
        void this.#send(action.location).then(event => this.#step(event));
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'cancel-timer':
        this.#timer?.cancel();
        return;
      case 'finish':
        this.#locating.abort();
        this.#finished(action.end);
        return;
    }
  }

  async #send({ uri, endpoint, target }: Location): Promise<SendingEvent> {
    const { userAgent, identity } = this.#options;
    try {
      const response = await userAgent.request({
        method: 'MESSAGE',
        uri,
        to: this.#way(target ?? { ...describeTarget(uri), endpoint }),
        from: identity(uri),
        series: { callId: this.#callId, sequence: 0 },
        ...writeText(this.#text),
      });
      const { status, reason } = response;
      return { type: 'answered', status, reason, locations: redirections(response, this.#uri) };
    } catch (error) {
      const end = endOfError(error);
      const silent = error instanceof CodedError && error.code === 'REQUEST_TIMEOUT';
      return { type: 'unanswered', end: silent ? { ...end, code: 'UNREACHABLE' } : end };
    }
  }

  #way(target: Target): Target {
    const long = Buffer.byteLength(this.#text) > MAX_DATAGRAM_TEXT_OCTETS;
    return long && target.protocol === 'UDP' ? { ...target, protocol: 'TCP' } : target;
  }
}
