/** Digits of a call: by named events, by INFO, as tones; and the machine that chooses. */
import { Headers, SipRequest, sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import { readInfo, writeInfo } from '../../src/calling/digit-info.js';
import {
  type DigitRoute,
  type DigitsAction,
  type DigitsEvent,
  type DigitsState,
  newDigits,
  SAME_PRESS_MS,
  stepDigits,
} from '../../src/calling/digits-machine.js';
import { parseHandsetKey } from '../../src/calling/handset-key.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { explore, sameTable } from '../harness/explore.js';
import { type Answer, peerAt } from '../sip/peer.js';

function infoWith(type: string | undefined, body: string): SipRequest {
  const headers = new Headers();
  if (type !== undefined) headers.setText('Content-Type', type);
  return new SipRequest({
    method: 'INFO',
    uri: sipUri({ scheme: 'sip', host: 'local' }),
    headers,
    body: Buffer.from(body),
  });
}

const RELAY = 'application/dtmf-relay';
const bodies: readonly [what: string, type: string | undefined, body: string, read: string][] = [
  ['as it should be', RELAY, 'Signal=5\r\nDuration=160\r\n', '5'],
  ['a space before the digit', RELAY, 'Signal= 5\r\nDuration= 160\r\n', '5'],
  ['spaces everywhere', RELAY, '  signal  =  #  \n Duration=100', '#'],
  ['the duration first', RELAY, 'Duration=250\r\nSignal=*', '*'],
  ['an event number', RELAY, 'Signal=10\r\n', '*'],
  ['another', RELAY, 'Signal=11\r\n', '#'],
  ['a small letter', RELAY, 'Signal=d\r\n', 'D'],
  ['another case of the type', 'Application/DTMF-Relay', 'SIGNAL=7', '7'],
  ['the digit alone', 'application/dtmf', '9', '9'],
  ['the digit alone, with spaces and a line end', 'application/dtmf', '  9 \r\n', '9'],
  ['a flash of the hook', RELAY, 'Signal=hf\r\n', 'nothing'],
  ['a flash by its number', RELAY, 'Signal=16\r\n', 'nothing'],
  ['nothing at all', undefined, '', 'nothing'],
  ['no signal', RELAY, 'Duration=160\r\n', '400'],
  ['two digits', 'application/dtmf', '12345', '400'],
  ['another thing', 'application/media_control+xml', '<x/>', '415'],
  ['without a type', undefined, '5', '415'],
];
for (const [what, type, body, expected] of bodies) {
  t.test(`INFO, ${what}: ${expected}`, async t => {
    const read = readInfo(infoWith(type, body));
    const told =
      read.type === 'digit' ? read.digit : read.type === 'refused' ? `${read.status}` : read.type;
    t.equal(told, expected);
    if (told === '415') t.match(read, { headers: { Accept: /dtmf-relay/ } });
  });
}

t.test('what we write in an INFO we read', async t => {
  const { headers, body } = writeInfo('#');
  t.same(readInfo(infoWith(headers['Content-Type'], Buffer.from(body ?? '').toString())), {
    type: 'digit',
    digit: '#',
  });
});

t.test('the key `digits` takes what numbers are written with', async t => {
  t.same(parseHandsetKey('digits 12 34#'), { key: 'digits', digits: '1234#' });
  t.throws(() => parseHandsetKey('digits'), { code: 'BAD_DIGITS' });
  t.throws(() => parseHandsetKey('digits x'), { code: 'BAD_DIGITS' });
});

// ---- the machine

const TABLE = `
idle: send, both have events: -> events play 12 by events
idle: send, no events: -> info info
idle: event heard, tone heard: tell
idle: INFO heard at once: -> idle, INFO heard | -> idle, INFO heard tell
idle: INFO heard later: -> idle, INFO heard tell
idle: - sent, sent, events are gone, INFO 200, INFO 415
events: sent: -> idle done | play 12 by events
events: sent, events are gone: -> idle done | -> info info
events: event heard, tone heard: tell
events: INFO heard at once: -> events, INFO heard | -> events, INFO heard tell
events: INFO heard later: -> events, INFO heard tell
events: - send, both have events, send, no events, INFO 200, INFO 415
info: INFO 200: -> idle done | info
info: INFO 415: -> tones, no INFO play 12 by tones | -> tones, no INFO play 2 by tones | -> tones, no INFO play more by tones
info: event heard, tone heard: tell
info: INFO heard at once: -> info, INFO heard | -> info, INFO heard tell
info: INFO heard later: -> info, INFO heard tell
info: - send, both have events, send, no events, sent, sent, events are gone
idle, INFO heard: send, both have events: -> events, INFO heard play 12 by events
idle, INFO heard: send, no events: -> info, INFO heard info
idle, INFO heard: event heard, INFO heard at once, INFO heard later: tell
idle, INFO heard: - sent, sent, events are gone, INFO 200, INFO 415, tone heard
events, INFO heard: sent: -> idle, INFO heard done | play 12 by events
events, INFO heard: sent, events are gone: -> idle, INFO heard done | -> info, INFO heard info
events, INFO heard: event heard, INFO heard at once, INFO heard later: tell
events, INFO heard: - send, both have events, send, no events, INFO 200, INFO 415, tone heard
tones, no INFO: sent: -> events, no INFO play 12 by events | -> idle, no INFO done
tones, no INFO: sent, events are gone: -> idle, no INFO done | play 12 by tones
tones, no INFO: event heard, tone heard: tell
tones, no INFO: INFO heard at once: -> tones, no INFO, INFO heard | -> tones, no INFO, INFO heard tell
tones, no INFO: INFO heard later: -> tones, no INFO, INFO heard tell
tones, no INFO: - send, both have events, send, no events, INFO 200, INFO 415
info, INFO heard: INFO 200: -> idle, INFO heard done | info
info, INFO heard: INFO 415: -> tones, no INFO, INFO heard play 12 by tones | -> tones, no INFO, INFO heard play 2 by tones | -> tones, no INFO, INFO heard play more by tones
info, INFO heard: event heard, INFO heard at once, INFO heard later: tell
info, INFO heard: - send, both have events, send, no events, sent, sent, events are gone, tone heard
idle, no INFO: send, both have events: -> events, no INFO play 12 by events
idle, no INFO: send, no events: -> tones, no INFO play 12 by tones
idle, no INFO: event heard, tone heard: tell
idle, no INFO: INFO heard at once: -> idle, no INFO, INFO heard | -> idle, no INFO, INFO heard tell
idle, no INFO: INFO heard later: -> idle, no INFO, INFO heard tell
idle, no INFO: - sent, sent, events are gone, INFO 200, INFO 415
tones, no INFO, INFO heard: sent: -> events, no INFO, INFO heard play 12 by events | -> idle, no INFO, INFO heard done
tones, no INFO, INFO heard: sent, events are gone: -> idle, no INFO, INFO heard done | play 12 by tones
tones, no INFO, INFO heard: event heard, INFO heard at once, INFO heard later: tell
tones, no INFO, INFO heard: - send, both have events, send, no events, INFO 200, INFO 415, tone heard
events, no INFO: sent: -> idle, no INFO done | play 12 by events
events, no INFO: sent, events are gone: -> idle, no INFO done | -> tones, no INFO play 12 by tones
events, no INFO: event heard, tone heard: tell
events, no INFO: INFO heard at once: -> events, no INFO, INFO heard | -> events, no INFO, INFO heard tell
events, no INFO: INFO heard later: -> events, no INFO, INFO heard tell
events, no INFO: - send, both have events, send, no events, INFO 200, INFO 415
idle, no INFO, INFO heard: send, both have events: -> events, no INFO, INFO heard play 12 by events
idle, no INFO, INFO heard: send, no events: -> tones, no INFO, INFO heard play 12 by tones
idle, no INFO, INFO heard: event heard, INFO heard at once, INFO heard later: tell
idle, no INFO, INFO heard: - sent, sent, events are gone, INFO 200, INFO 415, tone heard
events, no INFO, INFO heard: sent: -> idle, no INFO, INFO heard done | play 12 by events
events, no INFO, INFO heard: sent, events are gone: -> idle, no INFO, INFO heard done | -> tones, no INFO, INFO heard play 12 by tones
events, no INFO, INFO heard: event heard, INFO heard at once, INFO heard later: tell
events, no INFO, INFO heard: - send, both have events, send, no events, INFO 200, INFO 415, tone heard
`;

t.test('the digits machine, walked through every state', async t => {
  const send =
    (events: boolean) =>
    (state: DigitsState): DigitsEvent | undefined =>
      state.waiting.length > 1 ? undefined : { type: 'send', digits: '12', events };
  const hear = (by: DigitRoute, nowMs: number) => (): DigitsEvent => ({
    type: 'heard',
    digit: '1',
    by,
    nowMs,
  });
  const walk = explore<DigitsState, DigitsEvent, DigitsAction>({
    types: { send: true, sent: true, 'info-answered': true, heard: true },
    starts: [newDigits()],
    events: {
      'send, both have events': send(true),
      'send, no events': send(false),
      sent: () => ({ type: 'sent', events: true }),
      'sent, events are gone': () => ({ type: 'sent', events: false }),
      'INFO 200': () => ({ type: 'info-answered', status: 200, events: false }),
      'INFO 415': () => ({ type: 'info-answered', status: 415, events: false }),
      'event heard': hear('events', 5000),
      'tone heard': hear('tones', 5000),
      'INFO heard at once': hear('info', 5000 + SAME_PRESS_MS - 1),
      'INFO heard later': hear('info', 5000 + SAME_PRESS_MS),
    },
    copy: state => ({ ...state }),
    step: stepDigits,
    key: state => JSON.stringify(state),
    mode: state =>
      `${state.sending ?? 'idle'}${state.infoRefused ? ', no INFO' : ''}${state.infoHeard ? ', INFO heard' : ''}`,
    brief: action => {
      switch (action.type) {
        case 'play':
          return `play ${action.digits.length > 2 ? 'more' : action.digits} by ${action.by}`;
        case 'info':
          return 'info';
        case 'done':
          return 'done';
        case 'tell':
          return 'tell';
      }
    },
    check: ({ actions, before, after }) => {
      const out = actions.filter(({ type }) => type === 'play' || type === 'info');
      if (out.length > 1) throw new Error('two digits at once');
      if (out.length > 0 && actions.some(({ type }) => type === 'done'))
        throw new Error('done too early');
      if (before.sending && !after.sending && after.waiting !== '')
        throw new Error('digits left behind');
    },
  });
  sameTable(t, walk, TABLE);
});

// ---- phones

async function pair() {
  const world = new Simulation({ seed: 3, link: { jitterMs: 40, loss: 0.1, duplication: 0.1 } });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  alice.person.attend(call => call.answer());
  const call = bob.calls.dial('alice');
  await world.clock.advance(5000);
  const [there] = alice.calls.current;
  if (call.phase !== 'connected' || !there) throw new Error('no call');
  return { world, alice, bob, call, there };
}

function digitsOf(call: Call): string[] {
  const heard: string[] = [];
  call.on('digit', (digit, by) => heard.push(`${digit} ${by}`));
  return heard;
}

t.test('between two phones digits go by events, both ways, on a bad network', async t => {
  const { world, bob, call, there } = await pair();
  const [here, far] = [digitsOf(call), digitsOf(there)];
  let sent = 0;
  void bob.handset.press(parseHandsetKey('digits 12#')).then(() => sent++);
  void there.sendDigits('*0');
  await world.clock.advance(2000);
  t.same(far, ['1 events', '2 events', '# events']);
  t.same(here, ['* events', '0 events']);
  t.equal(sent, 1, 'the key is done when they are sent');
  await world.stop();
});

t.test(
  'digits that are sent as soon as somebody answers wait for the codec to be loaded',
  async t => {
    const world = new Simulation({ seed: 6 });
    const codecs = ['opus'] as const;
    const alice = await world.addPhone('alice', '10.0.0.1', { codecs });
    const bob = await world.addPhone('bob', '10.0.0.2', { codecs });
    const heard: string[] = [];
    alice.person.attend(call => {
      call.on('digit', (digit, by) => heard.push(`${digit} ${by}`));
      call.answer();
    });
    const call = bob.calls.dial('alice');
    call.on('phase', phase => {
      if (phase === 'connected') void call.sendDigits('12');
    });
    for (let turn = 0; turn < 3000 && heard.length < 2; turn++) {
      await world.clock.advance(10);
      await new Promise(setImmediate);
    }
    t.same(heard, ['1 events', '2 events']);
    await world.stop();
  },
);

t.test('digits need a call, and one that is over keeps nobody waiting', async t => {
  const { world, bob, call } = await pair();
  await t.rejects(call.sendDigits('12x'), { code: 'BAD_DIGITS' });
  const long = call.sendDigits('1'.repeat(64));
  await world.clock.advance(500);
  call.hangUp();
  await world.clock.advance(500);
  await long;
  await t.rejects(call.sendDigits('1'), { code: 'NO_CALL' });
  await t.rejects(bob.handset.press(parseHandsetKey('digits 1')), { code: 'NO_CALL' });
  await world.stop();
});

/** Bob in a call with a phone without telephone-event, which answers INFO as told. */
async function withPlainPeer(infoStatus: number) {
  const world = new Simulation({ seed: 4 });
  const bob = await world.addPhone('bob', '10.0.0.2');
  const address = '10.0.0.9';
  const media = new LocalMediaEngine({
    clock: world.clock,
    network: world.network.host(address),
    random: new SeededRandom(5),
  });
  await media.start();
  const leg = await media.openLeg({ address });
  const tones: string[] = [];
  leg.listenForDigits(({ digit, ms }) => {
    if (ms === undefined) tones.push(digit);
  });
  const infos: string[] = [];
  const peer = await peerAt(
    world.network,
    { address, port: 5060 },
    (request): readonly Answer[] => {
      if (request.method === 'INFO') {
        infos.push(Buffer.from(request.body).toString());
        return [{ status: infoStatus }];
      }
      if (request.method !== 'INVITE') return request.method === 'ACK' ? [] : [{ status: 200 }];
      const port = Number(/m=audio (\d+)/.exec(Buffer.from(request.body).toString())?.[1]);
      leg.configure({
        ...{ remote: { address: '10.0.0.2', port }, format: { name: 'PCMU', payloadType: 0 } },
        ...{ send: true, receive: true, hearTones: true },
      });
      return [{ status: 200, body: sdp(address, leg.port) }];
    },
  );
  const call = bob.calls.dial(address);
  await world.clock.advance(1000);
  if (call.phase !== 'connected') throw new Error('no call');
  const stop = async () => {
    await media.stop();
    await world.stop();
  };
  return { world, bob, call, peer, leg, tones, infos, stop };
}

function sdp(address: string, port: number): string {
  return [
    'v=0',
    `o=- 1 1 IN IP4 ${address}`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    '',
  ].join('\r\n');
}

t.test('without telephone-event digits go by INFO, one after the other', async t => {
  const { world, call, infos, tones, stop } = await withPlainPeer(200);
  let sent = false;
  void call.sendDigits('12').then(() => {
    sent = true;
  });
  await world.clock.advance(1000);
  t.same(infos, ['Signal=1\r\nDuration=160\r\n', 'Signal=2\r\nDuration=160\r\n']);
  t.same(tones, []);
  t.ok(sent);
  await stop();
});

t.test(
  'where INFO is refused they go as tones, that digit too, and INFO is not tried again',
  async t => {
    const { world, call, infos, tones, stop } = await withPlainPeer(405);
    void call.sendDigits('12');
    await world.clock.advance(2000);
    void call.sendDigits('3');
    await world.clock.advance(2000);
    t.equal(infos.length, 1);
    t.same(tones, ['1', '2', '3']);
    await stop();
  },
);

t.test(
  'a phone without telephone-event is heard by its tones, and by its INFO without telling twice',
  async t => {
    const { world, bob, call, peer, leg, stop } = await withPlainPeer(200);
    const heard = digitsOf(call);
    void leg.sendDigits({ digits: '4', by: 'tones' });
    await world.clock.advance(500);
    t.same(heard, ['4 tones']);
    const [invite] = peer.requests;
    const [user] = [invite?.headers.text('From') ?? ''];
    let sequence = 1;
    const info = async (body: string) => {
      peer.send(
        [
          `INFO sip:bob@10.0.0.2 SIP/2.0`,
          `Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK-info-${sequence}`,
          `From: ${invite?.headers.text('To')};tag=peer`,
          `To: ${user}`,
          `Call-ID: ${call.callId}`,
          `CSeq: ${sequence++} INFO`,
          'Max-Forwards: 70',
          'Content-Type: application/dtmf-relay',
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
        { address: '10.0.0.2', port: bob.userAgent.local.port },
      );
      await world.clock.advance(300);
    };
    await info('Signal= 4\r\nDuration= 100\r\n');
    t.same(heard, ['4 tones'], 'the same press');
    await info('Signal=4\r\n');
    t.same(heard, ['4 tones', '4 info'], 'another one');
    void leg.sendDigits({ digits: '5', by: 'tones' });
    await world.clock.advance(500);
    await info('Signal=5\r\n');
    t.same(heard, ['4 tones', '4 info', '5 info'], 'tones are not listened to any more');
    await info('Signal=?\r\n');
    t.same(
      peer.responses
        .filter(({ headers }) => headers.text('CSeq')?.endsWith('INFO'))
        .map(({ status }) => status),
      [200, 200, 200, 400],
    );
    await stop();
  },
);
