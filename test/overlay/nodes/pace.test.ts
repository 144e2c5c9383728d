/** Rates: what is allowed at a time can be taken then. */
import t from 'tap';
import { allowedAt, newAllowance, take } from '../../../src/overlay/nodes/pace.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';

const RATE = { atOnce: 3, everyMs: 100 } as const;

t.test('so many at once, then one more each time that passes', t => {
  const allowance = newAllowance(RATE);
  const taken = [0, 0, 0, 0, 99, 100, 101, 350, 350, 350].map(now => take(allowance, RATE, now));
  t.same(taken, [true, true, true, false, false, true, false, true, true, false]);
  t.end();
});

t.test('at the time that is told one can be taken, whatever was rounded', t => {
  const random = new SeededRandom(4);
  let refused = 0;
  for (let run = 0; run < 2000; run++) {
    const allowance = newAllowance(RATE);
    // With digits to the last, and beyond a power of two there is one less.
    const from = 65_536 - (1000 * random.unit()) / 3;
    while (take(allowance, RATE, from));
    for (let i = 0; i < 10; i++) {
      if (!take(allowance, RATE, allowedAt(allowance, RATE))) refused++;
    }
  }
  t.equal(refused, 0);
  t.end();
});
