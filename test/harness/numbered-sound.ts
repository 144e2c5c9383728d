/** A sound from which each sample's place can be told, sent through a call and looked for in what was heard. */
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { chirp, follow, type Passage } from '../media/signal.js';
import { throughCodec } from '../media/through-codec.js';
import { joined, loudSeconds, readSound, SAMPLE_RATE, silence, writeSound } from './sound.js';

/** Silence before and after, so that nothing of the sound falls into the beginning or end of the call. */
export const MARGIN_SECONDS = 1;

/** Writes the sound to `path`; answers how it sounds after G.711. */
export function writeNumberedSound(path: string, seconds: number): Int16Array {
  const sound = chirp({ samples: seconds * SAMPLE_RATE, sampleRate: SAMPLE_RATE });
  writeSound(path, joined(silence(MARGIN_SECONDS), sound, silence(MARGIN_SECONDS)));
  return throughCodec(pcmu, sound);
}

export function passageOf(recording: string, expected: Int16Array): Passage {
  return follow(readSound(recording), expected);
}

/**
 * How much of it was not heard, in s. Where its very beginning was lost nothing of it is found sample by sample: then
 * whatever is no silence was heard.
 */
export function lostSeconds(recording: string, expected: Int16Array): number {
  const { start, missing } = passageOf(recording, expected);
  if (start >= 0) return missing / SAMPLE_RATE;
  return expected.length / SAMPLE_RATE - loudSeconds(readSound(recording));
}
