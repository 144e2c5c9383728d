/** The driver of attachment-machine.ts: this device attached to a super-node, and asking the ring through it. */
import { EventEmitter } from 'node:events';
import type { Clock, Timer } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomUnit } from '../core/random.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { LinkAnswer } from './link-messages.js';
import {
  type AttachmentAction,
  type AttachmentEvent,
  type AttachmentState,
  newAttachment,
  stepAttachment,
} from './nodes/attachment-machine.js';
import type { LossReason, NodeFailure, NodeResult } from './nodes/attachment-state.js';
import type { NodeAnswer, NodeRequest } from './nodes/node-messages.js';
import { Responders } from './responders.js';
import type { Id } from './ring/ids.js';
import type { Peer } from './ring/peer.js';
import type { RingRecord } from './ring/records.js';
import type { RingAccess } from './ring-access.js';
import type { Respond, RingLinks } from './ring-links.js';
import type { Untimed } from './untimed.js';

export interface AttachmentOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly links: Pick<RingLinks, 'ask' | 'targetOf'>;
  readonly userAgent: Pick<UserAgent, 'transports'>;
  readonly id: Id;
  /** SIP URI that reaches this device. */
  readonly contact: string;
  readonly records: readonly RingRecord[];
}

export interface AttachmentEvents {
  attached: [to: Peer, nodes: number | undefined];
  lost: [from: Peer, reason: LossReason];
  /** It answered an attempt that it is no super-node. */
  refused: [by: Peer];
  /** Discovery is to look, again where `attempt` is above 0. */
  'want-candidates': [attempt: number];
  /** Looked long enough: no super-node answers, or none takes us. */
  nobody: [reason: 'silent' | 'full'];
}

/** How long going may take. */
const LEAVE_WITHIN_MS = 1500;

export class Attachment extends EventEmitter<AttachmentEvents> implements RingAccess {
  readonly #options: AttachmentOptions;
  readonly #state: AttachmentState;
  readonly #waiting = new Map<number, (result: NodeResult) => void>();
  readonly #responders: Responders;
  #timer: Timer | undefined;
  #tag = 1;
  #current: Peer | undefined;
  #attachedAt = 0;
  #stopKeeping: (() => void) | undefined;
  #gone: (() => void) | undefined;
  #stopped = false;

  constructor(options: AttachmentOptions) {
    super();
    this.#options = options;
    this.#responders = new Responders(options.clock);
    const { id, contact, records, random } = options;
    this.#state = newAttachment(id, { contact, records }, () => randomUnit(random));
  }

  /** The super-node it is attached to. */
  get current(): Peer | undefined {
    return this.#current;
  }

  /** Super-nodes that it was told of, or has found. */
  get known(): readonly Peer[] {
    return [...this.#state.known.values()].map(({ peer }) => peer);
  }

  /** How long ago it has taken us, in ms. */
  get attachedMs(): number | undefined {
    return this.#current && this.#options.clock.now() - this.#attachedAt;
  }

  start(): void {
    this.#step({ type: 'start' });
  }

  /** Somebody who may be a super-node; whose id is not known has `UNKNOWN_ID`. */
  candidate(peer: Peer): void {
    this.#step({ type: 'candidate', peer });
  }

  /** The address of this device is another. */
  networkChanged(contact: string): void {
    this.#step({ type: 'network-changed', contact });
  }

  /** All records that are to be in the ring for this device. */
  keep(records: readonly RingRecord[]): void {
    this.#step({ type: 'records-changed', records });
  }

  /** Takes "move", which a super-node that goes says to its nodes. */
  moved(from: Peer, number: number, to: Peer, respond: Respond): void {
    this.#responders.add(from, number, respond);
    this.#step({ type: 'moved', number, from, to });
  }

  async get(key: Id, signal?: AbortSignal): Promise<readonly RingRecord[]> {
    signal?.throwIfAborted();
    const result = await this.#ask(tag => ({ type: 'query', tag, key }));
    if (result.type === 'records') return result.records.filter(({ value }) => value !== undefined);
    throw failure(result);
  }

  async put(record: RingRecord): Promise<number> {
    const result = await this.#ask(tag => ({ type: 'publish', tag, records: [record] }));
    if (result.type === 'stored') return result.copies;
    throw failure(result);
  }

  /** Says goodbye; resolves when a super-node has heard it, or after 1.5 s. @param tombstones of what it had published */
  async leave(tombstones: readonly RingRecord[]): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(LEAVE_WITHIN_MS, resolve);
      this.#gone = () => {
        timer.cancel();
        resolve();
      };
      this.#step({ type: 'stop', tombstones });
    });
    this.stop();
  }

  /** Is gone at once, without a word. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#stopKeeping?.();
    this.#responders.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const settle of waiting) settle({ type: 'failed', why: 'stopped' });
  }

  #ask(event: (tag: number) => Untimed<AttachmentEvent>): Promise<NodeResult> {
    if (this.#stopped) return Promise.resolve({ type: 'failed', why: 'stopped' });
    const tag = this.#tag++;
    return new Promise(resolve => {
      this.#waiting.set(tag, resolve);
      this.#step(event(tag));
    });
  }

  #step(event: Untimed<AttachmentEvent>): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    for (const action of stepAttachment(this.#state, { ...event, now } as AttachmentEvent)) {
      this.#act(action);
    }
  }

  #act(action: AttachmentAction): void {
    switch (action.type) {
      case 'send':
        this.#send(action.to, action.number, action.request);
        return;
      case 'ping':
        this.#ping(action.to);
        return;
      case 'answer':
        this.#responders.answer(action.to, action.number, action.answer);
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = this.#options.clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'want-candidates':
        this.emit('want-candidates', action.attempt);
        return;
      case 'attached':
        this.#arrived(action.to);
        this.emit('attached', action.to, action.nodes);
        return;
      case 'lost': {
        const { from, reason } = action;
        this.#options.logger.info({ at: from.address, reason }, 'the super-node is lost');
        this.#current = undefined;
        this.#stopKeeping?.();
        this.emit('lost', from, reason);
        return;
      }
      case 'nobody':
        this.emit('nobody', action.reason);
        return;
      case 'done': {
        const settle = this.#waiting.get(action.tag);
        this.#waiting.delete(action.tag);
        settle?.(action.result);
        return;
      }
      case 'gone':
        this.#gone?.();
        return;
    }
  }

  #send(to: Peer, number: number, request: NodeRequest): void {
    this.#options.links.ask(to, request, {
      answered: (from, answer) => {
        const body = nodeAnswer(answer);
        if (body) this.#step({ type: 'answered', number, from, answer: body });
        else this.#step({ type: 'heard', from });
      },
      // Who is there is not who is meant (`BAD_ID`): a phone that was replaced, or made anew.
      failed: ({ code }) => {
        this.#step({ type: 'unreachable', number, mistaken: code === 'BAD_ID' });
        if (code === 'NOT_MEMBER') this.emit('refused', to);
      },
    });
  }

  /** By CRLF where the connection is ours to ask by, else by a request. */
  #ping(to: Peer): void {
    const heard = () => this.#step({ type: 'heard', from: to });
    const { links, userAgent } = this.#options;
    if (userAgent.transports.ping(links.targetOf(to), heard)) return;
    links.ask(to, { type: 'ping' }, { answered: heard, failed: () => undefined });
  }

  #arrived(to: Peer): void {
    const { logger, userAgent, links } = this.#options;
    if (this.#current?.address !== to.address) {
      logger.info({ at: to.address, id: to.id }, 'attached to a super-node');
    }
    this.#current = to;
    this.#attachedAt = this.#options.clock.now();
    this.#stopKeeping?.();
    const lost = () => this.#step({ type: 'flow-lost', peer: to });
    this.#stopKeeping = userAgent.transports.keepFlow(links.targetOf(to), { answers: false }, lost);
  }
}

/** Undefined for what members say to each other. */
export function nodeAnswer(answer: LinkAnswer): NodeAnswer | undefined {
  switch (answer.type) {
    case 'attached':
    case 'elsewhere':
    case 'busy':
    case 'accepted':
    case 'records':
    case 'stored':
    case 'refused':
      return answer;
    default:
      return undefined;
  }
}

const FAILURES: Readonly<Record<NodeFailure, readonly [code: string, message: string]>> = {
  'no-ring': ['NO_RING', 'this phone has found no super-node yet'],
  'no-answer': ['NO_ANSWER', 'nobody in the ring answered in time'],
  'too-many': ['OVERLOADED', 'too many requests to the ring are under way'],
  stopped: ['NO_RING', 'this phone has left the ring'],
};

function failure(result: NodeResult): CodedError {
  if (result.type === 'failed') return new CodedError(...FAILURES[result.why]);
  const why = result.type === 'refused' ? result.reason : 'an answer to something else';
  return new CodedError('NOT_KEPT', `the ring did not keep the record: ${why}`);
}
