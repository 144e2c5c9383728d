/**
 * Finds the tones of keys in a voice, by the figures of ITU-T Q.24 Annex A. Pure; allocates nothing per frame.
 *
 * The signal is looked at in blocks of 12.75 ms: a digit of 40 ms holds two whole ones wherever they fall, one of
 * 23 ms does not. In each block the eight tones are measured by correlation (Goertzel's sum, by tables). From one
 * block to the next the phase of a tone turns by its distance from where it should be, which tells its frequency
 * far more sharply than its level does. What speaks against speech: hardly anything else sounds beside the two.
 */
import { digitOfTones, HIGH_GROUP, LOW_GROUP } from './digits.js';
import type { DigitListener } from './event-receiver.js';

const BLOCK_MS = 12.75;
/** Of each tone; Q.24: some administrations want -25 dBm accepted, and -29 refused. */
const LEAST_DBM0 = -27;
const FULL_SCALE_DBM0 = 3.17;
/** High over low: Q.24 wants +4 to -8 dB accepted. */
const MOST_TWIST_DB = 5;
const LEAST_TWIST_DB = -9;
/** Over every other tone of its group. */
const LEAST_LEAD_DB = 6;
/** Of a tone's frequency: Q.24 wants 1.5% and 2 Hz accepted (1.8% of the lowest), 3.5% refused. */
const MOST_DEVIATION = 0.026;
/**
 * Of the energy of two blocks, that of the two tones: what is left may be noise of -12 dB. A digit of 23 ms has
 * at most 0.9, for it does not fill them.
 */
const LEAST_SHARE = 0.945;
/** The same of a block, before it is known how far from its frequency a tone is. */
const LEAST_RAW_SHARE = 0.5;
/** So many blocks without it end a digit: a break of 10 ms does not, a pause of 40 ms does. */
const MISSES = 3;

const TONES: readonly number[] = [...LOW_GROUP, ...HIGH_GROUP];
const NONE = -1;

export class ToneDetector {
  readonly #listener: DigitListener;
  readonly #samples: number;
  readonly #sampleRate: number;
  readonly #cosines: readonly Float64Array[];
  readonly #sines: readonly Float64Array[];
  readonly #real = new Float64Array(TONES.length);
  readonly #imaginary = new Float64Array(TONES.length);
  readonly #power = new Float64Array(TONES.length);
  /** Energy that a tone at the least level has in a block, as `#power` has it. */
  readonly #leastPower: number;
  #energy = 0;
  #filled = 0;

  /** What the block before held. */
  #low = NONE;
  #high = NONE;
  #lowPhase = 0;
  #highPhase = 0;
  /** Of the energy, what the two tones showed of themselves. */
  #lowShare = 0;
  #highShare = 0;

  #digitLow = NONE;
  #digitHigh = NONE;
  #misses = 0;
  #blocks = 0;

  /** @param sampleRate of the frames in Hz */
  constructor(sampleRate: number, listener: DigitListener) {
    this.#listener = listener;
    this.#sampleRate = sampleRate;
    this.#samples = Math.round((sampleRate * BLOCK_MS) / 1000);
    const table = (f: (x: number) => number) =>
      TONES.map(hz =>
        Float64Array.from({ length: this.#samples }, (_, i) =>
          f((2 * Math.PI * hz * i) / sampleRate),
        ),
      );
    this.#cosines = table(Math.cos);
    this.#sines = table(Math.sin);
    const amplitude = 32767 * 10 ** ((LEAST_DBM0 - FULL_SCALE_DBM0) / 20);
    this.#leastPower = (amplitude ** 2 * this.#samples) / 2;
  }

  process(frame: Int16Array): void {
    for (let from = 0; from < frame.length; ) {
      const count = Math.min(frame.length - from, this.#samples - this.#filled);
      this.#add(frame, from, count);
      from += count;
      if (this.#filled === this.#samples) this.#endBlock();
    }
  }

  #add(frame: Int16Array, from: number, count: number): void {
    const at = this.#filled;
    for (let tone = 0; tone < TONES.length; tone++) {
      const cosines = this.#cosines[tone]!;
      const sines = this.#sines[tone]!;
      let real = 0;
      let imaginary = 0;
      for (let i = 0; i < count; i++) {
        const sample = frame[from + i]!;
        real += sample * cosines[at + i]!;
        imaginary += sample * sines[at + i]!;
      }
      this.#real[tone] = this.#real[tone]! + real;
      this.#imaginary[tone] = this.#imaginary[tone]! + imaginary;
    }
    for (let i = 0; i < count; i++) this.#energy += frame[from + i]! ** 2;
    this.#filled += count;
  }

  #endBlock(): void {
    const scale = 2 / this.#samples;
    for (let tone = 0; tone < TONES.length; tone++) {
      this.#power[tone] = (this.#real[tone]! ** 2 + this.#imaginary[tone]! ** 2) * scale;
    }
    const low = this.#strongest(0, LOW_GROUP.length);
    const high = this.#strongest(LOW_GROUP.length, TONES.length);
    const hit = low !== NONE && high !== NONE && this.#isDigitLike(low, high);
    const lowPhase = hit ? Math.atan2(this.#imaginary[low]!, this.#real[low]!) : 0;
    const highPhase = hit ? Math.atan2(this.#imaginary[high]!, this.#real[high]!) : 0;
    const again = hit && low === this.#low && high === this.#high;
    const sure = again && this.#isInTune(low, high, lowPhase, highPhase);
    this.#follow(hit ? low : NONE, high, sure);
    this.#low = hit ? low : NONE;
    this.#high = high;
    this.#lowPhase = lowPhase;
    this.#highPhase = highPhase;
    this.#lowShare = hit ? this.#power[low]! / this.#energy : 0;
    this.#highShare = hit ? this.#power[high]! / this.#energy : 0;
    this.#energy = 0;
    this.#filled = 0;
    this.#real.fill(0);
    this.#imaginary.fill(0);
  }

  /** The tone of a group that leads all others of it, or `NONE`. */
  #strongest(from: number, to: number): number {
    let best = from;
    let second = 0;
    for (let tone = from + 1; tone < to; tone++) {
      if (this.#power[tone]! > this.#power[best]!) {
        second = this.#power[best]!;
        best = tone;
      } else if (this.#power[tone]! > second) second = this.#power[tone]!;
    }
    return this.#power[best]! >= second * 10 ** (LEAST_LEAD_DB / 10) ? best : NONE;
  }

  #isDigitLike(low: number, high: number): boolean {
    const [lowPower, highPower] = [this.#power[low]!, this.#power[high]!];
    // A tone that is off its frequency shows a little less than it has.
    if (Math.min(lowPower, highPower) < this.#leastPower * LEAST_RAW_SHARE) return false;
    return lowPower + highPower >= this.#energy * LEAST_RAW_SHARE;
  }

  /** By how the phases turned since the block before: frequencies, and with them the true levels. */
  #isInTune(low: number, high: number, lowPhase: number, highPhase: number): boolean {
    const lowOff = this.#deviation(low, lowPhase - this.#lowPhase);
    const highOff = this.#deviation(high, highPhase - this.#highPhase);
    if (Math.abs(lowOff) > TONES[low]! * MOST_DEVIATION) return false;
    if (Math.abs(highOff) > TONES[high]! * MOST_DEVIATION) return false;
    const seconds = this.#samples / this.#sampleRate;
    const [lowShown, highShown] = [shown(lowOff * seconds), shown(highOff * seconds)];
    const lowPower = this.#power[low]! / lowShown;
    const highPower = this.#power[high]! / highShown;
    if (Math.min(lowPower, highPower) < this.#leastPower) return false;
    const twist = 10 * Math.log10(highPower / lowPower);
    if (twist > MOST_TWIST_DB || twist < LEAST_TWIST_DB) return false;
    const share = (lowPower + highPower) / this.#energy;
    const shareBefore = this.#lowShare / lowShown + this.#highShare / highShown;
    return share + shareBefore >= 2 * LEAST_SHARE;
  }

  /** In Hz, where the phase of a tone turned by `turned` within a block (its sums have the sign of -i). */
  #deviation(tone: number, turned: number): number {
    const cycles = (TONES[tone]! * this.#samples) / this.#sampleRate;
    const off = -turned / (2 * Math.PI) - cycles;
    return ((off - Math.round(off)) * this.#sampleRate) / this.#samples;
  }

  #follow(low: number, high: number, sure: boolean): void {
    const sounding = this.#digitLow !== NONE;
    if (sounding && low === this.#digitLow && high === this.#digitHigh) {
      this.#misses = 0;
      this.#blocks++;
      return;
    }
    if (sounding && (sure || ++this.#misses >= MISSES)) {
      this.#tell(Math.round(this.#blocks * BLOCK_MS));
      this.#digitLow = NONE;
    }
    if (!sure) return;
    this.#digitLow = low;
    this.#digitHigh = high;
    this.#misses = 0;
    this.#blocks = 2;
    this.#tell(undefined);
  }

  #tell(ms: number | undefined): void {
    const digit = digitOfTones(this.#digitLow, this.#digitHigh - LOW_GROUP.length);
    this.#listener(digit, ms);
  }
}

/** Of a tone's energy, what correlation at a frequency `cycles` of a block away shows of it. */
function shown(cycles: number): number {
  const x = Math.PI * cycles;
  return x === 0 ? 1 : (Math.sin(x) / x) ** 2;
}
