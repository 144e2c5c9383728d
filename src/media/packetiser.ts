/** From the frames of the graph to payloads of the length that the other side asked for. Pure. */
import type { Codec, CodingOptions, Conditions, Encoder } from './codecs/codec.js';
import { FRAME_MS } from './graph.js';

export class Packetiser {
  /** Of the last packet; `next` tells how much of it. */
  readonly payload: Uint8Array;
  /** RTP timestamp units of a packet. */
  readonly timestampUnits: number;
  /** Whether a packet is just a frame. */
  readonly isPlain: boolean;
  readonly #encoder: Encoder;
  readonly #samples: Int16Array;
  /** What is left of frames that did not fill a packet. */
  #filled = 0;
  #frame: Int16Array = new Int16Array(0);
  #taken = 0;

  /** @param ptimeMs of speech in a packet: a multiple of 10 */
  constructor(codec: Codec, options: CodingOptions, ptimeMs: number) {
    this.#encoder = codec.newEncoder(options);
    this.#samples = new Int16Array((options.sampleRate * ptimeMs) / 1000);
    this.timestampUnits = (codec.clockRate * ptimeMs) / 1000;
    this.isPlain = ptimeMs === FRAME_MS;
    this.payload = new Uint8Array(codec.maxPayloadOctets * Math.ceil(ptimeMs / FRAME_MS));
  }

  /** The frame is looked at until `next` has answered -1. */
  push(frame: Int16Array): void {
    this.#frame = frame;
    this.#taken = 0;
  }

  /** Makes the next payload; returns its octets (0: nothing needs to be sent for this time), or -1 if there is none yet. */
  next(): number {
    const frame = this.#frame;
    if (this.isPlain) {
      if (this.#taken > 0) return -1;
      this.#taken = frame.length;
      return this.#encoder.encode(frame, this.payload, 0);
    }
    const samples = this.#samples;
    while (this.#filled < samples.length && this.#taken < frame.length) {
      samples[this.#filled++] = frame[this.#taken++]!;
    }
    if (this.#filled < samples.length) return -1;
    this.#filled = 0;
    return this.#encoder.encode(samples, this.payload, 0);
  }

  /** Whether all that was pushed is in packets. */
  get isEmpty(): boolean {
    return this.#filled === 0;
  }

  /** What did not fill a packet is not sent. @returns its time, in RTP timestamp units */
  clear(): number {
    const units = (this.#filled * this.timestampUnits) / this.#samples.length;
    this.#filled = 0;
    return units;
  }

  /** Goes on where another encoder of the same coding is. */
  follow(encoder: Encoder): void {
    this.#encoder.follow?.(encoder);
  }

  adapt(conditions: Conditions): void {
    this.#encoder.adapt?.(conditions);
  }

  close(): void {
    this.#encoder.close?.();
  }
}
