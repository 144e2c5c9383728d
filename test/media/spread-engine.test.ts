import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { LegSettings, MediaEngine, MediaLeg } from '../../src/media/engine.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { SpreadMediaEngine } from '../../src/media/spread-engine.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { levelAtDb, levelDb } from './signal.js';
import { readWav } from './wav-file.js';

const RATE = 8000;
const THREADS = 3;
const PCMU = { name: 'PCMU', payloadType: 0 };
const MIXER = '10.0.0.1';
const PHONES = '10.0.0.2';

const folder = await mkdtemp(join(tmpdir(), 'ringline-spread-'));
t.teardown(() => rm(folder, { recursive: true }));

/** A mixer of several threads and, on another host, the phones; on virtual time. */
async function world(t: {
  teardown(undo: () => Promise<unknown>): void;
  fail(error: Error): unknown;
}) {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1 });
  const onError = (error: Error) => void t.fail(error);
  const engineAt = (address: string, seed: number) =>
    new LocalMediaEngine({
      clock,
      network: network.host(address),
      random: new SeededRandom(seed),
      onError,
    });
  const mixer = new SpreadMediaEngine(
    Array.from({ length: THREADS }, (_, i) => engineAt(MIXER, i + 1)),
    onError,
  );
  const phones = engineAt(PHONES, 100);
  await Promise.all([mixer.start(), phones.start()]);
  t.teardown(() => Promise.all([mixer.stop(), phones.stop()]));
  /** Wiring waits for turns of the event loop, which take no time here. */
  const settle = async () => {
    for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve));
  };
  return { clock, mixer, phones, settle };
}

/** A leg of the mixer and the phone at its other end. */
async function member(
  mixer: MediaEngine,
  phones: MediaEngine,
  more: Partial<LegSettings> = {},
): Promise<{ leg: MediaLeg; phone: MediaLeg }> {
  const leg = await mixer.openLeg({ address: MIXER });
  const phone = await phones.openLeg({ address: PHONES });
  const flow = { format: PCMU, send: true, receive: true, ...more };
  leg.configure({ remote: { address: PHONES, port: phone.port }, ...flow });
  phone.configure({ remote: { address: MIXER, port: leg.port }, ...flow });
  return { leg, phone };
}

t.test('members of a mix over three threads hear all the others, and never themselves', async t => {
  const { clock, mixer, phones, settle } = await world(t);
  const mix = await mixer.openMix();
  const members = [];
  for (let i = 0; i < 6; i++) {
    const { leg, phone } = await member(mixer, phones);
    mixer.connect(leg, mix);
    mixer.connect(mix, leg);
    // Not evenly spaced: what G.711 adds would fall on the others' tones.
    const hz = [401, 733, 1117, 1493, 1931, 2393][i]!;
    const tone = await phones.openTone({ tones: [{ frequencies: [hz] }], levelDbm0: -20 });
    phones.connect(tone, phone);
    const file = join(folder, `member-${i}.wav`);
    const recorder = await phones.openRecorder({ file });
    phones.connect(phone, recorder);
    members.push({ leg, hz, file, recorder });
  }
  await settle();
  for (let i = 0; i < 3; i++) await clock.advance(1000);
  for (const { recorder } of members) await recorder.close();
  for (const [i, { file }] of members.entries()) {
    const heard = (await readWav(file)).samples.subarray(-RATE);
    for (const [j, { hz }] of members.entries()) {
      const level = levelAtDb(heard, hz, RATE) - (-20 - 3.17);
      if (i === j) t.ok(level < -55, `${i} hears itself at ${level} dB`);
      else t.ok(Math.abs(level) < 1, `${i} hears ${j} at ${level} dB`);
    }
  }

  // Who leaves is heard no more, in whichever thread.
  const file = join(folder, 'after.wav');
  const listener = await member(mixer, phones);
  mixer.connect(mix, listener.leg);
  const recorder = await phones.openRecorder({ file });
  phones.connect(listener.phone, recorder);
  for (const { leg } of members) await leg.close();
  await settle();
  await clock.advance(1000);
  await recorder.close();
  t.equal(levelDb((await readWav(file)).samples.subarray(-RATE / 4)), Number.NEGATIVE_INFINITY);
  await mix.close();
});

t.test('an arrow may lead from thread to thread, and be replaced', async t => {
  const { clock, mixer, phones, settle } = await world(t);
  const legs = [];
  for (let i = 0; i < THREADS; i++) legs.push(await member(mixer, phones));
  const [first, second, third] = legs as [MediaMember, MediaMember, MediaMember];
  const tone = await phones.openTone({ tones: [{ frequencies: [700] }], levelDbm0: -20 });
  phones.connect(tone, first.phone);
  mixer.connect(first.leg, second.leg);
  await settle();

  const hear = async ({ phone }: MediaMember) => {
    const file = join(folder, `leg-${phone.port}-${clock.now()}.wav`);
    const recorder = await phones.openRecorder({ file });
    phones.connect(phone, recorder);
    await clock.advance(1000);
    await recorder.close();
    return (await readWav(file)).samples.subarray(-RATE / 2);
  };
  const level = (samples: Int16Array) => levelAtDb(samples, 700, RATE) - (-20 - 3.17);
  t.ok(Math.abs(level(await hear(second))) < 0.5);
  mixer.replace(second.leg, third.leg);
  await settle();
  t.ok(Math.abs(level(await hear(third))) < 0.5);
  t.ok(level(await hear(second)) < -60);
  mixer.disconnect(first.leg, third.leg);
  await settle();
  t.ok(level(await hear(third)) < -60);
  const mixes = [await mixer.openMix(), await mixer.openMix()];
  t.throws(() => mixer.connect(mixes[0]!, mixes[1]!), { code: 'NOT_CONNECTABLE' });
  t.throws(() => mixer.connect(mixes[0]!, phones as never), { code: 'FOREIGN_NODE' });
});

type MediaMember = Awaited<ReturnType<typeof member>>;

t.test('digits are heard and sent in whichever thread a leg is', async t => {
  const { clock, mixer, phones, settle } = await world(t);
  const heard: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { leg, phone } = await member(mixer, phones, { hearTones: true });
    leg.listenForDigits(({ digit, ms }) => {
      if (ms === undefined) heard.push(`mixer ${digit}`);
    });
    phone.listenForDigits(({ digit, ms }) => {
      if (ms === undefined) heard.push(`phone ${digit}`);
    });
    void phone.sendDigits({ digits: `${i}`, by: 'tones' });
    void leg.sendDigits({ digits: '#', by: 'tones' });
  }
  await settle();
  await clock.advance(1000);
  t.same(heard.sort(), ['mixer 0', 'mixer 1', 'mixer 2', 'phone #', 'phone #', 'phone #']);
});
