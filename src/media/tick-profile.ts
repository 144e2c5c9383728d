/** Where the time of the ticks goes: for statistics, and for codecs that adapt to what the machine can do. */
import type { Clock } from '../core/clock.js';
import { FRAME_MS } from './graph.js';

/** In the order in which a tick goes through them. */
export const TICK_STAGES = ['receive', 'decode', 'mix', 'encode', 'send'] as const;
export type TickStage = (typeof TICK_STAGES)[number];

/** Milliseconds spent in each so far. */
export type StageTimes = Readonly<Record<TickStage, number>>;

/** One second of them. */
const TICKS_IN_MEAN = 50;

export class TickProfile {
  readonly #clock: Clock;
  readonly #spentMs = new Float64Array(TICK_STAGES.length);
  /** Of the present stage; an array, since a field would box each number. */
  readonly #since = new Float64Array(1);
  #stage = 0;
  /** Spent in this tick, and the mean of those before it: arrays for the same reason. */
  readonly #tickMs = new Float64Array(1);
  readonly #meanMs = new Float64Array(1);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A tick begins, with its first stage. */
  begin(): void {
    this.#meanMs[0] = this.#meanMs[0]! + (this.#tickMs[0]! - this.#meanMs[0]!) / TICKS_IN_MEAN;
    this.#tickMs[0] = 0;
    this.#stage = 0;
    this.#since[0] = this.#clock.now();
  }

  /** The present stage is over; the next begins. */
  next(): void {
    const now = this.#clock.now();
    const spent = now - this.#since[0]!;
    this.#spentMs[this.#stage] = this.#spentMs[this.#stage]! + spent;
    this.#tickMs[0] = this.#tickMs[0]! + spent;
    this.#stage++;
    this.#since[0] = now;
  }

  /** Of the time between ticks, how much they took lately: 0 to 1. */
  get load(): number {
    return Math.min(1, this.#meanMs[0]! / FRAME_MS);
  }

  /** Counts anew. */
  restart(): void {
    this.#spentMs.fill(0);
  }

  get times(): StageTimes {
    const [receive = 0, decode = 0, mix = 0, encode = 0, send = 0] = this.#spentMs;
    return { receive, decode, mix, encode, send };
  }
}
