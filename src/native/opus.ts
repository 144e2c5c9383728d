/** The system's libopus as the addon gives it: mono streams, coded in the caller's arrays. */

/** An encoder or a decoder. Unless it was freed, the garbage collector frees it. */
export type OpusHandle = { readonly opus: unique symbol };

/** Calls of opus.h. Numbers they answer are libopus': negative for an error, also for a handle that was freed. */
export interface NativeOpus {
  /** opus_get_version_string */
  readonly version: string;
  /** Throws a `RangeError` where libopus makes none. */
  newEncoder(sampleRate: number, application: number): OpusHandle;
  newDecoder(sampleRate: number): OpusHandle;
  /** Sets one number of an encoder (opus_encoder_ctl). */
  control(encoder: OpusHandle, request: number, value: number): number;
  /** Writes one packet of at most 1275 octets to `out` from `at`; answers its octets. */
  encode(encoder: OpusHandle, frame: Int16Array, out: Uint8Array, at: number): number;
  /** Writes at most `samples` samples to `out` from `at`; answers their number. No octets conceal. */
  decode(
    decoder: OpusHandle,
    data: Uint8Array,
    from: number,
    octets: number,
    out: Int16Array,
    at: number,
    samples: number,
    fec: boolean,
  ): number;
  free(handle: OpusHandle): void;
}
