/** Linear samples of 16 bits in network order, mono: RFC 3551 §4.5.11. */
import type { Codec, Decoder, Encoder } from './codec.js';

const encoder: Encoder = {
  encode(frame, out, at) {
    let to = at;
    for (let i = 0; i < frame.length; i++) {
      const sample = frame[i]!;
      out[to++] = sample >> 8;
      out[to++] = sample;
    }
    return frame.length * 2;
  },
};

const decoder: Decoder = {
  // An odd octet at the end is half a sample: such a payload is broken.
  samplesIn: (_data, _from, octets) => (octets % 2 === 0 ? octets / 2 : 0),
  decode(data, from, octets, out, at) {
    if (octets % 2 !== 0) return 0;
    const samples = octets / 2;
    for (let i = 0; i < samples; i++) {
      out[at + i] = (data[from + i * 2]! << 8) | data[from + i * 2 + 1]!;
    }
    return samples;
  },
};

/** At 8, 16 and 48 kHz; the best first. */
export const l16: readonly Codec[] = [48_000, 16_000, 8000].map(rate => ({
  name: 'L16',
  payloadType: undefined,
  clockRate: rate,
  sampleRates: [rate],
  maxPayloadOctets: (rate / 50) * 2,
  newEncoder: () => encoder,
  newDecoder: () => decoder,
}));
