import t from 'tap';
import { afterSeconds, firstOf } from '../../src/core/signals.js';
import { collectGarbage } from '../harness/garbage.js';

t.test('the first of several signals counts, with its reason', async t => {
  const [a, b] = [new AbortController(), new AbortController()];
  const either = firstOf(a.signal, b.signal);
  t.equal(either.aborted, false);
  b.abort('b');
  a.abort('a');
  t.equal(either.reason, 'b');
  t.equal(firstOf(a.signal, new AbortController().signal).reason, 'a', 'one that was aborted');
});

t.test('a signal that is waited for aborts, whatever the garbage collector does', async t => {
  const began = performance.now();
  const waited = new Promise<number>(resolve => {
    const either = firstOf(new AbortController().signal, afterSeconds(0.3));
    either.addEventListener('abort', () => resolve(performance.now() - began));
  });
  const alive = setInterval(() => collectGarbage(), 50);
  t.ok((await waited) >= 290);
  clearInterval(alive);
});

t.test('without a number of seconds it never comes', async t => {
  t.equal(afterSeconds(undefined).aborted, false);
});
