import { aLawDecode, aLawEncode } from '../g711.js';
import type { Codec } from './codec.js';

/** G.711 A-law, RFC 3551 §4.5.14. */
export const pcma: Codec = {
  name: 'PCMA',
  payloadType: 8,
  clockRate: 8000,
  encode: aLawEncode,
  decode: aLawDecode,
};
