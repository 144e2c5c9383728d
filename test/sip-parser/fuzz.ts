/**
 * Broken messages for the parser and the framer, made from `corpus/` by its grammar. Each is refused
 * with a SipSyntaxError or read, quickly; what is read is written and read again with the same meaning.
 *
 *     [FUZZ_CASES=1000000] [FUZZ_SEED=…] node dist/test/sip-parser/fuzz.js [--json] [FILE…]
 *
 * Case n of seed s is the first case of seed s + n. With FILEs, only their octets are tried.
 */
import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  checkRequest,
  checkResponse,
  type FramerEvent,
  parseMessage,
  type SipMessage,
  SipSyntaxError,
  StreamFramer,
  serializeMessage,
} from '@sip-stack/parser';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atLeast, atMost, plain, printFigures } from '../harness/figures.js';
import { corpus } from './corpus.js';
import { anew, fieldOf, meaning, valuesOf } from './every-field.js';
import { below, mutant } from './mutate.js';

const CASES = Number(process.env.FUZZ_CASES ?? 1_000_000);
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 32));
const FILES = process.argv.slice(2).filter(argument => !argument.startsWith('--'));

/** For any one message of up to 20 kB. */
const SLOWEST_MS = 5;
/** Collections of garbage and other programs take time too: of the first look and three more the least counts. */
const LOOKS = 4;

/** Framing has less to go wrong than parsing, and costs more to try. */
const FRAMED_SHARE = 0.25;

interface Tally {
  cases: number;
  /** Messages that were read. */
  read: number;
  /** The start line and every line of a described field were read as well. */
  whole: number;
  slowestMs: number;
}

function main(): void {
  const tally: Tally = { cases: 0, read: 0, whole: 0, slowestMs: 0 };
  const started = performance.now();
  if (FILES.length > 0) {
    for (const file of FILES) tryOctets(readFileSync(file), new SeededRandom(0), tally);
  } else {
    // Most cases end in an error whose stack nobody reads; making it would take a third of the time.
    Error.stackTraceLimit = 0;
    const seeds = corpus().map(({ octets }) => octets.toString('latin1'));
    for (let index = 0; index < CASES; index++) tryCase(index, seeds, tally);
  }
  const seconds = (performance.now() - started) / 1000;
  printFigures([
    plain('seed', SEED, ''),
    atLeast(FILES.length || CASES, 'broken messages tried', tally.cases, 'messages'),
    plain('read', tally.read, 'messages'),
    plain('read, with every field in them', tally.whole, 'messages'),
    atMost(SLOWEST_MS, 'slowest', tally.slowestMs, 'ms'),
    plain('time', seconds, 's'),
  ]);
}

function tryCase(index: number, seeds: readonly string[], tally: Tally): void {
  const random = new SeededRandom((SEED + index) % 2 ** 32);
  const octets = mutant(random, seeds);
  try {
    tryOctets(octets, random, tally);
  } catch (error) {
    const file = join(tmpdir(), `sip-fuzz-${SEED}-${index}.sip`);
    writeFileSync(file, octets);
    const program = relative(process.cwd(), fileURLToPath(import.meta.url));
    console.error(`case ${index} of seed ${SEED} failed; its octets are in ${file}`);
    console.error(`replay: node ${program} ${file}`);
    console.error(`    or: FUZZ_SEED=${(SEED + index) % 2 ** 32} FUZZ_CASES=1 node ${program}`);
    throw error;
  }
}

function tryOctets(octets: Buffer, random: SeededRandom, tally: Tally): void {
  tally.cases++;
  let took = timeOf(octets);
  for (let look = 1; look < LOOKS && took > tally.slowestMs; look++) {
    took = Math.min(took, timeOf(octets));
  }
  tally.slowestMs = Math.max(tally.slowestMs, took);
  assert.ok(took <= SLOWEST_MS, `${octets.length} octets took ${took} ms`);
  const message = refusedOr(() => parseMessage(octets));
  if (message !== undefined) {
    tally.read++;
    if (checkRoundTrip(message)) tally.whole++;
  }
  if (random.unit() < FRAMED_SHARE) checkFraming(octets, random);
}

/** Milliseconds to read a message and everything in it. */
function timeOf(octets: Buffer): number {
  const started = performance.now();
  const message = refusedOr(() => parseMessage(octets));
  if (message !== undefined) {
    for (const [name] of message.headers.entries()) {
      const field = fieldOf(name);
      if (field) valuesOf(message, field);
    }
    refusedOr(() => (message.kind === 'request' ? checkRequest(message) : checkResponse(message)));
  }
  return performance.now() - started;
}

function refusedOr<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof SipSyntaxError) return undefined;
    throw error;
  }
}

/** Answers whether every described field was read. */
function checkRoundTrip(message: SipMessage): boolean {
  // Lines that were read as typed values are written from those.
  const said = meaning(message);
  const written = serializeMessage(message);
  const again = parseMessage(written);
  assert.equal(meaning(again), said, 'written and read again, it says something else');
  assert.ok(Buffer.compare(serializeMessage(again), written) === 0, 'written twice, it differs');
  let whole = true;
  for (const [name] of message.headers.entries()) {
    const field = fieldOf(name);
    if (field === undefined) continue;
    const values = valuesOf(message, field);
    whole &&= values !== undefined;
    for (const value of values ?? []) {
      const text = field.format(anew(value));
      assert.equal(field.format(anew(field.parse(text))), text, `${name} put together anew`);
    }
  }
  return whole;
}

/** The framer never throws and finds the same wherever the stream is split. */
function checkFraming(octets: Buffer, random: SeededRandom): void {
  const at = below(random, octets.length + 1);
  const framer = new StreamFramer();
  const split = [...framer.push(octets.subarray(0, at)), ...framer.push(octets.subarray(at))];
  const whole = new StreamFramer().push(octets);
  assert.equal(split.map(describe).join(), whole.map(describe).join(), `split at ${at}`);
  for (const event of whole) {
    if (event.type === 'message') refusedOr(() => parseMessage(event.data));
  }
}

function describe(event: FramerEvent): string {
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

main();
