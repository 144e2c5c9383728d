/** Times as reports have them: the NTP format of RFC 3550 §4. */

/** 64-bit NTP format, RFC 3550 §4: seconds and 2^-32 seconds. */
export interface NtpTime {
  readonly seconds: number;
  readonly fraction: number;
}

/** An elapsed time in NTP format; RFC 3550 §6.4.1 allows it where wall clocks are not trusted. */
export function ntpTime(ms: number): NtpTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds: seconds >>> 0, fraction: Math.floor((ms / 1000 - seconds) * 2 ** 32) };
}

/** The middle 32 bits: 1/65536 s. */
export function middleNtp({ seconds, fraction }: NtpTime): number {
  return (((seconds & 0xffff) << 16) | (fraction >>> 16)) >>> 0;
}
