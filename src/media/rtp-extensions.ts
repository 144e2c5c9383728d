/** RTP header extensions, RFC 8285, and the audio level they carry, RFC 6464. Nothing here allocates. */
import { RTP_HEADER_OCTETS, type RtpPacket, writeUint32 } from './rtp.js';

/** Says that elements have a header of one octet, RFC 8285 §4.2; of two, the low four bits aside, §4.3. */
const ONE_BYTE_PROFILE = 0xbede;
const TWO_BYTE_PROFILE = 0x1000;
/** An ID that ends the list in the one-byte form, RFC 8285 §4.2. */
const STOP_ID = 15;

/** What an audio level makes a packet longer by: the extension's header, and one word. */
export const AUDIO_LEVEL_OCTETS = 8;
const QUIETEST = 127;

/**
 * Where the data of the element `id` lies in `packet.data`; -1 where there is none.
 *
 * @param octets it has to have at least so many
 */
export function findExtension(packet: RtpPacket, id: number, octets: number): number {
  const { data, extensionOffset, extensionOctets } = packet;
  if (extensionOctets === 0) return -1;
  const profile = (data[extensionOffset - 4]! << 8) | data[extensionOffset - 3]!;
  const oneByte = profile === ONE_BYTE_PROFILE;
  if (!oneByte && (profile & 0xfff0) !== TWO_BYTE_PROFILE) return -1;
  const end = extensionOffset + extensionOctets;
  let at = extensionOffset;
  while (at < end) {
    const first = data[at]!;
    if (first === 0) {
      // Padding between elements.
      at++;
      continue;
    }
    const found = oneByte ? first >> 4 : first;
    if (oneByte && found === STOP_ID) return -1;
    if (!oneByte && at + 1 >= end) return -1;
    const length = oneByte ? (first & 0x0f) + 1 : data[at + 1]!;
    at += oneByte ? 1 : 2;
    if (at + length > end) return -1;
    if (found === id) return length >= octets ? at : -1;
    at += length;
  }
  return -1;
}

/** The level a packet claims, 0 to 127 for 0 to -127 dBov (RFC 6464 §3); -1 where it claims none. */
export function audioLevelOf(packet: RtpPacket, id: number): number {
  const at = findExtension(packet, id, 1);
  return at < 0 ? -1 : packet.data[at]! & 0x7f;
}

/**
 * Marks the header in `out` and writes a level after it.
 *
 * @param id 1 to 14
 * @param dbov 0 and below
 */
export function writeAudioLevel(out: Uint8Array, id: number, dbov: number): void {
  out[0] = out[0]! | 0x10;
  writeUint32(out, RTP_HEADER_OCTETS, (ONE_BYTE_PROFILE << 16) | 1);
  out[RTP_HEADER_OCTETS + 4] = id << 4;
  out[RTP_HEADER_OCTETS + 5] = Math.max(0, Math.min(QUIETEST, Math.round(-dbov)));
  out[RTP_HEADER_OCTETS + 6] = 0;
  out[RTP_HEADER_OCTETS + 7] = 0;
}
