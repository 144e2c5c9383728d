/** RTP packets, RFC 3550 §5.1, read into a reused object and written into a reused buffer. */

/** Octets of the fixed header. */
export const RTP_HEADER_OCTETS = 12;
const RTP_VERSION = 2;
/** The second octet of RTCP packets: types that are and may be assigned, RFC 5761 §4. */
const FIRST_RTCP_TYPE = 192;
const LAST_RTCP_TYPE = 223;

export class RtpPacket {
  marker = false;
  payloadType = 0;
  /** 16 bits. */
  sequence = 0;
  /** 32 bits, unsigned. */
  timestamp = 0;
  /** 32 bits, unsigned. */
  ssrc = 0;
  /** The datagram the payload lies in; as short-lived as the datagram. */
  data: Uint8Array = new Uint8Array(0);
  payloadOffset = 0;
  /** Octets, padding left out. */
  payloadLength = 0;
  /** Sources mixed into this one, at most 15; their SSRCs follow the fixed header (RFC 3550 §5.1). */
  contributors = 0;
  /** When it came; set by who received it. A field, since a number handed on by itself would be made on the heap. */
  arrivalMs = 0;
  /** The header extension's elements, after its own four octets (RFC 8285). */
  extensionOffset = 0;
  /** 0: there is none. */
  extensionOctets = 0;

  /** The SSRC of a contributor, by its place in the list. */
  contributor(index: number): number {
    return readUint32(this.data, RTP_HEADER_OCTETS + 4 * index);
  }
}

/** Whether a packet on a port for both is RTCP, RFC 5761 §4. */
export function isRtcp(data: Uint8Array): boolean {
  return data.length > 1 && data[1]! >= FIRST_RTCP_TYPE && data[1]! <= LAST_RTCP_TYPE;
}

/**
 * Reads a packet of `octets` octets into `packet`; false, with `packet` in an unknown state, if it is not RTP.
 */
export function readRtp(data: Uint8Array, packet: RtpPacket, octets = data.length): boolean {
  if (octets < RTP_HEADER_OCTETS || isRtcp(data)) return false;
  const first = data[0]!;
  if (first >> 6 !== RTP_VERSION) return false;
  const payloadType = data[1]! & 0x7f;

  let offset = RTP_HEADER_OCTETS + (first & 0x0f) * 4;
  let extensionOctets = 0;
  if (first & 0x10) {
    if (offset + 4 > octets) return false;
    extensionOctets = ((data[offset + 2]! << 8) | data[offset + 3]!) * 4;
    offset += 4 + extensionOctets;
  }
  const padding = first & 0x20 ? data[octets - 1]! : 0;
  if (first & 0x20 && padding === 0) return false;
  const payloadLength = octets - offset - padding;
  if (payloadLength < 0) return false;

  packet.marker = data[1]! >= 0x80;
  packet.payloadType = payloadType;
  packet.sequence = (data[2]! << 8) | data[3]!;
  packet.timestamp = readUint32(data, 4);
  packet.ssrc = readUint32(data, 8);
  packet.data = data;
  packet.payloadOffset = offset;
  packet.payloadLength = payloadLength;
  packet.contributors = first & 0x0f;
  packet.extensionOffset = offset - extensionOctets;
  packet.extensionOctets = extensionOctets;
  return true;
}

/** Writes the fixed header to the first 12 octets of `out`. */
export function writeRtpHeader(
  out: Uint8Array,
  payloadType: number,
  marker: boolean,
  sequence: number,
  timestamp: number,
  ssrc: number,
): void {
  out[0] = RTP_VERSION << 6;
  out[1] = payloadType | (marker ? 0x80 : 0);
  out[2] = sequence >>> 8;
  out[3] = sequence;
  writeUint32(out, 4, timestamp);
  writeUint32(out, 8, ssrc);
}

export function readUint32(data: Uint8Array, at: number): number {
  return readInt32(data, at) >>> 0;
}

/** As `readUint32`, signed: what never has to be made on the heap, whatever the compiler does with its callers. */
export function readInt32(data: Uint8Array, at: number): number {
  return (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
}

export function writeUint32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
