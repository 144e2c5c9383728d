/**
 * The media clock: one tick each frame, without drift. A late tick does not move the next one.
 * After a stall the missed ticks are made up gently, so that peers which stood still in the same
 * instant (virtual machines, a busy board) fill each other's buffers again; after a long stall they
 * are left out.
 */
import type { Clock, Timer } from '../core/clock.js';

/** Least time between two ticks while missed ones are made up. */
const CATCH_UP_MS = 10;
/** Beyond this lateness missed ticks are left out. */
const MAX_BEHIND_MS = 1000;
/** Lateness is counted in steps of this. */
const STEP_MS = 0.1;
const STEPS = 1000;

/** How late ticks ran. */
export interface PacerStatistics {
  readonly ticks: number;
  /** Ticks left out after stalls. */
  readonly skipped: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface PacerOptions {
  readonly clock: Clock;
  readonly periodMs: number;
  /**
   * Runs a task once packets that have arrived are read: `setImmediate` on a real event loop, which
   * runs timers before sockets. By default at once.
   */
  readonly defer?: (task: () => void) => void;
  readonly tick: (nowMs: number) => void;
  /** Told before the tick that follows a long stall. */
  readonly skip: (frames: number) => void;
}

export class Pacer {
  readonly #options: PacerOptions;
  readonly #defer: (task: () => void) => void;
  readonly #lateness = new Uint32Array(STEPS);
  #ticks = 0;
  #skipped = 0;
  #maxMs = 0;
  #dueMs = 0;
  #timer: Timer | undefined;
  #running = false;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#defer = options.defer ?? (task => task());
  }

  /** The first tick comes one period from now. Idempotent. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#dueMs = this.#options.clock.now() + this.#options.periodMs;
    this.#wakeIn(this.#options.periodMs);
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** Counts anew. */
  restartStatistics(): void {
    this.#lateness.fill(0);
    this.#ticks = 0;
    this.#skipped = 0;
    this.#maxMs = 0;
  }

  statistics(): PacerStatistics {
    return {
      ticks: this.#ticks,
      skipped: this.#skipped,
      p50Ms: this.#quantile(0.5),
      p99Ms: this.#quantile(0.99),
      maxMs: this.#maxMs,
    };
  }

  #wakeIn(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, this.#wake);
  }

  readonly #wake = (): void => this.#defer(this.#run);

  readonly #run = (): void => {
    if (!this.#running) return;
    const { clock, periodMs, tick, skip } = this.#options;
    const beganMs = clock.now();
    const lateMs = beganMs - this.#dueMs;
    this.#count(lateMs);
    if (lateMs > MAX_BEHIND_MS) {
      const frames = Math.floor(lateMs / periodMs);
      this.#skipped += frames;
      this.#dueMs += frames * periodMs;
      skip(frames);
    }
    tick(clock.now());
    this.#dueMs += periodMs;
    const now = clock.now();
    const aheadMs = this.#dueMs - now;
    // From tick to tick: long ones would never catch up if the pause came on top.
    this.#wakeIn(aheadMs > 0 ? aheadMs : Math.max(0, CATCH_UP_MS - (now - beganMs)));
  };

  #count(lateMs: number): void {
    this.#ticks++;
    const late = Math.max(0, lateMs);
    this.#maxMs = Math.max(this.#maxMs, late);
    const step = Math.min(STEPS - 1, Math.floor(late / STEP_MS));
    this.#lateness[step] = this.#lateness[step]! + 1;
  }

  #quantile(fraction: number): number {
    let left = this.#ticks * fraction;
    for (let step = 0; step < STEPS; step++) {
      left -= this.#lateness[step]!;
      if (left <= 0) return Math.min(this.#maxMs, (step + 1) * STEP_MS);
    }
    return this.#maxMs;
  }
}
