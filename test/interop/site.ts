/** What the checks share. */
import type { Cleanup } from '../harness/program.js';

/** For whatever is waited for, in ms: what it takes is measured elsewhere, and this machine may be busy. */
export const IN_TIME_MS = 30_000;

export interface Site {
  readonly cleanup: Cleanup;
  /** For one check alone. */
  readonly directory: string;
  /** A WAV file of 8 kHz, a tone of `toneHz`, longer than any call here. */
  readonly sound: string;
  readonly toneHz: number;
}
