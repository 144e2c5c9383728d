/**
 * A user agent among strangers who say what is nearly right: wrong branches, tags and numbers, stray
 * responses and ACKs, CANCELs of anything. Nothing is thrown, nothing takes long, nothing is left.
 * Run by `make fuzz`: [SCENES=1000] [SCENE_SEED=…] node dist/test/fuzz/transactions.js [--json]
 *
 * Scene n of seed s is the first scene of seed s + n.
 */
import { randomInt } from 'node:crypto';
import { atLeast, atMost, exactly, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';
import { INPUT_LIMIT_MS, leastTimeAgain } from '../harness/time-limit.js';
import { playDisorder } from '../sip/disorder.js';

const INPUTS = 100;
const SCENES = Number(process.env.SCENES ?? 1000);
const SEED = Number(process.env.SCENE_SEED ?? randomInt(2 ** 31));
/** Failing scenes told in full. */
const TOLD = 5;

await runProgram({ withinSeconds: 600 }, async () => {
  progress(`fuzz: ${SCENES} scenes of ${INPUTS} messages; repeat with SCENE_SEED=${SEED}`);
  const tally = { inputs: 0, calls: 0, heard: 0, slowestMs: 0, failed: 0 };
  const started = performance.now();
  for (let seed = SEED; seed < SEED + SCENES; seed++) {
    const { times, calls, heard, complaints } = await playDisorder(seed, INPUTS);
    tally.inputs += times.length;
    tally.calls += calls;
    tally.heard += heard;
    for (const [input, first] of times.entries()) {
      if (first <= tally.slowestMs) continue;
      const again = async () => (await playDisorder(seed, INPUTS)).times[input] ?? 0;
      const took = await leastTimeAgain(
        first,
        again,
        Math.max(tally.slowestMs, INPUT_LIMIT_MS / 2),
      );
      tally.slowestMs = Math.max(tally.slowestMs, took);
      if (took > INPUT_LIMIT_MS)
        console.error(`SCENES=1 SCENE_SEED=${seed}: input ${input} took ${took} ms`);
    }
    if (complaints.length === 0) continue;
    tally.failed++;
    if (tally.failed <= TOLD)
      console.error(`SCENES=1 SCENE_SEED=${seed}: ${complaints.join('; ')}`);
  }
  return [
    plain('seed', SEED, ''),
    atLeast(SCENES * INPUTS, 'messages said to a user agent', tally.inputs, 'messages'),
    plain('messages it said', tally.heard, 'messages'),
    plain('calls it was offered', tally.calls, 'calls'),
    exactly(0, 'scenes that failed, or left something', tally.failed, 'scenes'),
    atMost(INPUT_LIMIT_MS, 'slowest', tally.slowestMs, 'ms'),
    plain('time', (performance.now() - started) / 1000, 's'),
  ];
});
