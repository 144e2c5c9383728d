import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { audioFormats, CODEC_NAMES, type CodecName } from '../../src/calling/audio-codecs.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { frequencyHz, levelDb } from '../media/signal.js';
import { readWav } from '../media/wav-file.js';

const TONE_HZ = 440;
/** Of a tone unless it is told otherwise; full scale is +3.14 dBm0 (ITU-T G.711). */
const TONE_DB = -13 - 3.14;

const directory = mkdtempSync(join(tmpdir(), 'ringline-codecs-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

interface Pair {
  readonly world: Simulation;
  readonly alice: Telephone;
  readonly bob: Telephone;
}

async function phones(ofAlice: readonly CodecName[], ofBob: readonly CodecName[]): Promise<Pair> {
  const world = new Simulation({ seed: 1 });
  const alice = await world.addPhone('alice', '10.0.0.1', { codecs: ofAlice });
  const bob = await world.addPhone('bob', '10.0.0.2', { codecs: ofBob });
  return { world, alice, bob };
}

/** Bob talks to Alice's echo test; what he hears once it has come back. */
async function echoOf({ world, bob }: Pair) {
  const call = bob.calls.dial('*43@alice');
  await advanceUntil(world, () => call.phase === 'connected');
  if (!call.leg) throw new Error('a call without media');
  const tone = await bob.media.openTone({ tones: [{ frequencies: [TONE_HZ] }] });
  bob.media.connect(tone, call.leg);
  await world.clock.advance(1000);
  const file = join(directory, `${call.callId}.wav`);
  const recorder = await bob.media.openRecorder({ file });
  bob.media.connect(call.leg, recorder);
  await world.clock.advance(1000);
  const statistics = await call.statistics();
  const closed = recorder.close();
  await world.clock.advance(1000);
  await closed;
  const { format } = call;
  call.hangUp();
  await world.clock.advance(1000);
  return { format, statistics, ...(await readWav(file)) };
}

/** Codecs are loaded in the time of this machine. */
async function advanceUntil(world: Simulation, done: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !done(); tries++) {
    await world.clock.advance(10);
    await new Promise(setImmediate);
  }
}

for (const name of CODEC_NAMES) {
  t.test(`a tone comes back from the echo test by ${name}`, async t => {
    const pair = await phones(CODEC_NAMES, [name]);
    const { format, statistics, samples, sampleRate } = await echoOf(pair);
    t.equal(format?.name, audioFormats([name])[0]?.name);
    t.ok(Math.abs(frequencyHz(samples, sampleRate) - TONE_HZ) < 2, 'frequency');
    t.ok(Math.abs(levelDb(samples) - TONE_DB) < 1.5, `${levelDb(samples)} dB`);
    t.equal(statistics?.packetsLost, 0);
    await pair.world.stop();
  });
}

t.test('who calls decides between the codecs that both have', async t => {
  for (const [caller, expected] of [
    [['g722', 'pcmu'], 'G722'],
    [['pcmu', 'g722'], 'PCMU'],
    [['l16', 'pcma', 'g722'], 'PCMA'],
  ] as const) {
    const pair = await phones(['pcma', 'pcmu', 'g722'], caller);
    const call = pair.bob.calls.dial('*43@alice');
    await pair.world.clock.advance(1000);
    t.equal(call.format?.name, expected, caller.join(', '));
    await pair.world.stop();
  }
});

t.test('Opus runs at 48 kHz where both wish it', async t => {
  const rates: number[] = [];
  for (const ofAlice of ['opus', 'opus-fullband'] as const) {
    const pair = await phones([ofAlice], ['opus-fullband']);
    rates.push((await echoOf(pair)).sampleRate);
    await pair.world.stop();
  }
  t.same(rates, [16_000, 48_000]);
});
