/**
 * Super-nodes that were reached before, for the next start: a source that remembers. Clocks are wrong at boot, so age
 * is told by order and by attempts in vain. Bounded, from many networks, and written sparingly: a card wears out.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Clock, Timer } from '../../core/clock.js';
import { asError, CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Store } from '../../storage/store.js';
import { addressOctets } from '../subnet.js';
import {
  type Candidate,
  type CandidateSource,
  candidateKey,
  type Search,
  transportOf,
} from './candidate.js';

/** Of one overlay. */
export const MAX_PEERS = 32;
/** Not reached in so many searches in a row that reached somebody else: forgotten. */
export const MAX_MISSES = 8;
/** What changes first is written after a moment, what changes later after longer. */
export const FIRST_WRITE_MS = 10_000;
export const WRITE_EVERY_MS = 10 * 60_000;

interface Peer {
  readonly host: string;
  readonly port: number;
  readonly transport: Candidate['transport'];
  readonly nodeId?: string;
  /** Searches in a row that reached somebody, and not it. */
  misses: number;
}

interface PeersRecord {
  readonly peers: readonly Peer[];
}

export interface RememberedPeersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the overlay. */
  readonly overlay: string;
}

export class RememberedPeers implements CandidateSource {
  readonly name = 'remembered';
  readonly #options: RememberedPeersOptions;
  /** Who was reached last first, by `candidateKey`. */
  #peers = new Map<string, Peer>();
  /** Those that were not reached in this search, and those of them that have been counted. */
  readonly #missed = new Set<string>();
  readonly #counted = new Set<string>();
  #written = '';
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #writtenAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: RememberedPeersOptions) {
    this.#options = options;
  }

  /** Throws what the store throws; what is no peer is passed over. */
  static async load(options: RememberedPeersOptions): Promise<RememberedPeers> {
    const remembered = new RememberedPeers(options);
    const record = await options.store.get<PeersRecord>(keyOf(options.overlay));
    for (const peer of Array.isArray(record?.peers) ? record.peers : [])
      if (isPeer(peer)) remembered.#peers.set(candidateKey(asCandidate(peer)), { ...peer });
    remembered.#bound();
    remembered.#written = remembered.#content();
    return remembered;
  }

  /** Best first. */
  get peers(): readonly Candidate[] {
    return spread([...this.#peers.values()]).map(asCandidate);
  }

  async search({ found, signal }: Search): Promise<void> {
    this.#missed.clear();
    this.#counted.clear();
    for (const candidate of this.peers) if (!signal.aborted) found(candidate);
  }

  proved({ host, port, transport, nodeId }: Candidate): void {
    const peer: Peer = {
      host,
      port,
      transport,
      misses: 0,
      ...(nodeId !== undefined && { nodeId }),
    };
    const key = candidateKey(asCandidate(peer));
    const known = this.#peers.get(key);
    this.#missed.delete(key);
    this.#counted.delete(key);
    this.#peers.delete(key);
    this.#peers = new Map([[key, { ...known, ...peer }], ...this.#peers]);
    this.#count();
    this.#bound();
    this.#writeLater();
  }

  /** Alone on a network, or without any, nothing is learned of others. */
  failed(candidate: Candidate): void {
    const key = candidateKey(candidate);
    if (this.#peers.has(key)) this.#missed.add(key);
  }

  /** Writes what is not written yet, in any case. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#write();
  }

  /** Once a search, however often it is tried in it. */
  #count(): void {
    for (const key of this.#missed) {
      const peer = this.#peers.get(key);
      if (!peer || this.#counted.has(key)) continue;
      this.#counted.add(key);
      peer.misses++;
      if (peer.misses >= MAX_MISSES) this.#peers.delete(key);
    }
  }

  /** Of the network with most of them goes who was missed most, then who was reached longest ago. */
  #bound(): void {
    while (this.#peers.size > MAX_PEERS) {
      const crowd = mostCrowded([...this.#peers.values()]);
      const [worst] = crowd.reverse().sort((a, b) => b.misses - a.misses);
      if (worst) this.#peers.delete(candidateKey(asCandidate(worst)));
    }
  }

  /** What is worth a write: who is known and how often it was missed, not who was reached last. */
  #content(): string {
    return [...this.#peers]
      .map(([key, { misses, nodeId = '' }]) => `${key} ${misses} ${nodeId}`)
      .sort()
      .join('\n');
  }

  #writeLater(): void {
    if (this.#closed || this.#timer || this.#content() === this.#written) return;
    const { clock } = this.#options;
    const waitMs = Math.max(FIRST_WRITE_MS, this.#writtenAt + WRITE_EVERY_MS - clock.now());
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined;
      void this.#write();
    });
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const content = this.#content();
      if (content === this.#written) return;
      const { store, overlay, clock, logger } = this.#options;
      const record: PeersRecord = { peers: [...this.#peers.values()] };
      this.#writtenAt = clock.now();
      try {
        await store.set(keyOf(overlay), record);
        this.#written = content;
      } catch (error) {
        logger.warn(
          { error: asError(error) },
          'the super-nodes that were reached are not remembered',
        );
        this.#writeLater();
      }
    });
    return this.#writing;
  }
}

/** @throws {CodedError} `BAD_NAME` for what is no name of an overlay */
function keyOf(overlay: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(overlay)) return `peers/${overlay}`;
  throw new CodedError('BAD_NAME', `expected the name of an overlay, found "${overlay}"`);
}

function isPeer(value: Peer): boolean {
  const { host, port, transport, misses } = value ?? {};
  const isPort = Number.isInteger(port) && port > 0 && port < 65_536;
  const isReached = typeof host === 'string' && networkOf(host) !== undefined;
  return isReached && isPort && transportOf(String(transport)) !== undefined && misses >= 0;
}

function asCandidate({ host, port, transport, nodeId }: Peer): Candidate {
  return { host, port, transport, ...(nodeId !== undefined && { nodeId }), source: 'remembered' };
}

/** A /24 of IPv4, a /64 of IPv6; undefined for what is no address. */
function networkOf(host: string): string | undefined {
  if (isIPv4(host)) return addressOctets(host).subarray(0, 3).join('.');
  const [address = '', zone = ''] = host.split('%');
  if (!isIPv6(address)) return undefined;
  return `${Buffer.from(addressOctets(address).subarray(0, 8)).toString('hex')}%${zone}`;
}

function byNetwork(peers: readonly Peer[]): Peer[][] {
  const networks = new Map<string, Peer[]>();
  for (const peer of peers) {
    const network = networkOf(peer.host) ?? '';
    networks.set(network, [...(networks.get(network) ?? []), peer]);
  }
  return [...networks.values()];
}

function mostCrowded(peers: readonly Peer[]): Peer[] {
  return byNetwork(peers).reduce((most, each) => (each.length > most.length ? each : most), []);
}

/** One of each network before the second of any: those missed least, then those reached last. */
function spread(peers: readonly Peer[]): Peer[] {
  const ordered = [...peers].sort((a, b) => a.misses - b.misses);
  const networks = byNetwork(ordered);
  const most = Math.max(0, ...networks.map(({ length }) => length));
  return Array.from({ length: most }, (_, i) => networks.flatMap(each => each[i] ?? [])).flat();
}
