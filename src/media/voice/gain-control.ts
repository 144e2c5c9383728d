/**
 * Brings a voice to the level at which voices are expected, whoever speaks how far from the microphone. Learns only
 * from voice, so that pauses are not turned up; bounded; what does not fit is limited. Allocates nothing per frame.
 */
import { levelOf } from '../frame.js';
import { Limiter } from '../limiter.js';

/** Of speech while it lasts, in dBov: ITU-T P.56 measures, and G.711 and E-model figures assume about -26. */
const TARGET_DBOV = -26;
const MOST_DB = 18;
const LEAST_DB = -12;
/** Nearer than this to the target nothing is changed: speech varies by as much. */
const DEAD_DB = 2;
/** In a frame of 20 ms: 5 dB a second up, 15 down, since who is too loud disturbs more. */
const UP_DB = 0.1;
const DOWN_DB = 0.3;
/** Share of a new frame in the power that is believed: half of it is of the last 700 ms of voice. */
const SMOOTHING = 0.02;
/** Quieter voice is the room's, or the line's. */
const LEAST_VOICE_DBOV = -60;

export class GainControl {
  readonly #limiter = new Limiter();
  readonly #sum: Int32Array;
  /** Mean of what was voice, 1 for 0 dBov. */
  #power = Number.NaN;
  #gainDb = 0;
  /** The factor at the end of the last frame. */
  #factor = 1;

  /** @param frameSamples of each frame */
  constructor(frameSamples: number) {
    this.#sum = new Int32Array(frameSamples);
  }

  get gainDb(): number {
    return this.#gainDb;
  }

  /** @param voiced whether somebody speaks in this frame */
  process(frame: Int16Array, voiced: boolean): void {
    if (voiced) this.#learn(levelOf(frame));
    const before = this.#factor;
    const after = 10 ** (this.#gainDb / 20);
    if (before === 1 && after === 1) return;
    const sum = this.#sum;
    for (let i = 0; i < frame.length; i++) {
      // From the one to the other without a step.
      const factor = before + ((after - before) * (i + 1)) / frame.length;
      sum[i] = Math.round(frame[i]! * factor);
    }
    this.#factor = after;
    this.#limiter.limit(sum, frame);
  }

  #learn(level: number): void {
    if (level < LEAST_VOICE_DBOV) return;
    const power = 10 ** (level / 10);
    const known = this.#power;
    this.#power = Number.isNaN(known) ? power : known + (power - known) * SMOOTHING;
    const off = TARGET_DBOV - (10 * Math.log10(this.#power) + this.#gainDb);
    if (off > DEAD_DB) this.#gainDb = Math.min(MOST_DB, this.#gainDb + UP_DB);
    else if (off < -DEAD_DB) this.#gainDb = Math.max(LEAST_DB, this.#gainDb - DOWN_DB);
  }
}
