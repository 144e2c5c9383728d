/** A store that forgets: for tests and the simulator. */
import { CodedError } from '../core/errors.js';
import { checkKey } from './key.js';
import type { Storable, Store } from './store.js';

export class MemoryStore implements Store {
  /** Kept as text, so that readers get copies and values are what JSON makes of them. */
  readonly #records = new Map<string, string>();
  #open = true;

  async get<T extends Storable>(key: string): Promise<T | undefined> {
    this.#check(key);
    const text = this.#records.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async set(key: string, value: Storable): Promise<void> {
    this.#check(key);
    this.#records.set(key, JSON.stringify(value));
  }

  async add(key: string, value: Storable): Promise<boolean> {
    this.#check(key);
    if (this.#records.has(key)) return false;
    this.#records.set(key, JSON.stringify(value));
    return true;
  }

  async delete(key: string): Promise<void> {
    this.#check(key);
    this.#records.delete(key);
  }

  async keys(prefix = ''): Promise<string[]> {
    this.#checkOpen();
    return [...this.#records.keys()].filter(key => key.startsWith(prefix)).sort();
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #check(key: string): void {
    this.#checkOpen();
    checkKey(key);
  }

  #checkOpen(): void {
    if (!this.#open) throw new CodedError('STORE_CLOSED', 'the store is closed');
  }
}
