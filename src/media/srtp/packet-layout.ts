/** Where the readable part of a packet ends, RFC 3711 §3.1 and §3.4. */
import { RTP_HEADER_OCTETS } from '../rtp.js';

/** Header and SSRC of the first packet of a compound. */
export const SRTCP_CLEAR_OCTETS = 8;
/** More fits in no Ethernet frame. */
export const MAX_SRTCP_OCTETS = 1500;

/** Octets of header, CSRC list and header extension; -1 where it is no RTP packet. */
export function rtpClearOctets(data: Uint8Array, octets: number): number {
  if (octets < RTP_HEADER_OCTETS || data[0]! >> 6 !== 2) return -1;
  let clear = RTP_HEADER_OCTETS + (data[0]! & 0x0f) * 4;
  if (data[0]! & 0x10) {
    if (clear + 4 > octets) return -1;
    clear += 4 + ((data[clear + 2]! << 8) | data[clear + 3]!) * 4;
  }
  return clear > octets ? -1 : clear;
}
