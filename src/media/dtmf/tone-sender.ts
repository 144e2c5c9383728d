/** Digits as their tones, for who understands nothing else: frames in place of the voice. Allocates nothing per frame. */
import { tonesOfDigit } from './digits.js';
import type { DigitTiming } from './event-sender.js';

/** A full-scale sine is 3.17 dBm0 (G.711, Table 2). */
const FULL_SCALE_DBM0 = 3.17;
/** The high tone is sent stronger, since lines weaken it more: ETSI ES 201 235-2 §4.2.2. */
const LOW_DBM0 = -10;
const HIGH_DBM0 = -8;

export class ToneSender {
  readonly #sampleRate: number;
  #digits = '';
  #at = 0;
  #sample = 0;
  #toneSamples = 0;
  #allSamples = 0;
  #low = 0;
  #high = 0;

  /** @param sampleRate in Hz */
  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
  }

  get busy(): boolean {
    return this.#at < this.#digits.length;
  }

  /** Begins with the next frame; not while it is busy. */
  begin(digits: string, { toneMs, gapMs }: DigitTiming): void {
    this.#digits = digits;
    this.#at = 0;
    this.#sample = 0;
    this.#toneSamples = Math.round((toneMs * this.#sampleRate) / 1000);
    this.#allSamples = Math.round(((toneMs + gapMs) * this.#sampleRate) / 1000);
    this.#tune();
  }

  /** Fills the whole frame; what is left after the last digit is silence. */
  fill(frame: Int16Array): void {
    for (let i = 0; i < frame.length; i++) {
      const sounds = this.busy && this.#sample < this.#toneSamples;
      frame[i] = sounds ? this.#value() : 0;
      if (++this.#sample < this.#allSamples || !this.busy) continue;
      this.#sample = 0;
      this.#at++;
      this.#tune();
    }
  }

  #value(): number {
    const t = this.#sample;
    return Math.round(LOW * Math.sin(this.#low * t) + HIGH * Math.sin(this.#high * t));
  }

  #tune(): void {
    if (!this.busy) return;
    const { low, high } = tonesOfDigit(this.#digits[this.#at]!);
    this.#low = (2 * Math.PI * low) / this.#sampleRate;
    this.#high = (2 * Math.PI * high) / this.#sampleRate;
  }
}

const LOW = amplitude(LOW_DBM0);
const HIGH = amplitude(HIGH_DBM0);

function amplitude(dbm0: number): number {
  return 32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20);
}
