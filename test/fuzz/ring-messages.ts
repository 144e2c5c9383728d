/**
 * Messages of the ring, broken, as a member reads them: each is taken or refused by a code, in little time and memory.
 * Run by `make fuzz`: [RING_MESSAGES=200000] [RING_SEED=…] node dist/test/fuzz/ring-messages.js [--json]
 */
import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import { ASSEMBLY_BOUNDS } from '../../src/overlay/sip/parts.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atLeast, atMost, type Figure, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';
import { INPUT_LIMIT_MS, leastTime } from '../harness/time-limit.js';
import { broken, Reader, soundMessages } from '../overlay/sip/mutated.js';
import { one } from './mutate.js';

const MESSAGES = Number(process.env.RING_MESSAGES ?? 200_000);
const SEED = Number(process.env.RING_SEED ?? randomInt(2 ** 32));
const SOUND = 300;

await runProgram({ withinSeconds: 600 }, async () => {
  progress(`fuzz: ${MESSAGES} messages of the ring; repeat with RING_SEED=${SEED}`);
  const stackTraceLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const sound = soundMessages(SOUND, SEED);
  const random = new SeededRandom(SEED);
  const reader = new Reader();
  const tally = { read: 0, taken: 0, slowestMs: 0, mostOctets: 0 };
  const said = new Set<string>();
  const started = performance.now();
  for (let n = 0; n < MESSAGES; n++) {
    const octets = broken(random, one(random, sound));
    try {
      const outcome = reader.read(octets, random);
      const again = new Reader();
      const took = leastTime(() => void again.read(octets, new SeededRandom(n)), tally.slowestMs);
      tally.slowestMs = Math.max(tally.slowestMs, took);
      assert.ok(took <= INPUT_LIMIT_MS, `${octets.length} octets took ${took} ms`);
      said.add(outcome.said);
      tally.read++;
      if (outcome.taken) tally.taken++;
      tally.mostOctets = Math.max(tally.mostOctets, reader.assembler.octets);
    } catch (error) {
      console.error(`message ${n} of RING_SEED=${SEED}:\n${octets.toString('latin1')}`);
      throw error;
    }
  }
  Error.stackTraceLimit = stackTraceLimit;
  const figures: Figure[] = [
    plain('seed', SEED, ''),
    atLeast(MESSAGES, 'messages taken or refused by a code', tally.read, 'messages'),
    plain('of them taken', tally.taken, 'messages'),
    plain('outcomes', said.size, ''),
    atMost(ASSEMBLY_BOUNDS.octets, 'set aside for parts', tally.mostOctets, 'octets'),
    atMost(INPUT_LIMIT_MS, 'slowest', tally.slowestMs, 'ms'),
    plain('time', (performance.now() - started) / 1000, 's'),
  ];
  return figures;
});
