/**
 * This device in its overlay: attached to a super-node, or one itself. It finds super-nodes, attaches, founds a ring
 * where there is none, takes its place in the ring and gives it up, and is the way to the ring for all other rooms.
 */
import { EventEmitter } from 'node:events';
import { type Clock, sleep, type Timer } from '../core/clock.js';
import { isLinkLocal } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type { Service } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import type { Random } from '../core/random.js';
import type { Verifier } from '../identity/signing.js';
import type { UserAgent } from '../sip/user-agent.js';
import { Attachment } from './attachment.js';
import type { LastingRecords } from './lasting-records.js';
import type { LossReason } from './nodes/attachment-state.js';
import type { SuperNodeOptions, SuperNodeTools } from './nodes/super-node-state.js';
import { type Id, UNKNOWN_ID } from './ring/ids.js';
import type { MemberOptions } from './ring/member-state.js';
import { type LinkProtocol, type Peer, shareKind } from './ring/peer.js';
import type { RingRecord } from './ring/records.js';
import { getAgain, type RingAccess } from './ring-access.js';
import { type LinkKeys, type RequestTaker, RingLinks } from './ring-links.js';
import { isRingRequest, type MemberStatus } from './ring-member.js';
import { type CandidateStream, Scout } from './scout.js';
import { type Announcer, Seat } from './seat.js';
import { refused } from './sip/refusal.js';

export interface OverlayOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Started before. */
  readonly userAgent: Pick<
    UserAgent,
    'transactions' | 'transports' | 'localEndpointFor' | 'addRouter'
  >;
  /** Of the overlay. */
  readonly name: string;
  /** By which links are made, but to who takes them by TCP alone. */
  readonly protocol: LinkProtocol;
  readonly id: Id;
  readonly keys: LinkKeys;
  readonly verifier: Verifier;
  readonly bootCount: number;
  /** Where this device takes links now, as `Peer.address` has it; undefined while it has no address. */
  readonly address: () => string | undefined;
  /** Where it takes them too, as `Peer.also` has it. */
  readonly also?: () => string | undefined;
  /** SIP URI that reaches this device now. */
  readonly contact: () => string;
  readonly candidates: CandidateStream;
  readonly announcer: Announcer;
  readonly tools: Omit<SuperNodeTools, 'chance' | 'verifyRecord'>;
  readonly member?: Partial<MemberOptions>;
  readonly limits?: Partial<SuperNodeOptions>;
  /** Keeps what is held for the ring and meant to last. */
  readonly lasting?: LastingRecords;
}

export interface OverlayEvents {
  /** There is a way to the ring, where there was none or another. */
  ring: [];
  /** There is none. */
  lost: [];
  /** Looked long enough for a super-node: none answers, or none takes us. */
  nobody: [reason: 'silent' | 'full'];
  /** Other super-nodes are known than before, or fewer. */
  others: [];
  /** We are no super-node any more, though nobody asked for that: the ring did not take us at another address. */
  unseated: [];
  /** A super-node has taken us; how many nodes it has, where it says so. */
  attached: [to: Peer, nodes: number | undefined];
}

export type OverlayRole = 'node' | 'super-node';

export interface OverlayStatus {
  readonly name: string;
  readonly id: Id;
  readonly role: OverlayRole;
  /** Where the super-node is that we are attached to. */
  readonly superNode: string | undefined;
  /** How long ago that one has taken us, in ms. */
  readonly attachedMs: number | undefined;
  /** Where we are one ourselves. */
  readonly member: MemberStatus | undefined;
  /** Nodes attached here. */
  readonly nodes: number;
}

/** It has gone from us, or we from it; it may be a super-node all the same. */
const STILL_THERE: readonly LossReason[] = ['elsewhere', 'unpublished', 'network-changed'];

const NO_SUPER_NODE = 'this phone is no super-node';

export class Overlay extends EventEmitter<OverlayEvents> implements Service, RingAccess {
  readonly #options: OverlayOptions;
  #running: Running | undefined;

  constructor(options: OverlayOptions) {
    super();
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Of this device. */
  get id(): Id {
    return this.#options.id;
  }

  get role(): OverlayRole {
    return this.#running?.seat.member ? 'super-node' : 'node';
  }

  /** Whether there is a way to the ring now. */
  get reached(): boolean {
    const { seat, attachment } = this.#running ?? {};
    return seat?.member?.joined === true || attachment?.current !== undefined;
  }

  get status(): OverlayStatus {
    const { seat, attachment } = this.#running ?? {};
    return {
      name: this.#options.name,
      id: this.#options.id,
      role: this.role,
      superNode: attachment?.current?.address,
      attachedMs: attachment?.attachedMs,
      member: seat?.member?.status,
      nodes: seat?.superNode?.nodes.length ?? 0,
    };
  }

  /** Begins to look for super-nodes; there is a ring when `ring` tells. */
  async start(): Promise<void> {
    const { userAgent, candidates } = this.#options;
    const links = new RingLinks({
      ...this.#options,
      overlay: this.#options.name,
      self: () => this.#self(),
    });
    links.onRequest = (...received) => this.#take(...received);
    const stopped = new AbortController();
    const running: Running = {
      links,
      scout: new Scout({ ...this.#options, links, self: () => this.#reachableSelf() }),
      seat: new Seat({
        ...this.#options,
        links,
        self: () => this.#self(),
        stopped: stopped.signal,
        onNeighbours: () => this.emit('others'),
      }),
      stopped,
      unroute: userAgent.addRouter((...received) => links.take(...received)),
      records: [],
      attachment: undefined,
      address: this.#options.address(),
      lingering: undefined,
    };
    this.#running = running;
    this.#attach(running);
    this.#prepare(running);
    candidates.start();
    this.#follow(running);
  }

  /** @param tombstones of what was published, where it goes for good */
  async stop(tombstones: readonly RingRecord[] = []): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const { links, unroute, stopped, attachment, seat } = running;
    running.lingering?.cancel();
    stopped.abort();
    await this.#options.candidates.stop();
    if (seat.member) await seat.leave();
    await attachment?.leave(tombstones);
    this.#running = undefined;
    unroute();
    links.stop();
  }

  /** All records that are to be in the ring for this device: its super-node puts them again where they are missing. */
  keep(records: readonly RingRecord[]): void {
    if (!this.#running) return;
    this.#running.records = records;
    this.#running.attachment?.keep(records);
  }

  get(key: Id, signal?: AbortSignal): Promise<readonly RingRecord[]> {
    const { clock } = this.#options;
    return getAgain({ clock, way: () => this.#way(), isOver: () => !this.#running }, key, signal);
  }

  async put(record: RingRecord): Promise<number> {
    return this.#way().put(record);
  }

  /** The address of this device is another, or there is none any more. */
  networkChanged(): void {
    const running = this.#running;
    if (!running) return;
    const { candidates, address, userAgent, clock } = this.#options;
    // First: what is said from now on is not to go by connections of an address that is no more.
    userAgent.transports.networkChanged();
    candidates.networkChanged();
    const now = address();
    running.lingering?.cancel();
    // A cable that is out for a moment changes nothing; nobody hears us say anything meanwhile.
    const { member } = running.seat;
    if (now === running.address) member?.alsoAt(this.#self());
    if (now === running.address || (now === undefined && member)) return;
    if (member && now !== undefined && !isOfLink(running.address) && isOfLink(now)) {
      // Nor does a moment between two addresses, in which that of the link itself is all there is.
      running.lingering = clock.after(LINGER_MS, () => this.#addressChanged(running, now));
    } else this.#addressChanged(running, now);
  }

  #addressChanged(running: Running, now: string | undefined): void {
    running.address = now;
    if (running.seat.member) {
      void this.#move(running);
      return;
    }
    this.#prepare(running);
    running.attachment?.networkChanged(this.#options.contact());
  }

  /** It takes leave of the ring from where it is now, joins again, and tells its nodes to come. */
  async #move(running: Running): Promise<void> {
    const { seat, scout, stopped } = running;
    const { logger, announcer, clock } = this.#options;
    const where = { from: seat.member?.self.address, to: running.address };
    logger.info(where, 'the super-node goes on at another address');
    for (const peer of seat.member?.others ?? []) scout.hear(peer);
    const left = seat.vacate();
    this.#attach(running);
    this.emit('lost');
    // Whoever is there hears it at once; who is elsewhere by now is not waited for.
    await Promise.race([left, sleep(clock, GOODBYE_MS)]);
    try {
      if (!stopped.signal.aborted) await this.promote({ withinMs: REJOIN_WITHIN_MS });
    } catch (error) {
      logger.info({ reason: asError(error).message }, 'the ring does not take it there');
      // Its address may be yet another meanwhile.
      if (seat.member || stopped.signal.aborted) return;
      await announcer.withdraw();
      this.#prepare(running);
      this.emit('unseated');
    }
  }

  /**
   * Takes a place in the ring: joins it through those who are known, or founds one where nobody is.
   * Resolves when it is a member; rejects with `CodedError` `NO_ADDRESS`, `NOT_JOINED`.
   *
   * @param founds though others are known: none of them answers
   */
  async promote({ founds = false, withinMs = JOIN_WITHIN_MS } = {}): Promise<void> {
    const running = this.#running;
    if (!running || running.seat.member) return;
    if (this.#options.address() === undefined) {
      throw new CodedError('NO_ADDRESS', 'a super-node needs an address that others reach it at');
    }
    const { attachment, scout, seat } = running;
    // Should they be there after all, discovery has the rings meet.
    const known = founds ? [] : [attachment?.current, ...[...scout.heard].reverse()];
    await seat.take(
      known.flatMap(peer => peer ?? []),
      withinMs,
    );
    running.attachment = undefined;
    this.#putOwn(running);
    this.emit('ring');
    await attachment?.leave([]);
    await seat.announce();
  }

  /** Gives its place in the ring up: hands over what it holds, and attaches to another. */
  async demote(): Promise<void> {
    const running = this.#running;
    if (!running?.seat.member) return;
    await running.seat.leave();
    if (!running.stopped.signal.aborted) this.#attach(running);
  }

  /** Other super-nodes that are known to be there. */
  get others(): readonly Peer[] {
    const { seat, scout, attachment } = this.#running ?? {};
    const known = seat?.member?.others ?? [attachment?.current, ...(scout?.heard ?? [])];
    const byId = new Map(known.flatMap(peer => (peer ? [[peer.id, peer] as const] : [])));
    byId.delete(this.#options.id);
    return [...byId.values()];
  }

  /**
   * Those that count where it is judged whether there are enough: of a member, its neighbours. Of a kind that we have; and
   * where some of these cannot reach each other, whoever reaches all of them.
   */
  get serving(): readonly Peer[] {
    const all = this.#running?.seat.member?.neighbours ?? this.others;
    const self = this.#reachableSelf();
    const ours = self ? all.filter(peer => shareKind(self, peer)) : all;
    return ours.filter(peer => ours.every(each => shareKind(each, peer)));
  }

  /** Whether a super-node is known that no link of ours can lead to, for want of its kind of address, and one that both reach. */
  get apart(): boolean {
    const { seat, attachment } = this.#running ?? {};
    const self = this.#reachableSelf();
    if (!self) return false;
    const member = seat?.member;
    const told = member ? [member.outOfReach, ...member.neighbours] : (attachment?.known ?? []);
    const far = told.flatMap(peer => (peer && !shareKind(self, peer) ? peer : []));
    const near = this.serving;
    return far.some(peer => near.some(each => shareKind(each, peer)));
  }

  /** Others are to hear at once when this is a super-node. */
  #prepare({ address }: Running): void {
    if (address !== undefined) this.#options.announcer.prepare(this.#self());
  }

  /** Nobody else does it for a member; and where it founds a ring anew, what was in the old one is gone. */
  #putOwn({ seat, records }: Running): void {
    const { logger } = this.#options;
    for (const record of records) {
      seat.member?.put(record).catch(error => {
        logger.debug({ reason: asError(error).message }, 'an own record was not put');
      });
    }
  }

  #attach(running: Running): void {
    running.attachment?.stop();
    const attachment = new Attachment({
      ...this.#options,
      links: running.links,
      contact: this.#options.contact(),
      records: running.records,
    });
    running.attachment = attachment;
    attachment.on('attached', (to, nodes) => {
      running.scout.hear(to);
      // What it kept as a member, before the power went or it gave its place up.
      void this.#options.lasting?.giveTo(this, () => running.attachment === attachment);
      this.emit('ring');
      this.emit('attached', to, nodes);
    });
    attachment.on('lost', (from, reason) => {
      if (STILL_THERE.includes(reason)) running.scout.forget(from.id);
      else running.scout.gone(from.id);
      this.emit('lost');
    });
    attachment.on('refused', by => running.scout.gone(by.id));
    attachment.on('nobody', reason => {
      this.#options.candidates.hurry();
      this.emit('nobody', reason);
    });
    attachment.on('want-candidates', () => this.#options.candidates.look());
    attachment.start();
    for (const peer of running.scout.heard) attachment.candidate(peer);
  }

  /** Whom discovery finds, for as long as it runs. */
  #follow(running: Running): void {
    const { scout, stopped } = running;
    scout.on('others', () => this.emit('others'));
    scout.on('found', peer => {
      running.attachment?.candidate(peer);
      const { member } = running.seat;
      if (member?.joined) member.meet([peer]);
    });
    scout.on('node', address => running.attachment?.candidate({ id: UNKNOWN_ID, address }));
    void scout.follow(stopped.signal);
  }

  #take(...[from, number, request, respond, source]: Parameters<RequestTaker>): void {
    const { seat, attachment } = this.#running ?? {};
    const { member, superNode } = seat ?? {};
    if (isRingRequest(request)) {
      if (member) member.take(from, number, request, respond);
      else respond(refused('NOT_MEMBER', NO_SUPER_NODE));
    } else if (request.type === 'move') {
      if (attachment) attachment.moved(from, number, request.to, respond);
      else respond({ type: 'accepted' });
    } else if (request.type === 'hand-over' && !this.#isMember(from)) {
      // Anybody could tell of nodes that are not there: it goes elsewhere with them, or they come by themselves.
      respond({ type: 'busy' });
    } else if (superNode) {
      superNode.take(from, number, request, respond, source);
    } else {
      const at = attachment?.current;
      // Who is "busy" would be taken for a super-node: of phones that remember each other none would become one.
      respond(at ? { type: 'elsewhere', at: [at] } : refused('NOT_MEMBER', NO_SUPER_NODE));
    }
  }

  /** As far as is known here: who hands over is a neighbour, or was in the table of the ring. */
  #isMember({ id }: Peer): boolean {
    return this.#running?.seat.member?.others.some(peer => peer.id === id) ?? false;
  }

  #way(): RingAccess {
    const { seat, attachment } = this.#running ?? {};
    if (seat?.member?.joined) return seat.member;
    if (attachment) return attachment;
    throw new CodedError('NO_RING', 'this phone is in no ring yet');
  }

  #self(): Peer {
    // Without an address nobody answers, whatever it says.
    return this.#reachableSelf() ?? { id: this.#options.id, address: NOWHERE };
  }

  #reachableSelf(): Peer | undefined {
    const { id, address, also } = this.#options;
    const [own, further] = [address(), also?.()];
    if (own === undefined) return undefined;
    return { id, address: own, ...(further !== undefined && { also: further }) };
  }
}

/** Port 9 discards (RFC 863). */
const NOWHERE = '0.0.0.0:9';
const JOIN_WITHIN_MS = 30_000;
/** Another lease of DHCP is there by then. */
const LINGER_MS = 1500;
/** A connection over TLS, and an answer. */
const GOODBYE_MS = 400;
/** Where its ring is not there either, a ring of its own is sooner better. */
const REJOIN_WITHIN_MS = 5000;

interface Running {
  readonly links: RingLinks;
  readonly stopped: AbortController;
  readonly unroute: () => void;
  readonly scout: Scout;
  /** Where it is a super-node. */
  readonly seat: Seat;
  records: readonly RingRecord[];
  /** While it is none, or not yet. */
  attachment: Attachment | undefined;
  address: string | undefined;
  /** Runs while a member may get a better address than the one it has for the moment. */
  lingering: Timer | undefined;
}

/** Whether an address of ours means nothing beyond its link. */
function isOfLink(address: string | undefined): boolean {
  return isLinkLocal(address?.replace(/^\[/, '') ?? '');
}
