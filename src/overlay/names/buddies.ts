/** The people one has to do with, their places known beforehand: the driver of `buddies-machine.ts`. */
import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../../core/clock.js';
import { asError, errorCode } from '../../core/errors.js';
import type { Service } from '../../core/lifecycle.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomUnit } from '../../core/random.js';
import { foldedName } from '../../identity/names.js';
import type { PinBook } from '../../identity/pin-book.js';
import type { Store } from '../../storage/store.js';
import {
  type BuddiesAction,
  freshPlace,
  lastPlace,
  newBuddies,
  stepBuddies,
} from './buddies-machine.js';
import type { FoundName } from './name-lookup.js';
import type { KnownPeople } from './ring-locator.js';

export interface BuddiesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Pick<Store, 'get' | 'set'>;
  readonly overlay: string;
  readonly lookup: { find(name: string, signal?: AbortSignal): Promise<FoundName | undefined> };
  readonly pins: Pick<PinBook, 'talked'>;
}

interface BuddiesRecord {
  /** Folded; whoever was met last comes last. Where they are is not kept: it changes, and writing wears the card. */
  readonly names: readonly string[];
}

/** As `BuddiesEvent`, without what the driver adds. */
type Happening =
  | { readonly type: 'load'; readonly names: readonly string[] }
  | { readonly type: 'found'; readonly found: FoundName }
  | { readonly type: 'met'; readonly name: string; readonly calledUs?: boolean }
  | { readonly type: 'nobody' | 'failed' | 'doubted'; readonly name: string }
  | { readonly type: 'timer' };

export class Buddies implements KnownPeople, Service {
  readonly #options: BuddiesOptions;
  readonly #key: string;
  #state = newBuddies();
  #timer: Timer | undefined;
  #running: AbortController | undefined;
  #kept: Promise<void> = Promise.resolve();

  constructor(options: BuddiesOptions) {
    this.#options = options;
    const overlay = createHash('sha256').update(options.overlay).digest('hex').slice(0, 32);
    this.#key = `buddies/${overlay}`;
  }

  /** Folded names, whoever was met last at the end. */
  get names(): readonly string[] {
    return [...this.#state.buddies.keys()];
  }

  /** Takes up whom it knew before a restart; their places are looked up one after the other. */
  async start(): Promise<void> {
    const record = await this.#options.store.get<Partial<BuddiesRecord>>(this.#key);
    const kept = Array.isArray(record?.names) ? record.names : [];
    const names = kept.filter(name => typeof name === 'string' && foldedName(name) === name);
    this.#running = new AbortController();
    this.#step({ type: 'load', names });
  }

  async stop(): Promise<void> {
    this.#running?.abort('the phone stops');
    this.#running = undefined;
    this.#timer?.cancel();
    this.#state = newBuddies();
    await this.#kept;
  }

  /** Called, called by, or watched: for who is to be reached without a look-up. No name: nothing happens. */
  met(name: string, calledUs = false): void {
    const folded = foldedName(name);
    if (folded !== undefined) this.#step({ type: 'met', name: folded, calledUs });
  }

  known(name: string): FoundName | undefined {
    return freshPlace(this.#state, name, this.#options.clock.now());
  }

  lastKnown(name: string): FoundName | undefined {
    return lastPlace(this.#state, name, this.#options.clock.now());
  }

  told(found: FoundName): void {
    this.#step({ type: 'found', found });
  }

  /** What is known of people is another than before: of whom it does not stand any more the place is forgotten. */
  judgeAgain(stands: (found: FoundName) => boolean): void {
    for (const { name, found } of [...this.#state.buddies.values()]) {
      if (found && !stands(found)) this.#step({ type: 'nobody', name });
    }
  }

  doubt(name: string): void {
    this.#step({ type: 'doubted', name });
  }

  /** Pins the key of who signs; whoever is vouched for has none. */
  talked(found: FoundName): void {
    const { name, user, standing } = found;
    const isNew = !this.names.includes(name);
    this.met(name);
    if (isNew) this.told(found);
    if (standing !== 'vouched') this.#keep(this.#options.pins.talked(name, user));
  }

  #step(event: Happening): void {
    if (!this.#running) return;
    const { clock, random } = this.#options;
    const now = clock.now();
    const actions = stepBuddies(this.#state, { ...event, now, chance: randomUnit(random) });
    for (const action of actions) this.#perform(action);
  }

  #perform(action: BuddiesAction): void {
    switch (action.type) {
      case 'look-up':
        void this.#lookUp(action.name);
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = this.#options.clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'keep': {
        const record: BuddiesRecord = { names: action.names };
        this.#keep(this.#options.store.set(this.#key, record));
        return;
      }
    }
  }

  async #lookUp(name: string): Promise<void> {
    const running = this.#running;
    const happened = await this.#found(name, running?.signal);
    if (running && running === this.#running) this.#step(happened);
  }

  async #found(name: string, signal: AbortSignal | undefined): Promise<Happening> {
    try {
      const found = await this.#options.lookup.find(name, signal);
      return found ? { type: 'found', found } : { type: 'nobody', name };
    } catch (error) {
      return { type: errorCode(error) === 'NAME_CLASH' ? 'nobody' : 'failed', name };
    }
  }

  /** What cannot be kept is not known after a restart: nothing that would stop a call. */
  #keep(work: Promise<unknown>): void {
    const kept = work.then(
      () => undefined,
      error =>
        this.#options.logger.warn({ reason: asError(error).message }, 'a buddy could not be kept'),
    );
    this.#kept = Promise.all([this.#kept, kept]).then(() => undefined);
  }
}
