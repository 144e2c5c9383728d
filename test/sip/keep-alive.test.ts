/** Flows of datagrams that are kept alive by STUN: RFC 5626 §4.4.2, RFC 8489. */
import t from 'tap';
import type { Endpoint } from '../../src/core/network.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import {
  type BindingAction,
  type BindingEvent,
  type BindingKeeper,
  newBindingKeeper,
  stepBindingKeeper,
} from '../../src/sip/transport/binding-keeper.js';
import { DatagramFlows } from '../../src/sip/transport/datagram-flows.js';
import { bindingRequest, bindingResponse, isStun, readStun } from '../../src/sip/transport/stun.js';
import { explore, sameTable } from '../harness/explore.js';
import { ALICE, BOB, lab, SIP_PORT } from './transport-lab.js';

/** RFC 5769 §2.2 and §2.3, with SOFTWARE before and the rest after what we read. */
const RESPONSE_IPV4 =
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643' +
  '000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96';
const RESPONSE_IPV6 =
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147' +
  '0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c';

const KEEPER = `
idle: start: -> pausing +timer
idle: ! timer, answered, a stranger’s answer
pausing: timer: -> asking send +timer
pausing: ! start, answered, a stranger’s answer
asking: timer: -> lost lost | send +timer
asking: answered: -> lost lost | -> pausing +timer
asking: - a stranger’s answer
asking: ! start
lost: - timer, answered, a stranger’s answer
lost: ! start
`;

t.test('responses of others are read', async t => {
  const read = (hex: string) => {
    const message = readStun(Buffer.from(hex, 'hex'));
    return message?.type === 'response' ? message.mapped : undefined;
  };
  t.same(read(RESPONSE_IPV4), { address: '192.0.2.1', port: 32853 });
  t.same(read(RESPONSE_IPV6), { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 });
});

t.test('what we write is read again, and its remains are not', async t => {
  const id = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');
  const places: Endpoint[] = [
    { address: '203.0.113.9', port: 1 },
    { address: '2001:db8:0:0:0:0:0:1', port: 65535 },
    { address: 'fe80:0:0:0:1:2:3:4', port: 5060 },
  ];
  for (const mapped of places) {
    const response = bindingResponse(id, mapped);
    t.ok(isStun(response));
    t.match(readStun(response), { type: 'response', mapped });
    for (let octets = 20; octets < response.length; octets++) {
      t.equal(readStun(response.subarray(0, octets)), undefined);
    }
  }
  t.match(readStun(bindingResponse(id, { address: '2001:db8::1', port: 5 })), {
    mapped: { address: '2001:db8:0:0:0:0:0:1' },
  });
  t.match(readStun(bindingResponse(id, { address: '::ffff:192.0.2.1', port: 5 })), {
    mapped: { address: '0:0:0:0:0:ffff:c000:201' },
  });
  t.same(readStun(bindingRequest(id)), { type: 'request', id: new Uint8Array(id) });
  t.notOk(isStun(Buffer.from('OPTIONS sip:a@b SIP/2.0')));
});

t.test('keepers', async t => {
  interface Model {
    keeper: BindingKeeper;
    timer: boolean;
    started: boolean;
  }
  const answer = (id: string, port: number): BindingEvent => {
    return { type: 'response', id, mapped: { address: '192.0.2.1', port } };
  };
  const walk = explore<Model, BindingEvent, BindingAction>({
    types: { start: true, timer: true, response: true },
    starts: [
      {
        keeper: newBindingKeeper({ intervalMs: 1000, chance: () => 0, newId: () => 'ours' }),
        timer: false,
        started: false,
      },
    ],
    events: {
      start: ({ started }) => (started ? undefined : { type: 'start' }),
      timer: ({ timer }) => (timer ? { type: 'timer' } : undefined),
      answered: ({ keeper, started }) =>
        started && (keeper.asked || keeper.lost)
          ? [answer('ours', 1), answer('ours', 2)]
          : undefined,
      'a stranger’s answer': ({ keeper }) => (keeper.asked ? answer('theirs', 3) : undefined),
    },
    copy: model => ({
      ...model,
      keeper: { ...model.keeper, asked: model.keeper.asked && { ...model.keeper.asked } },
    }),
    step: (model, event) => {
      if (event.type === 'start') model.started = true;
      if (event.type === 'timer') model.timer = false;
      const actions = stepBindingKeeper(model.keeper, event);
      for (const action of actions) if (action.type === 'set-timer') model.timer = true;
      return actions;
    },
    key: ({ keeper, timer, started }) =>
      [keeper.asked?.times, keeper.mapped, keeper.lost, timer, started].join(),
    mode: ({ keeper, started }) =>
      keeper.lost ? 'lost' : keeper.asked ? 'asking' : started ? 'pausing' : 'idle',
    brief: action => (action.type === 'set-timer' ? '+timer' : action.type),
    check: ({ after: { keeper, timer, started } }) => {
      if (started && !keeper.lost && !timer) throw new Error('it has gone to sleep');
      if ((keeper.asked?.times ?? 0) > 7) throw new Error('asked too often (RFC 8489 §6.2.1)');
    },
  });
  sameTable(t, walk, KEEPER);
});

t.test('a phone answers keep-alives at its SIP port, and keeps its own flow by them', async t => {
  const { clock, network, agent } = lab();
  const alice = await agent(ALICE);
  await agent(BOB);
  const lost: string[] = [];
  const target = { protocol: 'UDP', endpoint: { address: BOB, port: SIP_PORT } } as const;
  const stop = alice.transports.keepFlow(target, { answers: true }, error =>
    lost.push(error.message),
  );
  await clock.advance(120_000);
  const asked = () => network.trace.filter(({ to }) => to === `${BOB}:${SIP_PORT}`).length;
  t.ok(asked() >= 4 && asked() <= 5, `${asked()} in two minutes: every 23 to 29 s`);
  t.same(lost, []);
  network.setLink(BOB, false);
  await clock.advance(29_000 + 39_500);
  t.match(lost, [/10\.0\.0\.2:5060 \(UDP\).*nobody answers/]);
  network.setLink(BOB, true);
  const before = asked();
  await clock.advance(120_000);
  t.equal(asked(), before, 'a lost flow is nobody’s');
  const again = alice.transports.keepFlow(target, { answers: true }, () => undefined);
  again?.();
  stop?.();
  await clock.advance(120_000);
  t.equal(asked(), before);
});

t.test('a NAT that gives us another address ends the flow', async t => {
  const clock = new VirtualClock();
  const lost: string[] = [];
  let port = 40_000;
  const to = { address: '192.0.2.9', port: 5060 };
  const flows = new DatagramFlows({
    clock,
    random: new SeededRandom(1),
    send: data => {
      const message = readStun(data);
      if (!message) return;
      const response = readStun(bindingResponse(message.id, { address: '203.0.113.7', port }));
      clock.after(10, () => response && flows.receive(response, to));
    },
  });
  flows.keep({ to, intervalMs: 10_000, answers: true, lost: error => lost.push(error.message) });
  await clock.advance(60_000);
  t.same(lost, []);
  port++;
  await clock.advance(11_000);
  t.match(lost, [/we are seen at 203\.0\.113\.7:40001, no longer at 203\.0\.113\.7:40000/]);
  t.equal(clock.pending, 0);
});
