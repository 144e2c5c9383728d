/**
 * Random schedules of calls over bad networks, on virtual time: both sides agree on every call's fate.
 * Run by `make fuzz`: [SCHEDULES=10000] [SCHEDULE_SEED=1] node dist/test/fuzz/schedules.js [--json]
 */
import { exactly, type Figure, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';
import { playSchedule } from '../sip/schedule.js';

const SCHEDULES = Number(process.env.SCHEDULES ?? 10_000);
const FIRST_SEED = Number(process.env.SCHEDULE_SEED ?? 1);
/** Failing schedules told in full. */
const TOLD = 5;

await runProgram({ withinSeconds: 600 }, async () => {
  progress(`fuzz: ${SCHEDULES} schedules of one call each`);
  const fates = new Map<string, number>();
  let failed = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
    const { caller, callee, complaints } = await playSchedule(seed);
    const fate = caller.some(event => event.startsWith('answered'))
      ? 'calls answered'
      : `calls that ${caller.at(-1) ?? 'came to nothing'}`;
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    if (complaints.length === 0) continue;
    failed++;
    if (failed > TOLD) continue;
    console.error(`SCHEDULES=1 SCHEDULE_SEED=${seed}: ${complaints.join('; ')}`);
    console.error({ caller, callee });
  }
  const figures: Figure[] = [...fates].map(([fate, count]) => plain(fate, count, 'calls'));
  return [...figures, exactly(0, 'schedules whose sides disagreed', failed, 'schedules')];
});
