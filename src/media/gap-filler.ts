/** Fills the gaps of a stream on the tape: by what a packet repeats, by the codec, by what was heard, or with silence. */
import { type Decoder, FOLLOW_SAMPLES } from './codecs/codec.js';
import { Concealment } from './concealment.js';
import type { JitterStatistics } from './jitter-statistics.js';
import type { Slot } from './packet-store.js';
import type { SampleTape } from './sample-tape.js';

export class GapFiller {
  /** Something on the tape was made up since this was last set to false. */
  madeUp = false;
  readonly #samplesPerMs: number;
  readonly #tape: SampleTape;
  readonly #statistics: JitterStatistics;
  readonly #concealment: Concealment;
  /** Samples at the end of the tape that are made up and not heard yet: open to what arrives after them. */
  #open = 0;
  /** Packets were dropped: what follows does not continue what was heard. */
  #spliced = false;

  /** @param sampleRate in Hz */
  constructor(sampleRate: number, tape: SampleTape, statistics: JitterStatistics) {
    this.#samplesPerMs = sampleRate / 1000;
    this.#tape = tape;
    this.#statistics = statistics;
    this.#concealment = new Concealment(sampleRate);
  }

  /** What comes next begins anew. */
  reset(): void {
    this.#concealment.reset();
    this.#open = 0;
    this.#spliced = false;
  }

  /** What comes next does not continue what was heard. */
  splice(): void {
    this.#spliced = true;
  }

  /** A frame was taken from the tape. */
  heard(): void {
    this.#open = Math.min(this.#open, this.#tape.unread);
  }

  /** The sender says nothing. @param noise it has asked for the codec's comfort noise */
  pause(count: number, decoder: Decoder | undefined, noise: boolean): void {
    const tape = this.#tape;
    if (noise && decoder?.conceal) {
      tape.makeRoom(count);
      decoder.conceal(tape.samples, tape.end, count);
      tape.end += count;
    } else tape.silence(count);
    this.#open = 0;
  }

  /**
   * Something is missing.
   *
   * @param lost it will not come any more, and the decoder shall know
   */
  conceal(count: number, decoder: Decoder | undefined, lost: boolean): void {
    const tape = this.#tape;
    tape.makeRoom(count + FOLLOW_SAMPLES);
    if (decoder?.conceal) decoder.conceal(tape.samples, tape.end, count);
    else {
      this.#concealment.extend(tape.samples, tape.end, count);
      this.#open += count;
    }
    tape.end += count;
    if (lost && decoder?.follow) {
      this.#concealment.lookAhead(tape.samples, tape.end, FOLLOW_SAMPLES);
      decoder.follow(tape.samples, tape.end - count, count);
    }
    this.#count(count);
  }

  /** Takes the `count` samples before a packet from what it repeats of them; false where it does not. */
  recover(count: number, decoder: Decoder, { payload, octets }: Slot): boolean {
    const tape = this.#tape;
    tape.makeRoom(count);
    if (!decoder.recover?.(payload, 0, octets, tape.samples, tape.end, count)) return false;
    tape.end += count;
    this.#statistics.recoveredMs += count / this.#samplesPerMs;
    this.#count(count);
    return true;
  }

  /** The last `count` samples of the tape arrived: what was made up before leads over to them. */
  join(count: number, decoder: Decoder): void {
    const { samples, end } = this.#tape;
    const at = end - count;
    // A codec that conceals smooths what follows too.
    if (decoder.conceal) this.#concealment.reset();
    else if (this.#open > 0) {
      this.#concealment.bridge(samples, at - this.#open, this.#open, count);
    } else if (this.#spliced || this.#concealment.running) {
      this.#concealment.join(samples, at, count);
    }
    this.#open = 0;
    this.#spliced = false;
  }

  #count(samples: number): void {
    this.madeUp = true;
    this.#statistics.concealedMs += samples / this.#samplesPerMs;
  }
}
