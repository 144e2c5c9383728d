/** The keys of a handset: hold, resume, a second call, transfer. */
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import { parseHandsetKey } from '../../src/calling/handset-key.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';

/** Alice calls; Bob and Carol answer. */
async function office() {
  const world = new Simulation({ seed: 1 });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const carol = await world.addPhone('carol', '10.0.0.3');
  for (const phone of [bob, carol]) phone.person.attend(call => call.answer());
  /** What a line typed at a phone comes to, when all has had its time. */
  const press = async (phone: Telephone, line: string) => {
    let outcome = 'still waiting';
    void phone.handset.press(parseHandsetKey(line)).then(
      call => {
        outcome = call.target;
      },
      error => {
        outcome = error.code;
      },
    );
    await world.clock.advance(2000);
    return outcome;
  };
  const stop = async () => {
    await world.stop();
    t.equal(world.clock.pending, 0, 'nothing is left behind');
  };
  return { world, alice, bob, carol, press, stop };
}

const targets = (calls: readonly Call[]) => calls.map(({ target }) => target);

t.test('hold and resume: done when the other side has agreed', async t => {
  const { world, alice, press, stop } = await office();
  t.equal(await press(alice, 'hold'), 'NO_CALL');
  const call = alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'resume'), 'NO_CALL', 'nobody waits');
  t.equal(await press(alice, 'hold'), 'bob');
  t.equal(call.held, true);
  t.equal(await press(alice, 'hold'), 'NO_CALL', 'he waits already');
  t.equal(await press(alice, 'resume'), 'bob');
  t.equal(call.held, false);
  t.equal(await press(alice, 'hangup'), 'bob');
  t.same(alice.calls.current, []);
  await stop();
});

t.test('a hold that is refused leaves the call as it was', async t => {
  const { world, alice, bob, press, stop } = await office();
  bob.userAgent.onSession = session => {
    session.accept(session.offer ?? '');
    session.on('reoffer', () => session.reject(488));
  };
  const call = alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'hold'), 'HOLD_REFUSED');
  t.equal(call.held, false);
  t.equal(call.phase, 'connected');
  await stop();
});

t.test('consult, then transfer: the two talk, and we are out of it', async t => {
  const { world, alice, bob, carol, press, stop } = await office();
  const call = alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'transfer'), 'NO_CALL', 'there is nobody to join him with');
  t.equal(await press(alice, 'consult carol'), 'carol');
  t.equal(call.held, true, 'Bob waits meanwhile');
  t.same(targets(alice.handset.current), ['carol', 'bob']);
  t.equal(await press(alice, 'resume'), 'bob', 'back and forth between the two');
  t.same(
    alice.handset.current.map(({ held }) => held),
    [true, false],
  );
  t.equal(await press(alice, 'transfer'), 'bob');
  t.same(alice.calls.current, []);
  t.equal(bob.calls.current[0]?.phase, 'connected');
  t.same(targets(bob.calls.current), ['carol']);
  t.equal(carol.calls.current.length, 1);
  await stop();
});

t.test('who was consulted knows no Replaces: we leave that call ourselves', async t => {
  const { world, alice, bob, carol, press, stop } = await office();
  const take = carol.userAgent.onSession;
  carol.userAgent.onSession = session => {
    session.replaces = undefined;
    take?.(session);
  };
  alice.calls.dial('bob');
  await world.clock.advance(1000);
  await press(alice, 'consult carol');
  t.equal(await press(alice, 'transfer'), 'bob');
  t.same(alice.calls.current, []);
  t.same(targets(carol.calls.current), ['bob']);
  t.same(targets(bob.calls.current), ['carol']);
  await stop();
});

t.test('somebody to consult who is not there: the other one waits on', async t => {
  const { world, alice, press, stop } = await office();
  alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'consult nobody@carol'), 'NO_SUCH_NAME');
  t.equal(alice.handset.current[0]?.held, true);
  t.equal(await press(alice, 'resume'), 'bob');
  await stop();
});

t.test('a blind transfer goes to an address, by name as well', async t => {
  const { world, alice, bob, carol, press, stop } = await office();
  alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'transfer nobody@carol'), 'NO_SUCH_NAME');
  t.equal(alice.calls.current.length, 1, 'the call goes on');
  t.equal(await press(alice, 'transfer carol'), 'bob');
  t.same(alice.calls.current, []);
  t.same(targets(bob.calls.current), ['carol']);
  t.equal(carol.calls.current.length, 1);
  await stop();
});

t.test('a phone that takes no transfers: told at once', async t => {
  const { world, alice, bob, press, stop } = await office();
  bob.userAgent.onSession = session => {
    session.accept(session.offer ?? '');
    session.on('request', request => session.respond(request, 501));
  };
  alice.calls.dial('bob');
  await world.clock.advance(1000);
  t.equal(await press(alice, 'transfer carol'), 'FAILED');
  t.equal(alice.calls.current.length, 1);
  await stop();
});

t.test('calls of the phone’s services are none of the person’s', async t => {
  const { world, alice, bob, press, stop } = await office();
  alice.calls.dial('*43@bob');
  await world.clock.advance(1000);
  t.equal(bob.calls.current.length, 1);
  t.equal(await press(bob, 'hangup'), 'NO_CALL');
  t.equal(bob.calls.current.length, 1);
  await stop();
});

t.test('keys are written as words', async t => {
  t.same(parseHandsetKey(' transfer  *43@bob '), { key: 'transfer', who: '*43@bob' });
  t.same(parseHandsetKey('transfer'), { key: 'transfer' });
  for (const line of ['', 'hold bob', 'consult', 'TRANSFER bob', 'dial bob']) {
    t.throws(() => parseHandsetKey(line), { code: 'BAD_KEY' }, line);
  }
});
