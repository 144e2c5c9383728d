import {
  CallId,
  Contact,
  ContentLength,
  CSeq,
  checkRequest,
  From,
  formatUri,
  Headers,
  MaxForwards,
  parseMessage,
  Route,
  reasonPhrase,
  type SipMessage,
  SipResponse,
  Supported,
  serializeMessage,
  To,
  Via,
} from '@sip-stack/parser';
import t from 'tap';
import { invite, lines, request, utf8 } from './requests.js';

const text = (message: SipMessage) => new TextDecoder().decode(serializeMessage(message));

t.test('compact names, odd case, folding and space before the colon', async t => {
  const { headers } = parseMessage(
    utf8(
      `${lines(
        'OPTIONS sip:b@h SIP/2.0',
        'v: SIP/2.0/UDP [2001:db8::1]:5062 ; branch = z9hG4bK1;rport',
        'f: sip:a@h;tag=1',
        'T : sip:b@h',
        'i: abc',
        'cSEQ:\t7\t OPTIONS',
        'MAX-FORWARDS:070',
        'm: <sip:a@h>',
        'k: one,',
        '  two ,\tthree',
        'l: 0',
      )}\r\n`,
    ),
  );
  t.match(headers.require(Via), {
    transport: 'UDP',
    host: '2001:db8::1',
    port: 5062,
    protocol: undefined,
  });
  t.equal(headers.require(Via).params.get('BRANCH'), 'z9hG4bK1');
  t.equal(headers.require(Via).params.get('rport'), '');
  t.equal(headers.require(From).params.get('tag'), '1');
  t.equal(headers.require(CallId), 'abc');
  t.same(headers.require(CSeq), { sequence: 7, method: 'OPTIONS' });
  t.equal(headers.require(MaxForwards), 70);
  t.same(headers.all(Supported), ['one', 'two', 'three']);
  t.equal(headers.require(ContentLength), 0);
  t.equal(headers.text('supported'), 'one, two, three');
  t.equal(headers.has('t') && headers.has(To) && headers.has('contact'), true);
  t.equal(headers.has('Route'), false);
  t.equal(headers.first(Route), undefined);
  t.throws(() => headers.require(Route), { code: 'MISSING_FIELD', status: 400, field: 'Route' });
});

t.test('display names, quoted or not, and what they may hide', async t => {
  const { headers } = request(
    'Contact: "a, <b>; \\"c\\" \\\\" <sip:a@h;x=1>;q=0.5 , Plain Name<sip:b@h>, sip:c@h;q="1,2;3" ,<sip:d@h?x=y>,"" <tel:1>',
    'From: "Zoë Ж" <sip:z@h>;tag=2',
    'To: Jürgen Müller <sip:j@h>',
  );
  const contacts = headers.all(Contact).map(contact => {
    if (contact === '*') throw new Error('expected an address');
    return [contact.displayName, formatUri(contact.uri), contact.params.get('q')];
  });
  t.same(contacts, [
    ['a, <b>; "c" \\', 'sip:a@h;x=1', '0.5'],
    ['Plain Name', 'sip:b@h', undefined],
    [undefined, 'sip:c@h', '1,2;3'],
    [undefined, 'sip:d@h?x=y', undefined],
    ['', 'tel:1', undefined],
  ]);
  t.equal(headers.require(From).displayName, 'Zoë Ж');
  t.equal(headers.require(To).displayName, 'Jürgen Müller');
  t.equal(request('Contact: *').headers.require(Contact), '*');
  t.match(request('Contact: * <sip:a@h>').headers.require(Contact), { displayName: '*' });
});

t.test('start lines', async t => {
  for (const line of [
    'INVITE',
    'INVITE sip:a@h',
    'INVITE  sip:a@h SIP/2.0',
    'INVITE sip:a@h SIP/2.0 ',
    'IN(VITE sip:a@h SIP/2.0',
    'SIP/2.0 20 OK',
    'SIP/2.0 2000 OK',
    'SIP/2.0 700 x',
    'SIP/2.0',
    'INVITE sip:a@h HTTP/1.1',
  ]) {
    t.throws(
      () => parseMessage(utf8(`${line}\r\n\r\n`)),
      { code: 'BAD_START_LINE', status: 400 },
      line,
    );
  }
  t.throws(() => parseMessage(utf8('SIP/3.0 200 OK\r\n\r\n')), {
    code: 'BAD_VERSION',
    status: 505,
  });
  t.match(parseMessage(utf8('\r\n\r\nsip/2.0 404 Não\r\n\r\n')), {
    kind: 'response',
    status: 404,
    reason: 'Não',
  });
  t.match(parseMessage(utf8('SIP/2.0 100\r\n\r\n')), { status: 100, reason: '' });
  t.equal(new SipResponse({ status: 486 }).reason, 'Busy Here');
  t.equal(reasonPhrase(499), 'Client Error');
  t.throws(() => parseMessage(utf8('\r\n\r\n')), { code: 'EMPTY' });
  t.throws(() => parseMessage(utf8('INVITE sip:a@h SIP/2.0\r\n')), { code: 'BAD_HEADER_LINE' });
  for (const line of ['novalue', ': x', 'a b: c', '(a): b']) {
    t.throws(() => request(line), { code: 'BAD_HEADER_LINE' }, line);
  }
});

t.test('bodies and Content-Length', async t => {
  const body = (text: string) => Buffer.from(parseMessage(utf8(text)).body).toString();
  t.equal(body(`${invite()}\r\nrest`), 'rest');
  t.equal(body(`${invite('Content-Length: 2')}\r\nrest`), 're');
  t.equal(
    body(`${invite('l: 2', 'Content-Length: 2', 'Subject: Ж')}\r\nжrest`),
    'ж',
    'octets, not letters',
  );
  t.throws(() => body(`${invite('Content-Length: 5')}\r\nrest`), {
    code: 'TRUNCATED_BODY',
    status: 400,
  });
  for (const value of ['+1', '1 2', '', '0x1', '9999999999999999']) {
    t.throws(
      () => body(`${invite(`Content-Length: ${value}`)}\r\n`),
      { code: 'BAD_CONTENT_LENGTH' },
      value,
    );
  }
  t.equal(body(`${invite('Subject: é')}\r\n${'ж'.repeat(5000)}`), 'ж'.repeat(5000), 'a large body');
  const binary = new Uint8Array([0, 13, 10, 13, 10, 255, 128]);
  const written = serializeMessage(
    new SipResponse({
      status: 200,
      headers: new Headers().setText('l', '99').setText('Subject', 'Ж'),
      body: binary,
    }),
  );
  const again = parseMessage(written);
  t.same(Buffer.from(again.body), Buffer.from(binary));
  t.same(again.headers.texts('Content-Length'), ['7']);
  t.equal(text(new SipResponse({ status: 200 })), 'SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n');
});

t.test('limits', async t => {
  const data = utf8(`${invite()}\r\nrest`);
  t.throws(() => parseMessage(data, { headerBytes: 100 }), { code: 'TOO_LARGE', status: 513 });
  t.throws(() => parseMessage(data, { headerCount: 5 }), { code: 'TOO_LARGE', status: 513 });
  t.throws(() => parseMessage(data, { bodyBytes: 3 }), { code: 'TOO_LARGE', status: 413 });
  t.equal(parseMessage(data, { headerCount: 6, bodyBytes: 4 }).body.length, 4);
});

t.test('what every request must have', async t => {
  t.doesNotThrow(() => checkRequest(request()));
  const fails = (code: string, ...extra: string[]) => {
    t.throws(() => checkRequest(request(...extra)), { name: 'SipSyntaxError', code }, extra.join());
  };
  for (const name of ['Via', 'From', 'To', 'Call-ID', 'CSeq']) {
    const without = request();
    without.headers.delete(name);
    t.throws(() => checkRequest(without), { code: 'MISSING_FIELD', field: name });
  }
  fails('REPEATED_FIELD', 'CSeq: 1 INVITE', 'CSeq: 1 INVITE');
  fails('REPEATED_FIELD', 'Max-Forwards: 1', 'Max-Forwards: 1');
  fails('REPEATED_FIELD', 'Content-Type: a/b', 'c: a/b');
  fails('METHOD_MISMATCH', 'CSeq: 1 ACK');
  fails('BAD_VALUE', 'Expires: soon');
  fails('BAD_VALUE', 'Via: SIP/2.0/UDP h;branch=z9hG4bK1', 'v: nonsense');
  const tel = request();
  tel.uri = { scheme: 'tel', opaque: '123' };
  t.doesNotThrow(() => checkRequest(tel));
  tel.uri = { scheme: 'http', opaque: '//h' };
  t.throws(() => checkRequest(tel), { code: 'UNKNOWN_SCHEME', status: 416 });
});
