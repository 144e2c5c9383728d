import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  audioFormats,
  CODEC_NAMES,
  type CodecName,
  payloadFormat,
} from '../../src/calling/audio-codecs.js';
import type { SilencePolicy } from '../../src/calling/silence.js';
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

async function phones(
  ofAlice: readonly CodecName[],
  ofBob: readonly CodecName[],
  silences: readonly SilencePolicy[] = ['send', 'send'],
): Promise<Pair> {
  const world = new Simulation({ seed: 1 });
  const [silence = 'send', other = 'send'] = silences;
  const alice = await world.addPhone('alice', '10.0.0.1', { codecs: ofAlice, silence });
  const bob = await world.addPhone('bob', '10.0.0.2', { codecs: ofBob, silence: other });
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

/** Packets of five seconds in which nobody speaks, each way, of 250. */
async function quietSeconds(codec: CodecName, alices: SilencePolicy, bobs: SilencePolicy) {
  const { world, alice, bob } = await phones([codec], [codec], [alices, bobs]);
  const call = bob.calls.dial('*43@alice');
  await advanceUntil(world, () => call.phase === 'connected');
  await advanceUntil(world, () => (alice.calls.current[0]?.leg ?? undefined) !== undefined);
  const far = alice.calls.current[0];
  const sent = async () => ({
    bob: (await call.statistics())?.packetsSent ?? 0,
    alice: (await far?.statistics())?.packetsSent ?? 0,
  });
  // What tells pauses is loaded in the time of this machine.
  for (const until = performance.now() + 30_000; performance.now() < until; ) {
    const { bob: bobs_, alice: alices_ } = await sent();
    await world.clock.advance(500);
    await new Promise(resolve => setTimeout(resolve, 5));
    const now = await sent();
    const pausing = (policy: SilencePolicy, packets: number) => policy === 'send' || packets < 10;
    if (pausing(bobs, now.bob - bobs_) && pausing(alices, now.alice - alices_)) break;
    // Nobody will.
    if (codec === 'opus' && alices !== bobs) break;
  }
  const before = await sent();
  await world.clock.advance(5000);
  const after = await sent();
  const { phase } = call;
  await world.stop();
  return { bob: after.bob - before.bob, alice: after.alice - before.alice, phase };
}

t.test(
  'pauses are left out by whom it was asked of, where the other side can do without',
  async t => {
    // Every 400 ms one, which is 13; Opus tells of the noise more often at first, and of all libraries differently: up to 40.
    const few = (packets: number) => packets > 5 && packets < 60;
    for (const codec of ['pcmu', 'g722', 'opus'] as const) {
      const both = await quietSeconds(codec, 'suppress', 'suppress');
      t.ok(few(both.bob) && few(both.alice), `${codec}: ${both.bob} and ${both.alice} of 250`);
      t.equal(both.phase, 'connected');
      const none = await quietSeconds(codec, 'send', 'send');
      t.match(none, { bob: 250, alice: 250 }, codec);
    }
    const one = await quietSeconds('pcma', 'send', 'suppress');
    t.ok(few(one.bob), 'comfort noise is always taken');
    t.equal(one.alice, 250);
    // Opus: Alice does not ask for it, and does not do it.
    t.match(await quietSeconds('opus', 'send', 'suppress'), { bob: 250, alice: 250 });
  },
);

t.test('Opus is asked to leave pauses out only by whom that was asked of', t => {
  const fmtp = (silence: SilencePolicy) => audioFormats(['opus'], silence)[0]?.fmtp ?? '';
  t.notMatch(fmtp('send'), /usedtx/);
  t.match(fmtp('suppress'), /;usedtx=1$/);
  const format = { name: 'opus', payloadType: 96, clockRate: 48_000, channels: 2 };
  const agreed = (text: string) => ({
    format: { ...format, fmtp: text },
    events: undefined,
    comfortNoise: undefined,
    ptimeMs: 20,
  });
  for (const text of ['usedtx=1', 'useinbandfec=1; usedtx = 1 ;cbr=0', 'UseDTX=1;cbr=1']) {
    t.notMatch(payloadFormat(agreed(text), [], 'send').fmtp, /usedtx/i);
    t.equal(payloadFormat(agreed(text), [], 'suppress').fmtp, text);
  }
  t.match(payloadFormat(agreed('usedtx=1;cbr=1'), [], 'send').fmtp, /cbr=1/);
  t.end();
});
