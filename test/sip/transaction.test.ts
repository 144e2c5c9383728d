import { parseMessage, type SipRequest, type SipResponse } from '@sip-stack/parser';
import t from 'tap';
import { makeResponse } from '../../src/sip/response.js';
import { inviteClient, stepInviteClient } from '../../src/sip/transaction/invite-client.js';
import {
  inviteServer,
  startInviteServer,
  stepInviteServer,
} from '../../src/sip/transaction/invite-server.js';
import {
  type ClientAction,
  RFC3261_TIMERS,
  type ServerAction,
  type TransactionSettings,
} from '../../src/sip/transaction/machine.js';
import {
  nonInviteClient,
  stepNonInviteClient,
} from '../../src/sip/transaction/non-invite-client.js';
import {
  nonInviteServer,
  stepNonInviteServer,
} from '../../src/sip/transaction/non-invite-server.js';

const unreliable: TransactionSettings = { timers: RFC3261_TIMERS, reliable: false };
const reliable: TransactionSettings = { timers: RFC3261_TIMERS, reliable: true };

function request(method: string): SipRequest {
  const message = parseMessage(
    Buffer.from(
      [
        `${method} sip:bob@10.0.0.2 SIP/2.0`,
        'Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1',
        'Max-Forwards: 70',
        'From: <sip:alice@10.0.0.1>;tag=a',
        'To: <sip:bob@10.0.0.2>',
        'Route: <sip:10.0.0.9;lr>',
        'Call-ID: 1',
        `CSeq: 1 ${method}`,
        '\r\n',
      ].join('\r\n'),
    ),
  );
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

const answer = (status: number, method = 'INVITE'): SipResponse =>
  makeResponse(request(method), status, 'b');

/** Actions as short text: `send INVITE`, `set A 500`, `deliver 180`. */
function brief(actions: readonly (ClientAction | ServerAction)[]): string[] {
  return actions.map(inShort);
}

function inShort(action: ClientAction | ServerAction): string {
  switch (action.type) {
    case 'send':
      return action.message.kind === 'request'
        ? `send ${action.message.method}`
        : `send ${action.message.status}`;
    case 'set-timer':
      return `set ${action.timer} ${action.ms}`;
    case 'cancel-timer':
      return `cancel ${action.timer}`;
    case 'deliver':
      return `deliver ${action.response.status}`;
    case 'fail':
      return `fail ${action.reason}`;
    case 'terminate':
      return 'terminate';
  }
}

t.test('INVITE client: timer A doubles from T1, B ends it at 64 T1 (§17.1.1.2)', async t => {
  const tx = inviteClient(request('INVITE'), unreliable);
  t.same(brief(stepInviteClient(tx, { type: 'start' })), [
    'send INVITE',
    'set B 32000',
    'set A 500',
  ]);
  for (const ms of [1000, 2000, 4000, 8000, 16_000, 32_000]) {
    t.same(brief(stepInviteClient(tx, { type: 'timer', timer: 'A' })), [
      'send INVITE',
      `set A ${ms}`,
    ]);
  }
  t.same(brief(stepInviteClient(tx, { type: 'timer', timer: 'B' })), ['fail timeout', 'terminate']);
  t.equal(tx.state, 'terminated');
});

t.test('INVITE client: nothing is sent again over a reliable transport', async t => {
  const tx = inviteClient(request('INVITE'), reliable);
  t.same(brief(stepInviteClient(tx, { type: 'start' })), ['send INVITE', 'set B 32000']);
  const refused = stepInviteClient(tx, { type: 'response', response: answer(486) });
  t.same(brief(refused), ['cancel A', 'cancel B', 'send ACK', 'deliver 486', 'terminate']);
});

t.test('INVITE client: a refusal is acknowledged as often as it comes, for 32 s', async t => {
  const tx = inviteClient(request('INVITE'), unreliable);
  stepInviteClient(tx, { type: 'start' });
  const response = answer(486);
  t.same(brief(stepInviteClient(tx, { type: 'response', response })), [
    'cancel A',
    'cancel B',
    'send ACK',
    'deliver 486',
    'set D 32000',
  ]);
  t.same(brief(stepInviteClient(tx, { type: 'response', response })), ['send ACK']);
  t.same(brief(stepInviteClient(tx, { type: 'transport-error' })), ['terminate'], 'told already');
});

t.test(
  'INVITE client: the ACK to a refusal has the branch, route and CSeq of its INVITE (§17.1.1.3)',
  async t => {
    const tx = inviteClient(request('INVITE'), unreliable);
    const actions = stepInviteClient(tx, { type: 'response', response: answer(404) });
    const sent = actions.find(action => action.type === 'send')?.message as SipRequest;
    t.equal(sent.method, 'ACK');
    t.equal(sent.headers.text('Via'), 'SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1');
    t.equal(sent.headers.text('Route'), '<sip:10.0.0.9;lr>');
    t.equal(sent.headers.text('CSeq'), '1 ACK');
    t.match(sent.headers.text('To'), /tag=b/);
  },
);

t.test(
  'INVITE client: every 2xx is delivered, also of other forks, for 64 T1 (RFC 6026 §7.2)',
  async t => {
    const tx = inviteClient(request('INVITE'), unreliable);
    stepInviteClient(tx, { type: 'start' });
    t.same(brief(stepInviteClient(tx, { type: 'response', response: answer(200) })), [
      'cancel A',
      'cancel B',
      'deliver 200',
      'set M 32000',
    ]);
    t.same(brief(stepInviteClient(tx, { type: 'response', response: answer(200) })), [
      'deliver 200',
    ]);
    t.same(brief(stepInviteClient(tx, { type: 'response', response: answer(486) })), []);
    t.same(brief(stepInviteClient(tx, { type: 'transport-error' })), []);
    t.same(brief(stepInviteClient(tx, { type: 'timer', timer: 'M' })), ['terminate']);
  },
);

t.test('INVITE client: once it rings, it rings without a limit of the transaction', async t => {
  const tx = inviteClient(request('INVITE'), unreliable);
  stepInviteClient(tx, { type: 'start' });
  stepInviteClient(tx, { type: 'response', response: answer(180) });
  t.same(brief(stepInviteClient(tx, { type: 'timer', timer: 'A' })), []);
  t.same(brief(stepInviteClient(tx, { type: 'timer', timer: 'B' })), []);
  t.equal(tx.state, 'proceeding');
});

t.test('non-INVITE client: timer E doubles up to T2, F ends it at 64 T1 (§17.1.2.2)', async t => {
  const tx = nonInviteClient(request('BYE'), unreliable);
  t.same(brief(stepNonInviteClient(tx, { type: 'start' })), [
    'send BYE',
    'set F 32000',
    'set E 500',
  ]);
  for (const ms of [1000, 2000, 4000, 4000]) {
    t.same(brief(stepNonInviteClient(tx, { type: 'timer', timer: 'E' })), [
      'send BYE',
      `set E ${ms}`,
    ]);
  }
  t.same(brief(stepNonInviteClient(tx, { type: 'timer', timer: 'F' })), [
    'fail timeout',
    'terminate',
  ]);
});

t.test('non-INVITE client: after a provisional response it asks every T2', async t => {
  const tx = nonInviteClient(request('BYE'), unreliable);
  stepNonInviteClient(tx, { type: 'start' });
  stepNonInviteClient(tx, { type: 'response', response: answer(100, 'BYE') });
  t.same(brief(stepNonInviteClient(tx, { type: 'timer', timer: 'E' })), ['send BYE', 'set E 4000']);
  t.same(brief(stepNonInviteClient(tx, { type: 'response', response: answer(200, 'BYE') })), [
    'cancel E',
    'cancel F',
    'deliver 200',
    'set K 5000',
  ]);
  t.same(brief(stepNonInviteClient(tx, { type: 'response', response: answer(200, 'BYE') })), []);
});

t.test(
  'INVITE server: 100 goes out by itself after 200 ms, unless something did (§17.2.1)',
  async t => {
    t.same(brief(startInviteServer()), ['set trying 200']);
    const trying = () => answer(100);
    const slow = inviteServer(unreliable);
    t.same(brief(stepInviteServer(slow, { type: 'timer', timer: 'trying' }, trying)), [
      'cancel trying',
      'send 100',
    ]);
    const quick = inviteServer(unreliable);
    stepInviteServer(quick, { type: 'respond', response: answer(180) }, trying);
    t.same(brief(stepInviteServer(quick, { type: 'timer', timer: 'trying' }, trying)), []);
  },
);

t.test(
  'INVITE server: a refusal is sent again, G doubling up to T2, until its ACK or 64 T1',
  async t => {
    const trying = () => answer(100);
    const tx = inviteServer(unreliable);
    t.same(brief(stepInviteServer(tx, { type: 'respond', response: answer(486) }, trying)), [
      'cancel trying',
      'send 486',
      'set H 32000',
      'set G 500',
    ]);
    for (const ms of [1000, 2000, 4000, 4000]) {
      t.same(brief(stepInviteServer(tx, { type: 'timer', timer: 'G' }, trying)), [
        'send 486',
        `set G ${ms}`,
      ]);
    }
    const acked = stepInviteServer(tx, { type: 'request', request: request('ACK') }, trying);
    t.same(brief(acked), ['cancel G', 'cancel H', 'set I 5000']);
    t.same(
      brief(stepInviteServer(tx, { type: 'request', request: request('INVITE') }, trying)),
      [],
    );
    t.same(brief(stepInviteServer(tx, { type: 'timer', timer: 'I' }, trying)), ['terminate']);
    const deaf = inviteServer(unreliable);
    stepInviteServer(deaf, { type: 'respond', response: answer(486) }, trying);
    t.same(brief(stepInviteServer(deaf, { type: 'timer', timer: 'H' }, trying)), [
      'fail timeout',
      'terminate',
    ]);
  },
);

t.test(
  'INVITE server: after a 2xx it absorbs retransmissions for 64 T1 (RFC 6026 §7.1)',
  async t => {
    const trying = () => answer(100);
    const tx = inviteServer(unreliable);
    t.same(brief(stepInviteServer(tx, { type: 'respond', response: answer(200) }, trying)), [
      'cancel trying',
      'send 200',
      'set L 32000',
    ]);
    t.same(
      brief(stepInviteServer(tx, { type: 'request', request: request('INVITE') }, trying)),
      [],
    );
    t.same(brief(stepInviteServer(tx, { type: 'respond', response: answer(200) }, trying)), [
      'send 200',
    ]);
    t.same(brief(stepInviteServer(tx, { type: 'respond', response: answer(486) }, trying)), []);
    t.same(brief(stepInviteServer(tx, { type: 'timer', timer: 'L' }, trying)), ['terminate']);
  },
);

t.test('non-INVITE server: retransmissions get the last response, for 64 T1', async t => {
  const tx = nonInviteServer(unreliable);
  t.same(brief(stepNonInviteServer(tx, { type: 'request', request: request('BYE') })), []);
  t.same(brief(stepNonInviteServer(tx, { type: 'respond', response: answer(200, 'BYE') })), [
    'send 200',
    'set J 32000',
  ]);
  t.same(brief(stepNonInviteServer(tx, { type: 'request', request: request('BYE') })), [
    'send 200',
  ]);
  t.same(brief(stepNonInviteServer(tx, { type: 'respond', response: answer(500, 'BYE') })), []);
  t.same(brief(stepNonInviteServer(tx, { type: 'timer', timer: 'J' })), ['terminate']);
});
