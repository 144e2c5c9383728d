/** What can be told of an Opus packet without decoding it: RFC 6716 §3. */

/** Frame lengths in units of 2.5 ms, by the four SILK, two hybrid and four CELT configurations of a bandwidth (table 2). */
const SILK_UNITS = [4, 8, 16, 24] as const;
const HYBRID_UNITS = [4, 8] as const;
const CELT_UNITS = [1, 2, 4, 8] as const;
const FIRST_HYBRID = 12;
const FIRST_CELT = 16;
/** 120 ms (R5). */
const MAX_UNITS = 48;
/** Lengths from here on take two octets (§3.2.1). */
const LONG_LENGTH = 252;

/** Units of 2.5 ms that a packet lasts; 0 where it is broken. */
export function packetUnits(data: Uint8Array, from: number, octets: number): number {
  const units = frameUnits(data, from, octets) * frameCount(data, from, octets);
  return units > MAX_UNITS ? 0 : units;
}

/** Whether a packet repeats what was in the one before (§2.1.7): its low-bitrate redundancy flag, §4.2.3. */
export function hasRedundancy(data: Uint8Array, from: number, octets: number): boolean {
  if (octets < 2 || data[from]! >> 3 >= FIRST_CELT) return false;
  const first = firstFrame(data, from, octets);
  if (first < 0 || first >= from + octets) return false;
  // Voice activity of each 20 ms comes first, then the flag; then the same of the side channel.
  const parts = Math.max(1, frameUnits(data, from, octets) >> 3);
  const flags = data[first]!;
  const stereo = (data[from]! & 4) !== 0;
  return ((flags >> (7 - parts)) & 1) === 1 || (stereo && ((flags >> (6 - 2 * parts)) & 1) === 1);
}

/** Units of 2.5 ms in each frame of a packet; 0 for one without any octet. */
export function frameUnits(data: Uint8Array, from: number, octets: number): number {
  if (octets < 1) return 0;
  const configuration = data[from]! >> 3;
  if (configuration < FIRST_HYBRID) return SILK_UNITS[configuration & 3]!;
  if (configuration < FIRST_CELT) return HYBRID_UNITS[configuration & 1]!;
  return CELT_UNITS[configuration & 3]!;
}

function frameCount(data: Uint8Array, from: number, octets: number): number {
  switch (data[from]! & 3) {
    case 0:
      return 1;
    case 1:
    case 2:
      return 2;
    default:
      return octets < 2 ? 0 : data[from + 1]! & 63;
  }
}

/** Where the first frame begins, -1 where there is none. */
function firstFrame(data: Uint8Array, from: number, octets: number): number {
  const end = from + octets;
  let at = from + 1;
  switch (data[from]! & 3) {
    case 0:
    case 1:
      return at;
    case 2:
      return skipLengths(data, at, end, 1);
    default: {
      const header = data[at++]!;
      if ((header & 63) === 0) return -1;
      if ((header & 0x40) !== 0) {
        while (at < end && data[at] === 255) at++;
        at++;
      }
      return (header & 0x80) === 0 ? at : skipLengths(data, at, end, (header & 63) - 1);
    }
  }
}

/** Passes `count` frame lengths; -1 where the first frame is empty. */
function skipLengths(data: Uint8Array, at: number, end: number, count: number): number {
  if (count > 0 && data[at] === 0) return -1;
  for (let i = 0; i < count && at < end; i++) at += data[at]! >= LONG_LENGTH ? 2 : 1;
  return at;
}
