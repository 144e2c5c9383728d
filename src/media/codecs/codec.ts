/**
 * What the media graph needs of a codec: one record each. Encoders and decoders may have state and are made
 * for one stream; everything they do per frame is done in buffers handed in, and allocates nothing.
 */

/** As much as a decoder that follows may look back and ahead, in samples. */
export const FOLLOW_SAMPLES = 22;

/** For one stream in one direction. */
export interface CodingOptions {
  /** Of the frames, in Hz; one of `Codec.sampleRates`. */
  readonly sampleRate: number;
  /** What the receiver of the stream asks for: the value of its `a=fmtp` line (RFC 8866 §6.15). */
  readonly fmtp?: string;
}

export interface Codec {
  /** Encoding name (RFC 3551 §6, RFC 4855); compared without regard to case. */
  readonly name: string;
  /** Static payload type (RFC 3551 §6); undefined where each session gives it one. */
  readonly payloadType: number | undefined;
  /** RTP timestamp units per second, as SDP says them. */
  readonly clockRate: number;
  /** Rates in Hz at which frames can be taken and given, the most natural first. */
  readonly sampleRates: readonly number[];
  /** Of one frame of 20 ms. */
  readonly maxPayloadOctets: number;
  /** Has to have resolved once before anything is made. Rejects with `CodedError` `CODEC_UNAVAILABLE`. */
  readonly load?: () => Promise<void>;
  newEncoder(options: CodingOptions): Encoder;
  newDecoder(options: CodingOptions): Decoder;
}

/** How a stream fares at its receiver, for codecs that adapt. */
export interface Conditions {
  /** Of the packets sent, 0 to 1. */
  readonly lossFraction: number;
  /** Of the time there is for all coding, 0 (none used) to 1. */
  readonly load: number;
}

export interface Encoder {
  /**
   * Writes the payload for `frame` to `out` from `at`.
   *
   * @returns its octets; 0 where nothing needs to be sent (discontinuous transmission)
   */
  encode(frame: Int16Array, out: Uint8Array, at: number): number;
  adapt?(conditions: Conditions): void;
  /** Goes on where another encoder of the same kind is: its listener hears no seam when we take its place. */
  follow?(other: Encoder): void;
  /** Frees what the garbage collector does not. */
  close?(): void;
}

/** A payload is `octets` octets of `data` from `from`. */
export interface Decoder {
  /** What a payload describes is heard until something else comes: `conceal` goes on with it (RFC 3389). */
  readonly lasts?: boolean;
  /** Samples a payload stands for, without decoding it; 0 where it is broken. */
  samplesIn(data: Uint8Array, from: number, octets: number): number;
  /**
   * Writes the samples of a payload to `out` from `at`.
   *
   * @returns their number; 0 where the payload is broken
   */
  decode(data: Uint8Array, from: number, octets: number, out: Int16Array, at: number): number;
  /** The codec's own concealment: writes `samples` samples for a packet that is not there. */
  conceal?(out: Int16Array, at: number, samples: number): void;
  /**
   * Writes the last `samples` samples before this payload from what it repeats of them (in-band FEC).
   *
   * @returns whether it had them; if not, `out` is untouched
   */
  recover?(
    data: Uint8Array,
    from: number,
    octets: number,
    out: Int16Array,
    at: number,
    samples: number,
  ): boolean;
  /**
   * For a decoder whose state follows the signal: takes the `count` samples that were made up from `at` on for a
   * packet that is not there as if they had been decoded. `FOLLOW_SAMPLES` lie before and after them.
   */
  follow?(samples: Int16Array, at: number, count: number): void;
  close?(): void;
}
