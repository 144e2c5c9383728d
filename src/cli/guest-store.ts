/**
 * What a phone that lives for one call knows: what the phone of this data directory has kept, and of what it learns whom
 * it talked to. Who it is it makes up for itself: two programs with one key would take each other's place in the overlay.
 */
import { existsSync } from 'node:fs';
import { FileStore } from '../storage/file-store.js';
import { MemoryStore } from '../storage/memory-store.js';
import type { Storable, Store } from '../storage/store.js';

/** Written for the phone that runs here too. */
const SHARED = ['pins/', 'buddies/'];

export class GuestStore implements Store {
  readonly #own = new MemoryStore();
  readonly #kept: Store | undefined;

  private constructor(kept: Store | undefined) {
    this.#kept = kept;
  }

  /** Throws as `FileStore.open`, where there is such a directory. */
  static async open(directory: string): Promise<GuestStore> {
    if (!existsSync(directory)) return new GuestStore(undefined);
    return new GuestStore(await FileStore.open({ directory, onDamage: () => undefined }));
  }

  async get<T extends Storable>(key: string): Promise<T | undefined> {
    return (await this.#own.get<T>(key)) ?? this.#kept?.get<T>(key);
  }

  set(key: string, value: Storable): Promise<void> {
    return this.#writable(key).set(key, value);
  }

  async add(key: string, value: Storable): Promise<boolean> {
    if ((await this.get(key)) !== undefined) return false;
    return this.#writable(key).add(key, value);
  }

  delete(key: string): Promise<void> {
    return this.#writable(key).delete(key);
  }

  async keys(prefix = ''): Promise<string[]> {
    const kept = (await this.#kept?.keys(prefix)) ?? [];
    return [...new Set([...(await this.#own.keys(prefix)), ...kept])].sort();
  }

  async close(): Promise<void> {
    await this.#own.close();
    await this.#kept?.close();
  }

  #writable(key: string): Store {
    const isShared = SHARED.some(prefix => key.startsWith(prefix));
    return (isShared ? this.#kept : undefined) ?? this.#own;
  }
}
