/** A sound from which each sample's place can be told, sent through a call and looked for in what was heard. */
import { pcmu } from '../../src/media/codecs/pcmu.js';
import { chirp, follow, type Passage } from '../media/signal.js';
import { joined, readSound, SAMPLE_RATE, silence, writeSound } from './sound.js';

/** Silence before and after, so that nothing of the sound falls into the beginning or end of the call. */
export const MARGIN_SECONDS = 1;

/** Writes the sound to `path`; answers how it sounds after G.711. */
export function writeNumberedSound(path: string, seconds: number): Int16Array {
  const sound = chirp({ samples: seconds * SAMPLE_RATE, sampleRate: SAMPLE_RATE });
  writeSound(path, joined(silence(MARGIN_SECONDS), sound, silence(MARGIN_SECONDS)));
  return throughG711(sound);
}

export function passageOf(recording: string, expected: Int16Array): Passage {
  return follow(readSound(recording), expected);
}

function throughG711(sound: Int16Array): Int16Array {
  const payload = new Uint8Array(sound.length);
  const decoded = new Int16Array(sound.length);
  pcmu.encode(sound, payload);
  pcmu.decode(payload, decoded);
  return decoded;
}
