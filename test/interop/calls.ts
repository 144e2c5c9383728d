/** Calls at the echo test: baresip talks to it and is called, SIPp calls it a thousand times. */
import { join } from 'node:path';
import {
  type BaresipOptions,
  recordingOf,
  startBaresipCallee,
  startBaresipCaller,
} from '../harness/baresip.js';
import { atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { type Cleanup, PlainFailure, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { runSipp } from '../harness/sipp.js';
import { readSound, SAMPLE_RATE, stretch } from '../harness/sound.js';
import { freePort } from '../harness/udp.js';
import { frequencyHz, levelDb, sine } from '../media/signal.js';
import type { Site } from './site.js';

const CODECS = ['PCMU', 'PCMA'] as const;
const CALL_SECONDS = 5;
/** What of a recording is looked at: clear of the call's beginning. */
const [FROM, TO] = [1, 3];

const LEVEL_GOAL_DB = 0.5;
const FREQUENCY_GOAL_HZ = 1;

const CALLS = { calls: 1000, callsPerSecond: 50, callMs: 200 } as const;

export async function measureCalls(site: Site): Promise<Figure[]> {
  const { cleanup, directory, sound } = site;
  const data = join(directory, 'phone');
  const phone = new Ringline(['run', '--name', 'interop', '--listen', '127.0.0.1:0'], {
    cleanup,
    data,
  });
  const target = String((await phone.heard('ready', 10_000)).listen);

  const figures: Figure[] = [];
  for (const codec of CODECS) {
    progress(`interop: baresip calls the echo test, ${codec}`);
    const caller = await newPeer(cleanup, join(directory, `caller-${codec}`), codec, sound);
    await startBaresipCaller({ ...caller, uri: `sip:*43@${target}`, seconds: CALL_SECONDS + 1 })
      .ended;
    const echoed = recordingOf(caller.directory);
    figures.push(...toneFigures(site, `baresip calls the echo test, ${codec}`, echoed));

    progress(`interop: baresip is called, ${codec}`);
    const callee = await newPeer(cleanup, join(directory, `callee-${codec}`), codec, sound);
    const heard = await callPeer(callee);
    const peerHeard = recordingOf(callee.directory);
    figures.push(...toneFigures(site, `baresip is called and hears us, ${codec}`, peerHeard));
    figures.push(...toneFigures(site, `baresip is called and we hear it, ${codec}`, heard));
  }

  progress(`interop: SIPp calls the echo test ${CALLS.calls} times`);
  const calls = await runSipp({ cleanup, directory, target, user: '*43', ...CALLS });
  figures.push(
    exactly(CALLS.calls, 'calls of SIPp to the echo test, successful', calls.successful, 'calls'),
    exactly(0, 'calls of SIPp, failed', calls.failed, 'calls'),
    plain('messages SIPp sent again', calls.retransmissions, 'messages'),
  );
  await phone.stop();
  return figures;
}

async function newPeer(
  cleanup: Cleanup,
  directory: string,
  codec: (typeof CODECS)[number],
  sound: string,
): Promise<BaresipOptions> {
  return { cleanup, directory, codec, sound, port: await freePort() };
}

/** Calls a peer that answers; answers the recording of what we heard. */
async function callPeer(callee: BaresipOptions): Promise<string> {
  const { cleanup, directory, port, codec, sound } = callee;
  const peer = await startBaresipCallee(callee);
  const recording = join(directory, 'heard.wav');
  const files = ['--play', sound, '--record', recording, '--seconds', String(CALL_SECONDS)];
  const call = new Ringline(['call', `sip:peer@127.0.0.1:${port}`, ...files], {
    cleanup,
    data: join(directory, 'phone'),
  });
  const connected = await call.heard('connected', 10_000);
  if (connected.codec !== codec) {
    throw new PlainFailure(`expected a call in ${codec}, found ${connected.codec}`);
  }
  await call.heard('ended', (CALL_SECONDS + 10) * 1000);
  await call.child.ended;
  await peer.stop();
  return recording;
}

/** How far what was heard is from the tone that was sent. */
export function toneFigures({ toneHz }: Site, name: string, recording: string): Figure[] {
  const sent = sine(toneHz, SAMPLE_RATE, SAMPLE_RATE);
  const heard = stretch(readSound(recording), FROM, TO);
  const level = Math.abs(levelDb(heard) - levelDb(sent));
  const frequency = Math.abs(frequencyHz(heard, SAMPLE_RATE) - toneHz);
  return [
    atMost(LEVEL_GOAL_DB, `${name}: change of level`, level, 'dB'),
    atMost(FREQUENCY_GOAL_HZ, `${name}: change of frequency`, frequency, 'Hz'),
  ];
}
