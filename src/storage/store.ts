/** What a device keeps, behind one interface: `FileStore` on a device, `MemoryStore` in tests and the simulator. */

/** What a record may hold: whatever JSON can carry. `undefined`, functions and the like are lost as in `JSON.stringify`. */
export type Storable = null | boolean | number | string | object;

export interface Store {
  /**
   * The value last acknowledged under `key`, or the one being written; `undefined` where there is none.
   * The caller gets a copy of its own.
   *
   * Throws `CodedError` `STORE_TOO_NEW` for a record of a later version of this program.
   */
  get<T extends Storable>(key: string): Promise<T | undefined>;
  /**
   * Resolves when the value would survive a power cut. An unchanged value is not written again;
   * of several values given while a write is under way only the last is written.
   *
   * Throws `CodedError` `STORE_READ_ONLY`, `STORE_FULL`, `STORE_FORBIDDEN` or `STORE_FAILED`;
   * the old value is then still there.
   */
  set(key: string, value: Storable): Promise<void>;
  /**
   * As `set`, but only where there is no such record: resolves to false where there is one, of this process or of
   * another. Of several who add at once one succeeds.
   */
  add(key: string, value: Storable): Promise<boolean>;
  /** Resolves when the record is gone for good; no error where there was none. */
  delete(key: string): Promise<void>;
  /** All keys that begin with `prefix`, sorted. */
  keys(prefix?: string): Promise<string[]>;
  /** Finishes what is being written; everything asked later fails with `STORE_CLOSED`. Idempotent. */
  close(): Promise<void>;
}
