/**
 * Nodes and super-nodes on one virtual LAN: machines, what they send to each other, and the time between. Hosts may
 * refuse (nothing runs there), or be silent (their link is down).
 */

import {
  type AttachmentAction,
  type AttachmentEvent,
  type AttachmentState,
  newAttachment,
  stepAttachment,
} from '../../../src/overlay/nodes/attachment-machine.js';
import type { NodeAnswer, NodeRequest } from '../../../src/overlay/nodes/node-messages.js';
import { type Id, idOf, UNKNOWN_ID } from '../../../src/overlay/ring/ids.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { EventQueue } from '../../../src/simulation/event-queue.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';

/** What an event is before the time is added. */
export type Untimed<Event> = Event extends unknown ? Omit<Event, 'now'> : never;

export interface Host {
  readonly peer: Peer;
  take(from: Peer, number: number, request: NodeRequest): void;
  answered(from: Peer, number: number, answer: NodeAnswer): void;
  /** `mistaken`: another host has that address. */
  unreachable(number: number, mistaken: boolean): void;
  flowLost(peer: Peer): void;
}

const LATENCY_MS = 2;

export class NodeLan {
  readonly queue = new EventQueue<() => void>();
  readonly random: SeededRandom;
  readonly hosts = new Map<string, Host>();
  readonly silent = new Set<string>();
  /** What super-nodes have put there of what their nodes attached with, by key. */
  readonly ring = new Map<Id, readonly RingRecord[]>();
  /** Who is asked a request at all, by address. */
  readonly links = new Map<string, Set<string>>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  get now(): number {
    return this.queue.now;
  }

  run(ms: number): void {
    const until = this.now + ms;
    for (let due = this.queue.next(until); due; due = this.queue.next(until)) due();
  }

  after(ms: number, what: () => void): void {
    this.queue.add(ms, what);
  }

  reaches(one: string, other: string): boolean {
    return !this.silent.has(one) && !this.silent.has(other);
  }

  request(from: Peer, to: Peer, number: number, request: NodeRequest): void {
    this.after(LATENCY_MS, () => {
      if (!this.reaches(from.address, to.address)) return;
      const host = this.hosts.get(to.address);
      const mistaken = to.id !== UNKNOWN_ID && host !== undefined && host.peer.id !== to.id;
      if (host && !mistaken) {
        this.#link(from.address, to.address);
        host.take(from, number, request);
        return;
      }
      this.after(LATENCY_MS, () => this.hosts.get(from.address)?.unreachable(number, mistaken));
    });
  }

  answer(from: Peer, to: string, number: number, answer: NodeAnswer): void {
    this.after(LATENCY_MS, () => {
      if (this.reaches(from.address, to)) this.hosts.get(to)?.answered(from, number, answer);
    });
  }

  /** The process there ends: its links break, and new ones are refused. */
  crash(address: string): void {
    const gone = this.hosts.get(address);
    this.hosts.delete(address);
    if (!gone) return;
    for (const other of this.links.get(address) ?? []) {
      this.links.get(other)?.delete(address);
      this.after(LATENCY_MS, () => {
        if (this.reaches(address, other)) this.hosts.get(other)?.flowLost(gone.peer);
      });
    }
    this.links.delete(address);
  }

  #link(one: string, other: string): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const links = this.links.get(from) ?? new Set();
      this.links.set(from, links.add(to));
    }
  }
}

/** An ordinary phone. */
export class Phone implements Host {
  readonly peer: Peer;
  readonly state: AttachmentState;
  readonly log: string[] = [];
  readonly actions: AttachmentAction[] = [];
  readonly sentAt: number[] = [];
  /** When discovery was asked. */
  readonly wants: number[] = [];
  /** How often each request was sent. */
  readonly sent = new Map<string, number>();
  readonly results = new Map<number, unknown[]>();
  onAction: (action: AttachmentAction) => void = () => {};
  #timer = 0;

  constructor(
    readonly lan: NodeLan,
    name: string,
    records: readonly RingRecord[] = [],
  ) {
    this.peer = { id: idOf(name), address: `${name}:5061` };
    const chance = () => lan.random.unit();
    const contact = `sip:${name}@${name}`;
    this.state = newAttachment(this.peer.id, { contact, records }, chance);
    lan.hosts.set(this.peer.address, this);
  }

  /** How often a rate was at its highest: requests within any second. */
  get busiestSecond(): number {
    let most = 0;
    let first = 0;
    for (const [index, at] of this.sentAt.entries()) {
      while (this.sentAt[first]! <= at - 1000) first++;
      most = Math.max(most, index - first + 1);
    }
    return most;
  }

  get at(): string | undefined {
    return this.state.current?.peer.address;
  }

  step(event: Untimed<AttachmentEvent>): AttachmentAction[] {
    const actions = stepAttachment(this.state, { ...event, now: this.lan.now });
    this.actions.push(...actions);
    for (const action of actions) this.#act(action);
    return actions;
  }

  take(from: Peer, number: number, request: NodeRequest): void {
    if (request.type !== 'move') throw new Error(`a node was sent ${request.type}`);
    this.step({ type: 'moved', number, from, to: request.to });
  }

  answered(from: Peer, number: number, answer: NodeAnswer): void {
    this.step({ type: 'answered', number, from, answer });
  }

  unreachable(number: number, mistaken: boolean): void {
    this.step({ type: 'unreachable', number, mistaken });
  }

  flowLost(peer: Peer): void {
    this.step({ type: 'flow-lost', peer });
  }

  #act(action: AttachmentAction): void {
    const { lan, peer } = this;
    this.onAction(action);
    switch (action.type) {
      case 'send': {
        const { to, number, request } = action;
        this.sentAt.push(lan.now);
        this.sent.set(request.type, (this.sent.get(request.type) ?? 0) + 1);
        lan.request(peer, to, number, request);
        return;
      }
      case 'ping': {
        const { to } = action;
        this.sent.set('ping', (this.sent.get('ping') ?? 0) + 1);
        lan.after(2 * LATENCY_MS, () => {
          const up = lan.reaches(peer.address, to.address) && lan.hosts.has(to.address);
          if (up && lan.hosts.get(peer.address) === this) this.step({ type: 'heard', from: to });
        });
        return;
      }
      case 'answer':
        lan.answer(peer, action.to.address, action.number, action.answer);
        this.log.push(`${lan.now} answer ${action.answer.type}`);
        return;
      case 'set-timer': {
        const timer = ++this.#timer;
        lan.after(action.ms, () => {
          const here = lan.hosts.get(peer.address) === this;
          if (timer === this.#timer && here) this.step({ type: 'timer' });
        });
        return;
      }
      case 'want-candidates':
        this.wants.push(lan.now);
        return;
      case 'attached':
        this.log.push(`${lan.now} attached ${action.to.address}`);
        return;
      case 'lost':
        this.log.push(`${lan.now} lost ${action.from.address} ${action.reason}`);
        return;
      case 'nobody':
        this.log.push(`${lan.now} nobody ${action.reason}`);
        return;
      case 'done': {
        const results = this.results.get(action.tag) ?? [];
        this.results.set(action.tag, results);
        results.push(action.result);
        return;
      }
      case 'gone':
        this.log.push(`${lan.now} gone`);
        return;
    }
  }
}

/** A super-node as a node sees it, that says what the test wants. */
export class ScriptedSuperNode implements Host {
  readonly peer: Peer;
  readonly taken: { readonly at: number; readonly from: Peer; readonly request: NodeRequest }[] =
    [];
  others: readonly Peer[] = [];
  /** Undefined: says nothing. */
  says: (request: NodeRequest) => NodeAnswer | undefined = request => this.usual(request);
  afterMs = 0;

  constructor(
    readonly lan: NodeLan,
    name: string,
    host = name,
  ) {
    this.peer = { id: idOf(name), address: `${host}:5061` };
    lan.hosts.set(this.peer.address, this);
  }

  usual(request: NodeRequest): NodeAnswer {
    switch (request.type) {
      case 'attach':
        for (const each of request.records) this.lan.ring.set(each.key, [each]);
        return { type: 'attached', expiresS: request.expiresS, others: this.others };
      case 'query':
        return { type: 'records', records: this.lan.ring.get(request.key) ?? [] };
      case 'publish':
        return { type: 'stored', copies: 5 };
      case 'detach':
      case 'hand-over':
      case 'move':
        return { type: 'accepted' };
    }
  }

  requests(type: NodeRequest['type']): number {
    return this.taken.filter(({ request }) => request.type === type).length;
  }

  take(from: Peer, number: number, request: NodeRequest): void {
    this.taken.push({ at: this.lan.now, from, request });
    const answer = this.says(request);
    if (!answer) return;
    this.lan.after(this.afterMs, () => this.lan.answer(this.peer, from.address, number, answer));
  }

  answered(): void {}
  unreachable(): void {}
  flowLost(): void {}
}

export function record(publisher: string, key: string, more: Partial<RingRecord> = {}): RingRecord {
  return {
    key: idOf(key),
    publisher,
    sequence: 1,
    lifeMs: 3_600_000,
    ageMs: 0,
    value: new Uint8Array([1]),
    signature: `by ${publisher}`,
    ...more,
  };
}
