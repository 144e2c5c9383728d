/**
 * Broken messages for the parser, made from `corpus/` by its grammar. Each is refused with a
 * SipSyntaxError or read, quickly; what is read is written and read again with the same meaning.
 *
 *     [FUZZ_CASES=700000] [FUZZ_SEED=…] node dist/test/sip-parser/fuzz.js [--json] [FILE…]
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
  type HeaderField,
  parseMessage,
  type SipMessage,
  SipSyntaxError,
  serializeMessage,
} from '@sip-stack/parser';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atLeast, atMost, plain, printFigures } from '../harness/figures.js';
import { INPUT_LIMIT_MS, leastTime } from '../harness/time-limit.js';
import { corpus } from './corpus.js';
import { anew, fieldOf, meaning, valuesOf } from './every-field.js';
import { mutant } from './mutate.js';

const CASES = Number(process.env.FUZZ_CASES ?? 700_000);
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 32));
const FILES = process.argv.slice(2).filter(argument => !argument.startsWith('--'));

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
    for (const file of FILES) tryOctets(readFileSync(file), tally);
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
    atMost(INPUT_LIMIT_MS, 'slowest', tally.slowestMs, 'ms'),
    plain('time', seconds, 's'),
  ]);
}

function tryCase(index: number, seeds: readonly string[], tally: Tally): void {
  const random = new SeededRandom((SEED + index) % 2 ** 32);
  const octets = mutant(random, seeds);
  try {
    tryOctets(octets, tally);
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

function tryOctets(octets: Buffer, tally: Tally): void {
  tally.cases++;
  const took = leastTime(() => readAll(octets), tally.slowestMs);
  tally.slowestMs = Math.max(tally.slowestMs, took);
  assert.ok(took <= INPUT_LIMIT_MS, `${octets.length} octets took ${took} ms`);
  const message = refusedOr(() => parseMessage(octets));
  if (message !== undefined) {
    tally.read++;
    if (checkRoundTrip(message)) tally.whole++;
  }
}

/** Reads a message and everything in it, once: what is refused is read again whenever it is asked for. */
function readAll(octets: Buffer): void {
  const message = refusedOr(() => parseMessage(octets));
  if (message === undefined) return;
  for (const field of fieldsOf(message)) valuesOf(message, field);
  refusedOr(() => (message.kind === 'request' ? checkRequest(message) : checkResponse(message)));
}

/** The described fields it has, each once. */
function fieldsOf({ headers }: SipMessage): HeaderField<unknown>[] {
  const names = new Set(Array.from(headers.entries(), ([name]) => name));
  return [...names].flatMap(name => fieldOf(name) ?? []);
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
  for (const field of fieldsOf(message)) {
    const values = valuesOf(message, field);
    whole &&= values !== undefined;
    for (const value of values ?? []) {
      const text = field.format(anew(value));
      assert.equal(field.format(anew(field.parse(text))), text, `${field.name} put together anew`);
    }
  }
  return whole;
}

main();
