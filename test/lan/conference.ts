/** Three hosts in the room of a fourth, each with a tone of its own: who hears whom? */
import { join } from 'node:path';
import { atMost, type Figure, median } from '../harness/figures.js';
import { readSound, SAMPLE_RATE, stretch, writeSound } from '../harness/sound.js';
import { levelAtDb, sine } from '../media/signal.js';
import { Phone, type Site } from './site.js';

/** In Hz. Rounding in G.711 turns two tones into many; of these none comes within 66 dB of the third tone. */
const TONES = [523.3, 1187.9, 2039.7] as const;
const SECONDS = 10;
/** What of the recordings is looked at: all three are in the room then. */
const [FROM, TO] = [5, 8];

const LEVEL_GOAL_DB = 1;
const OWN_GOAL_DB = -60;

export async function conference(site: Site): Promise<Figure[]> {
  const focus = await new Phone(site, 0).ready();
  const members = TONES.map(hz => {
    const sound = join(site.directory, `tone-${hz}.wav`);
    const samples = sine(hz, (SECONDS + 1) * SAMPLE_RATE, SAMPLE_RATE);
    writeSound(sound, samples);
    const sent = usualLevelDb(stretch(samples, FROM, TO), hz);
    return { hz, sound, sent, recording: join(site.directory, `heard-${hz}.wav`) };
  });
  await Promise.all(
    members.map(async ({ sound, recording }, index) => {
      const files = ['--play', sound, '--record', recording, '--seconds', String(SECONDS)];
      const options = ['--codec', 'pcmu', ...files];
      const call = new Phone(site, index + 1).command('call', 'room@ada', ...options);
      await call.heard('ended', (SECONDS + 15) * 1000);
      await call.child.ended;
    }),
  );
  await focus.stop();

  let worst = 0;
  let loudestOwn = Number.NEGATIVE_INFINITY;
  for (const listener of members) {
    const heard = stretch(readSound(listener.recording), FROM, TO);
    for (const speaker of members) {
      const gain = usualLevelDb(heard, speaker.hz) - speaker.sent;
      if (speaker === listener) loudestOwn = Math.max(loudestOwn, gain);
      else worst = Math.max(worst, Math.abs(gain));
    }
  }
  return [
    atMost(LEVEL_GOAL_DB, 'in the room, each hears the others, worst change of level', worst, 'dB'),
    atMost(OWN_GOAL_DB, 'in the room, each hears itself, loudest', loudestOwn, 'dB'),
  ];
}

/** The median of half seconds: one in which the machine stood still has a gap, and says nothing. */
function usualLevelDb(samples: Int16Array, hz: number): number {
  const step = SAMPLE_RATE / 2;
  const each = Array.from({ length: Math.floor(samples.length / step) }, (_, i) =>
    levelAtDb(samples.subarray(i * step, (i + 1) * step), hz, SAMPLE_RATE),
  );
  return each.length === 0 ? Number.NEGATIVE_INFINITY : median(each);
}
