/** Every codec that baresip has too: it calls the echo test, and is called. */
import { join } from 'node:path';
import {
  type BaresipOptions,
  callByBaresip,
  recordingOf,
  startBaresipCallee,
} from '../harness/baresip.js';
import { atLeast, atMost, explained, type Figure } from '../harness/figures.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { accountOf, pitchHz, steadyLevel, steadyPart } from '../harness/tones.js';
import { freePort } from '../harness/udp.js';
import { witnessed } from '../harness/witness.js';
import { levelDb, sine } from '../media/signal.js';
import { readWav, writeWav } from '../media/wav-file.js';
import { IN_TIME_MS, type Site } from './site.js';

/** With the rate of each in baresip, in Hz. */
const CODECS = [
  ['PCMU', 8000],
  ['PCMA', 8000],
  ['G722', 16_000],
  ['opus', 48_000],
] as const;
const CALL_SECONDS = 5;
/** By a peer that calls, which hangs up then: more than is looked at. */
export const HEARD_SECONDS = 3.5;

export const LOOKED_AT_SECONDS = 2;
/** What is lost of a call is measured by `make lan` and `make fuzz`; here machines stand still that have to do with it. */
const SHARE_GOAL = 0.75;
const LEVEL_GOAL_DB = 0.5;
const FREQUENCY_GOAL_HZ = 1;

export async function measureCodecs(site: Site): Promise<Figure[]> {
  const { cleanup, directory, toneHz } = site;
  const phone = new Ringline(['run', '--name', 'interop', '--listen', '127.0.0.1:0'], {
    cleanup,
    data: join(directory, 'phone'),
  });
  const target = String((await phone.heard('ready', IN_TIME_MS)).listen);
  const figures: Figure[] = [];
  for (const [codec, sampleRate] of CODECS) {
    const sound = join(directory, `tone-${codec}.wav`);
    await writeWav(sound, sine(toneHz, (CALL_SECONDS + 3) * sampleRate, sampleRate), sampleRate);
    const peer = async (role: string, attempt: number): Promise<BaresipOptions> => ({
      ...{ cleanup, codec, sound, sampleRate },
      directory: join(directory, `${role}-${codec}-${attempt}`),
      port: await freePort(),
    });
    const measure = async (attempt: number): Promise<Figure[]> => {
      progress(`interop: baresip calls the echo test, ${codec}`);
      const caller = await peer('caller', attempt);
      const uri = `sip:*43@${target}`;
      const echoed = await callByBaresip({ ...caller, uri, seconds: HEARD_SECONDS });

      progress(`interop: baresip is called, ${codec}`);
      const callee = await peer('callee', attempt);
      const heard = await callPeer(callee);
      const peerHeard = await recordingOf(callee.directory);
      const called = `baresip is called, ${codec}`;
      return [
        ...(await toneFigures(site, `baresip calls the echo test, ${codec}`, echoed)),
        ...(await toneFigures(site, `${called}, and hears us`, peerHeard)),
        ...(await toneFigures(site, `${called}, and we hear it`, heard)),
      ];
    };
    const isGood = (of: readonly Figure[]) => of.every(({ met }) => met !== false);
    figures.push(...(await witnessed(cleanup, measure, isGood)).result);
  }
  await phone.stop();
  return figures;
}

/** Calls a peer that knows one codec alone; answers the recording of what we heard. */
async function callPeer(callee: BaresipOptions): Promise<string> {
  const { cleanup, directory, port, codec, sound } = callee;
  const peer = await startBaresipCallee(callee);
  const recording = join(directory, 'heard.wav');
  const files = ['--play', sound, '--record', recording, '--seconds', String(CALL_SECONDS)];
  const call = new Ringline(['call', `sip:peer@127.0.0.1:${port}`, ...files], {
    cleanup,
    data: join(directory, 'phone'),
  });
  const connected = await call.heard('connected', IN_TIME_MS);
  if (connected.codec !== codec) {
    throw new PlainFailure(`expected a call in ${codec}, found ${connected.codec}`);
  }
  await call.heard('ended', (CALL_SECONDS + 10) * 1000);
  await call.child.ended;
  await peer.stop();
  return recording;
}

/** How far what was heard, at any rate, is from the tone that was sent. */
export async function toneFigures({ toneHz }: Site, name: string, file: string): Promise<Figure[]> {
  const { samples, sampleRate } = await readWav(file);
  const heard = steadyPart(samples, sampleRate);
  const steady = steadyLevel(heard, sampleRate);
  const level = Math.abs(steady.levelDb - levelDb(sine(toneHz, sampleRate, sampleRate)));
  const frequency = Math.abs(pitchHz(heard, sampleRate) - toneHz);
  const account = `heard ${accountOf(samples, [toneHz], sampleRate)}`;
  const figures = [
    atLeast(LOOKED_AT_SECONDS, `${name}: looked at`, heard.length / sampleRate, 's'),
    atLeast(SHARE_GOAL, `${name}: share that is heard`, steady.share, ''),
    atMost(LEVEL_GOAL_DB, `${name}: change of level`, level, 'dB'),
    atMost(FREQUENCY_GOAL_HZ, `${name}: change of frequency`, frequency, 'Hz'),
  ];
  return figures.map(figure => explained(figure, account));
}
