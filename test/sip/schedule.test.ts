import t from 'tap';
import { playSchedule } from './schedule.js';

/** `make fuzz` plays ten thousand. */
const SEEDS = 300;

t.test(
  'under any schedule both sides agree on the fate of the call, and nothing is left',
  async t => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { caller, callee, complaints } = await playSchedule(seed);
      if (complaints.length > 0) t.fail(`seed ${seed}`, { complaints, caller, callee });
    }
    t.pass(`${SEEDS} schedules`);
  },
);
