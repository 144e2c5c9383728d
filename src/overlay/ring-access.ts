/** What other rooms ask of the ring, whether this device is a member of it or attached to one. */
import type { Id } from './ring/ids.js';
import type { RingRecord } from './ring/records.js';

export interface RingAccess {
  /**
   * The newest record of each publisher under a key; tombstones are left out.
   *
   * @throws {CodedError} `NO_RING` where there is none yet, `NO_ANSWER` where nobody who holds it answered in time
   */
  get(key: Id, signal?: AbortSignal): Promise<readonly RingRecord[]>;

  /**
   * Puts a signed record into the ring, in place of older ones of its publisher.
   *
   * @returns by how many members it is kept
   * @throws {CodedError} `NO_RING`, `NO_ANSWER`, `NOT_KEPT` with the reason
   */
  put(record: RingRecord): Promise<number>;
}
