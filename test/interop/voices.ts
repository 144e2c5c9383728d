/** Who is heard: each phone plays a tone of its own. */
import { join } from 'node:path';
import { exactly, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { readSound, SAMPLE_RATE, writeSound } from '../harness/sound.js';
import { tonesHeard } from '../harness/tones.js';
import { sine } from '../media/signal.js';
import type { Site } from './site.js';

const TONES_HZ = { ours: 700, peer: 440, other: 1000 } as const;
/** Longer than any call. */
const SOUND_SECONDS = 30;
/** Of each state that is to be heard in a recording. */
const STATE_MS = 1200;

export type Voice = keyof typeof TONES_HZ;
export type Heard = Voice | 'nobody';

export function writeVoices(site: Site): void {
  for (const voice of Object.keys(TONES_HZ) as Voice[]) {
    const tone = sine(TONES_HZ[voice], SOUND_SECONDS * SAMPLE_RATE, SAMPLE_RATE);
    writeSound(soundOf(site, voice), tone);
  }
}

export function soundOf({ directory }: Site, voice: Voice): string {
  return join(directory, `${voice}.wav`);
}

/** Leaves things as they are for as long as a recording needs to show it. */
export function stay(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, STATE_MS));
}

/**
 * 1 where the recording holds these voices, in this order. Silence counts where it is expected, and nowhere
 * else: calls take a moment to begin, and peers record silence of their own.
 */
export function heard(
  name: string,
  recording: string | undefined,
  expected: readonly Heard[],
): Figure {
  const samples = recording === undefined ? new Int16Array() : readSound(recording);
  const all = tonesHeard(samples, Object.values(TONES_HZ)).map(voiceOf);
  const found = expected.includes('nobody') ? withoutBeginning(all) : withoutSilence(all);
  const same = String(found) === String(expected);
  if (!same) progress(`${name}: expected ${expected.join(', ')}, heard ${found.join(', ')}`);
  return exactly(1, `${name}: ${expected.join(', ')}`, same ? 1 : 0, 'heard');
}

function withoutBeginning(all: readonly string[]): readonly string[] {
  return all[0] === 'nobody' ? all.slice(1) : all;
}

function withoutSilence(all: readonly string[]): string[] {
  const voices = all.filter(voice => voice !== 'nobody');
  return voices.filter((voice, i) => voice !== voices[i - 1]);
}

function voiceOf(hz: number): Heard {
  const voices = Object.keys(TONES_HZ) as Voice[];
  return voices.find(voice => TONES_HZ[voice] === hz) ?? 'nobody';
}
