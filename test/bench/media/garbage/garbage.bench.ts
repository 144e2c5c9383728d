/**
 * What a million frames leave for the garbage collector, whose runs stop every voice of a thread:
 * `node dist/test/bench/media/garbage/garbage.bench.js [--json] [NAME…]`, FRAMES=1000000. For each codec, by the
 * system's libraries and without the native addon: the codec alone, and the whole way of a frame but for the sockets.
 */
import { fileURLToPath } from 'node:url';
import { loadNative } from '../../../../src/native/index.js';
import { startChild } from '../../../harness/child.js';
import { atMost, exactly, type Figure, plain } from '../../../harness/figures.js';
import { type Cleanup, PlainFailure, progress, runProgram } from '../../../harness/program.js';
import { MEMBERS } from './frame-path.js';
import type { Measured } from './measure.js';

const FRAMES = Number(process.env.FRAMES ?? 1_000_000);
const CODECS: readonly (readonly [name: string, sampleRate: number])[] = [
  ['PCMU', 8000],
  ['PCMA', 8000],
  ['G722', 16_000],
  ['L16', 16_000],
  // What is allocated has nothing to do with the rate, and this one is the quickest.
  ['opus', 8000],
];
/** A frame's share of a tick's time, a number of 16 octets which is told to everybody once or twice made. */
const NATIVE_GOAL_OCTETS = (2 * 16) / MEMBERS;
/** Without the addon each look at the clock makes such a number: one a packet, a dozen a tick, and another to tell. */
const PLAIN_GOAL_OCTETS = 2 * 16 + (12 * 16) / MEMBERS;

async function measure(
  cleanup: Cleanup,
  what: 'codec' | 'path',
  [name, sampleRate]: readonly [string, number],
  native: boolean,
): Promise<Measured> {
  const program = fileURLToPath(new URL('./measure.js', import.meta.url));
  const command = [process.execPath, program, what, name, String(sampleRate), String(FRAMES)];
  const child = startChild(cleanup, command, native ? {} : { RINGLINE_NATIVE: 'off' });
  if ((await child.ended) !== 0) throw new PlainFailure(`${name}: ${child.output()}`);
  return JSON.parse(child.output());
}

async function figuresOf(
  cleanup: Cleanup,
  codec: readonly [string, number],
  native: boolean,
): Promise<Figure[]> {
  const name = `${codec[0]}, ${native ? 'native addon' : 'without it'}`;
  progress(`garbage: ${name}, ${FRAMES} frames twice`);
  const alone = await measure(cleanup, 'codec', codec, native);
  const path = await measure(cleanup, 'path', codec, native);
  const goal = native ? NATIVE_GOAL_OCTETS : PLAIN_GOAL_OCTETS;
  return [
    exactly(0, `${name}: codec alone, scavenges in ${alone.frames} frames`, alone.scavenges, ''),
    exactly(0, `${name}: codec alone, mark-sweeps`, alone.markSweeps, ''),
    plain(`${name}: codec alone, a frame`, alone.octets, 'octets'),
    plain(`${name}: codec alone, a frame, at least effort`, alone.microseconds, 'µs'),
    atMost(goal, `${name}: whole way, a frame`, path.frameOctets, 'octets'),
    plain(`${name}: whole way, a frame, its share of RTCP with it`, path.octets, 'octets'),
    plain(`${name}: whole way, scavenges in ${path.frames} frames`, path.scavenges, ''),
    exactly(0, `${name}: whole way, mark-sweeps`, path.markSweeps, ''),
    plain(`${name}: whole way, longest collection`, path.longestMs, 'ms'),
    plain(`${name}: whole way, a frame, sender and all`, path.microseconds, 'µs'),
  ];
}

const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
await runProgram({ withinSeconds: 3600 }, async cleanup => {
  const figures: Figure[] = [];
  for (const native of loadNative() ? [true, false] : [false]) {
    for (const codec of CODECS) {
      if (names.length > 0 && !names.includes(codec[0])) continue;
      figures.push(...(await figuresOf(cleanup, codec, native)));
    }
  }
  return figures;
});
