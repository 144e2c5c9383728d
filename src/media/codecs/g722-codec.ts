/** ITU-T G.722 at 64 kbit/s as a codec record. */
import type { Codec } from './codec.js';
import { G722Decoder } from './g722/decoder.js';
import { G722Encoder } from './g722/encoder.js';

/** RFC 3551 §4.5.2: a clock of 8 kHz by an old mistake that stays, though it samples at 16 kHz. */
export const g722: Codec = {
  name: 'G722',
  payloadType: 9,
  clockRate: 8000,
  sampleRates: [16_000],
  maxPayloadOctets: 160,
  newEncoder: () => new G722Encoder(),
  newDecoder: () => new G722Decoder(),
};
