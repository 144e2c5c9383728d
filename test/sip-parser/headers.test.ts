import {
  Allow,
  CallId,
  Contact,
  From,
  Headers,
  headerField,
  Params,
  parseMessage,
  RecordRoute,
  Route,
  type SipMessage,
  SipRequest,
  SipResponse,
  SipSyntaxError,
  serializeMessage,
  sipUri,
  To,
  UserAgent,
  Via,
} from '@sip-stack/parser';
import fc from 'fast-check';
import t from 'tap';
import { request } from './requests.js';

t.test('changing headers', async t => {
  const via = (host: string) => Via.parse(`SIP/2.0/UDP ${host}`);
  const hosts = (headers: Headers) => headers.all(Via).map(({ host }) => host);
  const headers = new Headers()
    .append(Via, via('one'))
    .set(CallId, 'c1')
    .append(Via, via('two'))
    .prepend(Via, via('zero'))
    .setText('X-Other', 'a', 'b')
    .set(Allow, 'INVITE', 'ACK');
  t.same(
    [...headers.entries()],
    [
      ['Via', 'SIP/2.0/UDP zero'],
      ['Via', 'SIP/2.0/UDP one'],
      ['Via', 'SIP/2.0/UDP two'],
      ['Call-ID', 'c1'],
      ['X-Other', 'a'],
      ['X-Other', 'b'],
      ['Allow', 'INVITE, ACK'],
    ],
  );
  t.same(headers.texts('x-other'), ['a', 'b']);
  const copy = headers.clone();
  headers.require(Via).params.set('received', '192.0.2.9').set('rport', '5060');
  t.equal(
    headers.text('v'),
    'SIP/2.0/UDP zero;received=192.0.2.9;rport=5060',
    'changed parameters are written',
  );
  t.equal(copy.text('Via'), 'SIP/2.0/UDP zero', 'and not in a copy');
  headers.removeFirst(Via).removeFirst(Via);
  t.same(hosts(headers), ['two']);
  t.same(hosts(headers.removeFirst(Via).removeFirst(Via)), []);
  t.same(headers.set(CallId, 'c2').set(Allow).delete('x-other').texts('call-id'), ['c2']);
  t.same([...headers.entries()], [['Call-ID', 'c2']]);
  const onOneLine = request('Route: <sip:a>, <sip:b>').headers;
  t.equal(onOneLine.removeFirst(Route).text('Route'), '<sip:b>');
  t.same(onOneLine.prepend(Route, Route.parse('<sip:c>')).texts('Route'), ['<sip:c>', '<sip:b>']);
  t.equal(
    new Headers().prepend(RecordRoute, RecordRoute.parse('<sip:a;lr>')).text('record-route'),
    '<sip:a;lr>',
  );
});

t.test('a field of another package is read like ours', async t => {
  const Weight = headerField<number>({
    name: 'X-Weight',
    list: true,
    read: cursor => cursor.takeNumber('a weight', 99),
    format: String,
  });
  const { headers } = request('x-weight: 1, 2', 'X-WEIGHT: 3');
  t.same(headers.all(Weight), [1, 2, 3]);
  t.throws(() => Weight.parse('1, 2'), { code: 'BAD_VALUE' });
  t.throws(() => Weight.parse('100'), { code: 'BAD_VALUE', position: 0 });
});

t.test('nobody smuggles a line into a message', async t => {
  t.throws(() => new Headers().setText('Subject', 'a\r\nX: y'), { code: 'BAD_VALUE' });
  const uri = sipUri({ host: 'h' });
  const smuggled = (message: SipMessage) =>
    t.throws(() => serializeMessage(message), SipSyntaxError);
  smuggled(
    new SipRequest({ method: 'INVITE', uri, headers: new Headers().set(UserAgent, 'a\nX: y') }),
  );
  smuggled(new SipRequest({ method: 'IN VITE', uri }));
  smuggled(new SipRequest({ method: 'INVITE', uri: { scheme: 'tel', opaque: '1\r\nX: y' } }));
  smuggled(new SipResponse({ status: 200, reason: 'OK\r\nX: y' }));
  smuggled(new SipResponse({ status: 99 }));
  const named = new SipRequest({
    method: 'INVITE',
    uri,
    headers: new Headers().set(To, { displayName: 'a\r\nX: y', uri, params: new Params() }),
  });
  smuggled(named);
  for (const alone of ['A: b\rC: d', 'A: b\nC: d']) {
    t.throws(() => request(alone), { code: 'BAD_HEADER_LINE' }, 'a CR or LF alone');
  }
});

t.test('addresses, parameters and texts of any kind survive a round trip', async t => {
  const anyText = fc
    .string({ unit: 'binary', maxLength: 20 })
    .filter(value => !/[\r\n]/.test(value));
  const token = fc.stringMatching(/^[A-Za-z][\w.!%*+`'~-]{0,8}$/);
  fc.assert(
    fc.property(anyText, anyText, token, anyText, (displayName, user, name, value) => {
      const params = new Params().set(name, value);
      const headers = new Headers().set(From, {
        displayName,
        uri: sipUri({ user: user || 'u', host: 'h' }),
        params,
      });
      headers
        .append(Contact, { uri: sipUri({ host: 'h' }), params })
        .append(Contact, { uri: { scheme: 'tel', opaque: '1' }, params });
      const again = parseMessage(serializeMessage(new SipResponse({ status: 200, headers })));
      const from = again.headers.require(From);
      t.equal(from.displayName ?? '', displayName);
      t.match(from.uri, { user: user || 'u' });
      t.same([...from.params], [[name, value]]);
      t.equal(again.headers.all(Contact).length, 2);
    }),
    { seed: 7, numRuns: 200 },
  );
});
