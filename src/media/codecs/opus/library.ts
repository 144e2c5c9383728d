/** What the codec record asks of a libopus, be it WebAssembly or the system's. Mono; RFC 6716. */

/** Requests of opus_encoder_ctl that are made here (opus_defines.h). */
export const CONTROL = {
  bitrate: 4002,
  maxBandwidth: 4004,
  vbr: 4006,
  complexity: 4010,
  inbandFec: 4012,
  packetLossPercent: 4014,
  dtx: 4016,
  signal: 4024,
} as const;

/** OPUS_APPLICATION_VOIP: speech before all else. */
export const APPLICATION_VOIP = 2048;
/** OPUS_SIGNAL_VOICE. */
export const SIGNAL_VOICE = 3001;

/** Longest packet (RFC 6716 §3.2.5, R5). */
export const MAX_PACKET_MS = 120;
/** Longest frame in octets (RFC 6716 §3.2.1). */
export const MAX_FRAME_OCTETS = 1275;

export interface OpusLibrary {
  /** As libopus says it, and how it runs: `libopus 1.3.1, system`. */
  readonly version: string;
  newEncoder(sampleRate: number): OpusEncoderState;
  newDecoder(sampleRate: number): OpusDecoderState;
}

/** Frees what it holds with `close`, once; nothing else is asked of it afterwards. */
export interface OpusEncoderState {
  control(request: number, value: number): void;
  /**
   * Writes at most `MAX_FRAME_OCTETS` to `out` from `at`.
   *
   * @returns their number, negative where it failed
   */
  encode(frame: Int16Array, out: Uint8Array, at: number): number;
  close(): void;
}

export interface OpusDecoderState {
  /**
   * Decodes `octets` of `data` from `from` to at most `samples` samples of `out` from `at`; no octets
   * conceal a lost packet of that many samples.
   *
   * @param fec gives the packet before this one instead, from what this one repeats of it
   * @returns the number of samples, negative where it failed
   */
  decode(
    data: Uint8Array,
    from: number,
    octets: number,
    out: Int16Array,
    at: number,
    samples: number,
    fec: boolean,
  ): number;
  close(): void;
}
