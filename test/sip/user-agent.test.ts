import { parseMessage, type SipResponse, To } from '@sip-stack/parser';
import t from 'tap';
import type { DatagramSocket } from '../../src/core/network.js';
import { BOB, pair } from './pair.js';

const STRANGER = '10.0.0.9';

/** A raw socket that writes what no user agent of ours would. */
async function stranger() {
  const lab = await pair();
  const socket: DatagramSocket = await lab.network
    .host(STRANGER)
    .bindDatagram({ address: STRANGER, port: 5090, trafficClass: 'default' });
  const heard: SipResponse[] = [];
  socket.onMessage = data => {
    const message = parseMessage(data);
    if (message.kind === 'response') heard.push(message);
  };
  const send = async (text: string) => {
    socket.send(Buffer.from(text), { address: BOB, port: 5060 });
    await lab.clock.advance(50);
    return heard.at(-1);
  };
  return { ...lab, send, heard };
}

function request(method: string, changes: Record<string, string | undefined> = {}): string {
  const fields: Record<string, string | undefined> = {
    Via: `SIP/2.0/UDP ${STRANGER}:5090;branch=z9hG4bK-${method}`,
    'Max-Forwards': '70',
    From: `<sip:s@${STRANGER}>;tag=1`,
    To: `<sip:bob@${BOB}>`,
    'Call-ID': 'abc',
    CSeq: `1 ${method}`,
    Contact: `<sip:s@${STRANGER}:5090>`,
    'Content-Length': '0',
    ...changes,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return `${method} sip:bob@${BOB} SIP/2.0\r\n${lines.join('\r\n')}\r\n\r\n`;
}

const refusals: readonly [what: string, text: string, status: number][] = [
  ['an unknown method', request('PUBLISH'), 405],
  ['a required extension', request('OPTIONS', { Require: 'teleport' }), 420],
  ['a BYE of no dialog', request('BYE', { To: `<sip:bob@${BOB}>;tag=none` }), 481],
  ['a CANCEL of nothing', request('CANCEL'), 481],
  ['a method that CSeq does not name', request('OPTIONS', { CSeq: '1 INVITE' }), 400],
  ['a From that is none', request('OPTIONS', { From: '<<<' }), 400],
  ['no Call-ID', request('OPTIONS', { 'Call-ID': undefined }), 400],
  [
    'a body that is no session description',
    `${request('INVITE', { 'Content-Type': 'text/plain', 'Content-Length': '2' })}hi`,
    415,
  ],
  ['a Contact missing from an INVITE', request('INVITE', { Contact: undefined }), 400],
  ['a caller that reads no SDP', request('INVITE', { Accept: 'text/plain' }), 406],
  ['a start line that is none', request('OPTIONS').replace(' SIP/2.0', ' SIP/7.0'), 505],
];

for (const [what, text, status] of refusals) {
  t.test(`${what} is answered ${status}`, async t => {
    const { send, bob, clock } = await stranger();
    const response = await send(text);
    t.equal(response?.status, status);
    await clock.advance(60_000);
    t.equal(bob.load.sessions, 0);
    t.equal(bob.load.serverTransactions, 0);
  });
}

t.test('a response names what was refused', async t => {
  const { send } = await stranger();
  const unsupported = await send(request('OPTIONS', { Require: 'teleport' }));
  t.equal(unsupported?.headers.text('Unsupported'), 'teleport');
  const allowed = await send(request('PUBLISH'));
  t.match(allowed?.headers.text('Allow'), /INVITE/);
});

t.test('the same INVITE by another path is answered 482', async t => {
  const { send, bob } = await stranger();
  bob.onSession = session => session.ring();
  await send(request('INVITE'));
  const second = await send(
    request('INVITE', { Via: `SIP/2.0/UDP ${STRANGER}:5090;branch=z9hG4bK-other` }),
  );
  t.equal(second?.status, 482);
});

t.test('a response goes to where the request came from, whatever its Via says', async t => {
  const { send } = await stranger();
  const via = 'SIP/2.0/UDP 192.0.2.66:9;rport;branch=z9hG4bK-nat';
  const response = await send(request('OPTIONS', { Via: via }));
  t.match(response?.headers.text('Via'), /received=10\.0\.0\.9/);
  t.match(response?.headers.text('Via'), /rport=5090/);
});

t.test('an RFC 2543 peer without a magic cookie has its transactions too', async t => {
  const { send, heard, bob } = await stranger();
  bob.onSession = session => session.ring();
  const old = request('INVITE', { Via: `SIP/2.0/UDP ${STRANGER}:5090;branch=1` });
  await send(old);
  await send(old);
  t.same(
    heard.map(({ status }) => status),
    [180, 180],
    'the second is a retransmission',
  );
  t.equal(bob.load.sessions, 1);
});

t.test('a re-INVITE is offered to the user, a BYE out of order is refused', async t => {
  const { send, bob } = await stranger();
  const offers: (string | undefined)[] = [];
  bob.onSession = session => {
    session.on('reoffer', sdp => {
      offers.push(sdp);
      session.accept('second');
    });
    session.accept('first');
  };
  const answer = await send(request('INVITE'));
  const to = answer?.headers.text('To') ?? '';
  t.ok(answer?.headers.require(To).params.has('tag'));
  await send(request('ACK', { To: to }));
  const sdp = 'v=0\r\n';
  const again = await send(
    request('INVITE', {
      To: to,
      CSeq: '2 INVITE',
      Via: `SIP/2.0/UDP ${STRANGER}:5090;branch=z9hG4bK-again`,
      'Content-Type': 'application/sdp',
      'Content-Length': String(sdp.length),
    }) + sdp,
  );
  t.equal(again?.status, 200);
  t.same(offers, [sdp]);
  t.equal(new TextDecoder().decode(again?.body), 'second');
  const late = await send(request('BYE', { To: to, CSeq: '1 BYE' }));
  t.equal(late?.status, 500);
  const bye = await send(
    request('BYE', {
      To: to,
      CSeq: '3 BYE',
      Via: `SIP/2.0/UDP ${STRANGER}:5090;branch=z9hG4bK-bye`,
    }),
  );
  t.equal(bye?.status, 200);
  t.equal(bob.load.sessions, 0);
});

t.test('what is no SIP at all is counted and forgotten', async t => {
  const { send, bob, heard } = await stranger();
  await send('hello');
  await send('INVITE sip:x SIP/7.0\r\nNo: Via\r\n\r\n');
  await send('\r\n\r\n');
  t.equal(heard.length, 0);
  t.equal(bob.statistics.malformed, 2);
});
