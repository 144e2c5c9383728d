import { test } from 'tap';
import { ReplayWindow } from '../../src/overlay/replay-window.js';

test('each number is taken once, in whatever order they come, but not from long ago', async t => {
  const window = new ReplayWindow();
  const boot = 3 * 2 ** 32;
  for (const number of [boot + 5, boot, boot + 3, boot + 2000]) t.ok(window.take('a', number));
  for (const number of [boot + 5, boot, boot + 3, boot + 2000]) t.notOk(window.take('a', number));
  t.ok(window.take('b', boot), 'somebody else has numbers of their own');
  t.ok(window.take('a', boot + 2000 - 1023), 'the last of the window');
  t.notOk(window.take('a', boot + 2000 - 1024));
  t.notOk(window.take('a', boot + 2000 - 1023));
  // Of a number that has left the window nothing is left for the one that has its place.
  for (let number = boot + 2001; number <= boot + 6000; number++) t.ok(window.take('a', number));
  t.notOk(window.take('a', boot + 5999));
  t.ok(window.take('a', Number.MAX_SAFE_INTEGER));
  t.notOk(window.take('a', boot + 6001));
});

test('all numbers, shuffled within the window, are each taken once', async t => {
  const window = new ReplayWindow();
  let taken = 0;
  let again = 0;
  for (let block = 0; block < 50; block++) {
    for (let n = 0; n < 1000; n++) {
      const number = block * 1000 + ((n * 617) % 1000);
      if (window.take('a', number)) taken++;
      if (window.take('a', number)) again++;
    }
  }
  t.same([taken, again], [50_000, 0]);
});
