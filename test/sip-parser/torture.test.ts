/** The messages of RFC 4475, each met as its section asks. */
import { existsSync, readFileSync } from 'node:fs';
import {
  CallId,
  Contact,
  type ContactValue,
  CSeq,
  checkRequest,
  checkResponse,
  DateField,
  From,
  formatUri,
  type HeaderField,
  isSipUri,
  type NameAddr,
  parseMessage,
  RetryAfter,
  Route,
  type SipMessage,
  type SipSyntaxErrorCode,
  Subject,
  serializeMessage,
  To,
  Via,
  Warning,
} from '@sip-stack/parser';
import t from 'tap';

const FOLDER = new URL('../../../../shared/vectors/rfc4475/', import.meta.url);
const SKIP = existsSync(FOLDER) ? false : `the messages are not at ${FOLDER.pathname}`;

/** Read, checked, written and read again with the same result; what to do with them is for higher floors. */
const VALID = [
  'bcast', // 3.3.13: the second Via is for the transaction layer
  'bext01', // 3.3.5: 420 from whoever handles extensions
  'cparam01',
  'cparam02',
  'dblreq',
  'esc01',
  'esc02',
  'escnull',
  'intmeth',
  'inv2543', // 3.4.1: without branch, tag and Max-Forwards
  'invut', // 3.3.1: 415 from the user agent
  'longreq',
  'lwsdisp',
  'mpart01',
  'noreason',
  'regaut01', // 3.3.7
  'regescrt',
  'sdp01', // 3.3.8: 406 from the user agent
  'semiuri',
  'transports',
  'unksm2', // 3.3.4: schemes of To, From and Contact are the registrar's business
  'unreason',
  'wsinv',
  'zeromf', // 3.3.12: 483 from a proxy, answered by a user agent
  'baddate', // 3.1.2.12: only who reads Date minds
];

const REFUSED: readonly [name: string, code: SipSyntaxErrorCode, status: number, field?: string][] =
  [
    ['badaspec', 'BAD_URI', 400, 'To'],
    ['badbranch', 'BAD_VALUE', 400, 'Via'],
    ['baddn', 'BAD_URI', 400, 'From'],
    ['badinv01', 'BAD_VALUE', 400, 'Via'],
    ['badvers', 'BAD_VERSION', 505],
    ['bigcode', 'BAD_START_LINE', 400],
    ['clerr', 'TRUNCATED_BODY', 400, 'Content-Length'],
    ['escruri', 'BAD_URI', 400],
    ['insuf', 'MISSING_FIELD', 400, 'From'],
    ['ltgtruri', 'BAD_URI', 400],
    ['lwsruri', 'BAD_START_LINE', 400],
    ['lwsstart', 'BAD_START_LINE', 400],
    ['mcl01', 'BAD_CONTENT_LENGTH', 400, 'Content-Length'],
    ['mismatch01', 'METHOD_MISMATCH', 400, 'CSeq'],
    ['mismatch02', 'METHOD_MISMATCH', 400, 'CSeq'],
    ['multi01', 'REPEATED_FIELD', 400, 'From'],
    ['ncl', 'BAD_CONTENT_LENGTH', 400, 'Content-Length'],
    ['novelsc', 'UNKNOWN_SCHEME', 416],
    ['quotbal', 'BAD_VALUE', 400, 'To'],
    ['regbadct', 'BAD_VALUE', 400, 'Contact'],
    ['scalar02', 'BAD_VALUE', 400, 'CSeq'],
    ['scalarlg', 'BAD_VALUE', 400, 'CSeq'],
    ['trws', 'BAD_START_LINE', 400],
    ['unkscm', 'UNKNOWN_SCHEME', 416],
  ];

function octetsOf(name: string): Uint8Array {
  const octets = readFileSync(new URL(`${name}.dat`, FOLDER));
  // This one comes without the empty line that ends its head.
  return name === 'baddn' ? Buffer.concat([octets, Buffer.from('\r\n')]) : octets;
}

function read(name: string): SipMessage {
  const message = parseMessage(octetsOf(name));
  if (message.kind === 'request') checkRequest(message);
  else checkResponse(message);
  return message;
}

/** Everything a message says, from its typed fields. */
function meaning(message: SipMessage): unknown {
  const start =
    message.kind === 'request'
      ? [message.method, formatUri(message.uri)]
      : [message.status, message.reason];
  const { headers, body } = message;
  const typed = [Via, From, To, CallId, CSeq, Contact, Route].map((field: HeaderField<unknown>) =>
    headers.all(field).map(value => field.format(value)),
  );
  const lines = [...headers.entries()].filter(([name]) => name !== 'Content-Length');
  return [start, typed, lines, Buffer.from(body).toString('hex')];
}

t.test('every one of the 49 messages is met', async t => {
  t.equal(new Set([...VALID, ...REFUSED.map(([name]) => name)]).size, 49);
});

for (const name of VALID) {
  t.test(`${name} reads well and survives a round trip`, { skip: SKIP }, async t => {
    const message = read(name);
    const again = parseMessage(serializeMessage(message));
    t.same(meaning(again), meaning(message));
  });
}

for (const [name, code, status, field] of REFUSED) {
  t.test(`${name} is refused with ${status}`, { skip: SKIP }, async t => {
    t.throws(() => read(name), { name: 'SipSyntaxError', code, status, field });
  });
}

t.test('what the valid messages mean', { skip: SKIP }, async t => {
  const wsinv = read('wsinv').headers;
  t.equal(wsinv.require(From).displayName, 'J Rosenberg \\"');
  t.equal(wsinv.require(To).params.get('tag'), '1918181833n');
  t.equal(wsinv.require(Subject), '');
  t.equal(wsinv.text('newfangledheader'), 'newfangled value continued newfangled value');
  t.same(
    wsinv.all(Via).map(via => [via.transport, via.host, via.params.get('branch')]),
    [
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ],
  );
  const contact = address(wsinv.require(Contact));
  t.equal(contact.displayName, 'Quoted string ""');
  t.same(
    [...contact.params],
    [
      ['newparam', 'newvalue'],
      ['secondparam', ''],
      ['q', '0.33'],
    ],
  );

  const intmeth = read('intmeth');
  t.equal(intmeth.headers.require(To).displayName, 'BEL:\u0007 NUL:\u0000 DEL:\u007f');
  t.equal(intmeth.headers.require(From).params.get("fromParam''~+*_!.-%"), 'работающий');
  t.equal(intmeth.headers.text("extensionHeader-!.%*+_`'~"), '\ufeff大停電');
  t.ok(intmeth.kind === 'request' && isSipUri(intmeth.uri) && intmeth.uri.host === 'example.com');

  const esc01 = read('esc01');
  t.ok(
    esc01.kind === 'request' && isSipUri(esc01.uri) && esc01.uri.user === 'sips:user@example.com',
  );
  t.match(esc01.headers.require(To).uri, { user: 'user' });
  t.match(esc01.headers.require(From).uri, { user: 'I have spaces' });
  const { uri } = address(esc01.headers.require(Contact));
  t.same(isSipUri(uri) && [...uri.params], [
    ['lr', ''],
    ['name', 'value%41'],
  ]);

  t.equal(read('esc02').headers.all(Contact).length, 2, 'escapes in names are not decoded');
  t.match(read('escnull').headers.all(Contact)[1], { uri: { user: '\0\0' } });
  t.equal(address(read('cparam01').headers.require(Contact)).params.has('unknownparam'), true);
  t.equal(address(read('cparam02').headers.require(Contact)).params.size, 0);
  t.equal(read('longreq').headers.all(Via).length, 34);
  t.match(read('semiuri'), { uri: { user: 'user;par=u@example.net', host: 'example.com' } });
  t.equal(read('dblreq').body.length, 0, 'what follows the body is dropped');
  t.match(read('noreason'), { status: 100, reason: '' });
  t.match(read('unreason').kind === 'response' && read('unreason'), {
    reason: '= 2**3 * 5**2 но сто девяносто девять - простое',
  });
  t.match(read('unksm2').headers.require(To).uri, { scheme: 'isbn', opaque: '2983792873' });
  t.match(read('lwsdisp').headers.require(From), { displayName: 'caller' });
  t.equal(read('mpart01').body.length, 553);
});

t.test(
  'what is wrong in fields nobody else reads is found when they are read',
  { skip: SKIP },
  async t => {
    t.throws(() => read('baddate').headers.require(DateField), {
      code: 'BAD_VALUE',
      field: 'Date',
    });
    const scalarlg = parseMessage(octetsOf('scalarlg')).headers;
    t.throws(() => scalarlg.require(RetryAfter), { code: 'BAD_VALUE' });
    t.throws(() => scalarlg.require(Warning), { code: 'BAD_VALUE' });
  },
);

function address(value: ContactValue): NameAddr {
  if (value === '*') throw new Error('expected an address');
  return value;
}
