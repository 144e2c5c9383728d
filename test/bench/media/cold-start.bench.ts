/**
 * How long the first ticks of a full conference take, before the compiler has worked: members of G.722 by SRTP, all at
 * once, in a process that has done nothing before. Processor time, the sender's share with it, so that what else the
 * machine does hardly shows: `node dist/test/bench/media/cold-start.bench.js [--json]`.
 */
import { atMost, median, plain } from '../../harness/figures.js';
import { runProgram } from '../../harness/program.js';
import { FramePath } from './garbage/frame-path.js';

const MEMBERS = 100;
const TICKS = 300;
const FIRST = 5;
const TICK_MS = 20;
/** Beyond this ticks are left out: `pacer.ts`. */
const LEFT_OUT_MS = 1000;

function processorMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

await runProgram({ withinSeconds: 120 }, async () => {
  const path = await FramePath.open('G722', 16_000, MEMBERS);
  const ms = Array.from({ length: TICKS }, () => processorMs(() => path.tick()));
  let [behind, most, caughtUp] = [0, 0, 0];
  for (const [tick, took] of ms.entries()) {
    behind = Math.max(0, behind + took - TICK_MS);
    most = Math.max(most, behind);
    if (behind > 0) caughtUp = tick + 1;
  }
  const what = `${MEMBERS} members of G.722 from cold`;
  return [
    plain(`${what}: first tick`, ms[0]!, 'ms'),
    plain(`${what}: longest of the first ${FIRST}`, Math.max(...ms.slice(0, FIRST)), 'ms'),
    plain(`${what}: a tick once compiled`, median(ms.slice(TICKS / 2)), 'ms'),
    atMost(LEFT_OUT_MS, `${what}: behind, the most`, most, 'ms'),
    plain(`${what}: on time again after`, caughtUp, 'ticks'),
  ];
});
