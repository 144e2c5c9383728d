/** What a leg needs of a codec. */
export interface Codec {
  /** Encoding name, RFC 3551 §6. */
  readonly name: 'PCMU' | 'PCMA';
  readonly payloadType: number;
  /** RTP timestamp units per second; for these codecs the sampling rate too. */
  readonly clockRate: number;
  /** Writes the payload for `frame` to `out`; returns its octets. */
  encode(frame: Int16Array, out: Uint8Array): number;
  /** Writes the samples of a whole payload to `out`; returns their number. */
  decode(payload: Uint8Array, out: Int16Array): number;
}
