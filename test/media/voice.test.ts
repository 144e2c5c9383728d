/** What is done to a voice before anybody hears it: noise, level, and whether somebody speaks. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { levelOf } from '../../src/media/frame.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { GainControl } from '../../src/media/voice/gain-control.js';
import { NoiseSuppressor } from '../../src/media/voice/noise-suppressor.js';
import { VoiceDetector } from '../../src/media/voice/voice-detector.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { octetsAllocated } from './allocation.js';
import { delaySamples, speechLike } from './signal.js';
import { spoken } from './spoken.js';
import { readWav, writeWav } from './wav-file.js';

const FRAME_MS = 20;
const folder = await mkdtemp(join(tmpdir(), 'ringline-voice-'));
t.teardown(() => rm(folder, { recursive: true }));

/** Steady noise of that level as rooms have it, weaker toward high tones; the same each time. */
function noise(samples: number, dbov: number): Int16Array {
  let state = 1;
  const amplitude = 32768 * 10 ** (dbov / 20) * Math.sqrt(12);
  let value = 0;
  return Int16Array.from({ length: samples }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    value = 0.9 * value + 0.436 * amplitude * ((state >>> 8) / 2 ** 24 - 0.5);
    return Math.round(value);
  });
}

function scaled(samples: Int16Array, db: number): Int16Array {
  const factor = 10 ** (db / 20);
  return samples.map(sample => Math.max(-32768, Math.min(32767, Math.round(sample * factor))));
}

const said = new Map<string, Int16Array>();

/** Speech, at a level of `dbov` while it lasts; words made by formula where nothing speaks here. */
async function speech(seconds: number, sampleRate: number, dbov: number): Promise<Int16Array> {
  const key = `${seconds} ${sampleRate}`;
  const words =
    said.get(key) ??
    (await spoken(seconds, sampleRate)) ??
    speechLike(seconds * sampleRate, sampleRate);
  said.set(key, words);
  return scaled(words, dbov - activeLevel(words, sampleRate));
}

/** Mean over the frames that are no pause, in dBov. */
function activeLevel(samples: Int16Array, sampleRate: number): number {
  const levels = frames(samples, sampleRate).map(levelOf);
  const loudest = Math.max(...levels);
  const active = levels.filter(level => level > loudest - 25);
  const power = active.reduce((sum, level) => sum + 10 ** (level / 10), 0) / active.length;
  return 10 * Math.log10(power);
}

/** Views, so that what is done in place is seen. */
function frames(samples: Int16Array, sampleRate: number): Int16Array[] {
  const length = (sampleRate * FRAME_MS) / 1000;
  return Array.from({ length: Math.floor(samples.length / length) }, (_, i) =>
    samples.subarray(i * length, (i + 1) * length),
  );
}

for (const rate of [8000, 16_000, 48_000]) {
  t.test(`speech at ${rate} Hz is told from noise and from silence`, async t => {
    const detector = await VoiceDetector.open(rate, (rate * FRAME_MS) / 1000);
    const share = (samples: Int16Array) => {
      const told = frames(samples, rate).map(frame => {
        detector.process(frame);
        return detector.speaking;
      });
      return told.filter(speaking => speaking).length / told.length;
    };
    t.equal(share(new Int16Array(rate)), 0, 'silence');
    t.ok(share(noise(rate * 5, -45)) < 0.1, 'steady noise');
    const spoke = share(await speech(10, rate, -26));
    t.ok(spoke > 0.6, `${spoke} of speech with its pauses`);
    share(new Int16Array(rate));
    t.notOk(detector.speaking, 'it ends');
    detector.close();
  });

  t.test(`noise at ${rate} Hz is taken away, and speech is left`, async t => {
    const clean = await speech(4, rate, -26);
    const pause = rate * 2;
    const noisy = noise(clean.length + pause, -48);
    for (let i = 0; i < clean.length; i++) noisy[pause + i] = noisy[pause + i]! + clean[i]!;
    const suppressor = await NoiseSuppressor.open(rate);
    const heard = noisy.slice();
    for (const frame of frames(heard, rate)) suppressor.process(frame);
    suppressor.close();
    const inPause = (samples: Int16Array) => levelOf(samples.subarray(rate, pause - rate / 2));
    const gone = inPause(noisy) - inPause(heard);
    t.ok(gone > 15, `${gone.toFixed(1)} dB less noise where nobody speaks`);
    const before = activeLevel(noisy.subarray(pause), rate);
    const after = activeLevel(heard.subarray(pause), rate);
    t.ok(Math.abs(after - before) < 3, `speech ${(after - before).toFixed(1)} dB louder`);
    const most = rate / 20;
    const delay = delaySamples(
      noisy.subarray(pause, pause + rate),
      heard.subarray(pause, pause + rate),
      most,
    );
    t.comment(`delay ${((delay * 1000) / rate).toFixed(1)} ms, ${gone.toFixed(1)} dB`);
    t.ok((delay * 1000) / rate <= 40, `${(delay * 1000) / rate} ms later`);
  });
}

t.test(
  'speech comes to the usual level, from near and far, and no further than it may',
  async t => {
    const rate = 16_000;
    const at = async (dbov: number) => {
      const said = await speech(20, rate, dbov);
      const control = new GainControl((rate * FRAME_MS) / 1000);
      const detector = await VoiceDetector.open(rate, (rate * FRAME_MS) / 1000);
      for (const frame of frames(said, rate)) {
        detector.process(frame);
        control.process(frame, detector.voiced);
      }
      detector.close();
      return { level: activeLevel(said.subarray(rate * 12), rate), gainDb: control.gainDb };
    };
    for (const dbov of [-40, -33, -16]) {
      const { level } = await at(dbov);
      t.ok(Math.abs(level - -26) < 3, `${dbov} dBov came to ${level.toFixed(1)}`);
    }
    t.ok((await at(-52)).gainDb <= 18, 'bounded above');
    t.ok((await at(-6)).gainDb >= -12, 'and below');
    const usual = await at(-26);
    t.ok(Math.abs(usual.gainDb) < 3, `what is right is left alone: ${usual.gainDb.toFixed(1)} dB`);
  },
);

t.test(
  'pauses are not turned up, a shout is limited without clipping, and steps are none',
  async t => {
    const samples = 320;
    const control = new GainControl(samples);
    const frame = new Int16Array(samples);
    const fill = (amplitude: number) => {
      for (let i = 0; i < samples; i++)
        frame[i] = Math.round(amplitude * Math.sin((2 * Math.PI * i) / 32));
    };
    for (let i = 0; i < 500; i++) {
      fill(200);
      control.process(frame, false);
    }
    t.equal(control.gainDb, 0, 'ten seconds in which nobody speaks');
    let last = 0;
    let steepest = 0;
    for (let i = 0; i < 500; i++) {
      fill(200);
      control.process(frame, true);
      for (const sample of frame) {
        steepest = Math.max(steepest, Math.abs(sample - last));
        last = sample;
      }
    }
    t.equal(control.gainDb, 18);
    // 200 · 8 at 1/32 of a turn: a quarter more than the sine's own steepest would be a click.
    t.ok(steepest < 200 * 8 * 0.2 * 1.25, `${steepest}`);
    fill(30_000);
    control.process(frame, true);
    t.ok(Math.max(...frame) <= 32_767 && Math.max(...frame) > 30_000);
    const flat = frame.filter(sample => sample === 32_767).length;
    t.ok(flat <= samples / 10, `${flat} samples at the limit`);
  },
);

t.test('a player is processed while it is heard, and as it comes when told so', async t => {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1 }).host('10.0.0.1');
  const engine = new LocalMediaEngine({ clock, network, random: new SeededRandom(1) });
  await engine.start();
  t.teardown(() => engine.stop());
  const rate = 16_000;
  const quiet = await speech(4, rate, -44);
  const file = join(folder, 'quiet.wav');
  await writeWav(file, quiet, rate);
  const heard = async (process: boolean) => {
    const player = await engine.openPlayer({ file });
    const told: boolean[] = [];
    const processing = { noiseSuppression: true, gainControl: true, voiceActivity: true };
    await engine.process(player, processing, speaking => told.push(speaking));
    if (!process) await engine.process(player, {});
    const into = join(folder, `heard-${process}.wav`);
    const recorder = await engine.openRecorder({ file: into });
    engine.connect(player, recorder);
    for (let i = 0; i < 5; i++) {
      await clock.advance(1000);
      await new Promise(setImmediate);
    }
    await recorder.close();
    await player.close();
    return { told, samples: (await readWav(into)).samples };
  };
  const plain = await heard(false);
  t.same(plain.samples.subarray(0, quiet.length), quiet, 'untouched');
  t.same(plain.told, []);
  const processed = await heard(true);
  t.equal(processed.told[0], true, 'somebody speaks');
  t.ok(activeLevel(processed.samples.subarray(rate * 2), rate) > -40, 'louder');
  const mix = await engine.openMix();
  await t.rejects(engine.process(mix, { gainControl: true }), { code: 'NOT_CONNECTABLE' });
});

t.test('a frame of it costs little, and allocates nothing of its own', async t => {
  const rate = 16_000;
  const samples = (rate * FRAME_MS) / 1000;
  const frame = speechLike(samples * 20, rate).subarray(samples * 10, samples * 11);
  const suppressor = await NoiseSuppressor.open(rate);
  const detector = await VoiceDetector.open(rate, samples);
  const control = new GainControl(samples);
  const all = () => {
    suppressor.process(frame);
    detector.process(frame);
    control.process(frame, detector.voiced);
  };
  const octets = octetsAllocated(all, 300);
  t.ok(octets < 512, `${octets} octets`);
  const time = (run: () => void) => {
    const from = performance.now();
    for (let i = 0; i < 200; i++) run();
    return ((performance.now() - from) * 1000) / 200;
  };
  const us = [
    time(() => suppressor.process(frame)),
    time(() => detector.process(frame)),
    time(() => control.process(frame, true)),
  ].map(each => each.toFixed(1));
  t.comment(`noise, voice, gain: ${us.join(', ')} µs; ${octets} octets`);
  suppressor.close();
  detector.close();
});
