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
/** For one message of some hundred octets. */
const SLOWEST_MS = 5;
/** One that takes longer is read so often again: what is slow because the machine was busy is not slow each time. */
const SECOND_LOOKS = 5;

export function fuzzParser(seed: number): Figure[] {
  const random = new SeededRandom(seed);
  const whole = messages({ phone: '127.0.0.1:5060', id: 'fuzz', user: 'nobody' });
  let read = 0;
  let slowest = 0;
  for (let n = 0; n < MESSAGES; n++) {
    const octets = mutate(random, Buffer.from(one(random, whole), 'latin1'));
    try {
      const look = () => timed(() => tryToRead(octets));
      let { milliseconds, result } = look();
      for (let looks = 0; milliseconds > SLOWEST_MS && looks < SECOND_LOOKS; looks++) {
        milliseconds = Math.min(milliseconds, look().milliseconds);
      }
      if (result === 'read') read++;
      slowest = Math.max(slowest, milliseconds);
    } catch (error) {
      throw failure(error, octets, seed, n);
    }
  }
  return [
    plain('broken messages tried on the parser', MESSAGES, 'messages'),
    plain('of them good enough to be read', read, 'messages'),
    atMost(SLOWEST_MS, 'slowest of them', slowest, 'ms'),
  ];
}

function tryToRead(octets: Uint8Array): 'read' | 'refused' {
  try {
    const message = parseMessage(octets);
    checkStable(message);
    if (message.kind === 'request') checkRequest(message);
    return 'read';
  } catch (error) {
    if (error instanceof SipSyntaxError) return 'refused';
    throw error;
  }
}

function timed<T>(work: () => T): { milliseconds: number; result: T } {
  const started = performance.now();
  const result = work();
  return { milliseconds: performance.now() - started, result };
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
