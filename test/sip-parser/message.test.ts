import {
  Accept,
  Allow,
  CallId,
  Contact,
  ContentLength,
  ContentType,
  CSeq,
  checkRequest,
  DateField,
  Expires,
  From,
  formatUri,
  Headers,
  headerField,
  MaxForwards,
  Params,
  parseMessage,
  RecordRoute,
  RetryAfter,
  Route,
  reasonPhrase,
  type SipMessage,
  SipRequest,
  SipResponse,
  SipSyntaxError,
  Supported,
  serializeMessage,
  sipUri,
  To,
  UserAgent,
  Via,
  Warning,
} from '@sip-stack/parser';
import fc from 'fast-check';
import t from 'tap';

const utf8 = (text: string) => new TextEncoder().encode(text);
const lines = (...all: string[]) => all.map(line => `${line}\r\n`).join('');

/** A request with `extra` lines after a valid head, those of the same name left out. */
function invite(...extra: string[]): string {
  const usual = {
    Via: 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1',
    'Max-Forwards': '70',
    From: '<sip:a@example.com>;tag=1',
    To: '<sip:b@example.com>',
    'Call-ID': 'x@example.com',
    CSeq: '1 INVITE',
  };
  const replaced = extra.map(line => line.slice(0, line.indexOf(':')));
  const kept = Object.entries(usual).filter(([name]) => !replaced.includes(name));
  const head = kept.map(([name, value]) => `${name}: ${value}`);
  return lines('INVITE sip:b@example.com SIP/2.0', ...head, ...extra);
}

function request(...extra: string[]): SipRequest {
  const message = parseMessage(utf8(`${invite(...extra)}\r\n`));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

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

t.test('values that break their grammar', async t => {
  const refused: [line: string, read: (headers: Headers) => unknown][] = [
    ['Contact: ', h => h.all(Contact)],
    ['Contact: *, <sip:a@h>', h => h.all(Contact)],
    ['Contact: <sip:a@h>,', h => h.all(Contact)],
    ['Contact: <sip:a@h> <sip:b@h>', h => h.all(Contact)],
    ['Contact: <sip:a@h', h => h.all(Contact)],
    ['Contact: "a', h => h.all(Contact)],
    ['Contact: "a" sip:a@h', h => h.all(Contact)],
    ['Contact: a, b <sip:a@h>', h => h.all(Contact)],
    ['Contact: <sip:a@h>;', h => h.all(Contact)],
    ['Contact: <sip:a@h>;q=', h => h.all(Contact)],
    ['Contact: <sip:a@h>;=1', h => h.all(Contact)],
    ['Contact: <sip:a@h>;q="1', h => h.all(Contact)],
    ['Via: SIP/2.0/UDP', h => h.all(Via)],
    ['Via: SIP/2.0 UDP h', h => h.all(Via)],
    ['Via: SIP/2.0/UDP h:99999', h => h.all(Via)],
    ['Via: SIP/2.0/UDP h;a b', h => h.all(Via)],
    ['Via: SIP/2.0/UDPh', h => h.all(Via)],
    ['CSeq: 2147483648 INVITE', h => h.first(CSeq)],
    ['CSeq: 1INVITE', h => h.first(CSeq)],
    ['CSeq: INVITE', h => h.first(CSeq)],
    ['CSeq: 1 INVITE x', h => h.first(CSeq)],
    ['Call-ID: a b', h => h.first(CallId)],
    ['Call-ID: a@b@c', h => h.first(CallId)],
    ['Call-ID: @c', h => h.first(CallId)],
    ['Call-ID: c@', h => h.first(CallId)],
    ['Call-ID:', h => h.first(CallId)],
    ['Max-Forwards: 256', h => h.first(MaxForwards)],
    ['Max-Forwards: -1', h => h.first(MaxForwards)],
    ['Expires: 4294967296', h => h.first(Expires)],
    ['Content-Type: application', h => h.first(ContentType)],
    ['Allow: INVITE,,ACK', h => h.all(Allow)],
    ['Allow: INVITE ACK', h => h.all(Allow)],
    ['Warning: 39 h "x"', h => h.all(Warning)],
    ['Warning: 399 h x', h => h.all(Warning)],
    ['Retry-After: 5 (x', h => h.first(RetryAfter)],
    ['Date: Sat, 31 Feb 2026 10:00:00 GMT', h => h.first(DateField)],
    ['Date: Xyz, 01 Jan 2026 10:00:00 GMT', h => h.first(DateField)],
  ];
  for (const [line, read] of refused) {
    const { headers } = request(line);
    const field = line.slice(0, line.indexOf(':'));
    t.throws(() => read(headers), { name: 'SipSyntaxError', status: 400, field }, line);
    t.throws(() => read(headers), { name: 'SipSyntaxError' }, `${line}, asked again`);
  }
});

t.test('every field writes what it reads', async t => {
  const cases: [value: string, roundTrip: (headers: Headers) => Headers, written?: string][] = [
    ['Accept: application/sdp;level=1, */*', h => h.set(Accept, ...h.all(Accept))],
    ['Accept:', h => h.set(Accept, ...h.all(Accept)), undefined],
    [
      'Content-Type: Multipart/Mixed;boundary="a b"',
      h => h.set(ContentType, h.require(ContentType)),
      'multipart/mixed;boundary="a b"',
    ],
    [
      'Retry-After: 5 (a \\( (b\\) c));duration=3',
      h => h.set(RetryAfter, h.require(RetryAfter)),
      '5 (a \\( \\(b\\) c\\));duration=3',
    ],
    ['Warning: 399 h:5060 "say \\"x\\""', h => h.set(Warning, ...h.all(Warning))],
    ['Date: Thu, 29 Feb 2024 23:59:58 GMT', h => h.set(DateField, h.require(DateField))],
    [
      'Via: XSIP/3.0/udp h;received=::1',
      h => h.set(Via, ...h.all(Via)),
      'XSIP/3.0/UDP h;received=::1',
    ],
    ['User-Agent:  Two  words ', h => h.set(UserAgent, h.require(UserAgent)), 'Two  words'],
  ];
  for (const [line, roundTrip, written] of cases) {
    const name = line.slice(0, line.indexOf(':'));
    const expected = line.endsWith(':') ? undefined : (written ?? line.slice(name.length + 2));
    t.equal(roundTrip(request(line).headers).text(name), expected, line);
  }
});

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

/** Everything that could throw is asked for. */
function readAll(data: Uint8Array): void {
  const message = parseMessage(data);
  for (const field of [
    Via,
    From,
    To,
    Contact,
    Route,
    CSeq,
    CallId,
    Allow,
    Accept,
    ContentType,
    Warning,
    RetryAfter,
    DateField,
  ]) {
    try {
      message.headers.all<unknown>(field);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
    }
  }
  if (message.kind === 'request') checkRequest(message);
  serializeMessage(message);
}

function onlySyntaxErrors(data: Uint8Array): void {
  try {
    readAll(data);
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
  }
}

t.test('octets of any kind give a message or a SipSyntaxError', async t => {
  const good = utf8(
    `${invite('Contact: "a" <sip:a@h;x=%41>;q="1"', 'Allow: A, B', 'Subject: é')}\r\nbody`,
  );
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), changes => {
      const data = good.slice();
      for (const [at, octet] of changes) data[at] = octet;
      onlySyntaxErrors(data);
    }),
    { seed: 1, numRuns: 2000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), onlySyntaxErrors), {
    seed: 2,
    numRuns: 500,
  });
  t.pass('nothing else was thrown');
});

function millisecondsFor(data: Uint8Array): number {
  const start = performance.now();
  onlySyntaxErrors(data);
  return performance.now() - start;
}

t.test('60 kB of malice are read in a moment', async t => {
  const size = 60_000;
  const hostile = [
    ' '.repeat(size),
    '\t'.repeat(size),
    ','.repeat(size),
    ';'.repeat(size),
    '"'.repeat(size),
    '\\'.repeat(size),
    '<'.repeat(size),
    '('.repeat(size),
    '%'.repeat(size),
    'a'.repeat(size),
    `"${'\\"'.repeat(size / 2)}`,
    '<sip:a>,'.repeat(size / 8),
    'a '.repeat(size / 2),
    ';a=b'.repeat(size / 4),
    `<sip:h${';a=b'.repeat(size / 4)}>`,
    `<sip:h?a=b${'&a=b'.repeat(size / 4)}>`,
    `${'\r\n '.repeat(size / 3)}x`,
    `a${' \r\n '.repeat(size / 4)}`,
    'a, '.repeat(size / 3),
    `<sip:${'%41'.repeat(size / 3)}@h>`,
    `<sip:${'%ff'.repeat(size / 3)}@h>`,
    `1 h "x",`.repeat(size / 8),
    `<sip:h>${';a'.repeat(size / 2)}`,
    '9'.repeat(size),
  ];
  for (const value of hostile) {
    for (const name of ['Contact', 'Via', 'From', 'Allow', 'Warning', 'Retry-After', 'X']) {
      const data = utf8(`${invite(`${name}: ${value}`)}\r\n`);
      // Quadratic work on this much takes seconds, linear work about a millisecond; the machine may pause.
      const fastest = Math.min(...[1, 2, 3].map(() => millisecondsFor(data)));
      if (fastest > 200) t.fail(`${name}: ${value.slice(0, 12)}… took ${fastest} ms`);
    }
  }
  t.pass('none took long');
  const many = utf8(lines('OPTIONS sip:h SIP/2.0', ...Array<string>(15_000).fill('a:')));
  t.throws(() => parseMessage(Buffer.concat([many, utf8('\r\n')])), { code: 'TOO_LARGE' });
});
