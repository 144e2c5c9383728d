import { type FramerEvent, parseMessage, StreamFramer } from '@sip-stack/parser';
import fc from 'fast-check';
import t from 'tap';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { octetsInBuffers } from '../harness/garbage.js';
import { corpus } from './corpus.js';
import { checkStream, cut, randomStream } from './streams.js';

const octets = (text: string) => new TextEncoder().encode(text);
const options = (id: number, body: string) =>
  `OPTIONS sip:h SIP/2.0\r\ni: ${id}\r\nSubject: é\r\nl: ${octets(body).length}\r\n\r\n${body}`;

/** `message:` with its Call-ID and body, `ping`, `pong`, or the code of an error. */
function describe(event: FramerEvent): string {
  switch (event.type) {
    case 'message': {
      const { headers, body } = parseMessage(event.data);
      return `message:${headers.text('Call-ID')}:${new TextDecoder().decode(body)}`;
    }
    case 'error':
      return event.error.code;
    default:
      return event.type;
  }
}

const STREAM = `\r\n\r\n${options(1, '')}\r\n${options(2, 'ж\r\n\r\nx')}\r\n\r\n\r\n\r\n${options(3, 'z')}`;
const EXPECTED = ['ping', 'message:1:', 'message:2:ж\r\n\r\nx', 'ping', 'ping', 'message:3:z'];

t.test('a stream gives the same messages wherever it is split', async t => {
  const all = octets(STREAM);
  t.same(new StreamFramer().push(all).map(describe), EXPECTED);
  const byOctet = new StreamFramer();
  t.same([...all].flatMap(octet => byOctet.push(Uint8Array.of(octet))).map(describe), EXPECTED);
  for (let at = 0; at <= all.length; at++) {
    const framer = new StreamFramer();
    const events = [...framer.push(all.subarray(0, at)), ...framer.push(all.subarray(at))];
    t.same(events.map(describe), EXPECTED, `split at ${at}`);
  }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 })), sizes => {
      const framer = new StreamFramer();
      const events: FramerEvent[] = [];
      let from = 0;
      for (const size of sizes) {
        events.push(...framer.push(all.slice(from, from + size)));
        from += size;
      }
      events.push(...framer.push(all.slice(from)));
      t.same(events.map(describe), EXPECTED);
    }),
    { seed: 5, numRuns: 100 },
  );
});

t.test('messages do not change when more arrives', async t => {
  const framer = new StreamFramer();
  const chunk = octets(options(1, 'abc'));
  const [first] = framer.push(chunk);
  chunk.fill(0);
  for (let count = 0; count < 100; count++) framer.push(octets(options(2, 'def')));
  t.equal(first && describe(first), 'message:1:abc');
});

t.test('the end that sends pings sees each line end as a pong', async t => {
  const framer = new StreamFramer({ keepAlive: 'pong' });
  t.same(framer.push(octets('\r\n')).map(describe), ['pong']);
  t.same(framer.push(octets('\r')).map(describe), []);
  t.same(framer.push(octets(`\n${options(1, '')}`)).map(describe), ['pong', 'message:1:']);
});

t.test('a stream that cannot be followed ends with one error', async t => {
  const cases: [
    text: string,
    code: string,
    limits?: ConstructorParameters<typeof StreamFramer>[0],
  ][] = [
    ['OPTIONS sip:h SIP/2.0\r\n\r\n', 'MISSING_FIELD'],
    ['OPTIONS sip:h SIP/2.0\r\nl: x\r\n\r\n', 'BAD_CONTENT_LENGTH'],
    ['OPTIONS sip:h SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n', 'BAD_CONTENT_LENGTH'],
    ['OPTIONS sip:h SIP/2.0\r\nnonsense\r\n\r\n', 'BAD_HEADER_LINE'],
    ['x'.repeat(101), 'TOO_LARGE', { headerBytes: 100 }],
    ['OPTIONS sip:h SIP/2.0\r\nl: 11\r\n\r\n', 'TOO_LARGE', { bodyBytes: 10 }],
    ['OPTIONS sip:h SIP/2.0\r\na: b\r\nl: 0\r\n\r\n', 'TOO_LARGE', { headerCount: 1 }],
  ];
  for (const [text, code, limits] of cases) {
    const framer = new StreamFramer(limits);
    t.same(framer.push(octets(text)).map(describe), [code], code);
    t.same(framer.push(octets(options(1, ''))), [], 'and nothing after it');
  }
});

t.test('a large message in small pieces takes a moment', async t => {
  const framer = new StreamFramer();
  const all = octets(options(1, 'x'.repeat(1_000_000)));
  const start = performance.now();
  let events: FramerEvent[] = [];
  for (let at = 0; at < all.length; at += 100) events = framer.push(all.subarray(at, at + 100));
  t.match(events, [{ type: 'message' }]);
  const dribble = new StreamFramer();
  const line = octets('\nx\r\r\n');
  for (let count = 0; count < 12_000; count++) dribble.push(line);
  const elapsed = performance.now() - start;
  if (elapsed > 2000) t.fail(`took ${elapsed} ms: each octet must be looked at once`);
});

/** `make fuzz` tries two hundred thousand. */
const SEEDS = 2000;

t.test('what comes of a stream, sound or broken, does not hang on where it is cut', async t => {
  const messages = corpus().map(({ octets }) => octets.toString('latin1'));
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed);
    const stream = randomStream(random, messages);
    try {
      checkStream(stream, cut(stream.octets, random));
    } catch (error) {
      t.error(error, `stream ${seed}`);
    }
  }
  t.pass(`${SEEDS} streams`);
});

t.test('a large message leaves no large buffer behind', async t => {
  const large = octets(options(1, 'x'.repeat(1_000_000)));
  const framers = Array.from({ length: 20 }, () => new StreamFramer());
  const before = octetsInBuffers();
  for (const framer of framers) {
    for (let at = 0; at < large.length; at += 65_536) framer.push(large.subarray(at, at + 65_536));
  }
  const kept = (octetsInBuffers() - before) / framers.length;
  t.ok(kept < 70_000, `${kept} octets each`);
  t.match(framers[0]?.push(large), [{ type: 'message' }], 'and the next is read as well');
});
