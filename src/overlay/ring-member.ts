/**
 * The driver of a member: the machine of ring/member.ts on a clock and on links. Times, numbers and promises are here; what a
 * member does is there.
 */
import { EventEmitter } from 'node:events';
import type { Clock, Timer } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomUnit } from '../core/random.js';
import type { LastingRecords } from './lasting-records.js';
import type { LinkAnswer, LinkRequest } from './link-messages.js';
import { Responders } from './responders.js';
import type { Id } from './ring/ids.js';
import { stepMember } from './ring/member.js';
import type {
  MemberAction,
  MemberEvent,
  MemberOptions,
  MemberState,
  Routing,
} from './ring/member-state.js';
import type { RingAnswer, RingRequest } from './ring/messages.js';
import { newMember } from './ring/new-member.js';
import type { Peer } from './ring/peer.js';
import type { RecordBounds, RingRecord, StoreRefusal } from './ring/records.js';
import type { RingAccess } from './ring-access.js';
import type { LinkKeys, Respond, RingLinks } from './ring-links.js';

export interface RingMemberOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly links: Pick<RingLinks, 'ask'>;
  readonly self: Peer;
  readonly keys: LinkKeys;
  /** Whether the publisher of a record signed it. */
  readonly verifyRecord: (record: RingRecord) => boolean;
  readonly member?: Partial<MemberOptions>;
  readonly bounds?: RecordBounds;
  /** Keeps what is meant to last; without, all is held in memory only. */
  readonly lasting?: LastingRecords;
  /** Of what it says of itself in the table: higher than what it said at another address; 1 by default. */
  readonly version?: number;
}

export interface RingMemberEvents {
  joined: [];
  /** None of the contacts answered, or somebody has our id; it is tried again. */
  'join-failed': [reason: 'no-answer' | 'id-in-use'];
  merged: [other: Peer];
  routing: [routing: Routing];
  /** Predecessor or successors are others than before. */
  neighbours: [];
}

export interface MemberStatus {
  readonly id: Id;
  /** Where it takes links. */
  readonly address: string;
  readonly phase: MemberState['phase'];
  readonly predecessor: Peer | undefined;
  readonly successors: readonly Peer[];
  readonly routing: Routing;
  /** Of the table, where there is one. */
  readonly known: number | undefined;
  readonly records: number;
  readonly recordBytes: number;
}

export interface PutOutcome {
  readonly copies: number;
  readonly reason?: StoreRefusal | 'no-answer';
}

/** How long a member that leaves may take to hand over what it holds. */
const LEAVE_WITHIN_MS = 3000;

type Settle = (action: MemberAction) => void;

export class RingMember extends EventEmitter<RingMemberEvents> implements RingAccess {
  readonly #options: RingMemberOptions;
  readonly #state: MemberState;
  readonly #timers = new Set<Timer>();
  readonly #waiting = new Map<number, Settle>();
  readonly #responders: Responders;
  #tag = 1;
  #asking = 0;
  #idle: (() => void) | undefined;
  #stopped = false;
  #neighbours = '';

  constructor(options: RingMemberOptions) {
    super();
    this.#options = options;
    this.#responders = new Responders(options.clock);
    const { random, keys, verifyRecord } = options;
    const tools = {
      chance: () => randomUnit(random),
      sign: keys.sign,
      verify: keys.verify,
      verifyRecord,
    };
    const { self, member, bounds, version, lasting } = options;
    this.#state = newMember(self, tools, member, bounds, version, lasting !== undefined);
  }

  get self(): Peer {
    return this.#state.self;
  }

  /** Of the last that it said of itself in the table. */
  get version(): number {
    return this.#state.version;
  }

  get joined(): boolean {
    return this.#state.phase === 'member';
  }

  get status(): MemberStatus {
    const { self, phase, predecessor, successors, routing, membership, records } = this.#state;
    return {
      id: self.id,
      address: self.address,
      phase,
      predecessor,
      successors,
      routing,
      known: membership?.present.length,
      records: records.size,
      recordBytes: records.bytes,
    };
  }

  /** Other members that are known to be there: all of a small ring, the neighbours of a large one. */
  get others(): readonly Peer[] {
    const { self, membership } = this.#state;
    return membership?.present.filter(({ id }) => id !== self.id) ?? this.neighbours;
  }

  /** Those of them that follow each other from us on: nobody is among them for saying so, as in the table. */
  get neighbours(): readonly Peer[] {
    const { self, predecessor, successors } = this.#state;
    const byId = new Map<Id, Peer>();
    for (const peer of [predecessor, ...successors]) if (peer) byId.set(peer.id, peer);
    byId.delete(self.id);
    return [...byId.values()];
  }

  /** Of another ring, told of by a neighbour, and of a kind of address that we have none of. */
  get outOfReach(): Peer | undefined {
    return this.#state.outOfReach;
  }

  /** Joins through the first of `contacts` that answers; founds a ring of its own where there are none. */
  start(contacts: readonly Peer[]): void {
    const { lasting } = this.#options;
    const kept = lasting?.records ?? [];
    for (const record of kept) this.#state.records.put(record, this.#now);
    this.#state.records.flushed(kept);
    this.#step({ type: 'start', now: this.#now, contacts });
  }

  /** As `start`; whether it is a member within this time, and before the signal. */
  join(contacts: readonly Peer[], withinMs: number, signal: AbortSignal): Promise<boolean> {
    const joined = new Promise<boolean>(resolve => {
      const end = (outcome: boolean) => {
        timer.cancel();
        signal.removeEventListener('abort', giveUp);
        resolve(outcome);
      };
      const giveUp = () => end(false);
      const timer = this.#options.clock.after(withinMs, giveUp);
      signal.addEventListener('abort', giveUp);
      this.once('joined', () => end(true));
    });
    this.start(contacts);
    return joined;
  }

  /** Other members were discovered: of this ring, or of another that is to become one with it. */
  meet(contacts: readonly Peer[]): void {
    this.#step({ type: 'contacts', now: this.#now, contacts });
  }

  /** Its address is the same, but it may be reached at another further one than before. */
  alsoAt(self: Peer): void {
    this.#step({ type: 'reached', now: this.#now, self });
  }

  /** Takes a request that came by a link. */
  take(from: Peer, number: number, request: RingRequest, respond: Respond): void {
    if (this.#stopped) return;
    this.#responders.add(from, number, respond);
    const message = { kind: 'request', from, number, request } as const;
    this.#step({ type: 'message', now: this.#now, message });
  }

  get(key: Id): Promise<readonly RingRecord[]> {
    return this.#get(key, true);
  }

  /** As `get`, but one member's word will do that nothing is there: for what is of use only while it is asked for. */
  getTrusting(key: Id): Promise<readonly RingRecord[]> {
    return this.#get(key, false);
  }

  async #get(key: Id, doubting: boolean): Promise<readonly RingRecord[]> {
    const done = await this.#ask(tag => ({ type: 'get', now: this.#now, key, tag, doubting }));
    if (done.type === 'get-done' && done.records) {
      return done.records.filter(({ value }) => value !== undefined);
    }
    throw noAnswer();
  }

  async put(record: RingRecord): Promise<number> {
    const { copies, reason } = await this.keep(record);
    if (copies > 0) return copies;
    if (reason === 'no-answer') throw noAnswer();
    throw new CodedError('NOT_KEPT', `the ring did not keep the record: ${reason}`);
  }

  /** As `put`, and what came of it: 0 copies, and why. @throws {CodedError} `NO_RING` */
  async keep(record: RingRecord): Promise<PutOutcome> {
    const done = await this.#ask(tag => ({ type: 'put', now: this.#now, record, tag }));
    if (done.type !== 'put-done') return { copies: 0, reason: 'no-answer' };
    const { copies, reason } = done;
    return copies > 0 ? { copies } : { copies, reason: reason ?? 'no-answer' };
  }

  /** Hands over what it holds, says goodbye, and is gone. */
  async leave(): Promise<void> {
    if (this.#stopped) return;
    this.#step({ type: 'leave', now: this.#now });
    if (this.#asking > 0) {
      await new Promise<void>(resolve => {
        const timer = this.#options.clock.after(LEAVE_WITHIN_MS, resolve);
        this.#idle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.stop();
  }

  /** Is gone at once, without a word. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#responders.clear();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [tag, settle] of waiting) settle({ type: 'get-done', tag, records: undefined });
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #ask(event: (tag: number) => MemberEvent): Promise<MemberAction> {
    if (!this.joined || this.#stopped) {
      return Promise.reject(new CodedError('NO_RING', 'this phone is in no ring yet'));
    }
    const tag = this.#tag++;
    return new Promise(resolve => {
      this.#waiting.set(tag, resolve);
      this.#step(event(tag));
    });
  }

  #step(event: MemberEvent): void {
    if (this.#stopped) return;
    for (const action of stepMember(this.#state, event)) this.#act(action);
    this.#tellNeighbours();
  }

  #act(action: MemberAction): void {
    switch (action.type) {
      case 'send': {
        const { to, message } = action;
        if (message.kind === 'request') this.#send(to, message.number, message.request);
        else this.#responders.answer(to, message.number, message.answer);
        return;
      }
      case 'set-timer': {
        const { timer, ms } = action;
        this.#after(ms, () => this.#step({ type: 'timer', now: this.#now, timer }));
        return;
      }
      case 'joined':
        this.#log('member of the ring');
        this.emit('joined');
        return;
      case 'join-failed':
        this.emit('join-failed', action.reason);
        return;
      case 'left':
        return;
      case 'keep':
        void this.#keep(action.number, action.records);
        return;
      case 'forget':
        this.#options.lasting?.forget(action.records);
        return;
      case 'merged':
        this.#log('another ring was met');
        this.emit('merged', action.with);
        return;
      case 'routing':
        this.emit('routing', action.routing);
        return;
      case 'lookup-done':
      case 'put-done':
      case 'get-done':
      case 'value-done': {
        const settle = this.#waiting.get(action.tag);
        this.#waiting.delete(action.tag);
        settle?.(action);
        return;
      }
    }
  }

  async #keep(number: number, records: readonly RingRecord[]): Promise<void> {
    let ok = true;
    try {
      await this.#options.lasting?.keep(records);
    } catch {
      // Told by who keeps them; who wanted it kept is told that it is not.
      ok = false;
    }
    this.#step({ type: 'kept', now: this.#now, number, ok });
  }

  #send(to: Peer, number: number, request: RingRequest): void {
    this.#asking++;
    const settled = () => {
      this.#asking--;
      if (this.#asking === 0) this.#idle?.();
    };
    this.#options.links.ask(to, request, {
      answered: (from, answer) => {
        const body = ringAnswer(answer);
        if (body) {
          const message = { kind: 'answer', from, number, answer: body } as const;
          this.#step({ type: 'message', now: this.#now, message });
        }
        // What follows from it is waited for too, where somebody waits.
        if (body?.type !== 'trying') settled();
      },
      failed: ({ code }) => {
        settled();
        // Who has too much to do is there: somebody else may see to it that our requests are too many.
        const answer = { type: 'busy' } as const;
        const message = { kind: 'answer', from: to, number, answer } as const;
        if (code === 'OVERLOADED') this.#step({ type: 'message', now: this.#now, message });
        else this.#step({ type: 'unreachable', now: this.#now, number });
      },
    });
  }

  #tellNeighbours(): void {
    const { predecessor, successors, outOfReach } = this.#state;
    const now = [predecessor, ...successors, outOfReach].map(peer => peer?.id).join(' ');
    if (now === this.#neighbours) return;
    this.#neighbours = now;
    this.emit('neighbours');
  }

  #after(ms: number, fire: () => void): void {
    const timer = this.#options.clock.after(ms, () => {
      this.#timers.delete(timer);
      fire();
    });
    this.#timers.add(timer);
  }

  #log(what: string): void {
    const { id, address } = this.self;
    this.#options.logger.info({ id, address }, what);
  }
}

function noAnswer(): CodedError {
  return new CodedError('NO_ANSWER', 'nobody in the ring answered in time', {
    remedy: 'It is tried again when the ring has mended itself, within seconds.',
  });
}

/** Undefined for what only super-nodes say to their nodes. */
function ringAnswer(answer: LinkAnswer): RingAnswer | undefined {
  return answer.type === 'attached' || answer.type === 'elsewhere' ? undefined : answer;
}

/** Whether a request is for a member, and not for what a super-node is to its nodes. */
export function isRingRequest(request: LinkRequest): request is RingRequest {
  switch (request.type) {
    case 'attach':
    case 'detach':
    case 'query':
    case 'publish':
    case 'hand-over':
    case 'move':
      return false;
    default:
      return true;
  }
}
