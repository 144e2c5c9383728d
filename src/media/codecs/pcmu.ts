import { muLawDecode, muLawEncode } from '../g711.js';
import type { Codec } from './codec.js';

/** G.711 µ-law, RFC 3551 §4.5.14. */
export const pcmu: Codec = {
  name: 'PCMU',
  payloadType: 0,
  clockRate: 8000,
  encode: muLawEncode,
  decode: muLawDecode,
};
