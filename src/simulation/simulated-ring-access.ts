/** The simulated ring as other rooms reach it, through one of its members, in the time of a virtual clock. */
import { CodedError } from '../core/errors.js';
import type { Id } from '../overlay/ring/ids.js';
import type { RingRecord } from '../overlay/ring/records.js';
import type { RingAccess } from '../overlay/ring-access.js';
import type { SimulatedMember, SimulatedRing } from './simulated-ring.js';
import type { VirtualClock } from './virtual-clock.js';

/** Longer than any operation of a member takes. */
const WITHIN_MS = 120_000;

/** The ring has its own time, which follows the clock whenever it is asked, and runs ahead by what an answer takes. */
export class SimulatedRingAccess implements RingAccess {
  readonly #ring: SimulatedRing;
  readonly #clock: VirtualClock;
  readonly #member: () => SimulatedMember;

  constructor(ring: SimulatedRing, clock: VirtualClock, member: () => SimulatedMember) {
    this.#ring = ring;
    this.#clock = clock;
    this.#member = member;
  }

  async get(key: Id): Promise<readonly RingRecord[]> {
    const { records } = await this.#answer<{ records: readonly RingRecord[] | undefined }>(done =>
      this.#ring.get(this.#member(), key, done),
    );
    if (!records) throw new CodedError('NO_ANSWER', 'nobody who holds it answered');
    return records.filter(({ value }) => value !== undefined);
  }

  async put(record: RingRecord): Promise<number> {
    const { copies, reason } = await this.#answer<{ copies: number; reason?: string }>(done =>
      this.#ring.put(this.#member(), record, done),
    );
    if (copies > 0) return copies;
    throw new CodedError(reason === 'no-answer' ? 'NO_ANSWER' : 'NOT_KEPT', `not kept: ${reason}`);
  }

  async #answer<Result>(ask: (done: (result: Result) => void) => void): Promise<Result> {
    const ring = this.#ring;
    ring.run(this.#clock.now());
    let result: Result | undefined;
    ask(done => {
      result = done;
    });
    ring.runUntil(() => result !== undefined, WITHIN_MS);
    const ahead = ring.now - this.#clock.now();
    await new Promise<void>(resolve => this.#clock.after(ahead, resolve));
    if (result === undefined) throw new CodedError('NO_ANSWER', 'the ring did not answer');
    return result;
  }
}
