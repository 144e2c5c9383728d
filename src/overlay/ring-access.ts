/** What other rooms ask of the ring, whether this device is a member of it or attached to one. */
import { type Clock, sleep } from '../core/clock.js';
import { errorCode } from '../core/errors.js';
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

/** As long as who calls somebody waits for the ring, and the pause before it is asked again. */
const GET_WITHIN_MS = 6000;
const GET_PAUSE_MS = 200;

export interface ChangingWay {
  readonly clock: Clock;
  /** The way there is now. Throws `CodedError` `NO_RING`. */
  readonly way: () => RingAccess;
  /** None will come any more. */
  readonly isOver: () => boolean;
}

/** As `RingAccess.get`, again while the way to the ring changes: whoever was asked may have died in this moment. */
export async function getAgain(
  { clock, way, isOver }: ChangingWay,
  key: Id,
  signal?: AbortSignal,
): Promise<readonly RingRecord[]> {
  const until = clock.now() + GET_WITHIN_MS;
  for (;;) {
    try {
      return await way().get(key, signal);
    } catch (error) {
      const code = errorCode(error);
      const passes = code === 'NO_ANSWER' || code === 'NO_RING';
      if (!passes || clock.now() + GET_PAUSE_MS > until || isOver()) throw error;
    }
    await sleep(clock, GET_PAUSE_MS, signal);
  }
}
