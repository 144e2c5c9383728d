/** Nothing a peer sends makes the parser fail otherwise than it says, or work for long. */
import {
  checkRequest,
  parseMessage,
  parseUri,
  SipSyntaxError,
  sameUri,
  serializeMessage,
} from '@sip-stack/parser';
import fc from 'fast-check';
import t from 'tap';
import { FIELDS, valuesOf } from './every-field.js';
import { invite, lines, utf8 } from './requests.js';

/** Everything that could throw is asked for. */
function readAll(data: Uint8Array): void {
  const message = parseMessage(data);
  for (const field of FIELDS) valuesOf(message, field);
  serializeMessage(message);
  if (message.kind === 'request') checkRequest(message);
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

/** The least of eight times, since the machine may pause; one where that was short enough. */
function millisecondsOf(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 8 && least > LONG_MS; look++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    work();
    const { user, system } = process.cpuUsage(before);
    // Other programs may have had the processor meanwhile; threads of ours may have had another one.
    least = Math.min(least, performance.now() - start, (user + system) / 1000);
  }
  return least;
}

/** Quadratic work on 60 kB takes seconds, linear work about a millisecond. */
const LONG_MS = 50;
const SIZE = 60_000;

const numbered = (count: number, piece: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => piece(index)).join('');

/** One field of each shape. */
const ATTACKED = [
  'Contact',
  'Via',
  'From',
  'Allow',
  'Warning',
  'Retry-After',
  'Authorization',
  'Alert-Info',
  'Accept-Contact',
  'Replaces',
  'Privacy',
  'Subject',
  'X',
];

t.test('60 kB of malice are read in a moment', async t => {
  const hostile = [
    ' '.repeat(SIZE),
    '\t'.repeat(SIZE),
    ','.repeat(SIZE),
    ';'.repeat(SIZE),
    '"'.repeat(SIZE),
    '\\'.repeat(SIZE),
    '<'.repeat(SIZE),
    '('.repeat(SIZE),
    '%'.repeat(SIZE),
    'a'.repeat(SIZE),
    `"${'\\"'.repeat(SIZE / 2)}`,
    '<sip:a>,'.repeat(SIZE / 8),
    'a '.repeat(SIZE / 2),
    ';a=b'.repeat(SIZE / 4),
    `<sip:h${';a=b'.repeat(SIZE / 4)}>`,
    `<sip:h?a=b${'&a=b'.repeat(SIZE / 4)}>`,
    `${'\r\n '.repeat(SIZE / 3)}x`,
    `a${' \r\n '.repeat(SIZE / 4)}`,
    'a, '.repeat(SIZE / 3),
    `<sip:${'%41'.repeat(SIZE / 3)}@h>`,
    `<sip:${'%ff'.repeat(SIZE / 3)}@h>`,
    `1 h "x",`.repeat(SIZE / 8),
    `<sip:h>${';a'.repeat(SIZE / 2)}`,
    '9'.repeat(SIZE),
    `<sip:h>${numbered(8000, index => `;p${index}`)}`,
    `<sip:h${numbered(8000, index => `;p${index}`)}>`,
    `Digest ${numbered(6000, index => `p${index}=1,`)}x=1`,
    `[${':'.repeat(SIZE)}]`,
    `a;to-tag=1;from-tag=2${numbered(8000, index => `;p${index}`)}`,
  ];
  for (const value of hostile) {
    for (const name of ATTACKED) {
      const data = utf8(`${invite(`${name}: ${value}`)}\r\n`);
      const took = millisecondsOf(() => onlySyntaxErrors(data));
      if (took > LONG_MS) t.fail(`${name}: ${value.slice(0, 12)}… took ${took} ms`);
    }
  }
  t.pass('none took long');
  const many = utf8(lines('OPTIONS sip:h SIP/2.0', ...Array<string>(15_000).fill('a:')));
  t.throws(() => parseMessage(Buffer.concat([many, utf8('\r\n')])), { code: 'TOO_LARGE' });
});

t.test('long URIs are compared in a moment', async t => {
  const long = [
    `sip:h${numbered(8000, index => `;p${index}=a`)}`,
    `sip:h?a=1${'&a=1'.repeat(SIZE / 4)}`,
    `sip:h?a=1${numbered(6000, index => `&p${index}=a`)}`,
    `sip:${'%3b'.repeat(SIZE / 3)}@h`,
    `tel:1${numbered(8000, index => `;p${index}=a`)}`,
  ];
  for (const text of long) {
    const took = millisecondsOf(() => t.equal(sameUri(parseUri(text), parseUri(text)), true));
    t.equal(took < LONG_MS, true, `${text.slice(0, 16)}… took ${took} ms`);
  }
});
