/**
 * Streams for the framer, sound and broken: the same octets, cut elsewhere, give the same messages; none
 * takes long; and however hostile a stream, the framer in the midst of it holds no more than the limits say.
 * Run by `make fuzz`: [STREAMS=200000] [STREAM_SEED=…] node dist/test/fuzz/framing.js [--json]
 *
 * Stream n of seed s is the first stream of seed s + n.
 */
import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import { StreamFramer } from '@sip-stack/parser';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atLeast, atMost, type Figure, plain } from '../harness/figures.js';
import { octetsInBuffers } from '../harness/garbage.js';
import { progress, runProgram } from '../harness/program.js';
import { INPUT_LIMIT_MS, leastTime } from '../harness/time-limit.js';
import { corpus } from '../sip-parser/corpus.js';
import { checkStream, cut, framed, randomStream } from '../sip-parser/streams.js';

const STREAMS = Number(process.env.STREAMS ?? 200_000);
const SEED = Number(process.env.STREAM_SEED ?? randomInt(2 ** 32));

/** What framers hold in the midst of streams: of each what came, twice for room to grow, and a little. */
const HELD_FRAMERS = 1000;
const LEAST_BUFFER_OCTETS = 4096;

await runProgram({ withinSeconds: 600 }, async () => {
  progress(`fuzz: ${STREAMS} streams; repeat with STREAM_SEED=${SEED}`);
  // Most streams end in an error whose stack nobody reads.
  const stackTraceLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const messages = corpus().map(({ octets }) => octets.toString('latin1'));
  const tally = { streams: 0, sound: 0, octets: 0, slowestMs: 0 };
  const started = performance.now();
  for (let index = 0; index < STREAMS; index++) {
    const seed = (SEED + index) % 2 ** 32;
    const random = new SeededRandom(seed);
    const stream = randomStream(random, messages);
    tally.streams++;
    tally.octets += stream.octets.length;
    if (stream.sound) tally.sound++;
    try {
      const pieces = cut(stream.octets, random);
      checkStream(stream, pieces);
      const took = leastTime(() => framed(pieces, stream.options), tally.slowestMs);
      tally.slowestMs = Math.max(tally.slowestMs, took);
      assert.ok(took <= INPUT_LIMIT_MS, `${stream.octets.length} octets took ${took} ms`);
    } catch (error) {
      console.error(`replay: STREAMS=1 STREAM_SEED=${seed} node dist/test/fuzz/framing.js`);
      throw error;
    }
  }
  Error.stackTraceLimit = stackTraceLimit;
  const figures: Figure[] = [
    plain('seed', SEED, ''),
    atLeast(STREAMS, 'streams, whole and cut', tally.streams, 'streams'),
    plain('of them sound', tally.sound, 'streams'),
    plain('octets of them', tally.octets, 'octets'),
    atMost(INPUT_LIMIT_MS, 'slowest', tally.slowestMs, 'ms'),
    plain('time', (performance.now() - started) / 1000, 's'),
  ];
  return [...figures, ...heldFigures(messages)];
});

function heldFigures(messages: readonly string[]): Figure[] {
  const before = octetsInBuffers();
  let goal = 0;
  const framers = Array.from({ length: HELD_FRAMERS }, (_, index) => {
    const { octets, options } = randomStream(new SeededRandom((SEED + index) % 2 ** 32), messages);
    const framer = new StreamFramer(options);
    framer.push(octets);
    goal += 2 * octets.length + LEAST_BUFFER_OCTETS;
    return framer;
  });
  const held = octetsInBuffers() - before;
  return [
    atMost(goal, `held by ${framers.length} framers in the midst of streams`, held, 'octets'),
  ];
}
