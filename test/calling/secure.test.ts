/** Calls that have to be secure all along, on the virtual network. */
import {
  parseMessage,
  parseUri,
  type SipRequest,
  type SipResponse,
  type SipUri,
  serializeMessage,
} from '@sip-stack/parser';
import t from 'tap';
import type { StreamConnection } from '../../src/core/network.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { makeResponse } from '../../src/sip/response.js';
import { selfSigned } from '../sip/certificate.js';

const SERVER = '10.0.0.9';
const TLS_PORT = 5061;

const tlsOf = (name: string) => ({
  identity: selfSigned(name),
  trust: { type: 'anybody' } as const,
});
const [alices, bobs, servers] = [tlsOf('alice'), tlsOf('bob'), tlsOf('server')];

async function town(accounts: { server: string }[] = []) {
  const world = new Simulation({ seed: 1 });
  const settings = accounts.map(({ server }) => ({
    aor: parseUri('sip:bob@example.net') as SipUri,
    user: 'bob',
    password: 'secret',
    server: parseUri(server) as SipUri,
  }));
  const alice = await world.addPhone('alice', '10.0.0.1', { tls: alices });
  const bob = await world.addPhone('bob', '10.0.0.2', { tls: bobs, accounts: settings });
  return { world, alice, bob };
}

/** A server over TLS that answers each request once; what it heard. */
async function serve(world: Simulation, answer: (request: SipRequest) => SipResponse | undefined) {
  const heard: SipRequest[] = [];
  const host = world.network.host(SERVER);
  const speak = async (raw: StreamConnection) => {
    const { identity } = servers;
    const stream = await host.secureStream(raw, {
      role: 'server',
      identity,
      verify: () => undefined,
    });
    stream.onData = data => {
      const request = parseMessage(data);
      if (request.kind !== 'request') return;
      heard.push(request);
      const response = answer(request);
      if (response) stream.write(serializeMessage(response));
    };
  };
  const onConnection = (raw: StreamConnection) => void speak(raw);
  await host.listenStream({ address: SERVER, port: TLS_PORT, onConnection });
  return heard;
}

function redirect(...contacts: string[]) {
  return (request: SipRequest) => {
    if (request.method !== 'INVITE') return undefined;
    const response = makeResponse(request, 302, 'moved');
    response.headers.setText('Contact', contacts.map(uri => `<${uri}>`).join(', '));
    return response;
  };
}

t.test('a call to sips: goes by TLS, and so does all that follows', async t => {
  const { world, alice, bob } = await town();
  const call = bob.calls.dial('sips:room@alice.local');
  await world.clock.advance(1000);
  t.equal(call.phase, 'connected');
  t.match(call.location, { target: { protocol: 'TLS', endpoint: { port: 5071 } } });
  const before = bob.userAgent.statistics.received;
  let code = '';
  call.once('ended', end => {
    code = end.code;
  });
  alice.calls.hangUpAll();
  await world.clock.advance(1000);
  t.equal(code, 'REMOTE_HUNG_UP', 'the BYE found its way back');
  t.ok(bob.userAgent.statistics.received > before);
  t.equal(bob.userAgent.transports.connections, 1, 'by the connection that was there');
  const ends = world.network.trace
    .filter(({ what }) => /SIP/.test(what))
    .flatMap(({ from, to }) => [from, to]);
  t.ok(ends.includes('10.0.0.1:5071'));
  t.notOk(
    ends.some(end => end.endsWith(':5060')),
    'nothing of it in the clear',
  );
  await world.stop();
});

t.test('its Contact is sips: too, at both ends', async t => {
  const { world, bob } = await town();
  const heard = await serve(world, request => makeResponse(request, 486, 'busy'));
  bob.calls.dial(`sips:x@${SERVER}`);
  bob.calls.dial(`sip:x@${SERVER};transport=tls`);
  await world.clock.advance(1000);
  const contacts = heard.flatMap(({ method, headers }) =>
    method === 'INVITE' ? [headers.text('Contact')] : [],
  );
  t.same(contacts, [
    '<sips:bob@10.0.0.2:5071;transport=tcp>',
    '<sip:bob@10.0.0.2:5071;transport=tls>',
  ]);
  for (const [uri, contact] of [
    ['sips:*43@10.0.0.1:5071', '<sips:*43@10.0.0.1:5071;transport=tcp>'],
    ['sip:*43@10.0.0.1:5071', '<sip:*43@10.0.0.1:5071;transport=tls>'],
  ] as const) {
    t.equal(await contactOfAnswer(world, uri), contact);
  }
  await world.stop();
});

t.test('a redirection does not lead it into the clear', async t => {
  const { world, bob } = await town();
  const places = ['sip:*43@10.0.0.1', 'sip:*43@10.0.0.1:5071;transport=tls'];
  await serve(world, redirect(...places));
  let code = '';
  bob.calls.dial(`sips:x@${SERVER}`).once('ended', end => {
    code = end.code;
  });
  await world.clock.advance(1000);
  t.equal(code, 'FAILED');
  const calm = bob.calls.dial(`sip:x@${SERVER};transport=tls`);
  await world.clock.advance(1000);
  t.equal(calm.phase, 'connected', 'who asked for no security goes on');
  calm.hangUp();
  await world.stop();

  const other = await town();
  await serve(other.world, redirect('sip:*43@10.0.0.1', 'sips:*43@10.0.0.1:5071'));
  const moved = other.bob.calls.dial(`sips:x@${SERVER}`);
  await other.world.clock.advance(1000);
  t.equal(moved.phase, 'connected');
  t.equal(moved.location?.target?.protocol, 'TLS');
  await other.world.stop();
});

t.test('an account’s server gets it where TLS leads there, and not in the clear', async t => {
  const clear = await town([{ server: `sip:${SERVER}` }]);
  let code = '';
  clear.bob.calls.dial('sips:carol@example.net').once('ended', end => {
    code = end.code;
  });
  await clear.world.clock.advance(1000);
  t.equal(code, 'NO_SUCH_NAME');
  await clear.world.stop();

  const { world, bob } = await town([{ server: `sips:${SERVER}` }]);
  const heard = await serve(world, request =>
    makeResponse(request, request.method === 'REGISTER' ? 200 : 486, 's'),
  );
  await world.clock.advance(1000);
  const [register] = heard;
  t.equal(register?.method, 'REGISTER');
  t.equal(register?.headers.text('Contact'), '<sips:bob@10.0.0.2:5071;transport=tcp>');
  bob.calls.dial('sips:carol@example.net');
  await world.clock.advance(1000);
  t.match(
    serialized(heard.find(({ method }) => method === 'INVITE')),
    /^INVITE sips:carol@example/,
  );
  await world.stop();
});

function serialized(request: SipRequest | undefined): string {
  return request ? Buffer.from(serializeMessage(request)).toString() : '';
}

/** What the 200 to an INVITE over TLS has as Contact. */
async function contactOfAnswer(world: Simulation, uri: string): Promise<string | undefined> {
  const host = world.network.host('10.0.0.7');
  let contact: string | undefined;
  const ask = async () => {
    const raw = await host.connectStream({ to: { address: '10.0.0.1', port: 5071 } });
    const stream = await host.secureStream(raw, { role: 'client', verify: () => undefined });
    stream.onData = data => {
      const response = parseMessage(data);
      if (response.kind === 'response' && response.status === 200) {
        contact = response.headers.text('Contact');
      }
    };
    const sdp =
      'v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n';
    const lines = [
      `INVITE ${uri} SIP/2.0`,
      `Via: SIP/2.0/TLS 10.0.0.7:5061;branch=z9hG4bK${uri.length}`,
      'Max-Forwards: 70',
      'From: <sip:s@10.0.0.7>;tag=1',
      `To: <${uri}>`,
      `Call-ID: ${uri.length}`,
      'CSeq: 1 INVITE',
      'Contact: <sip:s@10.0.0.7;transport=tls>',
      'Content-Type: application/sdp',
      `Content-Length: ${sdp.length}`,
    ];
    stream.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${sdp}`));
  };
  void ask();
  await world.clock.advance(1000);
  return contact;
}
