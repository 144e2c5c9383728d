/** Who is heard: each phone plays a tone of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { exactly, explained, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { readSound, SAMPLE_RATE, writeSound } from '../harness/sound.js';
import { accountOf, toneAtEnd, tonesHeard } from '../harness/tones.js';
import { witnessed } from '../harness/witness.js';
import { sine } from '../media/signal.js';
import type { Site } from './site.js';

const TONES_HZ = { ours: 700, peer: 440, other: 1000 } as const;
/** Longer than any call. */
const SOUND_SECONDS = 30;
/** Until a recording shows what it should: calls of peers begin when the machine has time for them. */
const SHOWN_WITHIN_MS = 20_000;
/** Recorded every second, and 0.4 s are to be told of it. */
const TALK_SECONDS = 1.5;
/** Half of the silence that a recording tells of: one stall may make more of it than it lasts. */
const SILENT_STALL_MS = 200;
const LOOK_EVERY_MS = 100;

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

/** Measures, again where the machine stood still for so long that a recording tells of silence. */
export async function withoutStall(
  site: Site,
  measure: (site: Site) => Promise<Figure[]>,
): Promise<Figure[]> {
  const { result } = await witnessed(
    site.cleanup,
    attempt => {
      const directory = join(site.directory, String(attempt));
      mkdirSync(directory);
      return measure({ ...site, directory });
    },
    figures => figures.every(({ met }) => met !== false),
    SILENT_STALL_MS,
  );
  return result;
}

/**
 * Leaves things as they are until this voice is what the recording ends with, for long enough to be told by
 * `heard`. Where it never comes, `heard` will tell; the recordings of a peer are asked for, since they come and go.
 */
export async function shown(
  recording: string | (() => string | undefined),
  voice: Heard,
): Promise<void> {
  const expected = voice === 'nobody' ? 0 : TONES_HZ[voice];
  const tones = Object.values(TONES_HZ);
  let path: string | undefined;
  for (const until = performance.now() + SHOWN_WITHIN_MS; performance.now() < until; ) {
    path = typeof recording === 'string' ? recording : recording();
    if (path !== undefined && toneAtEnd(soundSoFar(path), tones) === expected) return;
    await delay(LOOK_EVERY_MS);
  }
  const found = path === undefined ? 'no recording' : accountOf(soundSoFar(path), tones);
  progress(`not heard within ${SHOWN_WITHIN_MS} ms: ${voice} in ${path ?? 'the call'}: ${found}`);
}

/**
 * For what a peer records that writes its file at the end of a call: until what we hear of the call, whose
 * recording this is, has gone on for as long as the peer's needs to show what we say.
 */
export async function talked(recording: string): Promise<void> {
  const enough = secondsOf(recording) + TALK_SECONDS;
  for (const until = performance.now() + SHOWN_WITHIN_MS; performance.now() < until; ) {
    if (secondsOf(recording) >= enough) return;
    await delay(LOOK_EVERY_MS);
  }
  progress(`no more than ${secondsOf(recording)} s in ${recording}`);
}

function secondsOf(recording: string): number {
  return soundSoFar(recording).length / SAMPLE_RATE;
}

/** Nothing where nothing has been recorded yet. */
function soundSoFar(path: string): Int16Array {
  try {
    return readSound(path);
  } catch {
    return new Int16Array();
  }
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
  const figure = exactly(1, `${name}: ${expected.join(', ')}`, same ? 1 : 0, 'heard');
  const account = accountOf(samples, Object.values(TONES_HZ));
  return explained(figure, `heard ${found.join(', ') || 'nobody'}: ${account}`);
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
