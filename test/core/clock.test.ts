import t from 'tap';
import { SystemClock, sleep } from '../../src/core/clock.js';

t.test('a cancelled timer never fires', async t => {
  const clock = new SystemClock();
  let fired = false;
  clock.after(5, () => (fired = true)).cancel();
  const keepAlive = setTimeout(() => undefined, 1000);
  await sleep(clock, 20);
  clearTimeout(keepAlive);
  t.equal(fired, false);
});
