/**
 * Members of a ring on virtual time and a virtual wide-area network: the machines of `src/overlay`, with
 * links that delay, lose and part, and members that crash, leave and deceive. It sees what no member
 * sees, the truth, and holds the named invariants against it as it goes.
 */
import { createHash } from 'node:crypto';
import { type Id, indexAtOrAfter, ownerAmong } from '../overlay/ring/ids.js';
import {
  checkCopies,
  checkLiveSuccessors,
  checkOneRing,
  checkOrdered,
  checkOwner,
  checkPart,
  type InvariantName,
  type Violation,
} from '../overlay/ring/invariants.js';
import { stepMember } from '../overlay/ring/member.js';
import type {
  MemberAction,
  MemberEvent,
  MemberOptions,
  MemberState,
  MemberTools,
  Timer,
} from '../overlay/ring/member-state.js';
import type { RingMessage } from '../overlay/ring/messages.js';
import { newMember } from '../overlay/ring/new-member.js';
import type { Peer } from '../overlay/ring/peer.js';
import type { RingRecord } from '../overlay/ring/records.js';
import { EventQueue } from './event-queue.js';
import { type Deceit, deceive } from './hostile-members.js';
import { messageBytes } from './message-size.js';
import { type RingKeys, StatedKeys } from './ring-keys.js';
import { SeededRandom } from './seeded-random.js';
import { recordSignature } from './simulated-record.js';
import { WideArea } from './wide-area.js';

export interface SimulatedMember {
  readonly peer: Peer;
  readonly state: MemberState;
  readonly host: number;
  /** Its chance, and the delays of what it sends: nobody else's doing changes them. */
  readonly random: SeededRandom;
  /** Members of different parts do not reach each other. */
  part: number;
  alive: boolean;
  /** Alive, joined and not yet gone: it answers for its part of the ring. */
  inRing: boolean;
  readonly deceit: Deceit | undefined;
  /** Messages by receiver and type, where some are lost. */
  readonly sent: Map<string, number>;
  checkedSuccessors: readonly Peer[];
  checkedPredecessor: Peer | undefined;
}

export type LookupDone = Extract<MemberAction, { type: 'lookup-done' }>;
export type PutDone = Extract<MemberAction, { type: 'put-done' }>;
export type GetDone = Extract<MemberAction, { type: 'get-done' }>;
export type ValueDone = Extract<MemberAction, { type: 'value-done' }>;
type Done = LookupDone | PutDone | GetDone | ValueDone;

type Scheduled =
  | { readonly type: 'message'; readonly to: SimulatedMember; readonly message: RingMessage }
  | { readonly type: 'timer'; readonly at: SimulatedMember; readonly timer: Timer }
  | { readonly type: 'call'; readonly call: () => void };

export interface SimulatedRingOptions {
  readonly seed: number;
  /** Another number, other delays and other chances of the members; ids and places follow from the seed. */
  readonly delays?: number;
  readonly member?: Partial<MemberOptions>;
  /** Of all messages, between different hosts. */
  readonly loss?: number;
  /** Members' keys; without ciphers by default. */
  readonly keys?: RingKeys;
  /** Whether the publisher of a record signed it; without ciphers by default. */
  readonly verifyRecord?: (record: RingRecord) => boolean;
}

/** Violations are counted; of each invariant the first few are kept word for word. */
const KEPT_VIOLATIONS = 5;

export class SimulatedRing {
  readonly random: SeededRandom;
  readonly area = new WideArea();
  readonly members: SimulatedMember[] = [];
  readonly violations = new Map<InvariantName, { count: number; first: string[] }>();
  /** By what is asked for, answers included. */
  readonly traffic = { messages: 0, bytes: 0, byType: new Map<string, [number, number]>() };
  readonly #queue = new EventQueue<Scheduled>();
  readonly #byAddress = new Map<string, SimulatedMember>();
  readonly #byHost = new Map<number, SimulatedMember>();
  /** Who is in the ring, by id: the truth. */
  readonly #inRing: Peer[] = [];
  readonly #hostile: Peer[] = [];
  readonly #options: SimulatedRingOptions;
  readonly #keys: RingKeys;
  readonly #waiting = new Map<number, (done: Done) => void>();
  /** Owners that answered rightly, for lookups whose answer is still on its way. */
  readonly #claims = new Map<string, number>();
  /** Of members that were not adopted yet. */
  readonly #randoms = new Map<Id, SeededRandom>();
  #nextNumber = 0;
  #nextTag = 1;
  #joined: ((member: SimulatedMember) => void) | undefined;
  #sent: ((from: Peer, to: Peer, message: RingMessage) => void) | undefined;
  /** Set while rings are cut or merging: then a key may have two owners. */
  truthIsDivided = false;

  constructor(options: SimulatedRingOptions) {
    this.#options = options;
    this.#keys = options.keys ?? new StatedKeys();
    this.random = new SeededRandom(options.seed);
  }

  get now(): number {
    return this.#queue.now;
  }

  /** Live members, by id. */
  get ring(): readonly Peer[] {
    return this.#inRing;
  }

  onJoined(listener: (member: SimulatedMember) => void): void {
    this.#joined = listener;
  }

  /** Every message, also those that get lost. */
  onSent(listener: (from: Peer, to: Peer, message: RingMessage) => void): void {
    this.#sent = listener;
  }

  /** A member's id and place follow from its number and the seed, whoever else there is. */
  newPeer(number = this.#nextNumber): { peer: Peer; host: number } {
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    const own = this.#ownRandom(number);
    const id = this.#keys.newId(own);
    this.area.add(number, own);
    const { seed, delays = 0 } = this.#options;
    this.#randoms.set(id, new SeededRandom(seed, 2 ** 21 * delays + 2 * number + 1));
    return { peer: { id, address: `host-${number}` }, host: number };
  }

  /** The id that a member of this number has, or would have. */
  idOfNumber(number: number): Id {
    return this.#keys.newId(this.#ownRandom(number));
  }

  #ownRandom(number: number): SeededRandom {
    return new SeededRandom(this.#options.seed, 2 * number + 2);
  }

  /** What a member is handed: chance from the seed, and its key. */
  toolsOf(peer: Peer): MemberTools {
    const random = this.#randoms.get(peer.id)!;
    return {
      chance: () => random.unit(),
      sign: text => this.#keys.sign(peer.id, text),
      verify: (signer, text, signature) => this.#keys.verify(signer, text, signature),
      verifyRecord:
        this.#options.verifyRecord ?? (record => record.signature === recordSignature(record)),
    };
  }

  /** A new host that joins through `contacts`, or begins a ring. */
  start(
    contacts: readonly Peer[],
    options: { part?: number; number?: number } = {},
  ): SimulatedMember {
    const { peer, host } = this.newPeer(options.number);
    const state = newMember(peer, this.toolsOf(peer), this.#options.member);
    const member = this.adopt(state, host, undefined, options.part ?? 0);
    this.step(member, { type: 'start', now: this.now, contacts });
    return member;
  }

  /** A member whose state was made elsewhere. */
  adopt(state: MemberState, host: number, deceit?: Deceit, part = 0): SimulatedMember {
    const { id } = state.self;
    const random = this.#randoms.get(id)!;
    this.#randoms.delete(id);
    const member: SimulatedMember = {
      peer: state.self,
      state,
      host,
      random,
      part,
      alive: true,
      inRing: false,
      deceit,
      sent: new Map(),
      checkedSuccessors: [],
      checkedPredecessor: undefined,
    };
    this.members.push(member);
    this.#byAddress.set(state.self.address, member);
    this.#byHost.set(host, member);
    if (deceit) insert(this.#hostile, state.self);
    if (state.phase === 'member') this.#enter(member);
    return member;
  }

  memberOf(peer: Peer): SimulatedMember {
    return this.#byAddress.get(peer.address)!;
  }

  /** If it is alive. */
  memberOfNumber(number: number): SimulatedMember | undefined {
    return this.#byHost.get(number);
  }

  crash(member: SimulatedMember): void {
    member.alive = false;
    this.#byHost.delete(member.host);
    this.#exit(member);
    this.#byAddress.delete(member.peer.address);
  }

  leave(member: SimulatedMember): void {
    this.#exit(member);
    this.step(member, { type: 'leave', now: this.now });
    this.crash(member);
  }

  /** Forgets crashed members, so that long runs stay small. */
  sweep(): void {
    const alive = this.members.filter(member => member.alive);
    this.members.splice(0, this.members.length, ...alive);
  }

  lookup(
    at: SimulatedMember,
    key: Id,
    done: (result: LookupDone) => void,
    recursive = false,
  ): void {
    const tag = this.#wait(result => done(result as LookupDone));
    this.step(at, { type: 'lookup', now: this.now, key, tag, recursive });
  }

  put(at: SimulatedMember, record: RingRecord, done: (result: PutDone) => void): void {
    const tag = this.#wait(result => done(result as PutDone));
    this.step(at, { type: 'put', now: this.now, record, tag });
  }

  get(at: SimulatedMember, key: Id, done: (result: GetDone) => void): void {
    const tag = this.#wait(result => done(result as GetDone));
    this.step(at, { type: 'get', now: this.now, key, tag });
  }

  putValue(
    at: SimulatedMember,
    records: readonly RingRecord[],
    done: (result: PutDone) => void,
  ): void {
    const tag = this.#wait(result => done(result as PutDone));
    this.step(at, { type: 'put-value', now: this.now, records, tag });
  }

  getValue(
    at: SimulatedMember,
    { key, publisher }: Pick<RingRecord, 'key' | 'publisher'>,
    done: (result: ValueDone) => void,
  ): void {
    const tag = this.#wait(result => done(result as ValueDone));
    this.step(at, { type: 'get-value', now: this.now, key, publisher, tag });
  }

  after(delayMs: number, call: () => void): void {
    this.#queue.add(delayMs, { type: 'call', call });
  }

  /** Runs until that instant, or until nothing is left to happen. */
  run(untilMs: number): void {
    for (let next = this.#queue.next(untilMs); next; next = this.#queue.next(untilMs)) {
      this.#happen(next);
    }
  }

  /** Runs until `done()`; false where that took longer than `withinMs`. */
  runUntil(done: () => boolean, withinMs: number): boolean {
    const until = this.now + withinMs;
    while (!done()) {
      const next = this.#queue.next(until);
      if (!next) return done();
      this.#happen(next);
    }
    return true;
  }

  step(member: SimulatedMember, event: MemberEvent): void {
    this.act(member, stepMember(member.state, event));
  }

  act(member: SimulatedMember, actions: readonly MemberAction[]): void {
    const { state } = member;
    if (state.successors !== member.checkedSuccessors) {
      member.checkedSuccessors = state.successors;
      this.report(checkOrdered({ id: state.self.id, successors: state.successors }));
    }
    for (const action of actions) this.#act(member, action);
    if (state.predecessor === member.checkedPredecessor) return;
    member.checkedPredecessor = state.predecessor;
    this.#checkPart(member);
  }

  /** Whether `owner` owned `key` when it said so, or does now. */
  isRightOwner(key: Id, owner: Peer): boolean {
    return this.ownerOf(key)?.id === owner.id || this.#claims.has(`${owner.id} ${key}`);
  }

  ownerOf(key: Id): Peer | undefined {
    return ownerAmong(this.#inRing, key);
  }

  /** Live members from the owner of `key` on. */
  holdersOf(key: Id, count: number): SimulatedMember[] {
    const start = indexAtOrAfter(this.#inRing, key);
    return Array.from({ length: Math.min(count, this.#inRing.length) }, (_, i) =>
      this.memberOf(this.#inRing[(start + i) % this.#inRing.length]!),
    );
  }

  /** The invariants that concern all members at once. */
  checkRing(): void {
    const views = this.#inRing.map(peer => {
      const { successors } = this.memberOf(peer).state;
      return { id: peer.id, successors };
    });
    this.report(checkOneRing(views));
    this.report(checkLiveSuccessors(views));
  }

  /** @param within the owner and its successors among whom the copies are counted */
  checkCopies(keys: readonly Id[], copies: number, within = copies): void {
    const holders = new Map(keys.map(key => [key, this.countCopies(key, within)]));
    this.report(checkCopies(holders, Math.min(copies, this.#inRing.length)));
  }

  countCopies(key: Id, within: number): number {
    return this.holdersOf(key, within).filter(
      ({ state }) => state.records.get(key, this.now).length > 0,
    ).length;
  }

  report(violations: readonly Violation[]): void {
    for (const { invariant, what } of violations) {
      const of = this.violations.get(invariant) ?? { count: 0, first: [] };
      of.count++;
      if (of.first.length < KEPT_VIOLATIONS) of.first.push(`${Math.round(this.now)} ms: ${what}`);
      this.violations.set(invariant, of);
    }
  }

  #happen(next: Scheduled): void {
    switch (next.type) {
      case 'message':
        if (next.to.alive) this.#deliver(next.to, next.message);
        return;
      case 'timer':
        if (next.at.alive) {
          this.step(next.at, { type: 'timer', now: this.now, timer: next.timer });
        }
        return;
      case 'call':
        next.call();
        return;
    }
  }

  #deliver(to: SimulatedMember, message: RingMessage): void {
    if (to.deceit && message.kind === 'request') {
      const { from, number, request } = message;
      const answer = deceive(to.deceit, request, this.#hostile, to.random.unit());
      if (answer === 'silence') return;
      if (answer) {
        const reply = { kind: 'answer', from: to.peer, number, answer } as const;
        this.#send(to, from, reply);
        return;
      }
    }
    this.step(to, { type: 'message', now: this.now, message });
  }

  #act(member: SimulatedMember, action: MemberAction): void {
    switch (action.type) {
      case 'send':
        this.#send(member, action.to, action.message);
        return;
      case 'set-timer':
        this.#queue.add(action.ms, { type: 'timer', at: member, timer: action.timer });
        return;
      case 'joined':
        this.#enter(member);
        this.#joined?.(member);
        return;
      case 'lookup-done':
      case 'put-done':
      case 'get-done':
      case 'value-done': {
        const done = this.#waiting.get(action.tag);
        this.#waiting.delete(action.tag);
        done?.(action);
        return;
      }
      case 'left':
      case 'join-failed':
      case 'merged':
      case 'routing':
        return;
    }
  }

  #send(from: SimulatedMember, to: Peer, message: RingMessage): void {
    this.#sent?.(from.peer, to, message);
    const bytes = messageBytes(message);
    const { traffic } = this;
    traffic.messages++;
    traffic.bytes += bytes;
    const type = message.kind === 'request' ? message.request.type : message.answer.type;
    const ofType = traffic.byType.get(type);
    if (ofType) {
      ofType[0]++;
      ofType[1] += bytes;
    } else traffic.byType.set(type, [1, bytes]);
    if (message.kind === 'answer' && message.answer.type === 'owner')
      this.#claimed(from, to, message);
    const receiver = this.#byAddress.get(to.address);
    if (!receiver || receiver.part !== from.part) return;
    if (receiver !== from && this.#isLost(from, receiver, type)) return;
    const delay = this.area.delayMs(from.host, receiver.host, from.random);
    this.#queue.add(delay, { type: 'message', to: receiver, message });
  }

  /** The same for the n-th message of its type between the two, whatever else they say and to whom. */
  #isLost(from: SimulatedMember, to: SimulatedMember, type: string): boolean {
    const { loss = 0, seed, delays = 0 } = this.#options;
    if (loss === 0) return false;
    const which = `${to.host} ${type}`;
    const count = from.sent.get(which) ?? 0;
    from.sent.set(which, count + 1);
    const hash = createHash('md5').update(`${from.host} ${which} ${count} ${delays} ${seed}`);
    return hash.digest().readUInt32LE(0) < loss * 2 ** 32;
  }

  /** Somebody says that it owns a key: does it? */
  #claimed(
    from: SimulatedMember,
    to: Peer,
    { number, answer }: RingMessage & { kind: 'answer' },
  ): void {
    if (from.deceit || this.truthIsDivided || answer.type !== 'owner') return;
    const pending = this.#byAddress.get(to.address)?.state.pending.get(number);
    if (pending?.request.type !== 'find' || pending.request.key === to.id) return;
    const { key } = pending.request;
    const owner = answer.owner ?? from.peer;
    // Passed on: judged when the owner itself said so.
    if (owner.id !== from.peer.id) return;
    const violations = checkOwner(this.#inRing, key, owner.id);
    this.report(violations);
    if (violations.length > 0) return;
    this.#claims.set(`${owner.id} ${key}`, this.now);
    for (const [claim, at] of this.#claims) {
      if (at > this.now - 30_000) break;
      this.#claims.delete(claim);
    }
  }

  #wait(done: (result: Done) => void): number {
    const tag = this.#nextTag++;
    this.#waiting.set(tag, done);
    return tag;
  }

  #enter(member: SimulatedMember): void {
    if (member.inRing) return;
    member.inRing = true;
    insert(this.#inRing, member.peer);
    const [, next] = this.holdersOf(member.peer.id, 2);
    if (next) this.#checkPart(next);
  }

  #checkPart(member: SimulatedMember): void {
    if (!member.inRing || member.deceit || this.truthIsDivided) return;
    const { self, predecessor } = member.state;
    this.report(checkPart(this.#inRing, { id: self.id, predecessor }));
  }

  #exit(member: SimulatedMember): void {
    if (!member.inRing) return;
    member.inRing = false;
    this.#inRing.splice(indexAtOrAfter(this.#inRing, member.peer.id), 1);
  }
}

function insert(sorted: Peer[], peer: Peer): void {
  sorted.splice(indexAtOrAfter(sorted, peer.id), 0, peer);
}
