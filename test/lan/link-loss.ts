/** The link goes away for five seconds during a call, by cable and by interface: does the call go on? */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atLeast, atMost, type Figure } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { passageOf, writeNumberedSound } from '../harness/numbered-sound.js';
import { progress } from '../harness/program.js';
import { SAMPLE_RATE } from '../harness/sound.js';
import { playTo } from './long-call.js';
import type { Site } from './site.js';

const DOWN_SECONDS = 5;
const SECONDS = 14;

const LINKS = {
  cable: (host: Host, state: 'up' | 'down') => host.setCable(state),
  interface: (host: Host, state: 'up' | 'down') => host.setInterface(state),
} as const;

export async function linkLoss(site: Site): Promise<Figure[]> {
  const figures: Figure[] = [];
  const sound = join(site.directory, 'link-loss.wav');
  const expected = writeNumberedSound(sound, SECONDS);
  for (const link of ['cable', 'interface'] as const) {
    progress(`lan: ${link} down for ${DOWN_SECONDS} s during a call`);
    const recording = join(site.directory, `link-loss-${link}.wav`);
    // A busy machine takes its time to do what it is told.
    let lateMs = 0;
    await playTo(site, sound, recording, SECONDS, async ({ host }) => {
      await delay(4000);
      const began = performance.now();
      await LINKS[link](host, 'down');
      await delay(DOWN_SECONDS * 1000);
      await LINKS[link](host, 'up');
      lateMs = performance.now() - began - DOWN_SECONDS * 1000;
    });
    const lost = passageOf(recording, expected).missing / SAMPLE_RATE;
    const most = DOWN_SECONDS + 1 + lateMs / 1000;
    figures.push(
      // Less would mean that the link was never down.
      atLeast(DOWN_SECONDS - 0.5, `sound lost, ${link} down for ${DOWN_SECONDS} s`, lost, 's'),
      atMost(most, `sound lost, ${link} down for ${DOWN_SECONDS} s`, lost, 's'),
    );
  }
  return figures;
}
