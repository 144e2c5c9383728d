/**
 * Figures of the media room: `node dist/test/bench/media/media.bench.js [--json]`.
 * About 20 s; what else the machine does shows in the tails.
 */
import { createSocket, type Socket } from 'node:dgram';
import { Graph } from '../../../src/media/graph.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../../src/media/rtp.js';
import { WorkerMediaEngine } from '../../../src/media/worker-engine.js';
import { atMost, type Figure, plain } from '../../harness/figures.js';
import { runProgram } from '../../harness/program.js';

const ADDRESS = '127.0.0.1';
const FRAME = 160;
const TICK_MS = 20;
const ECHO_CALLS = 5;
const ECHO_PACKETS = 100;
const BUSY_MS = 15;

const figures: Figure[] = [];

/** @param goal at most */
function record(name: string, value: number, unit: string, goal?: number): void {
  figures.push(goal === undefined ? plain(name, value, unit) : atMost(goal, name, value, unit));
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
}

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>(resolve => socket.bind(0, ADDRESS, resolve));
  return socket;
}

/** Sends marked packets to an echoing leg; returns when each came back, in ms. */
async function echoTimes(engine: WorkerMediaEngine, packets: number): Promise<number[]> {
  const leg = await engine.openLeg({ address: ADDRESS });
  const socket = await boundSocket();
  const remote = { address: ADDRESS, port: socket.address().port };
  const format = { name: 'PCMU', payloadType: 0 } as const;
  leg.configure({ remote, format, send: true, receive: true });
  engine.connect(leg, leg);

  const sentAt = new Map<number, number>();
  const times: number[] = [];
  const packet = new RtpPacket();
  const data = new Uint8Array(12 + FRAME);
  socket.on('message', received => {
    if (!readRtp(received, packet)) return;
    const mark = received[packet.payloadOffset]!;
    const at = sentAt.get(mark);
    if (at === undefined) return;
    times.push(performance.now() - at);
    // Concealment may say a mark again.
    sentAt.delete(mark);
  });
  const began = performance.now();
  for (let i = 0; i < packets; i++) {
    // The octet says which packet; 0x7f and 0xff are silence.
    const mark = i % 100;
    writeRtpHeader(data, 0, i === 0, i, i * FRAME, 1);
    data.fill(mark, 12);
    sentAt.set(mark, performance.now());
    socket.send(data, leg.port, ADDRESS);
    await sleep(began + (i + 1) * TICK_MS - performance.now());
  }
  await sleep(100);
  socket.close();
  await leg.close();
  return times;
}

async function measureEcho(): Promise<void> {
  const times: number[] = [];
  // Each call meets the media clock at another phase, which sets its delay: between 20 and 40 ms.
  for (let call = 0; call < ECHO_CALLS; call++) {
    const engine = new WorkerMediaEngine();
    await engine.start();
    await engine.openMix();
    await sleep(Math.random() * TICK_MS);
    times.push(...(await echoTimes(engine, ECHO_PACKETS)));
    await engine.stop();
  }
  record('echo loop, median', quantile(times, 0.5), 'ms', 40);
  record('echo loop, p99', quantile(times, 0.99), 'ms');
  record('echo loop, packets that came back', times.length / (ECHO_CALLS * ECHO_PACKETS), '');
}

async function measureClock(): Promise<void> {
  const engine = new WorkerMediaEngine();
  await engine.start();
  await engine.openLeg({ address: ADDRESS });
  const until = performance.now() + 6000;
  while (performance.now() < until) {
    const busy = performance.now() + BUSY_MS;
    while (performance.now() < busy);
    await new Promise(resolve => setImmediate(resolve));
  }
  const { p50Ms, p99Ms, maxMs } = await engine.clockStatistics();
  await engine.stop();
  record('media clock lateness, busy main thread, p50', p50Ms, 'ms', 0.5);
  record('media clock lateness, busy main thread, p99', p99Ms, 'ms', 4);
  record('media clock lateness, busy main thread, max', maxMs, 'ms', 8);
}

/** Mean µs of one call. */
function time(calls: number, run: () => void): number {
  for (let i = 0; i < calls / 10; i++) run();
  const began = performance.now();
  for (let i = 0; i < calls; i++) run();
  return ((performance.now() - began) * 1000) / calls;
}

function measureMix(): void {
  const graph = new Graph();
  const mix = graph.addMix();
  for (let i = 0; i < 100; i++) {
    const node = graph.add({ produce: frame => void frame.fill(i), consume: () => undefined });
    graph.connect(node, mix);
    graph.connect(mix, node);
  }
  record(
    'N-1 mix of 100, a tick',
    time(3000, () => graph.tick(0)),
    'µs',
    200,
  );
}

await runProgram({ withinSeconds: 300 }, async () => {
  measureMix();
  await measureEcho();
  await measureClock();
  const resident = process.memoryUsage().rss / 2 ** 20;
  record('process with one media thread, resident', resident, 'MiB', 110);
  return figures;
});
