/** The driver of super-node-machine.ts: what a member of the ring does for the nodes that are attached to it. */
import type { Clock, Timer } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomUnit } from '../core/random.js';
import { nodeAnswer } from './attachment.js';
import type { ListedNode } from './nodes/node-list.js';
import type { NodeRequest } from './nodes/node-messages.js';
import { stepSuperNode } from './nodes/super-node-machine.js';
import {
  newSuperNode,
  type OtherSuperNode,
  type SuperNodeAction,
  type SuperNodeEvent,
  type SuperNodeOptions,
  type SuperNodeState,
  type SuperNodeTools,
} from './nodes/super-node-state.js';
import { Responders } from './responders.js';
import { between } from './ring/ids.js';
import type { Peer } from './ring/peer.js';
import type { Respond, RingLinks } from './ring-links.js';
import type { RingMember } from './ring-member.js';
import type { Untimed } from './untimed.js';

export interface SuperNodeDriverOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly links: Pick<RingLinks, 'ask'>;
  readonly member: RingMember;
  readonly tools: Omit<SuperNodeTools, 'chance'>;
  readonly limits?: Partial<SuperNodeOptions>;
}

/** Nodes that move are told one by one. */
const LEAVE_WITHIN_MS = 3000;

export class SuperNode {
  readonly #options: SuperNodeDriverOptions;
  readonly #state: SuperNodeState;
  readonly #responders: Responders;
  #timer: Timer | undefined;
  #left: (() => void) | undefined;
  #stopped = false;
  #predecessor: Peer | undefined;
  readonly #onNeighbours = () => this.#neighbours();

  constructor(options: SuperNodeDriverOptions) {
    this.#options = options;
    this.#responders = new Responders(options.clock);
    const { random, tools, limits, member } = options;
    const chance = () => randomUnit(random);
    this.#state = newSuperNode(member.self, { ...tools, chance }, limits);
    member.on('neighbours', this.#onNeighbours);
    this.#neighbours();
  }

  /** Nodes that are attached now. */
  get nodes(): readonly ListedNode[] {
    return [...this.#state.nodes.values()];
  }

  /** Tells these, which were ours at another address, to attach here. */
  call(nodes: readonly ListedNode[]): void {
    if (nodes.length > 0) this.#step({ type: 'call', nodes });
  }

  /** Takes a request of a node, or of a super-node about its nodes. */
  take(from: Peer, number: number, request: NodeRequest, respond: Respond, source: string): void {
    if (this.#stopped) return;
    this.#responders.add(from, number, respond);
    // Whom the ring does not answer for, the machine answers within its deadline.
    this.#step({ type: 'request', from, number, request, source });
  }

  /** Other super-nodes that are alive, as far as is known. */
  know(others: readonly OtherSuperNode[]): void {
    this.#step({ type: 'others', others });
  }

  /** Hands its nodes over and tells them; resolves when that is done, or after 3 s. */
  async leave(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(LEAVE_WITHIN_MS, resolve);
      this.#left = () => {
        timer.cancel();
        resolve();
      };
      this.#step({ type: 'leave' });
    });
    this.stop();
  }

  /** Is gone at once, without a word. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#responders.clear();
    this.#options.member.off('neighbours', this.#onNeighbours);
  }

  #neighbours(): void {
    const { predecessor, successors } = this.#options.member.status;
    const before = this.#predecessor;
    this.#predecessor = predecessor;
    this.#step({ type: 'neighbours', successors });
    if (!before || before.id === predecessor?.id) return;
    // Somebody has joined between us: whoever it was before is now its to look after.
    if (predecessor && between(predecessor.id, before.id, this.#options.member.self.id)) return;
    // It may have died; one that left has sent its nodes away.
    this.#step({ type: 'member-lost', peer: before });
  }

  #step(event: Untimed<SuperNodeEvent>): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    for (const action of stepSuperNode(this.#state, { ...event, now } as SuperNodeEvent)) {
      this.#act(action);
    }
  }

  #act(action: SuperNodeAction): void {
    const { member, links } = this.#options;
    switch (action.type) {
      case 'answer':
        this.#responders.answer(action.to, action.number, action.answer);
        return;
      case 'put': {
        const { tag, record } = action;
        void member.keep(record).then(
          outcome => this.#step({ type: 'put-done', tag, ...outcome }),
          () => this.#step({ type: 'put-done', tag, copies: 0, reason: 'no-answer' }),
        );
        return;
      }
      case 'get': {
        const { tag, key, doubting } = action;
        const got = doubting ? member.get(key) : member.getTrusting(key);
        void got.then(
          records => this.#step({ type: 'get-done', tag, records }),
          () => this.#step({ type: 'get-done', tag, records: undefined }),
        );
        return;
      }
      case 'send': {
        const { to, number, request } = action;
        links.ask(to, request, {
          answered: (from, answer) =>
            this.#step({ type: 'answered', number, from, answer: nodeAnswer(answer) }),
          failed: () => this.#step({ type: 'unreachable', number }),
        });
        return;
      }
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = this.#options.clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'left':
        this.#left?.();
        return;
    }
  }
}
