/**
 * The phone in its overlay: found by its name there, finding others by theirs, and a super-node where one is needed.
 * Wires discovery, identity, ring and names.
 */
import { EventEmitter } from 'node:events';
import { isIPv6 } from 'node:net';
import { freemem, uptime } from 'node:os';
import type { SipUri, Uri } from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { formatEndpoint } from '../core/endpoint.js';
import type { Service } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import { onMainsPower } from '../core/power-supply.js';
import type { Random } from '../core/random.js';
import type { CandidateSource } from '../discovery/candidates/candidate.js';
import { Candidates } from '../discovery/candidates/candidates.js';
import { RememberedPeers } from '../discovery/candidates/remembered-peers.js';
import type { Location, Locator } from '../discovery/locator.js';
import { idSigned, signAsId } from '../identity/id-signature.js';
import { deviceIdOf, type IdentityProvider } from '../identity/identity.js';
import { RememberingVerifier } from '../identity/remembering-verifier.js';
import { Ed25519Verifier, type Signer } from '../identity/signing.js';
import { StoredOverlay } from '../identity/stored-overlay.js';
import { LastingRecords, type LastingStatus } from '../overlay/lasting-records.js';
import { contactsAt, type Way, withPhones } from '../overlay/names/contacts.js';
import { OverlayNames } from '../overlay/names/overlay-names.js';
import { DEFAULT_OVERLAY } from '../overlay/names/own-user.js';
import type { RoleSetting } from '../overlay/nodes/promotion-machine.js';
import { Overlay, type OverlayStatus } from '../overlay/overlay.js';
import { Promotion } from '../overlay/promotion.js';
import { peerAddress } from '../overlay/ring/peer.js';
import { recordIsSigned, recordSignatureBy } from '../overlay/ring/record-signature.js';
import type { RingRecord } from '../overlay/ring/records.js';
import type { Announcer } from '../overlay/seat.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { Store } from '../storage/store.js';

export interface OverlayRoleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly userAgent: UserAgent;
  readonly role: RoleSetting;
  /** It stays, and keeps for the ring what is meant to last. */
  readonly keepsRecords?: boolean;
  /** Keeps users, peers, pins and buddies; asked for when it starts. */
  readonly store: () => Store;
  readonly identity: () => IdentityProvider;
  /** What this phone was told to be called, and what it is called now. */
  readonly givenName: string;
  readonly phoneName: () => string;
  /** Where it takes calls, by each protocol, best first; nowhere for who only asks. */
  readonly reachableAt: () => readonly Way[];
  /** Where it takes links, all by one protocol, TLS or TCP alone, best first; nowhere where it takes none. */
  readonly linksAt: () => readonly Way[];
  /** Who has ordinary phones that are reached through this one now, and which. */
  readonly users: () => readonly { readonly name: string; readonly phones: readonly string[] }[];
  readonly sources: (overlay: string, remembered: RememberedPeers) => readonly CandidateSource[];
  readonly announcer: (overlay: string) => Announcer;
  /** Phones of this LAN that are seen. */
  readonly phonesSeen: () => number;
  /** Whether other phones of ours have an address of a kind, IPv4 or IPv6, of which this one has none. */
  readonly lacksKind: () => boolean;
}

export interface OverlayRoleEvents {
  problem: [error: Error];
}

/** Each has a connection, of which there are 256 in all (`DEFAULT_FLOW_LIMITS`): the ring and calls need some too. */
const MAX_NODES = 200;
/** By which members and nodes speak to each other, but to who does not speak it. */
const LINKS_BY = 'TLS';
/** Of who is not to be called (RFC 2606 §2). */
const NOWHERE = 'sip:nowhere.invalid';

export interface OverlayPlaceStatus extends OverlayStatus {
  /** The user of this phone was expelled: nobody of the overlay calls it by its name. */
  readonly expelled: boolean;
  /** What it keeps for the ring on its card. */
  readonly lasting: LastingStatus | undefined;
}

interface Running {
  readonly overlay: Overlay;
  readonly names: OverlayNames;
  readonly promotion: Promotion;
  readonly remembered: RememberedPeers;
  readonly lasting: LastingRecords | undefined;
}

export class OverlayRole extends EventEmitter<OverlayRoleEvents> implements Service, Locator {
  readonly #options: OverlayRoleOptions;
  #running: Running | undefined;

  constructor(options: OverlayRoleOptions) {
    super();
    this.#options = options;
  }

  get status(): OverlayPlaceStatus | undefined {
    if (!this.#running) return undefined;
    const { overlay, names, lasting } = this.#running;
    return { ...overlay.status, expelled: names.expelled, lasting: lasting?.status };
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    return this.#running?.names.locate(target, signal) ?? [];
  }

  /** Who this phone is to people of the overlay; undefined while it is not there. */
  get address(): { readonly user: string; readonly host: string } | undefined {
    return this.#running?.names.address;
  }

  /** Somebody was expelled here from that overlay: whether its ring knows it now. */
  async tellExpelled(overlay: string): Promise<boolean> {
    return (await this.#running?.names.tellExpelled(overlay)) ?? false;
  }

  /** Called us, or is watched: to be known beforehand. */
  met(who: Uri, calledUs = false): void {
    this.#running?.names.met(who, calledUs);
  }

  /**
   * Begins to look for others; whoever has a name is found when there is a ring.
   *
   * @throws {CodedError} `NOT_CERTIFIED` in a private overlay this device does not belong to yet
   */
  async start(): Promise<void> {
    const { clock, random, logger, role, sources, phonesSeen, lacksKind, userAgent, keepsRecords } =
      this.#options;
    const store = this.#options.store();
    const identity = this.#options.identity();
    const membership = await new StoredOverlay({ store, random }).membership();
    const { name } = membership?.overlay ?? { name: DEFAULT_OVERLAY };
    const remembered = await RememberedPeers.load({ store, clock, logger, overlay: name });
    const lasting = keepsRecords ? await this.#lasting(name) : undefined;
    const overlay = await this.#overlay(name, identity, sources(name, remembered), lasting);
    const names = new OverlayNames({
      ...this.#options,
      ring: overlay,
      identity,
      reaches: remote =>
        userAgent.localEndpointFor(remote).then(
          () => true,
          () => false,
        ),
      phoneName: this.#options.givenName,
      self: () => {
        const called = this.#options.phoneName();
        return { name: called, contacts: this.#contacts(called) };
      },
      users: () =>
        this.#options.users().map(({ name: user, phones }) => {
          return { name: user, contacts: withPhones(this.#contacts(user), phones) };
        }),
    });
    names.on('records', records => overlay.keep(records));
    names.on('problem', error => this.emit('problem', error));
    overlay.on('ring', () => names.ringChanged());
    const promotion = new Promotion({
      clock,
      random,
      logger,
      overlay,
      setting: role,
      placement: () => ({
        mainsPower: onMainsPower(),
        freeMemoryMb: freemem() / 2 ** 20,
        uptimeS: uptime(),
        reachable: this.#linkAddress() !== undefined,
        lacksKind: lacksKind(),
      }),
      phones: () => phonesSeen() + 1,
    });
    this.#running = { overlay, names, promotion, remembered, lasting };
    await overlay.start();
    promotion.start();
    await names.start();
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const { overlay, names, promotion, remembered, lasting } = running;
    // What it has under way ends with the overlay.
    const promoted = promotion.stop();
    await names.stop();
    await overlay.stop(names.records);
    await promoted;
    await remembered.close();
    await lasting?.close();
    this.#running = undefined;
  }

  /** The phone is called otherwise, or is elsewhere. */
  changed(): void {
    this.#running?.overlay.networkChanged();
    this.usersChanged();
  }

  /** Other users than before have phones that are reached here. */
  usersChanged(): void {
    this.#running?.names.changed();
  }

  #lasting(overlay: string): Promise<LastingRecords> {
    const verifier = new Ed25519Verifier();
    return LastingRecords.load({
      ...this.#options,
      store: this.#options.store(),
      overlay,
      verifyRecord: record => recordIsSigned(verifier, record),
    });
  }

  async #overlay(
    name: string,
    identity: IdentityProvider,
    sources: readonly CandidateSource[],
    lasting: LastingRecords | undefined,
  ): Promise<Overlay> {
    const signer = await identity.signer();
    const bootCount = await identity.bootCount();
    const id = deviceIdOf(signer.publicKey);
    const verifier = new RememberingVerifier(new Ed25519Verifier());
    const candidates = new Candidates({ ...this.#options, overlay: name, nodeId: id, sources });
    return new Overlay({
      ...this.#options,
      name,
      protocol: LINKS_BY,
      id,
      keys: {
        sign: text => signAsId(signer, text),
        verify: (by, text, signature) => idSigned(verifier, by, text, signature),
      },
      verifier,
      bootCount,
      address: () => this.#linkAddress(),
      also: () => this.#furtherLinkAddress(),
      contact: () => this.#contacts(this.#options.phoneName())[0] ?? NOWHERE,
      candidates,
      ...(lasting && { lasting }),
      limits: { maxNodes: MAX_NODES },
      announcer: this.#options.announcer(name),
      // What is vouched for is published by the super-node itself, never by a node.
      tools: { isVouched: () => false, sign: recordSigner(signer, id, bootCount) },
    });
  }

  #contacts(user: string): string[] {
    return contactsAt(user, this.#options.reachableAt());
  }

  #linkAddress(): string | undefined {
    const [way] = this.#options.linksAt();
    return way && peerAddress(way.endpoint, way.protocol === 'TLS' ? 'TLS' : 'TCP', LINKS_BY);
  }

  /** For those who have no address of the kind of the first: of the other kind. */
  #furtherLinkAddress(): string | undefined {
    const [first, ...others] = this.#options.linksAt();
    const kind = (way: Way) => isIPv6(way.endpoint.address);
    const other = others.find(way => first && kind(way) !== kind(first));
    return other && formatEndpoint(other.endpoint);
  }
}

/** Records of the super-node itself: the list of its nodes. */
function recordSigner(signer: Signer, id: string, bootCount: number) {
  let sequence = bootCount * 2 ** 32;
  return (draft: Pick<RingRecord, 'key' | 'lifeMs' | 'value'>): RingRecord => {
    const record = { ...draft, publisher: id, sequence: sequence++ };
    return { ...record, ageMs: 0, signature: recordSignatureBy(signer, record) };
  };
}
