/** A codec that changes amid a call: what is on its way is heard, and what follows joins it. */
import t from 'tap';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import type { PayloadFormat } from '../../src/media/engine.js';
import { Leg } from '../../src/media/leg.js';
import { PlainPath } from '../../src/media/plain-path.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { frequencyHz, levelDb, sine } from './signal.js';

const FRAME_MS = 20;
const LINK_MS = 35;
const [HZ, AMPLITUDE] = [440, 8000];
const TONE_DB = 20 * Math.log10(AMPLITUDE / 32_767);
const LONGEST_GAP_MS = 60;
/** Packets of a new payload type that overtake the answer are not heard, and Opus takes a while to come from amid a stream. */
const OVERTAKEN_GAP_MS = 100;

const G722: PayloadFormat = { name: 'G722', payloadType: 9 };
const PCMU: PayloadFormat = { name: 'PCMU', payloadType: 0 };
const PCMA: PayloadFormat = { name: 'PCMA', payloadType: 8 };
const OPUS: PayloadFormat = { name: 'opus', payloadType: 96, sampleRate: 16_000 };
const FULLBAND: PayloadFormat = { name: 'opus', payloadType: 107, sampleRate: 48_000 };
const L16: PayloadFormat = { name: 'L16', payloadType: 97, sampleRate: 16_000 };

await codecByName('opus')?.load?.();

interface End {
  readonly leg: Leg;
  readonly path: PlainPath;
  use(format: PayloadFormat): void;
  readonly heard: Int16Array[];
}

const tones = new Map<number, Int16Array>();

/** A second of it: whole periods, so that it goes on at whatever rate. */
function tone(rate: number): Int16Array {
  const known = tones.get(rate) ?? sine(HZ, rate, rate, AMPLITUDE);
  tones.set(rate, known);
  return known;
}

async function call(jitterMs = 0) {
  const clock = new VirtualClock();
  const link = { delayMs: LINK_MS, jitterMs };
  const network = new VirtualNetwork({ clock, seed: 1, link });
  const addresses = ['10.0.0.1', '10.0.0.2'];
  const ends: End[] = await Promise.all(
    addresses.map(async (address, i): Promise<End> => {
      const random = new SeededRandom(i + 1);
      const path = await PlainPath.open({ clock, network: network.host(address), random }, address);
      const leg = new Leg({ clock, random, path, codings: new Codings() });
      const use = (format: PayloadFormat) => {
        const remote = { address: addresses[1 - i]!, port: ends[1 - i]!.path.port };
        leg.configure({ remote, format, send: true, receive: true });
      };
      return { leg, path, use, heard: [] };
    }),
  );
  let at = 0;
  const run = async (ms: number) => {
    for (let until = clock.now() + ms; clock.now() < until; at++) {
      for (const { leg, heard } of ends) {
        const samples = (leg.sampleRate * FRAME_MS) / 1000;
        const frame = new Int16Array(samples);
        leg.produce(frame, clock.now());
        heard.push(frame);
        const second = tone(leg.sampleRate);
        const from = (at % 50) * samples;
        leg.consume(second.subarray(from, from + samples), clock.now());
      }
      await clock.advance(FRAME_MS);
    }
  };
  t.teardown(() => {
    for (const { leg } of ends) leg.close();
  });
  return { ends: ends as [End, End], run };
}

/** The longest time in which the tone is 6 dB too quiet, or louder, in ms. */
function longestGap(frames: readonly Int16Array[]): number {
  let longest = 0;
  let gap = 0;
  for (const frame of frames) {
    const step = frame.length / 4;
    for (let at = 0; at < frame.length; at += step) {
      const off = Math.abs(levelDb(frame.subarray(at, at + step)) - TONE_DB) > 6;
      gap = off ? gap + FRAME_MS / 4 : 0;
      longest = Math.max(longest, gap);
    }
  }
  return longest;
}

for (const [before, after] of [
  [G722, PCMU],
  [PCMU, OPUS],
  [OPUS, G722],
  [OPUS, PCMA],
  [FULLBAND, PCMU],
  [PCMU, FULLBAND],
  [PCMU, PCMA],
  [L16, PCMU],
  [G722, L16],
] as const) {
  const names = [before, after].map(({ name, sampleRate = '' }) => `${name} ${sampleRate}`.trim());
  t.test(`from ${names.join(' to ')}`, async t => {
    for (const jitterMs of [0, 15]) {
      const { ends, run } = await call(jitterMs);
      const [asking, answering] = ends;
      for (const end of ends) end.use(before);
      await run(1000);
      for (const { heard } of ends) heard.length = 0;
      // Who is asked changes at once, who asked when the answer is there: both ways old packets are on their way.
      answering.use(after);
      await run(LINK_MS + 5);
      asking.use(after);
      await run(1000);
      for (const { leg, heard } of ends) {
        const gap = longestGap(heard);
        const overtaken = leg === asking.leg && after.payloadType >= 96;
        const limit = overtaken ? OVERTAKEN_GAP_MS : LONGEST_GAP_MS;
        t.ok(gap <= limit, `${gap} ms without the tone, jitter ${jitterMs} ms`);
        const [frame] = heard.slice(-1);
        const last = Int16Array.from(
          heard
            .filter(({ length }) => length === frame!.length)
            .slice(-25)
            .flatMap(f => [...f]),
        );
        t.ok(Math.abs(levelDb(last) - TONE_DB) < 1, `${levelDb(last)} dB afterwards`);
        t.ok(Math.abs(frequencyHz(last, leg.sampleRate) - HZ) < 2);
        t.match(leg.statistics(), { packetsLost: 0, packetsRefused: 0 });
      }
    }
  });
}
