/** A super-node: its place in the ring, taken and given up, and the nodes that are attached to it. */
import { asError, CodedError } from '../core/errors.js';
import type { Verifier } from '../identity/signing.js';
import type { ListedNode } from './nodes/node-list.js';
import type { SuperNodeTools } from './nodes/super-node-state.js';
import type { Id } from './ring/ids.js';
import type { Peer } from './ring/peer.js';
import { recordIsSigned } from './ring/record-signature.js';
import type { RingRecord } from './ring/records.js';
import type { RingLinks } from './ring-links.js';
import { RingMember, type RingMemberOptions } from './ring-member.js';
import { SuperNode, type SuperNodeDriverOptions } from './super-node.js';

/** Tells others that there is a super-node here. */
export interface Announcer {
  /** There may be one here soon. */
  prepare(peer: Peer): void;
  /** @param peer with the address where links are taken */
  announce(peer: Peer): Promise<void>;
  withdraw(): Promise<void>;
}

/** What a super-node needs, but who it is. */
export interface SeatOptions
  extends Pick<RingMemberOptions, 'clock' | 'random' | 'logger' | 'keys' | 'member' | 'lasting'>,
    Pick<SuperNodeDriverOptions, 'limits'> {
  readonly links: RingLinks;
  readonly self: () => Peer;
  readonly verifier: Verifier;
  readonly tools: Omit<SuperNodeTools, 'chance' | 'verifyRecord'>;
  readonly announcer: Announcer;
  /** Whoever waits for the ring does so no more. */
  readonly stopped: AbortSignal;
  readonly onNeighbours: () => void;
}

/** Contacts handed to a member that joins. */
const MAX_CONTACTS = 8;

export class Seat {
  readonly #options: SeatOptions;
  /** Nodes that are to come along to another address. */
  readonly #following = new Map<Id, ListedNode>();
  #member: RingMember | undefined;
  #superNode: SuperNode | undefined;
  /** Of what the member says of itself: raised by each move. */
  #version = 1;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** From the beginning of `take`: others may speak to it before it has joined. */
  get member(): RingMember | undefined {
    return this.#member;
  }

  /** Once the member has joined. */
  get superNode(): SuperNode | undefined {
    return this.#superNode;
  }

  /**
   * Joins the ring through the first of these, or founds one where there are none.
   *
   * @throws {CodedError} `NOT_JOINED`
   */
  async take(known: readonly Peer[], withinMs: number): Promise<void> {
    const { verifier, tools, stopped } = this.#options;
    const verifyRecord = (record: RingRecord) => recordIsSigned(verifier, record);
    const member = new RingMember({
      ...this.#options,
      self: this.#options.self(),
      verifyRecord,
      version: this.#version,
    });
    this.#member = member;
    const contacts = known.slice(0, MAX_CONTACTS);
    const joined = await member.join(contacts, withinMs, stopped);
    if (!joined || this.#member !== member) {
      if (this.#member === member) this.#member = undefined;
      member.stop();
      throw new CodedError('NOT_JOINED', 'the ring did not take this phone as a member in time');
    }
    // It came in through one of them; another may be of a ring that none of the first can speak to, or has heard of.
    member.meet(contacts);
    this.#superNode = new SuperNode({
      ...this.#options,
      member,
      tools: { ...tools, verifyRecord },
    });
    this.#superNode.call([...this.#following.values()]);
    this.#following.clear();
    this.#knowOthers();
    member.on('neighbours', () => this.#knowOthers());
  }

  async announce(): Promise<void> {
    const { announcer, logger, self } = this.#options;
    try {
      await announcer.announce(self());
    } catch (error) {
      logger.warn({ reason: asError(error).message }, 'the super-node could not be announced');
    }
  }

  /** For good: hands over what it holds, and its nodes. */
  async leave(): Promise<void> {
    await this.#options.announcer.withdraw();
    await this.#superNode?.leave();
    this.#superNode = undefined;
    await this.#member?.leave();
    this.#member = undefined;
  }

  /**
   * For another address. A member is where its address is: another one is another member of the same id. So it leaves at
   * once, which makes room for it, and keeps its nodes in mind. Resolves when those who are there have heard it.
   */
  async vacate(): Promise<void> {
    const member = this.#member;
    if (!member) return;
    for (const node of this.#superNode?.nodes ?? []) this.#following.set(node.peer.id, node);
    this.#version = member.version + 1;
    this.#superNode?.stop();
    this.#superNode = undefined;
    this.#member = undefined;
    await member.leave();
  }

  #knowOthers(): void {
    const others = this.#member?.neighbours ?? [];
    this.#superNode?.know(others.map(peer => ({ peer, nodes: undefined })));
    this.#options.onNeighbours();
  }
}
