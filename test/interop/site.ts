/** What the checks share. */
import type { Cleanup } from '../harness/program.js';

export interface Site {
  readonly cleanup: Cleanup;
  /** For one check alone. */
  readonly directory: string;
  /** A WAV file of 8 kHz, a tone of `toneHz`, longer than any call here. */
  readonly sound: string;
  readonly toneHz: number;
}
