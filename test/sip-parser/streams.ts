/**
 * Streams as phones, tired networks and enemies send them: whole messages and keep-alives, and among
 * them wrong lengths, garbage, and more than the limits allow. Whatever stands in one, a framer finds
 * the same wherever it is cut.
 */
import { strict as assert } from 'node:assert';
import { type FramerEvent, StreamFramer, type StreamFramerOptions } from '@sip-stack/parser';
import type { SeededRandom } from '../../src/simulation/seeded-random.js';
import { below, mutant } from './mutate.js';

export interface Stream {
  readonly octets: Buffer;
  readonly options: StreamFramerOptions;
  /** What a framer finds before the first thing that is wrong, as `describe` says it. */
  readonly begins: readonly string[];
  /** Nothing is wrong with it: `begins` is all there is. */
  readonly sound: boolean;
}

const LINE_END = '\r\n';
const MOST_PARTS = 8;
const MOST_PIECES = 300;
const LONGEST_BODY = 3000;
const NAMES = ['Content-Length', 'content-length', 'l', 'L', 'Content-Length '];
const WRONG_LENGTHS = [
  ...['', '-1', '+5', '0x10', '1e2', '5 5', '5,5', '5;5', '4294967296', '9007199254740993'],
  ...['99999999999999999999999', '0.5', '"5"', '5\r\nl: 6', '5\r\n 5'],
];
const GARBAGE = [
  '\0',
  '\r',
  '\n',
  '\r\r\n',
  '\n\n',
  ' ',
  '\xff\xfe',
  '\x16\x03\x01',
  'GET / HTTP/1.1',
];

export function randomStream(random: SeededRandom, corpus: readonly string[]): Stream {
  const keepAlive = random.unit() < 0.3 ? 'pong' : 'ping';
  const limits = random.unit() < 0.5 ? {} : smallLimits(random);
  const broken = random.unit() < 0.7 ? below(random, MOST_PARTS) : MOST_PARTS;
  const parts: string[] = [];
  const begins: string[] = [];
  let lineEnds = 0;
  const settleLineEnds = () => {
    const found = keepAlive === 'pong' ? lineEnds : Math.floor(lineEnds / 2);
    begins.push(...Array<string>(found).fill(keepAlive));
    lineEnds = 0;
  };
  for (let index = 0; index < MOST_PARTS && index < broken; index++) {
    if (random.unit() < 0.4) {
      const count = 1 + below(random, 5);
      parts.push(LINE_END.repeat(count));
      lineEnds += count;
      continue;
    }
    settleLineEnds();
    const message = soundMessage(random);
    const problem = beyond(message, limits);
    parts.push(message.head + message.body);
    begins.push(problem ?? message.head + message.body);
    if (problem)
      return { octets: octetsOf(parts), options: { keepAlive, ...limits }, begins, sound: true };
  }
  if (broken === MOST_PARTS) {
    settleLineEnds();
    return { octets: octetsOf(parts), options: { keepAlive, ...limits }, begins, sound: true };
  }
  for (let count = 1 + below(random, 3); count > 0; count--) parts.push(spoilt(random, corpus));
  return { octets: octetsOf(parts), options: { keepAlive, ...limits }, begins, sound: false };
}

/** Complains where a framer errs on this stream, or finds something else in its pieces. */
export function checkStream(
  { octets, options, begins, sound }: Stream,
  pieces: readonly Buffer[],
): void {
  const events = framed([octets], options);
  const found = events.map(describe);
  assert.deepEqual(found.slice(0, begins.length), begins, 'a sound beginning is read as it is');
  if (sound) assert.equal(found.length, begins.length, 'nothing is found beyond what was sent');
  checkOrder(events, octets, options);
  const again = framed(pieces, options).map(describe);
  assert.deepEqual(again, found, `cut into ${pieces.length} pieces, something else is found`);
}

/** Messages are what was sent, in order, within the limits; an error is the last. */
function checkOrder(
  events: readonly FramerEvent[],
  octets: Buffer,
  options: StreamFramerOptions,
): void {
  const { headerBytes = Infinity, bodyBytes = Infinity } = options;
  let from = 0;
  for (const [index, event] of events.entries()) {
    if (event.type === 'error') assert.equal(index, events.length - 1, 'nothing after an error');
    if (event.type !== 'message') continue;
    const at = octets.indexOf(event.data, from);
    assert.ok(at >= 0, 'a message is what was sent');
    from = at + event.data.length;
    const head = Buffer.from(event.data).indexOf(LINE_END + LINE_END) + 4;
    assert.ok(head <= headerBytes && event.data.length - head <= bodyBytes, 'within the limits');
  }
}

export function framed(pieces: Iterable<Uint8Array>, options: StreamFramerOptions): FramerEvent[] {
  const framer = new StreamFramer(options);
  return [...pieces].flatMap(piece => framer.push(piece));
}

export function describe(event: FramerEvent): string {
  switch (event.type) {
    case 'message':
      return Buffer.from(event.data).toString('latin1');
    case 'error':
      return event.error.code;
    case 'ping':
    case 'pong':
      return event.type;
  }
}

// ---- where a stream is cut

export function cut(octets: Buffer, random: SeededRandom): Buffer[] {
  return one(random, [everywhere, anywhere, atLineEnds])(octets, random);
}

/** An octet at a time; long streams in pieces a little larger, for each push has its cost. */
function everywhere(octets: Buffer): Buffer[] {
  const size = Math.ceil(octets.length / MOST_PIECES);
  const pieces: Buffer[] = [];
  for (let at = 0; at < octets.length; at += size) pieces.push(octets.subarray(at, at + size));
  return pieces;
}

/** Now and then nothing comes at all. */
function anywhere(octets: Buffer, random: SeededRandom): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < octets.length; ) {
    const size = random.unit() < 0.1 ? 0 : 1 + below(random, octets.length);
    pieces.push(octets.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/** Within and around line ends, where framers go wrong. */
function atLineEnds(octets: Buffer, random: SeededRandom): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let at = octets.indexOf('\r'); at >= 0; at = octets.indexOf('\r', at + 1)) {
    const cut = at + below(random, 3);
    if (cut <= from || random.unit() < 0.3) continue;
    pieces.push(octets.subarray(from, cut));
    from = cut;
  }
  return [...pieces, octets.subarray(from)];
}

// ---- what stands in it

interface SoundMessage {
  readonly head: string;
  readonly body: string;
  readonly lines: number;
}

function soundMessage(random: SeededRandom): SoundMessage {
  const size = random.unit() < 0.5 ? 0 : below(random, random.unit() < 0.9 ? 80 : LONGEST_BODY);
  const body = bodyOf(random, size);
  const names = Array.from({ length: below(random, 12) }, (_, index) => `X-${index}: ${index}`);
  const length = `${one(random, NAMES)}:${' '.repeat(below(random, 3))}${body.length}`;
  names.splice(below(random, names.length + 1), 0, length);
  const start = random.unit() < 0.5 ? 'OPTIONS sip:h SIP/2.0' : 'SIP/2.0 200 OK';
  const head = [start, ...names, '', ''].join(LINE_END);
  return { head, body, lines: names.length };
}

/** Octets of every kind, and what looks like the end of a head or the next message. */
function bodyOf(random: SeededRandom, size: number): string {
  const bait = `\r\n\r\nOPTIONS sip:h SIP/2.0\r\nl: 3\r\n\r\n`;
  const octets = Buffer.from(random.bytes(size)).toString('latin1');
  return random.unit() < 0.5 ? octets : bait.repeat(Math.ceil(size / bait.length)).slice(0, size);
}

function smallLimits(random: SeededRandom): Required<Omit<StreamFramerOptions, 'keepAlive'>> {
  return {
    headerBytes: 60 + below(random, 400),
    bodyBytes: below(random, 200),
    headerCount: 1 + below(random, 14),
  };
}

/** The error that a message deserves which is larger than allowed. */
function beyond(
  { head, body, lines }: SoundMessage,
  { headerBytes = Infinity, bodyBytes = Infinity, headerCount = Infinity }: StreamFramerOptions,
): string | undefined {
  const tooLarge = head.length > headerBytes || lines > headerCount || body.length > bodyBytes;
  return tooLarge ? 'TOO_LARGE' : undefined;
}

/** Something that is wrong, or may be. */
function spoilt(random: SeededRandom, corpus: readonly string[]): string {
  switch (below(random, 6)) {
    case 0:
      return mutant(random, corpus).toString('latin1');
    case 1:
      return withLength(random, one(random, WRONG_LENGTHS));
    case 2:
      return withLength(random, String(below(random, 300)));
    case 3:
      return one(random, GARBAGE).repeat(1 + below(random, 40)) + one(random, corpus);
    case 4:
      return `OPTIONS sip:h SIP/2.0\r\nX: ${'x'.repeat(below(random, 20_000))}`;
    default:
      return one(random, corpus) + LINE_END.repeat(below(random, 4)) + one(random, corpus);
  }
}

/** A message whose Content-Length says something else than its body does. */
function withLength(random: SeededRandom, length: string): string {
  const { head, body } = soundMessage(random);
  return head.replace(/(l|length) ?:[^\r]*/i, `$1: ${length}`) + body;
}

function octetsOf(parts: readonly string[]): Buffer {
  return Buffer.from(parts.join(''), 'latin1');
}

function one<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[below(random, choices.length)]!;
}
