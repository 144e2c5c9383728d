/**
 * Takes noise away and leaves voice: RNNoise, which knows 48 kHz and frames of 10 ms. Loaded when it is first wanted;
 * allocates nothing per frame of its own.
 */
import type { RnnoiseModule } from '@echogarden/rnnoise-wasm';
import { FRAME_MS } from '../graph.js';
import { saturated } from '../limiter.js';
import { RateConverter } from '../rate-converter.js';

const RATE = 48_000;
const STEP_SAMPLES = 480;
const FRAME_SAMPLES = (RATE * FRAME_MS) / 1000;

export class NoiseSuppressor {
  readonly #rnnoise: RnnoiseModule;
  readonly #state: number;
  readonly #memory: number;
  readonly #up: RateConverter | undefined;
  readonly #down: RateConverter | undefined;
  readonly #wide = new Int32Array(FRAME_SAMPLES);
  readonly #narrow: Int32Array;

  /** @param sampleRate of frames of 20 ms in Hz, a divisor of 48000 */
  static async open(sampleRate: number): Promise<NoiseSuppressor> {
    const { default: load } = await import('@echogarden/rnnoise-wasm');
    return new NoiseSuppressor(await load(), sampleRate);
  }

  private constructor(rnnoise: RnnoiseModule, sampleRate: number) {
    this.#rnnoise = rnnoise;
    this.#state = rnnoise._rnnoise_create(0);
    this.#memory = rnnoise._malloc(STEP_SAMPLES * 4);
    this.#narrow = new Int32Array((sampleRate * FRAME_MS) / 1000);
    if (sampleRate === RATE) return;
    this.#up = new RateConverter(sampleRate, RATE, FRAME_MS);
    this.#down = new RateConverter(RATE, sampleRate, FRAME_MS);
  }

  process(frame: Int16Array): void {
    const wide = this.#wide;
    if (this.#up) this.#up.process(frame, wide);
    else wide.set(frame);
    for (let at = 0; at < FRAME_SAMPLES; at += STEP_SAMPLES) this.#step(at);
    if (this.#down) this.#down.process(wide, this.#narrow);
    const clean = this.#down ? this.#narrow : wide;
    for (let i = 0; i < frame.length; i++) frame[i] = saturated(clean[i]!);
  }

  #step(at: number): void {
    const rnnoise = this.#rnnoise;
    const memory = this.#memory;
    const first = memory / 4;
    const wide = this.#wide;
    const before = rnnoise.HEAPF32;
    for (let i = 0; i < STEP_SAMPLES; i++) before[first + i] = wide[at + i]!;
    rnnoise._rnnoise_process_frame(this.#state, memory, memory);
    // Its memory may have grown, and have moved with it.
    const after = rnnoise.HEAPF32;
    for (let i = 0; i < STEP_SAMPLES; i++) wide[at + i] = Math.round(after[first + i]!);
  }

  close(): void {
    this.#rnnoise._rnnoise_destroy(this.#state);
    this.#rnnoise._free(this.#memory);
  }
}
