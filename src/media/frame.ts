/** What is asked of a frame of 16-bit samples. */

/** Level of silence in dBov, where 0 is the loudest (RFC 6464 §3). */
export const SILENCE_DBOV = -127;

/** Frames that are not silent mostly show it in their first samples. */
export function isSilent(frame: Int16Array): boolean {
  for (let i = 0; i < frame.length; i++) if (frame[i] !== 0) return false;
  return true;
}

/** Mean level in dBov: a full-scale square wave is 0, a full-scale sine -3 (RFC 6464 §3). */
export function levelOf(frame: Int16Array): number {
  let energy = 0;
  for (let i = 0; i < frame.length; i++) energy += frame[i]! * frame[i]!;
  if (energy === 0) return SILENCE_DBOV;
  return Math.max(SILENCE_DBOV, 10 * Math.log10(energy / frame.length / 2 ** 30));
}
