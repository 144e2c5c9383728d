/**
 * The messages of RFC 4475 and ours of the same kinds, each met as its section asks; run alone, this
 * prints them one by one. The RFC's own come from outside the project, and are left out without it.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  Contact,
  type ContactValue,
  checkRequest,
  checkResponse,
  DateField,
  From,
  isSipUri,
  type NameAddr,
  parseMessage,
  RetryAfter,
  type SipMessage,
  Subject,
  serializeMessage,
  To,
  Via,
  Warning,
} from '@sip-stack/parser';
import t from 'tap';
import { corpus } from './corpus.js';
import { fieldOf, meaning } from './every-field.js';
import { TORTURE_MESSAGES } from './torture-messages.js';

const FOLDER = new URL('../../../../shared/vectors/rfc4475/', import.meta.url);
const SKIP = existsSync(FOLDER) ? false : `the messages are not at ${FOLDER.pathname}`;
const OURS = new Map(corpus().map(({ name, octets }) => [name, octets]));

function vectorOctets(name: string): Buffer {
  const octets = readFileSync(new URL(`${name}.dat`, FOLDER));
  // This one comes without the empty line that ends its head.
  return name === 'baddn' ? Buffer.concat([octets, Buffer.from('\r\n')]) : octets;
}

function ownOctets(name: string): Buffer {
  const octets = OURS.get(name);
  if (octets === undefined) throw new Error(`expected ${name}.sip in the corpus, found none`);
  return octets;
}

function checked(octets: Buffer): SipMessage {
  const message = parseMessage(octets);
  if (message.kind === 'request') checkRequest(message);
  else checkResponse(message);
  return message;
}

const readVector = (name: string) => checked(vectorOctets(name));

t.test('the table has all 49 messages, and the corpus one of each kind', async t => {
  t.equal(new Set(TORTURE_MESSAGES.map(({ name }) => name)).size, 49);
  for (const { name } of TORTURE_MESSAGES) t.equal(OURS.has(name), true, name);
});

const SOURCES = [
  { whose: 'of the RFC', octetsOf: vectorOctets, skip: SKIP },
  { whose: 'ours', octetsOf: ownOctets, skip: false },
];

for (const { whose, octetsOf, skip } of SOURCES) {
  for (const { section, name, what, refusal } of TORTURE_MESSAGES) {
    const outcome = refusal ? `refused with ${refusal.status} ${refusal.code}` : 'read';
    t.test(`${section} ${name}, ${whose}: ${what}: ${outcome}`, { skip }, async t => {
      if (refusal) {
        t.throws(() => checked(octetsOf(name)), { name: 'SipSyntaxError', ...refusal });
        return;
      }
      const message = checked(octetsOf(name));
      const said = meaning(message);
      t.equal(meaning(parseMessage(serializeMessage(message))), said);
    });
  }
}

t.test('further messages of the corpus are read with every field in them', async t => {
  const seeds = [...OURS].filter(([name]) => name.startsWith('seed-'));
  t.equal(seeds.length, 5);
  for (const [name, octets] of seeds) {
    const message = parseMessage(octets);
    for (const [fieldName] of message.headers.entries()) {
      const field = fieldOf(fieldName);
      if (field) t.doesNotThrow(() => message.headers.all(field), `${name}: ${fieldName}`);
    }
    const said = meaning(message);
    t.equal(meaning(parseMessage(serializeMessage(message))), said, name);
  }
});

t.test('what our messages mean', async t => {
  const own = (name: string) => checked(ownOctets(name));
  const wsinv = own('wsinv').headers;
  t.equal(wsinv.require(From).displayName, 'O"Hara \\');
  t.same(
    wsinv.all(Via).map(via => [via.transport, via.host, via.params.get('branch')]),
    [
      ['UDP', '192.0.2.7', 'seven'],
      ['TCP', 'relay.ring.example', 'z9hG4bKeight'],
      ['UDP', '192.0.2.9', 'z9hG4bKnine'],
    ],
  );
  t.equal(wsinv.text('Brand-New-Field'), 'what it says, over two lines and a third;x');
  const esc01 = own('esc01');
  t.match(esc01, { uri: { user: 'sips:hall@ring.example' } });
  const { uri } = address(esc01.headers.require(Contact));
  t.same(isSipUri(uri) && [...uri.params], [
    ['lr', ''],
    ['name', 'val%41'],
  ]);
  t.match(own('escnull').headers.all(Contact)[1], { uri: { user: '\0\0\0' } });
  t.equal(own('esc02').headers.all(Contact).length, 2);
  t.equal(own('intmeth').headers.require(To).displayName, 'BEL:\u0007 NUL:\0 DEL:\u007f');
  t.equal(own('longreq').headers.all(Via).length, 30);
  t.equal(own('dblreq').body.length, 0);
  t.match(own('semiuri'), { uri: { user: 'hall;day=monday;par=h@other.example' } });
  t.match(own('noreason'), { status: 100, reason: '' });
  t.throws(() => own('baddate').headers.require(DateField), { code: 'BAD_VALUE', field: 'Date' });
});

t.test('what the valid messages mean', { skip: SKIP }, async t => {
  const wsinv = readVector('wsinv').headers;
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

  const intmeth = readVector('intmeth');
  t.equal(intmeth.headers.require(To).displayName, 'BEL:\u0007 NUL:\u0000 DEL:\u007f');
  t.equal(intmeth.headers.require(From).params.get("fromParam''~+*_!.-%"), 'работающий');
  t.equal(intmeth.headers.text("extensionHeader-!.%*+_`'~"), '\ufeff大停電');
  t.ok(intmeth.kind === 'request' && isSipUri(intmeth.uri) && intmeth.uri.host === 'example.com');

  const esc01 = readVector('esc01');
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

  t.equal(readVector('esc02').headers.all(Contact).length, 2, 'escapes in names are not decoded');
  t.match(readVector('escnull').headers.all(Contact)[1], { uri: { user: '\0\0' } });
  t.equal(
    address(readVector('cparam01').headers.require(Contact)).params.has('unknownparam'),
    true,
  );
  t.equal(address(readVector('cparam02').headers.require(Contact)).params.size, 0);
  t.equal(readVector('longreq').headers.all(Via).length, 34);
  t.match(readVector('semiuri'), { uri: { user: 'user;par=u@example.net', host: 'example.com' } });
  t.equal(readVector('dblreq').body.length, 0, 'what follows the body is dropped');
  t.match(readVector('noreason'), { status: 100, reason: '' });
  t.match(readVector('unreason').kind === 'response' && readVector('unreason'), {
    reason: '= 2**3 * 5**2 но сто девяносто девять - простое',
  });
  t.match(readVector('unksm2').headers.require(To).uri, { scheme: 'isbn', opaque: '2983792873' });
  t.match(readVector('lwsdisp').headers.require(From), { displayName: 'caller' });
  t.equal(readVector('mpart01').body.length, 553);
});

t.test(
  'what is wrong in fields nobody else reads is found when they are read',
  { skip: SKIP },
  async t => {
    t.throws(() => readVector('baddate').headers.require(DateField), {
      code: 'BAD_VALUE',
      field: 'Date',
    });
    const scalarlg = parseMessage(vectorOctets('scalarlg')).headers;
    t.throws(() => scalarlg.require(RetryAfter), { code: 'BAD_VALUE' });
    t.throws(() => scalarlg.require(Warning), { code: 'BAD_VALUE' });
  },
);

function address(value: ContactValue): NameAddr {
  if (value === '*') throw new Error('expected an address');
  return value;
}
