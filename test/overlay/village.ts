/** Devices with overlays, on virtual time and network; super-nodes are found on a board that all can read. */
import { ANY, formatEndpoint } from '../../src/core/endpoint.js';
import { type Logger, silentLogger } from '../../src/core/logger.js';
import type { Candidate, CandidateSource } from '../../src/discovery/candidates/candidate.js';
import { Candidates } from '../../src/discovery/candidates/candidates.js';
import { untilAborted } from '../../src/discovery/candidates/until-aborted.js';
import { idSigned, signAsId } from '../../src/identity/id-signature.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import type { LastingRecords } from '../../src/overlay/lasting-records.js';
import type { LinkAnswer, LinkRequest } from '../../src/overlay/link-messages.js';
import { Overlay, type OverlayOptions } from '../../src/overlay/overlay.js';
import { idOf } from '../../src/overlay/ring/ids.js';
import {
  type LinkProtocol,
  linkTargets,
  type Peer,
  peerAddress,
} from '../../src/overlay/ring/peer.js';
import { recordSignatureBy } from '../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { RingLinks } from '../../src/overlay/ring-links.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { StrangersKey } from './stranger.js';

export const OVERLAY = 'village';
const PORT = 5060;
/** Until everybody has found who was announced. */
const FOUND_AFTER_MS = 500;

export interface Device {
  readonly overlay: Overlay;
  readonly agent: UserAgent;
  /** Where it is now. */
  address: string;
  readonly failed: Candidate[];
  /** Where it has been announced as one that may become a super-node. */
  readonly prepared: string[];
  /** Its address is another from now on, or there is none; whoever asks there hears nothing. */
  readdress(address: string | undefined, also?: string): void;
  /** A record of its own under the key of a name. */
  record(name: string, value?: Uint8Array, lifeMs?: number): RingRecord;
  stop(): Promise<void>;
}

export interface Stranger {
  readonly agent: UserAgent;
  key(): StrangersKey;
  /** As that key it answers what it is asked, as it likes. */
  answer(key: StrangersKey, take: (request: LinkRequest) => LinkAnswer): void;
  stop(): Promise<void>;
}

export interface DeviceOptions {
  /** Another one than that of this version. */
  readonly newOverlay?: (options: OverlayOptions) => Overlay;
  readonly logger?: Logger;
  /** Of the other kind. */
  readonly also?: string;
  /** What it keeps for the ring. */
  readonly lasting?: LastingRecords;
}

/** Whoever is announced is found by all. */
class Board {
  readonly #announced = new Map<string, readonly Candidate[]>();
  readonly #readers = new Set<(candidate: Candidate) => void>();

  post(peer: Peer): void {
    const candidates = linkTargets(peer, 'TCP').map(({ endpoint }): Candidate => {
      return {
        host: endpoint.address,
        port: endpoint.port,
        transport: 'tcp',
        overlay: OVERLAY,
        nodeId: peer.id,
        source: 'mdns',
      };
    });
    this.#announced.set(peer.id, candidates);
    for (const read of this.#readers) for (const candidate of candidates) read(candidate);
  }

  remove(id: string): void {
    this.#announced.delete(id);
  }

  /** What one of them finds on it. */
  source(clock: VirtualClock, failed: Candidate[]): CandidateSource {
    return {
      name: 'mdns',
      search: async ({ found, signal }) => {
        const read = (candidate: Candidate) => clock.after(FOUND_AFTER_MS, () => found(candidate));
        this.#readers.add(read);
        for (const candidate of [...this.#announced.values()].flat()) read(candidate);
        await untilAborted(signal);
        this.#readers.delete(read);
      },
      failed: candidate => failed.push(candidate),
    };
  }
}

export class Village {
  readonly clock = new VirtualClock();
  readonly network: VirtualNetwork;
  readonly board = new Board();
  readonly devices: Device[] = [];
  readonly #random: SeededRandom;
  readonly #links: LinkProtocol;

  /** @param links by which protocol they go in this overlay; all devices speak TCP alone */
  constructor(seed: number, links: LinkProtocol = 'TCP') {
    this.#links = links;
    this.#random = new SeededRandom(seed);
    this.network = new VirtualNetwork({ clock: this.clock, seed });
  }

  async add(address: string, of: DeviceOptions = {}): Promise<Device> {
    const { clock } = this;
    const { newOverlay = options => new Overlay(options), logger = silentLogger, lasting } = of;
    let { also } = of;
    const random = new SeededRandom(this.#random.uint32());
    const agent = await this.#agent(address, random, also);
    const signer = new Ed25519Signer(random.bytes(32));
    const verifier = new Ed25519Verifier();
    const id = deviceIdOf(signer.publicKey);
    const failed: Candidate[] = [];
    const prepared: string[] = [];
    let told: string | undefined = address;
    let sequence = 1;
    const signed = (draft: Pick<RingRecord, 'key' | 'lifeMs' | 'value'>): RingRecord => {
      const record = { ...draft, publisher: id, sequence: sequence++ };
      return { ...record, ageMs: 0, signature: recordSignatureBy(signer, record) };
    };
    const overlay = newOverlay({
      clock,
      random,
      logger,
      userAgent: agent,
      name: OVERLAY,
      protocol: this.#links,
      id,
      keys: {
        sign: text => signAsId(signer, text),
        verify: (by, text, signature) => idSigned(verifier, by, text, signature),
      },
      verifier,
      bootCount: 1,
      address: () => told && peerAddress({ address: told, port: PORT }, 'TCP', this.#links),
      also: () => also && formatEndpoint({ address: also, port: PORT }),
      contact: () =>
        `sip:someone@${told ? formatEndpoint({ address: told, port: PORT }) : 'nowhere.invalid'}`,
      candidates: new Candidates({
        clock,
        random: new SeededRandom(Number.parseInt(id.slice(0, 8), 16)),
        logger,
        overlay: OVERLAY,
        nodeId: id,
        sources: [this.board.source(clock, failed)],
      }),
      announcer: {
        prepare: peer => prepared.push(peer.address),
        announce: async peer => this.board.post(peer),
        withdraw: async () => this.board.remove(id),
      },
      tools: { isVouched: () => false, sign: signed },
      ...(lasting && { lasting }),
    });
    await overlay.start();
    const device: Device = {
      overlay,
      agent,
      address,
      failed,
      prepared,
      readdress: (next, further = also) => {
        told = next;
        also = further;
        overlay.networkChanged();
      },
      record: (name, value = Buffer.from(`${name} at ${address}`), lifeMs = 3_600_000) =>
        signed({ key: idOf(name), lifeMs, value }),
      stop: async () => {
        await this.during(overlay.stop());
        await this.during(agent.stop());
      },
    };
    this.devices.push(device);
    return device;
  }

  /** Somebody with a key who is neither member nor node, and asks one device of the village something. */
  async askAsStranger(address: string, of: Device, request: LinkRequest): Promise<LinkAnswer> {
    const random = new SeededRandom(this.#random.uint32());
    const agent = await this.#agent(address, random);
    const signer = new Ed25519Signer(random.bytes(32));
    const self = { id: deviceIdOf(signer.publicKey), address: `${address}:${PORT}` };
    const links = this.#linksOf(agent, random, signer, self);
    const to = { id: of.overlay.status.id, address: `${of.address}:${PORT}` };
    const answer = await this.during(
      new Promise<LinkAnswer>((resolve, reject) =>
        links.ask(to, request, { answered: (_from, answer) => resolve(answer), failed: reject }),
      ),
    );
    links.stop();
    await this.during(agent.stop());
    return answer;
  }

  /** Somebody who keeps no rule: makes as many keys as they like, and says what they like. */
  async stranger(address: string): Promise<Stranger> {
    const random = new SeededRandom(this.#random.uint32());
    const agent = await this.#agent(address, random);
    const at = { agent, random, overlay: OVERLAY, protocol: 'TCP' } as const;
    return {
      agent,
      key: () => new StrangersKey({ ...at, address: `${address}:${PORT}` }),
      answer: (key, take) => {
        const links = this.#linksOf(agent, random, key.signer, key.self);
        links.onRequest = (_from, _number, request, respond) => respond(take(request));
        agent.addRouter((...received) => links.take(...received));
      },
      stop: () => this.during(agent.stop()),
    };
  }

  /** Links of somebody who is no device of the village. */
  #linksOf(agent: UserAgent, random: SeededRandom, signer: Ed25519Signer, self: Peer): RingLinks {
    const verifier = new Ed25519Verifier();
    return new RingLinks({
      clock: this.clock,
      random,
      logger: silentLogger,
      userAgent: agent,
      overlay: OVERLAY,
      protocol: 'TCP',
      bootCount: 1,
      self: () => self,
      keys: {
        sign: text => signAsId(signer, text),
        verify: (by, text, signature) => idSigned(verifier, by, text, signature),
      },
    });
  }

  async #agent(address: string, random: SeededRandom, also?: string): Promise<UserAgent> {
    const agent = new UserAgent({
      network: this.network.host(address, ...(also === undefined ? [] : [also])),
      clock: this.clock,
      random,
      logger: silentLogger,
      listen: { address: ANY, port: PORT },
      product: 'test',
      resolve: resolverByLookup(async () => []),
    });
    await agent.start();
    return agent;
  }

  /** It is given another address in place of the one it had, and notices. */
  move(device: Device, to: string): void {
    this.network.moveHost(device.address, to);
    device.address = to;
    device.readdress(to);
  }

  /** The link of a device goes: nothing is refused, nothing arrives. */
  unplug({ address }: Device): void {
    this.network.setLink(address, false);
  }

  plug({ address }: Device): void {
    this.network.setLink(address, true);
  }

  /** Lets virtual time pass until something has come to its end. */
  async during<T>(work: Promise<T>, withinMs = 60_000): Promise<T> {
    let ended = false;
    const done = work.finally(() => {
      ended = true;
    });
    done.catch(() => undefined);
    for (let ms = 0; !ended && ms < withinMs; ms += 20) await this.clock.advance(20);
    return done;
  }

  /** How long until `holds`, in ms; fails after `withinMs`. */
  async until(holds: () => boolean, withinMs: number): Promise<number> {
    const from = this.clock.now();
    while (!holds()) {
      if (this.clock.now() - from > withinMs) throw new Error(`not so within ${withinMs} ms`);
      await this.clock.advance(20);
    }
    return this.clock.now() - from;
  }

  async stop(): Promise<void> {
    for (const device of this.devices) await device.stop();
  }
}
