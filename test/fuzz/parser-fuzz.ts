/** Broken messages for the parser: it reads them or refuses them, quickly, and never fails otherwise. */
import { strict as assert } from 'node:assert';
import {
  checkRequest,
  parseMessage,
  type SipMessage,
  SipSyntaxError,
  serializeMessage,
} from '@sip-stack/parser';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atMost, type Figure, plain } from '../harness/figures.js';
import { PlainFailure } from '../harness/program.js';
import { messages } from './messages.js';
import { mutate, one } from './mutate.js';

const MESSAGES = 60_000;
/** For one message of some hundred octets, garbage collection and a busy machine included. */
const SLOWEST_MS = 50;

export function fuzzParser(seed: number): Figure[] {
  const random = new SeededRandom(seed);
  const whole = messages({ phone: '127.0.0.1:5060', id: 'fuzz', user: 'nobody' });
  let read = 0;
  let slowest = 0;
  for (let n = 0; n < MESSAGES; n++) {
    const octets = mutate(random, Buffer.from(one(random, whole), 'latin1'));
    const started = performance.now();
    try {
      const message = parseMessage(octets);
      checkStable(message);
      if (message.kind === 'request') checkRequest(message);
      read++;
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw failure(error, octets, seed, n);
    }
    slowest = Math.max(slowest, performance.now() - started);
  }
  return [
    plain('broken messages tried on the parser', MESSAGES, 'messages'),
    plain('of them good enough to be read', read, 'messages'),
    atMost(SLOWEST_MS, 'slowest of them', slowest, 'ms'),
  ];
}

/** What is written is read again as the same message. */
function checkStable(message: SipMessage): void {
  const written = serializeMessage(message);
  const again = serializeMessage(parseMessage(written));
  assert.deepEqual(again, written, 'writing, reading and writing again changes the message');
}

function failure(error: unknown, octets: Buffer, seed: number, n: number): PlainFailure {
  const why = error instanceof Error ? error.stack : String(error);
  const message = JSON.stringify(octets.toString('latin1'));
  return new PlainFailure(`message ${n} of FUZZ_SEED=${seed}: ${message}\n${why}`);
}
