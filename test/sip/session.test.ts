import t, { type Test } from 'tap';
import type { SipSession } from '../../src/sip/session/session.js';
import { ALICE, BOB, type Pair, pair, record } from './pair.js';

/** Bob rings, answers after a second, and keeps the session. */
function answering(pair: Pair, answer = 'answer'): { sessions: SipSession[]; events: string[][] } {
  const sessions: SipSession[] = [];
  const events: string[][] = [];
  pair.bob.onSession = session => {
    sessions.push(session);
    events.push(record(session));
    session.ring();
    pair.clock.after(1000, () => session.accept(answer));
  };
  return { sessions, events };
}

function isIdle(t: Test, { alice, bob }: Pair): void {
  const idle = { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 };
  t.same(alice.load, idle, 'nothing is left at the caller');
  t.same(bob.load, idle, 'nothing is left at the callee');
}

t.test('a call rings, is answered, and ends for both when one hangs up', async t => {
  const lab = await pair();
  const bob = answering(lab);
  const session = lab.call('offer');
  const events = record(session);
  await lab.clock.advance(5000);
  t.same(events, ['ringing', 'answered answer']);
  t.same(bob.events, [['confirmed undefined']]);
  t.equal(bob.sessions[0]?.offer, 'offer');
  t.equal(bob.sessions[0]?.calledUser, 'bob');
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  t.same(events.at(-1), 'ended by remote 200');
  t.same(bob.events[0]?.at(-1), 'ended by local 200');
  await lab.clock.advance(60_000);
  isIdle(t, lab);
});

t.test('a caller that gives up while it rings cancels, and the callee hears it', async t => {
  const lab = await pair();
  const events: string[][] = [];
  lab.bob.onSession = session => {
    events.push(record(session));
    session.ring();
  };
  const session = lab.call();
  const mine = record(session);
  await lab.clock.advance(500);
  session.hangUp();
  await lab.clock.advance(500);
  t.same(mine, ['ringing', 'ended by local 487']);
  t.same(events, [['ended by remote 487']]);
  await lab.clock.advance(60_000);
  isIdle(t, lab);
});

t.test('a CANCEL that waits for the first provisional response goes out then', async t => {
  const lab = await pair();
  let theirs: string[] = [];
  lab.bob.onSession = session => {
    theirs = record(session);
  };
  const session = lab.call();
  session.hangUp();
  await lab.clock.advance(150);
  t.notOk(lab.network.traceText().includes('CANCEL'), 'no CANCEL before a provisional response');
  await lab.clock.advance(1000);
  t.same(theirs, ['ended by remote 487']);
});

t.test('a 200 that crosses the CANCEL is acknowledged and ended by BYE', async t => {
  const lab = await pair(1, { delayMs: 50 });
  let theirs: string[] = [];
  lab.bob.onSession = session => {
    theirs = record(session);
    session.ring();
    lab.clock.after(200, () => session.accept('answer'));
  };
  const session = lab.call();
  const mine = record(session);
  // Rings at 100; the 200 leaves at 250 and is under way when we give up at 260.
  await lab.clock.advance(260);
  session.hangUp();
  await lab.clock.advance(40_000);
  t.same(mine, ['ringing', 'ended by local 487']);
  t.same(theirs, ['confirmed undefined', 'ended by remote 200']);
  await lab.clock.advance(60_000);
  isIdle(t, lab);
});

t.test('a refusal reaches the caller with its status', async t => {
  const lab = await pair();
  lab.bob.onSession = session => session.reject(486);
  const session = lab.call();
  const mine = record(session);
  await lab.clock.advance(100);
  t.same(mine, ['ended by remote 486']);
  await lab.clock.advance(60_000);
  isIdle(t, lab);
});

t.test('nobody there: the INVITE times out after 64 times T1', async t => {
  const lab = await pair();
  await lab.bob.stop();
  const session = lab.call();
  const mine = record(session);
  await lab.clock.advance(31_900);
  t.same(mine, []);
  await lab.clock.advance(200);
  t.same(mine, ['ended by remote 408']);
});

t.test('a cut link fails the INVITE at once', async t => {
  const lab = await pair();
  lab.network.setLink(ALICE, false);
  const mine = record(lab.call());
  await lab.clock.advance(10);
  t.same(mine, ['ended by remote 503']);
});

t.test('a lost ACK is made good by the next retransmission of the 200', async t => {
  const lab = await pair();
  const bob = answering(lab);
  const session = lab.call();
  record(session);
  await lab.clock.advance(1001.5);
  // The 200 has arrived; the link goes down under the ACK and comes back.
  lab.network.setLink(BOB, false);
  await lab.clock.advance(2000);
  lab.network.setLink(BOB, true);
  t.same(bob.events[0], []);
  await lab.clock.advance(4000);
  t.same(bob.events[0], ['confirmed undefined']);
});

t.test('an answer never acknowledged ends the call after 64 times T1, with a BYE', async t => {
  const lab = await pair();
  const bob = answering(lab);
  lab.call();
  await lab.clock.advance(1000.5);
  lab.network.setLink(ALICE, false);
  await lab.clock.advance(33_000);
  t.same(bob.events[0], ['ended by local 408']);
  t.ok(lab.network.traceText().includes('BYE'));
});

t.test('a callee that hangs up before the ACK waits for it before its BYE', async t => {
  const lab = await pair(1, { delayMs: 100 });
  let theirs: string[] = [];
  lab.bob.onSession = session => {
    theirs = record(session);
    session.accept('answer');
    session.hangUp();
  };
  const session = lab.call();
  const mine = record(session);
  await lab.clock.advance(2000);
  t.same(theirs, ['ended by local 200']);
  t.same(mine, ['answered answer', 'ended by remote 200']);
  const methods = lab.network.trace.map(({ what }) => what.split(' ')[1]);
  t.ok(methods.indexOf('ACK') < methods.indexOf('BYE'), 'ACK, then BYE');
});

t.test('a network that doubles every datagram makes no second call', async t => {
  const lab = await pair(1, { duplication: 1 });
  const bob = answering(lab);
  const mine = record(lab.call());
  await lab.clock.advance(3000);
  t.equal(bob.sessions.length, 1);
  t.same([...new Set(mine)], ['ringing', 'answered answer']);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
  t.test(`both sides agree on every call over a bad network (seed ${seed})`, async t => {
    const link = { delayMs: 20, jitterMs: 80, loss: 0.25, duplication: 0.1 };
    const lab = await pair(seed, link);
    const bob = answering(lab);
    const mine: string[][] = [];
    for (let i = 0; i < 20; i++) {
      const session = lab.call();
      mine.push(record(session));
      lab.clock.after(500 + i * 97, () => session.hangUp());
    }
    await lab.clock.advance(200_000);
    for (const events of mine) t.match(events.at(-1), /^ended/);
    for (const events of bob.events) t.match(events.at(-1), /^ended/);
    isIdle(t, lab);
  });
}

t.test('OPTIONS is answered with what this phone can do', async t => {
  const lab = await pair();
  const { sipUri, Allow } = await import('@sip-stack/parser');
  const uri = sipUri({ host: BOB });
  const asked = lab.alice.ping(uri, { address: BOB, port: 5060 }, 'alice');
  await lab.clock.advance(100);
  const response = await asked;
  t.equal(response.status, 200);
  t.same(response.headers.all(Allow), [
    'INVITE',
    'ACK',
    'CANCEL',
    'BYE',
    'OPTIONS',
    'PRACK',
    'UPDATE',
    'REFER',
    'NOTIFY',
    'INFO',
  ]);
});

t.test('stopping hangs up, and closes without waiting for ever', async t => {
  const lab = await pair();
  const bob = answering(lab);
  lab.call();
  await lab.clock.advance(2000);
  const stopped = lab.alice.stop();
  await lab.clock.advance(2000);
  await stopped;
  t.match(bob.events[0]?.at(-1), 'ended by remote 200');
  t.equal(lab.clock.pending, lab.bob.load.serverTransactions, 'only the other side keeps timers');
});
