/** Tries whom discovery finds: who of them is a super-node of this overlay? It remembers those that answered. */
import { EventEmitter } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Clock, Timer } from '../core/clock.js';
import { formatEndpoint } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Candidate } from '../discovery/candidates/candidate.js';
import type { Candidates } from '../discovery/candidates/candidates.js';
import { type Id, UNKNOWN_ID } from './ring/ids.js';
import { foundAt, type LinkProtocol, type Peer, peerAddress, shareKind } from './ring/peer.js';
import type { RingLinks } from './ring-links.js';

/** What discovery does for the overlay: whom to try, and what came of it. */
export type CandidateStream = Pick<
  Candidates,
  'start' | 'stop' | 'stream' | 'proved' | 'failed' | 'gone' | 'hurry' | 'look' | 'networkChanged'
>;

export interface ScoutEvents {
  /** A super-node has answered, perhaps not for the first time. */
  found: [peer: Peer];
  /** A phone of this overlay that is none, or none any more: it may know who is. */
  node: [address: string];
  /** Others than before are remembered. */
  others: [];
}

export interface ScoutOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly links: Pick<RingLinks, 'ask'>;
  readonly candidates: CandidateStream;
  /** By which links are made, but to who takes them by TCP alone. */
  readonly protocol: LinkProtocol;
  /** This device, and where it takes links now; undefined while it takes none. */
  readonly self: () => Peer | undefined;
}

/** Super-nodes remembered as heard of, the newest last. */
const MAX_HEARD = 64;
/** A place that is tried to see who is there. */
const GREET_WITHIN_MS = 2000;

export class Scout extends EventEmitter<ScoutEvents> {
  readonly #options: ScoutOptions;
  readonly #heard = new Map<Id, Peer>();
  /** Who is being asked, at an address of the kind that ours is first; whether it answers there, whatever it says. */
  readonly #asked = new Map<Id, Promise<boolean>>();

  constructor(options: ScoutOptions) {
    super();
    this.#options = options;
  }

  /** Super-nodes that answered, the newest last. */
  get heard(): readonly Peer[] {
    return [...this.#heard.values()];
  }

  /** Until the signal is aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const candidate of this.#options.candidates.stream(signal)) {
      if (this.#speaks(candidate)) void this.#inTurn(candidate, signal);
    }
  }

  hear(peer: Peer): void {
    const isNew = !this.#heard.delete(peer.id);
    this.#heard.set(peer.id, peer);
    for (const id of this.#heard.keys()) {
      if (this.#heard.size <= MAX_HEARD) break;
      this.#heard.delete(id);
    }
    if (isNew) this.emit('others');
  }

  /** It serves nodes no more, as far as we go. */
  forget(id: Id): void {
    this.#heard.delete(id);
    this.emit('others');
  }

  /** It is no super-node any more, or gone: once it is announced again it is asked again. */
  gone(id: Id): void {
    this.#options.candidates.gone(id);
    this.forget(id);
  }

  /** An address of our further kind only where nobody answers at one of our first: both would be one super-node. */
  async #inTurn(candidate: Candidate, signal: AbortSignal): Promise<void> {
    const { nodeId } = candidate;
    if (nodeId === undefined) {
      await this.#tryOut(candidate, signal);
      return;
    }
    if (this.#isFurther(candidate)) {
      const answers = await this.#asked.get(nodeId);
      if (!signal.aborted && !answers) await this.#tryOut(candidate, signal);
      return;
    }
    const turn = this.#tryOut(candidate, signal);
    this.#asked.set(nodeId, turn);
    await turn;
    if (this.#asked.get(nodeId) === turn) this.#asked.delete(nodeId);
  }

  #isFurther({ host }: Candidate): boolean {
    const own = this.#options.self();
    return isIPv6(host) !== (own?.address.startsWith('[') ?? false);
  }

  async #tryOut(candidate: Candidate, signal: AbortSignal): Promise<boolean> {
    const { candidates, protocol, logger } = this.#options;
    const by = linkProtocol(candidate);
    const isUsable = by === protocol || by === 'TCP';
    if (!by || !isUsable) return false;
    const { host, port, nodeId } = candidate;
    const address = peerAddress({ address: host, port }, by, protocol);
    try {
      const peer = await this.#greet({ id: nodeId ?? UNKNOWN_ID, address });
      if (signal.aborted) return true;
      candidates.proved({ ...candidate, nodeId: peer.id });
      // Who takes links as usual is not asked by TCP, whoever told of that.
      if (by !== protocol && this.#heard.has(peer.id)) return true;
      this.hear(peer);
      this.emit('found', peer);
      return true;
    } catch (error) {
      const { code, message: reason } =
        error instanceof CodedError ? error : new CodedError('NO_ANSWER', asError(error).message);
      logger.debug({ address, code, reason }, 'no super-node of this overlay there');
      const isNode = code === 'NOT_MEMBER';
      if (isNode) this.emit('node', address);
      if (isNode && nodeId) candidates.gone(nodeId);
      else candidates.failed(candidate, code === 'WRONG_OVERLAY' ? 'other-overlay' : 'no-answer');
      return isNode;
    }
  }

  /** Whether its address is of a kind that we have. */
  #speaks({ host, port }: Candidate): boolean {
    const own = this.#options.self();
    const address = formatEndpoint({ address: host, port });
    return own === undefined || shareKind(own, { id: UNKNOWN_ID, address });
  }

  /** Who is there? */
  #greet(to: Peer): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const { clock, links } = this.#options;
      const timer: Timer = clock.after(GREET_WITHIN_MS, () =>
        reject(new CodedError('NO_ANSWER', `${to.address} did not answer`)),
      );
      links.ask(
        to,
        { type: 'ping' },
        {
          answered: from => {
            timer.cancel();
            resolve(foundAt(to.address, from));
          },
          failed: error => {
            timer.cancel();
            reject(error);
          },
        },
      );
    });
  }
}

function linkProtocol({ transport }: Candidate): LinkProtocol | undefined {
  switch (transport) {
    case 'tls':
      return 'TLS';
    case 'tcp':
      return 'TCP';
    case 'udp':
      return undefined;
  }
}
