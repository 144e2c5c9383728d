/** A call of half a minute: does every sample arrive, once? */
import { join } from 'node:path';
import { atMost, type Figure, plain } from '../harness/figures.js';
import { MARGIN_SECONDS, passageOf, writeNumberedSound } from '../harness/numbered-sound.js';
import { SAMPLE_RATE } from '../harness/sound.js';
import { spoiltSamples, witnessed } from '../harness/witness.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const SECONDS = 30;

export async function longCall(site: Site): Promise<Figure[]> {
  return everySample(site, `a call of ${SECONDS} s`, SECONDS);
}

/** Of `what`, a call from the first host to the second: what of the sound was lost, and what was made up. */
export async function everySample(site: Site, what: string, seconds: number): Promise<Figure[]> {
  const sound = join(site.directory, `call-${seconds}.wav`);
  const recording = join(site.directory, `call-${seconds}-heard.wav`);
  const expected = writeNumberedSound(sound, seconds);
  const witness = await witnessed(
    site.cleanup,
    async () => {
      await playTo(site, sound, recording, seconds);
      return passageOf(recording, expected);
    },
    ({ missing, extra }) => missing + extra === 0,
  );
  const { result, stallMs } = witness;
  const spoilt = spoiltSamples(witness, SAMPLE_RATE);
  return [
    atMost(spoilt, `samples missing from ${what}`, result.missing, 'samples'),
    atMost(spoilt, `samples repeated or made up in ${what}`, result.extra, 'samples'),
    plain(`longest stall of this machine during ${what}`, stallMs, 'ms'),
  ];
}

/** The first host calls the second, which records what it hears. */
export async function playTo(
  site: Site,
  sound: string,
  recording: string,
  seconds: number,
  meanwhile: (called: Phone) => Promise<void> = async () => undefined,
): Promise<void> {
  const bob = new Phone(site, 1);
  const called = bob.command('answer', '--name', 'bob', '--record', recording);
  await called.heard('ready', READY_WITHIN_MS);
  const callSeconds = seconds + 2 * MARGIN_SECONDS;
  const ada = new Phone(site, 0);
  // Through G.711 each sample comes out as it was numbered.
  const sent = ['--codec', 'pcmu', '--play', sound, '--seconds', String(callSeconds)];
  const call = ada.command('call', 'bob', ...sent);
  await call.heard('connected', 30_000);
  await meanwhile(bob);
  await call.heard('ended', (callSeconds + 10) * 1000);
  await call.child.ended;
  await called.stop();
}
