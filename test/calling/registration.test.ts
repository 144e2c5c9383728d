import t from 'tap';
import {
  newRegistration,
  type RegistrationAction,
  type RegistrationEvent,
  stepRegistration,
} from '../../src/calling/registration-machine.js';

function machine(chance = 1 - Number.EPSILON) {
  const state = newRegistration(600, () => chance);
  const step = (event: RegistrationEvent) => stepRegistration(state, event).map(brief);
  const answer = (status: number, more = {}) =>
    step({ type: 'answer', answer: { status, reason: '', ...more } });
  return { state, step, answer };
}

function brief(action: RegistrationAction): string {
  switch (action.type) {
    case 'register':
      return `register ${action.expiresS}${action.outbound ? '' : ' by address'}`;
    case 'set-timer':
      return `wait ${Math.round(action.ms / 1000)} s`;
    case 'cancel-timer':
      return 'cancel';
    case 'tell':
      return 'tell';
  }
}

t.test('it registers, and refreshes before what was granted is over', async t => {
  const { state, step, answer } = machine();
  t.same(step({ type: 'start' }), ['register 600']);
  t.same(answer(200, { expiresS: 300 }), ['wait 260 s', 'tell']);
  t.equal(state.phase, 'registered');
  t.same(step({ type: 'timer' }), ['register 600']);
  t.equal(state.phase, 'registered', 'a refresh under way is no loss');
  t.same(answer(200, { expiresS: 20 }), ['wait 10 s', 'tell'], 'half of a short interval');
});

t.test('an interval too brief for the registrar is raised to what it wants', async t => {
  const { step, answer } = machine();
  step({ type: 'start' });
  t.same(answer(423, { minExpiresS: 1800 }), ['register 1800']);
  t.same(answer(423, { minExpiresS: 60 }), ['wait 30 s', 'tell'], 'less than asked makes no sense');
});

t.test(
  'after a change of address what cannot be sent yet is sent again soon, four times',
  async t => {
    const { step, answer } = machine();
    step({ type: 'start' });
    answer(200);
    t.same(step({ type: 'network-changed' }), ['cancel', 'register 600']);
    for (const seconds of [1, 1, 2, 4, 30]) {
      t.same(answer(503), [`wait ${seconds} s`, 'tell']);
      step({ type: 'timer' });
    }
    answer(200);
    step({ type: 'network-changed' });
    t.same(answer(503, { retryAfterS: 60 }), ['wait 60 s', 'tell'], 'a server knows better');
  },
);

t.test('failures are followed by longer and longer pauses, half an hour at most', async t => {
  const { state, step, answer } = machine();
  step({ type: 'start' });
  for (const seconds of [30, 60, 120, 240, 480, 960, 1800, 1800]) {
    t.same(answer(503), [`wait ${seconds} s`, 'tell']);
    t.equal(state.phase, 'failed');
    t.same(step({ type: 'timer' }), ['register 600']);
  }
  t.same(answer(503, { retryAfterS: 3000 }), ['wait 3000 s', 'tell']);
  step({ type: 'timer' });
  answer(200);
  step({ type: 'timer' });
  t.same(answer(408), ['wait 30 s', 'tell'], 'success wipes the slate');
});

t.test('pauses are spread by chance', async t => {
  const { step, answer } = machine(0);
  step({ type: 'start' });
  t.same(answer(503), ['wait 15 s', 'tell']);
});

t.test('a new address is registered at once, also while an attempt is under way', async t => {
  const { step, answer } = machine();
  step({ type: 'start' });
  t.same(step({ type: 'network-changed' }), []);
  t.same(answer(200), ['register 600'], 'what was granted was for the old address');
  t.same(answer(200), ['wait 560 s', 'tell']);
  t.same(step({ type: 'network-changed' }), ['cancel', 'register 600']);
});

t.test('stopping removes the binding, where there may be one', async t => {
  const { state, step, answer } = machine();
  step({ type: 'start' });
  t.same(step({ type: 'stop' }), ['cancel'], 'one REGISTER at a time (RFC 3261 §10.2)');
  t.same(answer(200), ['register 0']);
  t.same(answer(200), ['tell']);
  t.equal(state.phase, 'stopped');
  t.same(step({ type: 'timer' }), []);
  const other = machine();
  other.step({ type: 'start' });
  other.answer(403);
  t.same(other.step({ type: 'stop' }), ['cancel', 'tell']);
});

t.test(
  'a lost flow is registered anew at once, one that is lost again and again after pauses',
  async t => {
    const { state, step, answer } = machine();
    const lost = () => step({ type: 'flow-lost', reason: 'closed' });
    step({ type: 'start' });
    answer(200);
    t.same(lost(), ['cancel', 'register 600']);
    t.same(lost(), [], 'the attempt under way tells');
    t.equal(state.phase, 'registering');
    answer(200);
    t.same(lost(), ['cancel', 'wait 30 s', 'tell']);
    t.equal(state.phase, 'failed');
    step({ type: 'timer' });
    answer(200);
    t.same(lost(), ['cancel', 'wait 60 s', 'tell']);
    step({ type: 'timer' });
    answer(200);
    step({ type: 'timer' });
    t.same(lost(), [], 'a refresh is under way');
    t.same(answer(200), ['register 600'], 'and may have gone by the flow that is lost');
    answer(200);
    step({ type: 'timer' });
    answer(200);
    t.same(lost(), ['cancel', 'register 600'], 'a flow that lasted wipes the slate');
  },
);

t.test('a first hop that keeps no flows is registered at by address', async t => {
  const { step, answer } = machine();
  step({ type: 'start' });
  t.same(answer(439), ['register 600 by address']);
  t.same(answer(439), ['wait 30 s', 'tell'], 'it is not asked for ever');
});

t.test('being seen elsewhere is registered, but not for ever', async t => {
  const { step, answer } = machine();
  const moved = () => step({ type: 'moved' });
  step({ type: 'start' });
  t.same(moved(), []);
  for (let nth = 1; nth <= 2; nth++) {
    answer(200);
    t.same(moved(), ['cancel', 'register 600']);
  }
  answer(200);
  t.same(moved(), [], 'a NAT with another address each time');
  step({ type: 'timer' });
  answer(200);
  t.same(moved(), ['cancel', 'register 600']);
});
