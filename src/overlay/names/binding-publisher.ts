/** Keeps this device's bindings in the ring: the driver of `publishing-machine.ts`. It signs, puts and waits. */
import { EventEmitter } from 'node:events';
import type { Clock, Timer } from '../../core/clock.js';
import { asError, CodedError, errorCode } from '../../core/errors.js';
import type { Service } from '../../core/lifecycle.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomUnit } from '../../core/random.js';
import type { Binding } from '../../identity/binding.js';
import { FRESHNESS_BOUNDS, FreshnessCounter } from '../../identity/freshness.js';
import { deviceIdOf, type IdentityProvider } from '../../identity/identity.js';
import { foldedName } from '../../identity/names.js';
import type { Signer } from '../../identity/signing.js';
import type { RingRecord } from '../ring/records.js';
import type { RingAccess } from '../ring-access.js';
import { makeNameRecord, makeNameTombstone, type NameProof, nameKey } from './name-record.js';
import {
  LIFE_S,
  newPublishing,
  type PublishingAction,
  type PublishingEvent,
  stepPublishing,
  type WantedBinding,
} from './publishing-machine.js';

/** Names of one device, its users' included: four puts at a time keep up with them. */
export const MAX_BINDINGS = 1000;
/** Whoever stops the phone does not wait longer for tombstones. */
export const STOP_WITHIN_MS = 2000;

export interface BindingPublisherEvents {
  /** The records are others than before: for those who attach with them. */
  records: [records: readonly RingRecord[]];
  /** Something that is tried again by itself, but that the owner should know: `BAD_RECORD`, `NOT_KEPT`, … */
  problem: [error: Error];
}

export interface BindingPublisherOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ring: RingAccess;
  readonly overlay: string;
  readonly identity: Pick<IdentityProvider, 'signer' | 'bootCount' | 'outrunBoot'>;
  /** Of this device; asked for with each binding. */
  readonly proof: () => NameProof;
}

export class BindingPublisher extends EventEmitter<BindingPublisherEvents> implements Service {
  readonly #options: BindingPublisherOptions;
  readonly #timers = new Map<string, Timer>();
  /** Of each name the newest, with the clock time at which it was signed. */
  readonly #records = new Map<string, { readonly record: RingRecord; readonly at: number }>();
  readonly #problems = new Map<string, string>();
  #state = newPublishing();
  #wanted: readonly WantedBinding[] = [];
  #signing: { readonly device: Signer; counter: FreshnessCounter } | undefined;
  #stopped: (() => void) | undefined;
  #told = '';

  constructor(options: BindingPublisherOptions) {
    super();
    this.#options = options;
  }

  /** What goes along when this device attaches to a super-node; tombstones once it has stopped. */
  get records(): readonly RingRecord[] {
    const now = this.#options.clock.now();
    return [...this.#records.values()].map(({ record, at }) => ({ ...record, ageMs: now - at }));
  }

  /**
   * These bindings, and no others, are to be in the ring: at once, and for as long as it runs.
   *
   * @throws {CodedError} `BAD_NAME`, `TOO_MANY_NAMES`
   */
  update(bindings: readonly WantedBinding[]): void {
    if (bindings.length > MAX_BINDINGS) {
      throw new CodedError(
        'TOO_MANY_NAMES',
        `expected at most ${MAX_BINDINGS} names to publish, found ${bindings.length}`,
        { remedy: 'Register some of the phones at another super-node.' },
      );
    }
    this.#wanted = bindings.map(({ name, by, contacts }) => {
      const folded = foldedName(name);
      if (folded !== undefined) return { name: folded, by, contacts: [...contacts] };
      throw new CodedError('BAD_NAME', `expected a name of up to 64 octets, found "${name}"`);
    });
    if (this.#signing) this.#step({ type: 'want', bindings: this.#wanted });
  }

  /** There is a ring now, or another: what could not be put is put at once. */
  ringChanged(): void {
    if (this.#signing) this.#step({ type: 'ring' });
  }

  /** What goes along with each binding is another than before: all are put anew. */
  renew(): void {
    if (this.#signing) this.#step({ type: 'renew' });
  }

  async start(): Promise<void> {
    const { identity } = this.#options;
    const device = await identity.signer();
    const counter = new FreshnessCounter(await identity.bootCount());
    this.#state = newPublishing();
    this.#records.clear();
    this.#signing = { device, counter };
    this.#step({ type: 'want', bindings: this.#wanted });
  }

  /** Takes everything back; within `STOP_WITHIN_MS`, whatever the ring does. */
  async stop(): Promise<void> {
    if (!this.#signing) return;
    const stopped = new Promise<void>(resolve => {
      const limit = this.#options.clock.after(STOP_WITHIN_MS, resolve);
      this.#stopped = () => {
        limit.cancel();
        resolve();
      };
    });
    this.#step({ type: 'stop' });
    await stopped;
    this.#signing = undefined;
    this.#stopped = undefined;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #step(event: PublishingEvent): void {
    for (const action of stepPublishing(this.#state, event)) this.#perform(action);
  }

  #perform(action: PublishingAction): void {
    switch (action.type) {
      case 'publish': {
        const { binding, again } = action;
        this.#put(binding.name, () => this.#recordOf(binding, again));
        return;
      }
      case 'withdraw':
        this.#put(action.name, () => {
          const { device, counter } = this.#needed();
          const { overlay } = this.#options;
          const lifetime = LIFE_S[action.by];
          const gone = { name: action.name, overlay, lifetime, ...counter.next() };
          return makeNameTombstone(device, gone);
        });
        return;
      case 'set-timer': {
        const { name, ms } = action;
        this.#timers.get(name)?.cancel();
        const fire = () => this.#step({ type: 'timer', name });
        this.#timers.set(name, this.#options.clock.after(ms, fire));
        return;
      }
      case 'cancel-timer':
        this.#timers.get(action.name)?.cancel();
        this.#timers.delete(action.name);
        return;
      case 'forget':
        // A tombstone is told until the device has gone: whoever it detaches from passes it on.
        if (!this.#state.stopping) this.#records.delete(action.name);
        this.#tell();
        return;
      case 'stopped':
        this.#stopped?.();
        return;
    }
  }

  #recordOf({ name, by, contacts }: WantedBinding, again: boolean): RingRecord {
    const { clock, overlay, proof } = this.#options;
    const lifetime = LIFE_S[by];
    const last = this.#records.get(name);
    // Signed once for all attempts, so that those it is attached to are not told each time.
    if (again && last?.record.value && clock.now() - last.at < lifetime * 500) return last.record;
    const { device, counter } = this.#needed();
    const binding: Binding = { name, by, contacts, overlay, lifetime, ...counter.next() };
    return makeNameRecord(device, binding, proof());
  }

  #put(name: string, make: () => RingRecord): void {
    void this.#putOnce(name, make).then(type => {
      const chance = randomUnit(this.#options.random);
      if (this.#signing) this.#step({ type, name, chance });
    });
  }

  async #putOnce(name: string, make: () => RingRecord): Promise<'kept' | 'failed'> {
    const { ring, logger, clock } = this.#options;
    try {
      const record = make();
      if (record !== this.#records.get(name)?.record) {
        this.#records.set(name, { record, at: clock.now() });
        this.#tell();
      }
      await ring.put(record);
      this.#problems.delete(name);
      return 'kept';
    } catch (error) {
      const code = errorCode(error);
      logger.debug({ name, code, reason: asError(error).message }, 'a name was not published');
      // That there is no ring yet is no problem, and neither is one that is slow.
      if (code !== 'NO_RING' && code !== 'NO_ANSWER') this.#complain(name, asError(error));
      if (code === 'NOT_KEPT') await this.#outrun(name);
      return 'failed';
    }
  }

  /** The ring may have newer records of ours than we know of: the count of starts was lost. */
  async #outrun(name: string): Promise<void> {
    const { ring, overlay, identity } = this.#options;
    const { device } = this.#needed();
    const publisher = deviceIdOf(device.publicKey);
    const ours = this.#records.get(name)?.record;
    const held = await ring.get(nameKey(name, overlay)).catch(() => []);
    const newer = held.find(record => record.publisher === publisher);
    if (!newer || !ours || newer.sequence < ours.sequence || !this.#signing) return;
    const boot = Math.floor(newer.sequence / FRESHNESS_BOUNDS.sequences);
    this.#signing.counter = new FreshnessCounter(await identity.outrunBoot(boot));
    // Signed anew at the next attempt.
    this.#records.delete(name);
  }

  /** Once, until it is another or things are well again. */
  #complain(name: string, error: Error): void {
    if (this.#problems.get(name) === error.message) return;
    this.#problems.set(name, error.message);
    this.emit('problem', error);
  }

  #needed(): { device: Signer; counter: FreshnessCounter } {
    if (this.#signing) return this.#signing;
    throw new CodedError('NOT_STARTED', 'expected a publisher that runs, found it stopped');
  }

  #tell(): void {
    const { records } = this;
    const versions = records.map(({ key, sequence }) => `${key} ${sequence}`).join();
    if (versions === this.#told) return;
    this.#told = versions;
    this.emit('records', records);
  }
}
