/** G.711 as codec records: an octet a sample, no state, so one encoder and decoder serve all streams. */
import { aLawDecode, aLawEncode, muLawDecode, muLawEncode } from '../g711.js';
import type { Codec, Decoder, Encoder } from './codec.js';

/** G.711 µ-law, RFC 3551 §4.5.14. */
export const pcmu: Codec = g711('PCMU', 0, muLawEncode, muLawDecode);
/** G.711 A-law, RFC 3551 §4.5.14. */
export const pcma: Codec = g711('PCMA', 8, aLawEncode, aLawDecode);

function g711(
  name: string,
  payloadType: number,
  encode: Encoder['encode'],
  decode: Decoder['decode'],
): Codec {
  const encoder: Encoder = { encode };
  const decoder: Decoder = { decode, samplesIn: (_data, _from, octets) => octets };
  return {
    name,
    payloadType,
    clockRate: 8000,
    sampleRates: [8000],
    maxPayloadOctets: 160,
    newEncoder: () => encoder,
    newDecoder: () => decoder,
  };
}
