/** Super-nodes with the real machine on the virtual LAN, and a ring between them that is right but slow. */

import type { NodeAnswer, NodeRequest } from '../../../src/overlay/nodes/node-messages.js';
import {
  newSuperNode,
  type SuperNodeEvent,
  type SuperNodeState,
  stepSuperNode,
} from '../../../src/overlay/nodes/super-node-machine.js';
import { type Id, idOf, ownerAmong } from '../../../src/overlay/ring/ids.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import { compareVersions, type RingRecord } from '../../../src/overlay/ring/records.js';
import type { Host, NodeLan, Untimed } from './node-lan.js';

const PUT_MS = 20;
/** Until a dead member is known to be dead: two requests of its neighbour without an answer. */
const DETECT_MS = 3_000;

/** Keeps every record for ever, as copies do; knows who is a member. */
export class SmallRing {
  readonly members: SuperNodeHost[] = [];
  readonly records = new Map<string, RingRecord>();
  puts = 0;

  constructor(readonly lan: NodeLan) {}

  put(record: RingRecord): void {
    this.puts++;
    const name = `${record.key} ${record.publisher}`;
    const held = this.records.get(name);
    if (!held || compareVersions(record, held) >= 0) this.records.set(name, record);
  }

  get(key: Id): RingRecord[] {
    return [...this.records.values()].filter(
      record => record.key === key && record.value !== undefined,
    );
  }

  /** Of who is alive, after a change. */
  tell(): void {
    this.members.sort((one, other) => (one.peer.id < other.peer.id ? -1 : 1));
    const all = this.members.map(({ peer }) => peer);
    for (const [index, member] of this.members.entries()) {
      const successors = [...all.slice(index + 1), ...all.slice(0, index)];
      member.step({ type: 'neighbours', successors });
      const others = this.members
        .filter(other => other !== member)
        .map(({ peer, state }) => ({ peer, nodes: state.nodes.size }));
      member.step({ type: 'others', others });
    }
  }

  /** It is gone at once; the others learn it in their time, and the next looks after its nodes. */
  dies(member: SuperNodeHost): void {
    this.members.splice(this.members.indexOf(member), 1);
    this.lan.after(DETECT_MS, () => {
      this.tell();
      const { id } = member.peer;
      const next = ownerAmong(
        this.members.map(host => ({ id: host.peer.id, host })),
        id,
      );
      next?.host.step({ type: 'member-lost', peer: member.peer });
    });
  }
}

export class SuperNodeHost implements Host {
  readonly peer: Peer;
  readonly state: SuperNodeState;
  readonly requests = new Map<string, number>();
  /** Requests taken within each second. */
  readonly perSecond = new Map<number, number>();
  left = false;
  #timer = 0;
  #sequence = 0;

  constructor(
    readonly lan: NodeLan,
    readonly ring: SmallRing,
    name: string,
    maxNodes = 500,
  ) {
    this.peer = { id: idOf(name), address: `${name}:5061` };
    const tools = {
      chance: () => lan.random.unit(),
      verifyRecord: ({ signature, publisher }: RingRecord) => signature === `by ${publisher}`,
      isVouched: () => false,
      sign: (draft: Pick<RingRecord, 'key' | 'lifeMs' | 'value'>) => ({
        ...draft,
        publisher: this.peer.id,
        sequence: ++this.#sequence,
        ageMs: 0,
        signature: `by ${this.peer.id}`,
      }),
    };
    this.state = newSuperNode(this.peer, tools, { maxNodes });
    lan.hosts.set(this.peer.address, this);
    ring.members.push(this);
    ring.tell();
  }

  get here(): boolean {
    return this.lan.hosts.get(this.peer.address) === this;
  }

  crash(): void {
    this.lan.crash(this.peer.address);
    this.ring.dies(this);
  }

  step(event: Untimed<SuperNodeEvent>): void {
    const { lan, peer, ring } = this;
    for (const action of stepSuperNode(this.state, { ...event, now: lan.now })) {
      switch (action.type) {
        case 'answer':
          lan.answer(peer, action.to.address, action.number, action.answer);
          break;
        case 'put':
          lan.after(PUT_MS, () => {
            if (!this.here) return;
            ring.put(action.record);
            this.step({ type: 'put-done', tag: action.tag, copies: 5 });
          });
          break;
        case 'get':
          lan.after(PUT_MS, () => {
            const records = ring.get(action.key);
            if (this.here) this.step({ type: 'get-done', tag: action.tag, records });
          });
          break;
        case 'send':
          lan.request(peer, action.to, action.number, action.request);
          break;
        case 'set-timer': {
          const timer = ++this.#timer;
          lan.after(action.ms, () => {
            if (timer === this.#timer && this.here) this.step({ type: 'timer' });
          });
          break;
        }
        case 'left':
          this.left = true;
          break;
      }
    }
  }

  take(from: Peer, number: number, request: NodeRequest): void {
    this.requests.set(request.type, (this.requests.get(request.type) ?? 0) + 1);
    const second = Math.floor(this.lan.now / 1000);
    this.perSecond.set(second, (this.perSecond.get(second) ?? 0) + 1);
    this.step({ type: 'request', from, number, request });
  }

  answered(from: Peer, number: number, answer: NodeAnswer): void {
    this.step({ type: 'answered', number, from, answer });
  }

  unreachable(number: number): void {
    this.step({ type: 'unreachable', number });
  }

  flowLost(): void {}
}
