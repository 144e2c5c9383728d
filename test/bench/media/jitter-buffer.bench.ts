/** What the jitter buffer costs for a frame of 20 ms of G.711: `node dist/test/bench/media/jitter-buffer.bench.js [--json]`. */
import { pcmu } from '../../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../../src/media/rtp.js';
import { atMost, type Figure } from '../../harness/figures.js';
import { runProgram } from '../../harness/program.js';
import { octetsAllocated } from '../../media/allocation.js';
import { speechLike } from '../../media/signal.js';

const RATE = 8000;
const FRAME = 160;
const TICK_MS = 20;
const PACKETS = 500;
/** The least of some rounds: what else the machine does shows in the others. */
const ROUNDS = 10;
const CALLS = 20_000;
/** Put before they are played: what is measured is the playing alone. */
const BATCH = 20;

const speech = speechLike(PACKETS * FRAME, RATE);
const encoder = pcmu.newEncoder({ sampleRate: RATE });
const decoder = pcmu.newDecoder({ sampleRate: RATE });
const payloads = Array.from({ length: PACKETS }, (_, i) => {
  const payload = new Uint8Array(FRAME);
  encoder.encode(speech.subarray(i * FRAME, (i + 1) * FRAME), payload, 0);
  return payload;
});
const frame = new Int16Array(FRAME);

class Talk {
  readonly buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
  readonly #packet = new RtpPacket();
  tick = 0;

  put(): void {
    const packet = this.#packet;
    packet.data = payloads[this.tick % PACKETS]!;
    packet.payloadLength = FRAME;
    packet.timestamp = (this.tick * FRAME) >>> 0;
    packet.arrivalMs = this.tick * TICK_MS;
    this.buffer.put(this.tick, packet, decoder, 30);
    this.tick++;
  }

  get nowMs(): number {
    return this.tick * TICK_MS + 5;
  }
}

function leastMicroseconds(run: () => void): number {
  for (let i = 0; i < CALLS; i++) run();
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    for (let i = 0; i < CALLS; i++) run();
    least = Math.min(least, ((performance.now() - began) * 1000) / CALLS);
  }
  return least;
}

function measure(name: string, goal: number, run: () => void): Figure[] {
  return [
    atMost(goal, name, leastMicroseconds(run), 'µs'),
    atMost(8, `${name}, allocated`, octetsAllocated(run), 'octets'),
  ];
}

function measureSkip(): Figure {
  const talk = new Talk();
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let ms = 0;
    for (let batch = 0; batch < CALLS / BATCH; batch++) {
      const first = talk.tick;
      for (let i = 0; i < BATCH; i++) talk.put();
      const began = performance.now();
      for (let i = 0; i < BATCH; i++) talk.buffer.skip((first + i) * TICK_MS + 25);
      ms += performance.now() - began;
    }
    least = Math.min(least, (ms * 1000) / CALLS);
  }
  return atMost(0.5, 'passed unheard, without the arrival', least, 'µs');
}

const heard = new Talk();
const lossy = new Talk();
const unheard = new Talk();
await runProgram({ withinSeconds: 300 }, async () => [
  ...measure('packet in, decoded, frame out', 3, () => {
    heard.put();
    heard.buffer.get(frame, heard.nowMs);
  }),
  ...measure('the same with a tenth lost', 10, () => {
    if (lossy.tick % 10 === 0) lossy.tick++;
    else lossy.put();
    lossy.buffer.get(frame, lossy.nowMs);
  }),
  ...measure('packet in, its level asked, passed unheard', 1, () => {
    unheard.put();
    unheard.buffer.peek(unheard.nowMs);
    unheard.buffer.skip(unheard.nowMs);
  }),
  measureSkip(),
]);
