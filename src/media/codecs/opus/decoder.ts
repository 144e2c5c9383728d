/** One stream's Opus decoder: packets, in-band FEC, and concealment of what is lost. */
import type { CodingOptions, Decoder } from '../codec.js';
import { MAX_PACKET_MS, type OpusDecoderState, type OpusLibrary } from './library.js';
import { frameUnits, hasRedundancy, packetUnits } from './packet.js';

const UNITS_PER_SECOND = 400;
const CONCEALED_UNITS = 4;
const NO_DATA = new Uint8Array(0);

export class OpusDecoder implements Decoder {
  readonly #state: OpusDecoderState;
  /** Samples in 2.5 ms. */
  readonly #unit: number;
  readonly #maxSamples: number;
  /**
   * 10 ms of concealment of which only a part was wanted yet, and how much of it was. Asked for less
   * at a time, libopus goes on by as much all the same where the talker is coded by SILK.
   */
  readonly #rest: Int16Array;
  #restUsed: number;

  constructor(library: OpusLibrary, { sampleRate }: CodingOptions) {
    this.#state = library.newDecoder(sampleRate);
    this.#unit = sampleRate / UNITS_PER_SECOND;
    this.#maxSamples = (sampleRate / 1000) * MAX_PACKET_MS;
    this.#rest = new Int16Array(this.#unit * CONCEALED_UNITS);
    this.#restUsed = this.#rest.length;
  }

  samplesIn(data: Uint8Array, from: number, octets: number): number {
    return packetUnits(data, from, octets) * this.#unit;
  }

  decode(data: Uint8Array, from: number, octets: number, out: Int16Array, at: number): number {
    // Without octets libopus would conceal.
    if (octets === 0) return 0;
    this.#restUsed = this.#rest.length;
    const room = Math.min(this.#maxSamples, out.length - at);
    return Math.max(0, this.#state.decode(data, from, octets, out, at, room, false));
  }

  conceal(out: Int16Array, at: number, samples: number): void {
    const end = Math.min(out.length, at + samples);
    let place = this.#takeRest(out, at, end);
    while (place < end) {
      const wanted = Math.min(this.#maxSamples, end - place);
      const whole = wanted - (wanted % this.#rest.length);
      if (whole > 0) {
        if (this.#state.decode(NO_DATA, 0, 0, out, place, whole, false) !== whole) {
          out.fill(0, place, place + whole);
        }
        place += whole;
        continue;
      }
      const { length } = this.#rest;
      if (this.#state.decode(NO_DATA, 0, 0, this.#rest, 0, length, false) !== length) {
        this.#rest.fill(0);
      }
      this.#restUsed = 0;
      place = this.#takeRest(out, place, end);
    }
  }

  recover(
    data: Uint8Array,
    from: number,
    octets: number,
    out: Int16Array,
    at: number,
    samples: number,
  ): boolean {
    if (samples % this.#unit !== 0 || samples > this.#maxSamples || at + samples > out.length) {
      return false;
    }
    if (samples < frameUnits(data, from, octets) * this.#unit) return false;
    if (!hasRedundancy(data, from, octets) || packetUnits(data, from, octets) === 0) return false;
    this.#restUsed = this.#rest.length;
    return this.#state.decode(data, from, octets, out, at, samples, true) === samples;
  }

  close(): void {
    this.#state.close();
  }

  /** @returns where the next sample goes */
  #takeRest(out: Int16Array, at: number, end: number): number {
    let place = at;
    while (place < end && this.#restUsed < this.#rest.length)
      out[place++] = this.#rest[this.#restUsed++]!;
    return place;
  }
}
