/**
 * Names in the overlay, as one phone has them: its own name and those of its users kept in the ring, others found there,
 * and those it has to do with known beforehand. It needs no ring to start: whatever asks for one goes on asking.
 */
import { EventEmitter } from 'node:events';
import { isSipUri, type SipUri, type Uri } from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import type { Service } from '../../core/lifecycle.js';
import type { Logger } from '../../core/logger.js';
import type { Random } from '../../core/random.js';
import type { Location, Locator } from '../../discovery/locator.js';
import { DeviceTrust } from '../../identity/device-trust.js';
import { Enrolments } from '../../identity/enrolment.js';
import { FreshnessGuard } from '../../identity/freshness-guard.js';
import type { IdentityProvider } from '../../identity/identity.js';
import { NameJudge } from '../../identity/name-judge.js';
import { foldedName } from '../../identity/names.js';
import { PinBook } from '../../identity/pin-book.js';
import { RememberingVerifier } from '../../identity/remembering-verifier.js';
import { Ed25519Verifier } from '../../identity/signing.js';
import { StoredOverlay } from '../../identity/stored-overlay.js';
import { StoredUser } from '../../identity/stored-user.js';
import type { Store } from '../../storage/store.js';
import type { RingRecord } from '../ring/records.js';
import type { RingAccess } from '../ring-access.js';
import { BindingPublisher } from './binding-publisher.js';
import { Buddies } from './buddies.js';
import { Expulsions } from './expulsions.js';
import { NameLookup } from './name-lookup.js';
import { OwnDevices } from './own-devices.js';
import { type OwnUser, readyOwnUser } from './own-user.js';
import type { WantedBinding } from './publishing-machine.js';
import { nameIn, RingLocator } from './ring-locator.js';

export interface OverlayNamesEvents {
  /** What goes along when this device attaches to a super-node is another than before. */
  records: [records: readonly RingRecord[]];
  /** Something that does not stop the phone, but that its owner should know, such as `NAME_CLASH`. */
  problem: [error: Error];
}

export interface OverlayNamesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ring: RingAccess;
  readonly identity: IdentityProvider;
  /** Asked for when it starts. */
  readonly store: () => Store;
  /** What the phone was told to be called. */
  readonly phoneName: string;
  /** What it is called now, and where that user part is reached: SIP URIs, best first. */
  readonly self: () => { readonly name: string; readonly contacts: readonly string[] };
  /** Whether there is a route to an address. */
  readonly reaches: (address: string) => Promise<boolean>;
  /** Ordinary phones that are reached through this one now, by their users' names. */
  readonly users: () => readonly {
    readonly name: string;
    readonly contacts: readonly string[];
  }[];
}

interface Running {
  readonly own: OwnUser;
  readonly publisher: BindingPublisher;
  readonly buddies: Buddies;
  readonly locator: RingLocator;
  readonly devices: OwnDevices;
  /** Of a private overlay. */
  readonly expulsions: Expulsions | undefined;
}

export class OverlayNames extends EventEmitter<OverlayNamesEvents> implements Service, Locator {
  readonly #options: OverlayNamesOptions;
  #running: Running | undefined;
  #starting: Promise<void> | undefined;
  /** The last ones, once it has stopped. */
  #records: readonly RingRecord[] = [];

  constructor(options: OverlayNamesOptions) {
    super();
    this.#options = options;
  }

  /** The overlay this phone belongs to; undefined while it does not run. */
  get overlay(): string | undefined {
    return this.#running?.own.overlay.name;
  }

  /** Who this phone is there; undefined while it does not run. */
  get address(): { readonly user: string; readonly host: string } | undefined {
    if (!this.#running) return undefined;
    const { overlay, name } = this.#running.own;
    const user = overlay.enrolmentKey ? name : this.#options.self().name;
    return { user: user ?? this.#options.phoneName, host: overlay.name };
  }

  /** For the message by which this device attaches to a super-node, or detaches. */
  get records(): readonly RingRecord[] {
    return this.#running?.publisher.records ?? this.#records;
  }

  /** Whom it knows beforehand. */
  get buddies(): readonly string[] {
    return this.#running?.buddies.names ?? [];
  }

  /** Whether the user of this phone was expelled from the overlay. */
  get expelled(): boolean {
    return this.#running?.expulsions?.expelled ?? false;
  }

  /** Somebody was expelled here from that overlay, beside this phone: whether the ring knows it now. */
  async tellExpelled(overlay: string): Promise<boolean> {
    if (this.overlay !== overlay) return false;
    return (await this.#running?.expulsions?.tell()) ?? false;
  }

  /** @throws {CodedError} `NOT_CERTIFIED` in a private overlay, and whatever the store throws */
  async start(): Promise<void> {
    this.#starting ??= this.#start();
    try {
      await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async #start(): Promise<void> {
    const running = await this.#assemble();
    await running.devices.start();
    await running.expulsions?.start();
    await running.buddies.start();
    this.#running = running;
    this.changed();
    await running.publisher.start();
  }

  /** Takes its names back from the ring. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#starting = undefined;
    const running = this.#running;
    if (!running) return;
    running.devices.stop();
    running.expulsions?.stop();
    await running.buddies.stop();
    await running.publisher.stop();
    this.#records = running.publisher.records;
    this.#running = undefined;
  }

  /** Our name, our addresses or our users are others than before. */
  changed(): void {
    // While there is no network nothing is taken back: nobody would hear it, and all is as before when it returns.
    if (!this.#running || this.#options.self().contacts.length === 0) return;
    const { own, publisher } = this.#running;
    publisher.update(this.#wanted(own));
  }

  /** There is a ring now, or another. */
  ringChanged(): void {
    this.#running?.publisher.ringChanged();
    this.#running?.devices.ringChanged();
    this.#running?.expulsions?.ringChanged();
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    return this.#running ? this.#running.locator.locate(target, signal) : [];
  }

  /** Called us, or is watched: to be known beforehand, where they are of this overlay. */
  met(who: Uri, calledUs = false): void {
    if (!this.#running || !isSipUri(who)) return;
    const { own, buddies } = this.#running;
    const name = nameIn(who, own.overlay.name);
    if (name !== undefined) buddies.met(name, calledUs);
  }

  async #assemble(): Promise<Running> {
    const { identity, store: open, random, phoneName, ring } = this.#options;
    const store = open();
    const own = await readyOwnUser({ store, random, identity, phoneName });
    const { name: overlay, enrolmentKey } = own.overlay;
    const verifier = new RememberingVerifier(new Ed25519Verifier());
    const trust = new DeviceTrust(verifier);
    const pins = await PinBook.load({ store, overlay });
    const enrolments = enrolmentKey && new Enrolments({ name: overlay, enrolmentKey }, verifier);
    const lookup = new NameLookup({
      ...this.#options,
      tools: { overlay, verifier, trust, guard: new FreshnessGuard() },
      judge: new NameJudge({ pins, ...(enrolments && { enrolments }) }),
      ownDeviceId: await identity.deviceId(),
    });
    const buddies = new Buddies({ ...this.#options, store, overlay, lookup, pins });
    const locator = new RingLocator({ ...this.#options, overlay, lookup, people: buddies });
    const publisher = new BindingPublisher({
      ...this.#options,
      ring,
      overlay,
      proof: () => ({ ...own.proof, ...(devices.list && { devices: devices.list }) }),
    });
    const devices: OwnDevices = new OwnDevices({
      ...this.#options,
      stored: new StoredUser({ store, random }),
      trust,
      verifier,
      certificate: own.proof.certificate,
      ask: async () => {
        const names = this.#wanted(own).flatMap(({ name, by }) => (by === 'user' ? [name] : []));
        // Also where others claim a name: what a record brings along was learnt before that is told.
        await Promise.allSettled(names.map(name => lookup.find(name)));
      },
    });
    const { enrolment } = own.proof;
    const expulsions =
      enrolmentKey && enrolments && enrolment
        ? new Expulsions({
            ...this.#options,
            overlay: { name: overlay, enrolmentKey },
            stored: new StoredOverlay({ store, random }),
            enrolments,
            verifier,
            enrolment,
          })
        : undefined;
    expulsions?.on('list', () => buddies.judgeAgain(found => lookup.stands(found)));
    expulsions?.on('problem', error => this.emit('problem', error));
    devices.on('list', () => publisher.renew());
    devices.on('problem', error => this.emit('problem', error));
    publisher.on('records', records => this.emit('records', records));
    publisher.on('problem', error => this.emit('problem', error));
    lookup.on('problem', error => this.emit('problem', error));
    return { own, publisher, buddies, locator, devices, expulsions };
  }

  /** In a private overlay one has the name one was enrolled with, and no other. */
  #wanted({ overlay, name }: OwnUser): WantedBinding[] {
    const { self, users } = this.#options;
    const { name: phone, contacts } = self();
    const names = overlay.enrolmentKey ? [name] : [phone, name];
    const wanted = new Map<string, WantedBinding>();
    const want = (given: string | undefined, binding: Omit<WantedBinding, 'name'>) => {
      const folded = given === undefined ? undefined : foldedName(given);
      if (folded === undefined || wanted.has(folded) || binding.contacts.length === 0) return;
      wanted.set(folded, { ...binding, name: folded });
    };
    for (const each of names) want(each, { by: 'user', contacts });
    for (const user of users()) want(user.name, { by: 'voucher', contacts: user.contacts });
    return [...wanted.values()];
  }
}
