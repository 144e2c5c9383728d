/**
 * Links between members, and between nodes and super-nodes: messages become SIP transactions on the connections of the
 * user agent, which last and are used both ways (RFC 5923). Each message is signed by the device that sends it.
 */
import { Params, Require, type SipRequest, type SipResponse, Via } from '@sip-stack/parser';
import type { Clock, Timer } from '../core/clock.js';
import { withoutZone } from '../core/endpoint.js';
import { asError, CodedError, errorCode } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomToken } from '../core/random.js';
import type { ServerTransaction } from '../sip/transaction/layer.js';
import type { Source, Target } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { LinkAnswer, LinkRequest } from './link-messages.js';
import { LinkRoutes } from './link-routes.js';
import { ReplayWindow } from './replay-window.js';
import { ASKED_ON_WORK, RequestRate } from './request-rate.js';
import type { Id } from './ring/ids.js';
import type { LinkProtocol, Peer } from './ring/peer.js';
import { type KeptAnswerAction, KeptAnswers } from './sip/kept-answers.js';
import { type AssemblyAction, type Part, PartAssembler, type PartOrigin } from './sip/parts.js';
import { refused, type WireRefusal } from './sip/refusal.js';
import {
  decodeRequest,
  encodeMore,
  encodeRequest,
  OPTION_TAG,
  readRequest,
} from './sip/request.js';
import {
  answering,
  decodeResponse,
  encodeAnswer,
  encodeContinue,
  encodeRefusal,
  readAnswer,
} from './sip/response.js';
import { signMessage } from './sip/signature.js';

export interface LinkKeys {
  /** By this device's key, as `signAsId`. */
  readonly sign: (text: string) => string;
  /** As `idSigned`. */
  readonly verify: (signer: Id, text: string, signature: string) => boolean;
}

export interface RingLinksOptions {
  /** Started. */
  readonly userAgent: Pick<UserAgent, 'transactions' | 'transports' | 'localEndpointFor'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly overlay: string;
  readonly protocol: LinkProtocol;
  readonly self: () => Peer;
  readonly keys: LinkKeys;
  /** How often the device has started: what it says now is newer than what it said before (freshness.ts). */
  readonly bootCount: number;
}

export interface AskHandlers {
  /** A provisional "trying" may come before the answer. */
  answered(from: Peer, answer: LinkAnswer): void;
  /** No answer will come: the request could not be sent, or was refused (a code of `WireRefusal`), or 32 s went by. */
  failed(error: CodedError): void;
}

/** Answers a request, or refuses it: once, but for "trying", which may come first. */
export type Respond = (answer: LinkAnswer | WireRefusal) => void;

/** `source`: the address that it came from, whatever the sender says of itself. */
export type RequestTaker = (
  from: Peer,
  number: number,
  request: LinkRequest,
  respond: Respond,
  source: string,
) => void;

/** Requests of ours without an answer: beyond so many, more fail at once. */
const MAX_ASKED = 4096;
/** The ring waits no longer for anybody: who says nothing at all for so long is not at the other end of a connection. */
const SILENT_MS = 4000;
/** Numbers of one boot (`FRESHNESS_BOUNDS`). */
const NUMBERS_PER_BOOT = 2 ** 32;

export class RingLinks {
  /** Takes what others ask; set before anything can come in. */
  onRequest: RequestTaker = () => undefined;
  readonly #options: RingLinksOptions;
  /** Of requests, and of answers to ours: what others send does not get in the way of these. */
  readonly #requests = new PartAssembler();
  readonly #answers = new PartAssembler();
  readonly #replays = new ReplayWindow();
  readonly #rate = new RequestRate();
  readonly #asked = new Map<string, Asked>();
  readonly #kept = new KeptAnswers();
  readonly #timers = new Set<Timer>();
  readonly #routes: LinkRoutes;
  readonly #callId: string;
  #sequence = 0;
  #number: number;
  #stopped = false;
  readonly statistics = { asked: 0, answered: 0, failed: 0, taken: 0, refused: 0 };

  constructor(options: RingLinksOptions) {
    this.#options = options;
    this.#routes = new LinkRoutes(options);
    this.#number = options.bootCount * NUMBERS_PER_BOOT;
    this.#callId = randomToken(options.random, 16);
  }

  /** Requests that wait for an answer. */
  get waiting(): number {
    return this.#asked.size;
  }

  /** Where the link to somebody leads who was asked before. */
  targetOf(peer: Peer): Target {
    return this.#routes.targetOf(peer);
  }

  /** Asks somebody; whose id is not known is told by the answer. */
  ask(to: Peer, request: LinkRequest, handlers: AskHandlers): void {
    const number = this.#number++;
    const { self } = this.#options;
    this.statistics.asked++;
    if (to.address === self().address) {
      this.#askSelf(number, request, handlers);
      return;
    }
    if (this.#asked.size >= MAX_ASKED) {
      const error = new CodedError('OVERLOADED', 'too many requests of the ring are under way');
      queueMicrotask(() => handlers.failed(error));
      return;
    }
    const asked: Asked = { to, number, request, handlers, rest: [] };
    this.#asked.set(String(number), asked);
    void this.#begin(asked).catch(error => this.#fail(asked, failure(to, error)));
  }

  /**
   * Takes the requests of the ring among those that come in, as a router of the user agent.
   *
   * @returns false for all others
   */
  take(request: SipRequest, transaction: ServerTransaction | undefined, source: Source): boolean {
    if (request.method !== 'REGISTER' && request.method !== 'REFER') return false;
    if (!transaction || !requiresRing(request)) return false;
    if (this.#stopped) return false;
    const { overlay, keys, self, clock } = this.#options;
    if (!this.#rate.take(source.endpoint.address, clock.now())) {
      this.#refuse(transaction, refused('OVERLOADED', 'too many requests at a time'), source);
      return true;
    }
    const expected = { overlay, selfId: self().id, verify: keys.verify };
    const decoded = decodeRequest(request, expected);
    if (!decoded.ok) {
      this.#refuse(transaction, decoded, source);
      return true;
    }
    const taken = decoded.value;
    if (taken.type === 'more') {
      const { from, number, index } = taken;
      this.#keep(this.#kept.step({ type: 'asked', from, number, index }), transaction);
      return true;
    }
    const { origin, part } = taken;
    for (const action of this.#requests.step({ type: 'part', origin, part })) {
      this.#assembled(action, transaction, source);
    }
    return true;
  }

  /** Forgets every request; nothing more is said or heard. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#asked.clear();
  }

  // ---- what we ask

  #askSelf(number: number, request: LinkRequest, handlers: AskHandlers): void {
    const self = this.#options.self();
    queueMicrotask(() => {
      if (this.#stopped) return;
      const respond: Respond = answer => {
        queueMicrotask(() => {
          if (this.#stopped) return;
          if ('ok' in answer) handlers.failed(refusalError(self, answer));
          else handlers.answered(self, answer);
        });
      };
      this.onRequest(self, number, request, respond, '');
    });
  }

  async #begin(asked: Asked): Promise<void> {
    const { to, number, request } = asked;
    const { overlay, self } = this.#options;
    const frame = this.#frame(to);
    const sip = encodeRequest({ kind: 'request', from: self(), number, request }, frame);
    this.#sequence += sip.length;
    const [first, ...rest] = sip;
    if (!first) throw new Error(`a request of "${overlay}" without parts`);
    asked.rest.push(...rest);
    await this.#send(asked, first);
  }

  #frame(to: Peer) {
    const { overlay, random } = this.#options;
    const tag = randomToken(random, 8);
    return { overlay, to, callId: this.#callId, sequence: ++this.#sequence, tag };
  }

  async #send(asked: Asked, sip: SipRequest): Promise<void> {
    const { userAgent, keys, clock } = this.#options;
    const { transactions } = userAgent;
    const { target, local } = await this.#routes.find(asked.to);
    if (this.#stopped) return;
    sip.headers.set(Via, {
      transport: 'UDP',
      host: withoutZone(local.address),
      port: local.port,
      params: new Params().set('branch', transactions.newBranch()).set('rport'),
    });
    signMessage(sip, keys.sign);
    transactions.request(sip, target, {
      response: response => this.#receive(asked, response),
      failed: error => this.#fail(asked, error),
    });
    const since = clock.now();
    this.#after(SILENT_MS, () => {
      if (this.#isWaiting(asked)) userAgent.transports.giveUpSilent(target, since);
    });
  }

  #receive(asked: Asked, sip: SipResponse): void {
    if (!this.#isWaiting(asked)) return;
    const { overlay, keys } = this.#options;
    if (sip.status === 100 && !sip.headers.has('DHT-Message')) return;
    const decoded = decodeResponse(sip, asked.request.type, { overlay, verify: keys.verify });
    if (!decoded.ok) {
      this.#fail(asked, refusalError(asked.to, decoded));
      return;
    }
    const { value } = decoded;
    switch (value.type) {
      case 'rejected': {
        const { status, code = `SIP_${status}`, detail } = value;
        this.#fail(asked, new CodedError(code, `${asked.to.address} refused: ${detail}`));
        return;
      }
      case 'continue': {
        const next = asked.rest.shift();
        if (next) this.#follow(asked, next);
        return;
      }
      case 'part': {
        const { from, number } = value.origin;
        if (number !== asked.number || !isFrom(asked, from)) return;
        asked.from ??= from;
        this.#takeAnswerPart(asked, value.origin, value.part);
        return;
      }
    }
  }

  #takeAnswerPart(asked: Asked, origin: PartOrigin, part: Part): void {
    for (const action of this.#answers.step({ type: 'part', origin, part })) {
      switch (action.type) {
        case 'whole':
          this.#answered(asked, readAnswer(action.origin, action.content));
          break;
        case 'waiting': {
          const { self } = this.#options;
          const frame = this.#frame(asked.to);
          this.#follow(asked, encodeMore(self(), asked.number, action.missing, frame));
          break;
        }
        case 'refused':
          this.#fail(asked, refusalError(asked.to, action.refusal));
          break;
        case 'set-timer':
          this.#expireLater(this.#answers, action.assembly, action.ms);
          break;
        case 'expired':
          break;
      }
    }
  }

  #answered(asked: Asked, answer: ReturnType<typeof readAnswer>): void {
    if (!answer.ok) {
      this.#fail(asked, refusalError(asked.to, answer));
      return;
    }
    const { from, answer: body } = answer.value;
    if (body.type !== 'trying') {
      this.#asked.delete(String(asked.number));
      this.statistics.answered++;
    }
    asked.handlers.answered(from, body);
  }

  /** A further part of ours, or the question for one of theirs. */
  #follow(asked: Asked, sip: SipRequest): void {
    void this.#send(asked, sip).catch(error => this.#fail(asked, failure(asked.to, error)));
  }

  #fail(asked: Asked, error: CodedError): void {
    if (!this.#isWaiting(asked)) return;
    this.#asked.delete(String(asked.number));
    this.statistics.failed++;
    const { address: at } = asked.to;
    const { code, message: reason } = error;
    this.#options.logger.debug({ at, asked: asked.request.type, code, reason }, 'no answer');
    asked.handlers.failed(error);
  }

  #isWaiting(asked: Asked): boolean {
    return !this.#stopped && this.#asked.get(String(asked.number)) === asked;
  }

  // ---- what we are asked

  #assembled(action: AssemblyAction, transaction: ServerTransaction, source: Source): void {
    const { overlay, self } = this.#options;
    switch (action.type) {
      case 'whole': {
        const read = readRequest(action.origin, action.content);
        if (!read.ok) {
          this.#refuse(transaction, read, source);
          return;
        }
        const { from, number, request } = read.value;
        if (!this.#replays.take(from.id, number)) {
          this.#refuse(transaction, refused('REPLAYED', `request ${number} came before`), source);
          return;
        }
        const { address } = source.endpoint;
        if (!this.#rate.work(address, workIn(request), this.#options.clock.now())) {
          this.#refuse(transaction, refused('OVERLOADED', 'too much work at a time'), source);
          return;
        }
        this.statistics.taken++;
        const respond: Respond = answer => {
          if ('ok' in answer) this.#refuse(transaction, answer, source);
          else this.#answer(transaction, from, number, answer);
        };
        this.onRequest(from, number, request, respond, address);
        return;
      }
      case 'waiting':
        this.#respond(transaction, encodeContinue(self(), action.origin.number, overlay));
        return;
      case 'refused':
        this.#refuse(transaction, action.refusal, source);
        return;
      case 'set-timer':
        this.#expireLater(this.#requests, action.assembly, action.ms);
        return;
      case 'expired':
        return;
    }
  }

  #answer(transaction: ServerTransaction, to: Peer, number: number, answer: LinkAnswer): void {
    if (this.#stopped) return;
    const { overlay, self } = this.#options;
    let parts: SipResponse[];
    try {
      parts = encodeAnswer({ kind: 'answer', from: self(), number, answer }, overlay);
    } catch (error) {
      // More than a message has room for, whoever has seen to that: no reason to end.
      if (errorCode(error) !== 'UNWRITABLE') throw error;
      const refusal = refused('TOO_LARGE', asError(error).message);
      this.#refuse(transaction, refusal, transaction.source);
      return;
    }
    this.#keep(this.#kept.step({ type: 'answered', to, number, parts }), transaction);
  }

  #keep(actions: readonly KeptAnswerAction[], transaction: ServerTransaction): void {
    for (const action of actions) {
      switch (action.type) {
        case 'respond':
          this.#respond(transaction, action.response);
          break;
        case 'refused':
          this.#refuse(transaction, action.refusal, transaction.source);
          break;
        case 'set-timer': {
          const { kept, ms } = action;
          this.#after(ms, () => this.#kept.step({ type: 'timeout', kept }));
          break;
        }
      }
    }
  }

  #respond(transaction: ServerTransaction, response: SipResponse): void {
    const { random, keys } = this.#options;
    const whole = answering(response, transaction.request, randomToken(random, 8));
    signMessage(whole, keys.sign);
    transaction.respond(whole);
  }

  #refuse(transaction: ServerTransaction, refusal: WireRefusal, { endpoint }: Source): void {
    this.statistics.refused++;
    const { code, detail: reason } = refusal;
    const { logger, random } = this.#options;
    logger.debug({ from: endpoint.address, code, reason }, 'a request of the ring was refused');
    const tag = randomToken(random, 8);
    transaction.respond(answering(encodeRefusal(refusal), transaction.request, tag));
  }

  #expireLater(assembler: PartAssembler, assembly: number, ms: number): void {
    this.#after(ms, () => assembler.step({ type: 'timeout', assembly }));
  }

  #after(ms: number, fire: () => void): void {
    const timer = this.#options.clock.after(ms, () => {
      this.#timers.delete(timer);
      fire();
    });
    this.#timers.add(timer);
  }
}

interface Asked {
  readonly to: Peer;
  readonly number: number;
  readonly request: LinkRequest;
  readonly handlers: AskHandlers;
  /** Parts yet to be sent. */
  readonly rest: SipRequest[];
  /** Who answered, where that was not known. */
  from?: Peer;
}

/** What it has us do, as `RequestRate` counts it. */
function workIn(request: LinkRequest): number {
  switch (request.type) {
    case 'store':
    case 'attach':
    case 'detach':
      return request.records.length;
    case 'membership':
      return request.entries.length;
    case 'hand-over':
      return request.nodes.reduce((sum, { records }) => sum + records.length, 0);
    case 'query':
      return ASKED_ON_WORK;
    case 'publish':
      return request.records.length * ASKED_ON_WORK;
    case 'find':
      return request.withinMs === undefined ? 0 : ASKED_ON_WORK;
    default:
      return 0;
  }
}

function requiresRing({ headers }: SipRequest): boolean {
  return headers.all(Require).some(tag => tag.toLowerCase() === OPTION_TAG);
}

/** Whose id was known has to answer itself. */
function isFrom({ to, from }: Asked, answering: Peer): boolean {
  const expected = to.id === '' ? from?.id : to.id;
  return expected === undefined || expected === answering.id;
}

function failure({ address }: Peer, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  return new CodedError('NO_ROUTE', `${address} could not be asked: ${asError(error).message}`);
}

function refusalError({ address }: Peer, { code, detail }: WireRefusal): CodedError {
  return new CodedError(code, `the answer of ${address} was not taken: ${detail}`);
}
