/**
 * A process of the garbage benchmark: `measure.js codec|path NAME SAMPLE_RATE FRAMES`. One for each figure, so that
 * none finds the compiler as another left it. Prints a `Measured` as JSON.
 */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { codecByName } from '../../../../src/media/codecs/registry.js';
import { median } from '../../../harness/figures.js';
import { collectGarbage } from '../../../harness/garbage.js';
import { FramePath, MEMBERS, speechFrames } from './frame-path.js';

export interface Measured {
  readonly frames: number;
  readonly scavenges: number;
  readonly markSweeps: number;
  /** The longest of them, in ms. */
  readonly longestMs: number;
  /** Allocated for a frame: on the mean, and where nothing but frames comes by (the median of short stretches). */
  readonly octets: number;
  readonly frameOctets: number;
  readonly microseconds: number;
}

/** The compiler is done by then: it allocates too. */
const WARM_UP_MS = 4000;
/** Heap is looked at so often: a collection hides little, and in most stretches no report is made (each 5 s). */
const LOOKS = 10_000;

const [what = '', name = '', rate = '', count = ''] = process.argv.slice(2);
const sampleRate = Number(rate);
const frames = Number(count);
if (what === 'codec') await measureCodec();
else await measurePath();

async function measureCodec(): Promise<void> {
  const codec = codecByName(name, sampleRate)!;
  await codec.load?.();
  const encoder = codec.newEncoder({ sampleRate, fmtp: 'useinbandfec=1' });
  const decoder = codec.newDecoder({ sampleRate });
  // As a busy machine codes; what is allocated has nothing to do with it.
  for (let i = 0; i < 10; i++) encoder.adapt?.({ lossFraction: 0, load: 1 });
  const speech = speechFrames(sampleRate);
  const data = new Uint8Array(codec.maxPayloadOctets);
  const heard = new Int16Array(speech[0]!.length);
  let i = 0;
  await measure(() => {
    const octets = encoder.encode(speech[i % speech.length]!, data, 0);
    decoder.samplesIn(data, 0, octets);
    decoder.decode(data, 0, octets, heard, 0);
    if (i++ % 50 === 0) decoder.conceal?.(heard, 0, heard.length);
  }, 1);
  encoder.close?.();
  decoder.close?.();
}

async function measurePath(): Promise<void> {
  const path = await FramePath.open(name, sampleRate);
  await measure(() => path.tick(), MEMBERS);
  const { received, sent, concealedMs } = await path.passed();
  if (received < frames || sent < frames || concealedMs > 0) {
    throw new Error(`${received} packets came, ${sent} went, ${concealedMs} ms were made up`);
  }
}

/** @param each frames of a run */
async function measure(run: () => void, each: number): Promise<void> {
  for (const until = performance.now() + WARM_UP_MS; performance.now() < until; ) run();
  let [scavenges, markSweeps, longestMs] = [0, 0, 0];
  const note = (entries: readonly PerformanceEntry[]) => {
    for (const entry of entries) {
      longestMs = Math.max(longestMs, entry.duration);
      const { kind } = (entry as PerformanceEntry & { readonly detail: { kind: number } }).detail;
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR) scavenges++;
      else if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) markSweeps++;
    }
  };
  collectGarbage();
  await new Promise(setImmediate);
  const observer = new PerformanceObserver(list => note(list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  const used = new Float64Array(LOOKS + 1);
  const began = performance.now();
  const runs = Math.ceil(frames / each / LOOKS);
  const memory = process.memoryUsage;
  const looks = Float64Array.from({ length: 100 }, () => memory().heapUsed);
  const look = median(Array.from(looks, (used, i) => used - (looks[i - 1] ?? used)));
  used[0] = memory().heapUsed;
  for (let i = 1; i <= LOOKS; i++) {
    for (let n = 0; n < runs; n++) run();
    used[i] = memory().heapUsed;
  }
  const microseconds = ((performance.now() - began) * 1000) / frames;
  await new Promise(setImmediate);
  note(observer.takeRecords());
  observer.disconnect();
  const grown = Array.from({ length: LOOKS }, (_, i) =>
    Math.max(0, used[i + 1]! - used[i]! - look),
  );
  const measured: Measured = {
    frames: runs * each * LOOKS,
    scavenges,
    markSweeps,
    longestMs,
    octets: grown.reduce((sum, octets) => sum + octets) / (runs * each * LOOKS),
    frameOctets: median(grown) / (runs * each),
    microseconds,
  };
  console.log(JSON.stringify(measured));
}
