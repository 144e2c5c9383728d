/** The cases of RFC 5118: IPv6 addresses wherever SIP has hosts. */
import {
  Contact,
  checkRequest,
  formatUri,
  Headers,
  isSipUri,
  parseMessage,
  parseUri,
  RecordRoute,
  SipRequest,
  sameUri,
  serializeMessage,
  Via,
} from '@sip-stack/parser';
import t from 'tap';

function register(requestUri: string, ...lines: string[]): SipRequest {
  const head = [
    `REGISTER ${requestUri} SIP/2.0`,
    ...lines,
    'Max-Forwards: 70',
    'From: <sip:desk@ring.example>;tag=1',
    'To: <sip:desk@ring.example>',
    'Call-ID: six@ring.example',
    'CSeq: 1 REGISTER',
  ];
  const message = parseMessage(Buffer.from(`${head.join('\r\n')}\r\n\r\n`));
  if (!(message instanceof SipRequest)) throw new Error('expected a request');
  checkRequest(message);
  return message;
}

const VIA = 'Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1';

t.test('§4.1: an address in brackets is a host', async t => {
  const { uri, headers } = register('sip:[2001:db8::10]', VIA, 'Contact: <sip:[2001:db8::9:1]>');
  t.match(uri, { host: '2001:db8::10', port: undefined });
  t.match(headers.require(Via), { host: '2001:db8::9:1', port: undefined });
  t.match(headers.require(Contact), { uri: { host: '2001:db8::9:1' } });
});

t.test('§4.2: an address without brackets is refused with 400', async t => {
  t.throws(() => register('sip:2001:db8::10', VIA), { code: 'BAD_URI', status: 400 });
  t.throws(() => register('sip:h', 'Via: SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bK1'), {
    code: 'BAD_VALUE',
    status: 400,
    field: 'Via',
  });
});

t.test('§4.3, §4.4: what is inside the brackets is no port, what follows them is', async t => {
  t.match(register('sip:[2001:db8::10:5070]', VIA).uri, {
    host: '2001:db8::10:5070',
    port: undefined,
  });
  t.match(register('sip:[2001:db8::10]:5070', VIA).uri, { host: '2001:db8::10', port: 5070 });
  t.equal(sameUri(parseUri('sip:[2001:db8::10:5070]'), parseUri('sip:[2001:db8::10]:5070')), false);
});

t.test('§4.5: `received` comes with brackets from some and without from others', async t => {
  for (const received of ['[2001:db8::9:255]', '2001:db8::9:255']) {
    const via = `Via: SIP/2.0/UDP [2001:db8::9:1];received=${received};branch=z9hG4bK1`;
    const { headers } = register('sip:h', via);
    t.equal(headers.require(Via).params.get('received'), received);
    t.equal(headers.text('Via'), via.slice('Via: '.length));
  }
});

t.test('§4.6, §4.8: addresses in SDP are no business of the parser', async t => {
  const sdp = 'v=0\r\nc=IN IP6 2001:db8::9:1\r\nc=IN IP4 192.0.2.1\r\n';
  const octets = serializeMessage(
    new SipRequest({
      method: 'INVITE',
      uri: parseUri('sip:[2001:db8::10]'),
      headers: new Headers().setText('Content-Type', 'application/sdp'),
      body: Buffer.from(sdp),
    }),
  );
  t.equal(Buffer.from(parseMessage(octets).body).toString(), sdp);
});

t.test('§4.7: both kinds of address in one message', async t => {
  const { headers } = register(
    'sip:192.0.2.1',
    VIA,
    'Via: SIP/2.0/TCP 192.0.2.1:5061;branch=z9hG4bK2, SIP/2.0/UDP [2001:db8::9:2]:5062;branch=z9hG4bK3',
    'Record-Route: <sip:[2001:db8::9:255];lr>, <sip:192.0.2.1;lr>',
  );
  t.same(
    headers.all(Via).map(({ host, port }) => [host, port]),
    [
      ['2001:db8::9:1', undefined],
      ['192.0.2.1', 5061],
      ['2001:db8::9:2', 5062],
    ],
  );
  t.same(
    headers.all(RecordRoute).map(({ uri }) => isSipUri(uri) && uri.host),
    ['2001:db8::9:255', '192.0.2.1'],
  );
});

t.test('§4.9: an IPv4 address mapped into IPv6', async t => {
  const { headers } = register('sip:h', VIA, 'Contact: <sip:desk@[::ffff:192.0.2.10]:5061>');
  t.match(headers.require(Contact), { uri: { host: '::ffff:192.0.2.10', port: 5061 } });
  t.equal(sameUri(parseUri('sip:[::ffff:192.0.2.10]'), parseUri('sip:[::FFFF:c000:20a]')), true);
});

t.test('§4.10: a third colon before an IPv4 part is read and means two', async t => {
  const odd = parseUri('sip:desk@[2001:db8:::192.0.2.1]');
  t.equal(sameUri(odd, parseUri('sip:desk@[2001:db8::192.0.2.1]')), true);
  t.equal(sameUri(odd, parseUri('sip:desk@[2001:db8::192.0.2.2]')), false);
  t.equal(formatUri(odd), 'sip:desk@[2001:db8::192.0.2.1]', 'and is never written');
});
