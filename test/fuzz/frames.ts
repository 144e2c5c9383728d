/**
 * The whole way of a frame without the sockets: leg, packet, jitter buffer, graph, leg, plain and encrypted. It must
 * allocate nothing; the reports of RTCP, which come every five seconds and are no frames, are counted apart.
 * Run by `make fuzz`: [LEG_FRAMES=20000] [CODEC=g722] node dist/test/fuzz/frames.js [--json]
 */
import { type HeapProfiler, Session } from 'node:inspector/promises';
import type { Clock } from '../../src/core/clock.js';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import type { PayloadFormat } from '../../src/media/engine.js';
import { Graph } from '../../src/media/graph.js';
import { Leg } from '../../src/media/leg.js';
import type { PacketGuard, PacketPath } from '../../src/media/packet-path.js';
import { RtpPacket, readRtp } from '../../src/media/rtp.js';
import { SecurePath, srtpKeys } from '../../src/media/secure-path.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';
import { speechLike } from '../media/signal.js';

const FRAMES = Number(process.env.LEG_FRAMES ?? 20_000);
const CODEC = process.env.CODEC ?? '';
const WARM_UP_FRAMES = 20_000;
const TICK_MS = 20;
/** A number that is boxed now and then, and what the sampling may be wrong by. */
const OCTETS_GOAL = 4;
/** Octets between two samples, on average: some 150 samples at a goal's worth, so that chance makes a tenth. */
const SAMPLING_OCTETS = 512;
/** While code is still being compiled, on a busy machine, numbers are boxed: what a frame allocates is there each time. */
const ATTEMPTS = 3;
/** Where reports are written and read. */
const REPORTING = ['#reportIfDue', '#receiveReport'];
/** And where they are when those are compiled into their callers. */
const REPORT_FILES =
  /\/(rtcp|rtcp-session|rtcp-members|xr|ntp|voice-quality|loss-pattern|random)\.js$/;
/** Of V8 itself, and of this program. */
const NOT_OURS = ['(root)', '(V8 API)', '(GC)', '(PROGRAM)', ''];

const FORMATS: readonly PayloadFormat[] = [
  { name: 'PCMU', payloadType: 0, sampleRate: 8000 },
  { name: 'PCMA', payloadType: 8, sampleRate: 8000 },
  { name: 'G722', payloadType: 9, sampleRate: 16_000 },
  { name: 'opus', payloadType: 96, sampleRate: 16_000 },
  { name: 'L16', payloadType: 97, sampleRate: 16_000 },
];
const MASTER = Uint8Array.from({ length: 30 }, (_, i) => i);
const KEY = { suite: 'AES_CM_128_HMAC_SHA1_80', master: MASTER };

/** In place of a socket: what is sent arrives at once at the other end. */
class MemoryPath implements PacketPath {
  readonly port = 4000;
  readonly sendErrors = 0;
  refused = 0;
  onRtp: PacketPath['onRtp'] = () => undefined;
  onRtcp: PacketPath['onRtcp'] = () => undefined;
  onSourceChange = () => undefined;
  guard: PacketGuard | undefined;
  other: MemoryPath | undefined;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #packet = new RtpPacket();
  readonly #data = new Uint8Array(2000);
  readonly #views: Uint8Array[] = [];

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  async move(): Promise<void> {}

  setRemote(): void {}

  sendRtp(packet: Uint8Array): void {
    this.other?.receive(packet);
  }

  sendRtcp(packet: Uint8Array): void {
    this.other?.onRtcp(packet);
  }

  close(): void {}

  receive(packet: Uint8Array): void {
    this.#data.set(packet);
    const octets = this.guard ? this.guard.openRtp(this.#data, packet.length) : packet.length;
    this.#views[octets] ??= this.#data.subarray(0, octets);
    if (octets > 0 && readRtp(this.#views[octets]!, this.#packet)) {
      this.#packet.arrivalMs = this.#clock.now();
      this.onRtp(this.#packet);
    } else {
      this.refused++;
    }
  }
}

/** Two legs that talk: one says speech, the other an echo of it. */
function call(format: PayloadFormat, encrypted: boolean) {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    wallTime: () => 0,
    after: () => ({ cancel: () => undefined }),
  };
  const codings = new Codings();
  const ends = [new MemoryPath(clock), new MemoryPath(clock)] as const;
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  const legs = ends.map((end, i) => {
    const path = encrypted ? new SecurePath(clock, end) : end;
    if (path instanceof SecurePath) path.secure(srtpKeys({ send: KEY, receive: KEY }));
    const leg = new Leg({ clock, random: new SeededRandom(i + 1), path, codings });
    // Reports would go by a path that is not there.
    const remote = { address: '10.0.0.1', port: 4000 };
    leg.configure({ remote, format, send: true, receive: true });
    return leg;
  });
  const graph = new Graph();
  const speech = speechLike(format.sampleRate!, format.sampleRate!);
  const samples = format.sampleRate! / 50;
  let at = 0;
  const speaker = graph.add(
    {
      produce: frame => {
        for (let i = 0; i < samples; i++) frame[i] = speech[at + i]!;
        at = (at + samples) % speech.length;
      },
    },
    format.sampleRate,
  );
  const [near, far] = legs.map(leg => graph.add(leg, leg.sampleRate));
  graph.connect(speaker, near!);
  graph.connect(far!, far!);
  const run = (frames: number) => {
    for (let i = 0; i < frames; i++) {
      now += TICK_MS;
      graph.tick(now);
    }
  };
  return { run, legs, refused: () => ends[0].refused + ends[1].refused };
}

await runProgram({ withinSeconds: 3600 }, async () => {
  const figures: Figure[] = [];
  for (const format of FORMATS) {
    if (!format.name.toLowerCase().startsWith(CODEC.toLowerCase())) continue;
    await codecByName(format.name, format.sampleRate)?.load?.();
    for (const encrypted of [false, true]) {
      const what = `${format.name} ${format.sampleRate} Hz, ${encrypted ? 'encrypted' : 'plain'}`;
      progress(`frames: ${FRAMES} of ${what}`);
      const { run, legs, refused } = call(format, encrypted);
      run(WARM_UP_FRAMES);
      let began = performance.now();
      let { frames, reports } = await allocatedBy(() => run(FRAMES));
      for (let i = 1; i < ATTEMPTS && frames > OCTETS_GOAL * FRAMES; i++) {
        began = performance.now();
        ({ frames, reports } = await allocatedBy(() => run(FRAMES)));
      }
      const tookUs = ((performance.now() - began) * 1000) / FRAMES;
      figures.push(
        atMost(OCTETS_GOAL, `${what}: octets allocated a frame`, frames / FRAMES, 'octets'),
        plain(`${what}: octets allocated by reports, a frame`, reports / FRAMES, 'octets'),
        exactly(0, `${what}: packets refused`, refused(), ''),
        plain(`${what}: both legs, both ways, a frame`, tookUs, 'µs'),
      );
      for (const leg of legs) leg.close();
    }
  }
  return figures;
});

/** Octets allocated while `run` runs, also those that were collected since; by V8's sampling. */
async function allocatedBy(run: () => void): Promise<{ frames: number; reports: number }> {
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: SAMPLING_OCTETS,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  run();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const sum = { frames: 0, reports: 0 };
  const add = (node: HeapProfiler.SamplingHeapProfileNode, reporting: boolean): void => {
    const { functionName, url } = node.callFrame;
    const inReports = reporting || REPORTING.includes(functionName) || REPORT_FILES.test(url);
    const ours = url.includes('/src/') || (inReports && !NOT_OURS.includes(functionName));
    if (inReports) sum.reports += node.selfSize;
    else if (ours) sum.frames += node.selfSize;
    for (const child of node.children) add(child, inReports);
  };
  add(profile.head, false);
  return sum;
}
