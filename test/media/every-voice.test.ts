/**
 * Every codec, plain and encrypted, through legs over an even network: a chirp arrives with nothing missing and nothing
 * said twice, at its level. 10 s each, or VOICE_SECONDS; the virtual clock makes short work of them. Of a chirp much
 * longer than that, one second is too much like the next for `fit` to tell them apart after Opus.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { codecByName } from '../../src/media/codecs/registry.js';
import type { LegSecurity, PayloadFormat } from '../../src/media/engine.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { SRTP_SUITES } from '../../src/media/srtp/suites.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { fit } from './lags.js';
import { chirp, follow } from './signal.js';
import { throughCodec } from './through-codec.js';
import { readWav, writeWav } from './wav-file.js';

const SECONDS = Number(process.env.VOICE_SECONDS ?? 10);
const MAX_LAG_MS = 400;
/** Opus delays some frequencies more than others; a frame more or less would show 20 ms. */
const MAX_SPREAD_MS = 2;
/** Shapes that Opus changes a little are still the same. */
const LEAST_LIKENESS = 0.9;

const folder = await mkdtemp(join(tmpdir(), 'ringline-voices-'));
t.teardown(() => rm(folder, { recursive: true }));

/** Without state, or with one that every stream begins with and silence does not change. */
const EXACT: readonly PayloadFormat[] = [
  { name: 'PCMU', payloadType: 0, sampleRate: 8000 },
  { name: 'PCMA', payloadType: 8, sampleRate: 8000 },
  { name: 'L16', payloadType: 97, sampleRate: 16_000 },
];
const ALIKE: readonly PayloadFormat[] = [
  { name: 'G722', payloadType: 9, sampleRate: 16_000 },
  { name: 'opus', payloadType: 96, sampleRate: 8000 },
  { name: 'opus', payloadType: 96, sampleRate: 16_000 },
  { name: 'opus', payloadType: 96, sampleRate: 48_000 },
];

function keys(suite: string): LegSecurity[] {
  const known = SRTP_SUITES.find(({ name }) => name === suite)!;
  const octets = known.keyOctets + known.saltOctets;
  const key = (from: number) => ({
    suite,
    master: Uint8Array.from({ length: octets }, (_, i) => from + i),
  });
  return [
    { send: key(1), receive: key(100) },
    { send: key(100), receive: key(1) },
  ];
}

/** What is heard of a chirp at the far end of a call. */
async function heard(format: PayloadFormat, said: Int16Array, suite?: string): Promise<Int16Array> {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1, link: { delayMs: 5 } });
  const onError = (error: Error) => t.fail(error.message);
  const engines = ['10.0.0.1', '10.0.0.2'].map((address, i) => {
    const random = new SeededRandom(i + 1);
    return new LocalMediaEngine({ clock, network: network.host(address), random, onError });
  });
  const [near, far] = engines as [LocalMediaEngine, LocalMediaEngine];
  await Promise.all(engines.map(engine => engine.start()));
  const from = await near.openLeg({ address: '10.0.0.1', codecs: [format.name] });
  const to = await far.openLeg({ address: '10.0.0.2', codecs: [format.name] });
  const [sending, receiving] = suite ? keys(suite) : [];
  const flow = { format, send: true, receive: true };
  from.configure({
    remote: { address: '10.0.0.2', port: to.port },
    ...flow,
    ...(sending && { security: sending }),
  });
  to.configure({
    remote: { address: '10.0.0.1', port: from.port },
    ...flow,
    ...(receiving && { security: receiving }),
  });
  const said_ = join(folder, 'said.wav');
  await writeWav(said_, said, format.sampleRate!);
  const player = await near.openPlayer({ file: said_ });
  // The stream runs before the signal begins.
  await clock.advance(300);
  const file = join(folder, 'heard.wav');
  const recorder = await far.openRecorder({ file });
  far.connect(to, recorder);
  near.connect(player, from);
  for (let half = 0; half <= 2 * SECONDS + 1; half++) {
    await clock.advance(500);
    // The disk has its own time: files are read and written seconds ahead, so this is plenty.
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  await recorder.close();
  const statistics = await to.statistics();
  t.match(statistics, { packetsLost: 0, packetsRefused: 0, concealedMs: 0, stretchedMs: 0 });
  await Promise.all(engines.map(engine => engine.stop()));
  const { samples, sampleRate } = await readWav(file);
  t.equal(sampleRate, format.sampleRate, 'recorded at the rate of what was heard');
  return samples;
}

const WAYS = [undefined, 'AES_CM_128_HMAC_SHA1_80', 'AEAD_AES_256_GCM'];

for (const format of [...EXACT, ...ALIKE]) {
  for (const suite of WAYS) {
    const { name, sampleRate = 8000 } = format;
    t.test(`${name} at ${sampleRate} Hz, ${suite ?? 'plain'}`, async t => {
      const said = chirp({ samples: SECONDS * sampleRate, sampleRate });
      const samples = await heard(format, said, suite);
      if (EXACT.includes(format)) {
        const expected = throughCodec(codecByName(name, sampleRate)!, said);
        t.match(follow(samples, expected), { exact: said.length, missing: 0, extra: 0 });
        return;
      }
      const { lags, worst, gainDb } = fit(
        samples,
        said,
        sampleRate,
        (MAX_LAG_MS * sampleRate) / 1000,
      );
      const spreadMs = ((Math.max(...lags) - Math.min(...lags)) * 1000) / sampleRate;
      t.ok(spreadMs <= MAX_SPREAD_MS, `one delay throughout, within ${spreadMs.toFixed(2)} ms`);
      t.ok(worst > LEAST_LIKENESS, `fits everywhere: ${worst.toFixed(3)} at worst`);
      t.ok(Math.abs(gainDb) < 0.5, `${gainDb.toFixed(2)} dB`);
    });
  }
}
