/** Where the time of the ticks goes: for statistics, and for codecs that adapt to what the machine can do. */
import type { Clock } from '../core/clock.js';

/** In the order in which a tick goes through them. */
export const TICK_STAGES = ['receive', 'decode', 'mix', 'encode', 'send'] as const;
export type TickStage = (typeof TICK_STAGES)[number];

/** Milliseconds spent in each so far. */
export type StageTimes = Readonly<Record<TickStage, number>>;

export class TickProfile {
  readonly #clock: Clock;
  readonly #spentMs = new Float64Array(TICK_STAGES.length);
  /** Of the present stage; an array, since a field would box each number. */
  readonly #since = new Float64Array(1);
  #stage = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A tick begins, with its first stage. */
  begin(): void {
    this.#stage = 0;
    this.#since[0] = this.#clock.now();
  }

  /** The present stage is over; the next begins. */
  next(): void {
    const now = this.#clock.now();
    this.#spentMs[this.#stage] = this.#spentMs[this.#stage]! + now - this.#since[0]!;
    this.#stage++;
    this.#since[0] = now;
  }

  get times(): StageTimes {
    const [receive = 0, decode = 0, mix = 0, encode = 0, send = 0] = this.#spentMs;
    return { receive, decode, mix, encode, send };
  }
}
