import t from 'tap';
import { asError, CodedError, errorCode } from '../../src/core/errors.js';
import { type Service, ServiceGroup } from '../../src/core/lifecycle.js';
import {
  type Random,
  randomToken,
  randomUint32,
  randomUnit,
  SystemRandom,
} from '../../src/core/random.js';

class WrongNumber extends CodedError {}

t.test('an error has a code, a cause if there is one, and the name of its class', async t => {
  const cause = new Error('deeper');
  const error = new WrongNumber('WRONG_NUMBER', 'expected 7 digits, found 3', {
    cause,
    remedy: 'Dial again.',
  });
  t.match(error, {
    name: 'WrongNumber',
    code: 'WRONG_NUMBER',
    message: /7 digits/,
    remedy: 'Dial again.',
    cause,
  });
  const plain = new CodedError('X', 'x');
  t.notOk('cause' in plain);
  t.equal(plain.remedy, undefined);
});

t.test('the code of whatever was thrown', async t => {
  t.equal(errorCode(new CodedError('MINE', '')), 'MINE');
  t.equal(errorCode(Object.assign(new Error(), { code: 'ENETUNREACH' })), 'ENETUNREACH');
  for (const thrown of [new Error(), null, undefined, 'EFAIL', { code: 7 }])
    t.equal(errorCode(thrown), undefined);
  const error = new Error('same');
  t.equal(asError(error), error);
  t.match(asError('text'), { message: 'text' });
});

/** A service that writes what happens to it into `log`, and fails where told to. */
function service(log: string[], name: string, fails?: 'start' | 'stop'): Service {
  const act = async (what: 'start' | 'stop') => {
    log.push(`${what} ${name}`);
    if (fails === what) throw new Error(`${name} cannot ${what}`);
  };
  return { start: () => act('start'), stop: () => act('stop') };
}

t.test('services start in order and stop in reverse, once', async t => {
  const log: string[] = [];
  const group = new ServiceGroup([service(log, 'a'), service(log, 'b')]);
  await group.stop();
  t.same(log, [], 'nothing to stop yet');
  await group.start();
  await group.stop();
  await group.stop();
  t.same(log, ['start a', 'start b', 'stop b', 'stop a']);
});

t.test('a start that fails stops what had started, and tells why', async t => {
  const log: string[] = [];
  const group = new ServiceGroup([
    service(log, 'a'),
    service(log, 'b', 'start'),
    service(log, 'c'),
  ]);
  await t.rejects(group.start(), { message: 'b cannot start' });
  t.same(log, ['start a', 'start b', 'stop a']);
});

t.test('a start called off begins nothing more', async t => {
  const log: string[] = [];
  const abort = new AbortController();
  const first: Service = {
    start: async () => abort.abort(new Error('called off')),
    stop: async () => void log.push('stop first'),
  };
  await t.rejects(new ServiceGroup([first, service(log, 'b')]).start(abort.signal), {
    message: 'called off',
  });
  t.same(log, ['stop first']);
});

t.test('a service that cannot stop does not keep the others from stopping', async t => {
  const log: string[] = [];
  const group = new ServiceGroup([service(log, 'a'), service(log, 'b', 'stop'), service(log, 'c')]);
  await group.start();
  log.length = 0;
  await t.rejects(group.stop(), { message: 'b cannot stop' });
  t.same(log, ['stop c', 'stop b', 'stop a']);
});

/** Gives the octets it was handed, in order. */
function given(...octets: number[]): Random {
  return { bytes: size => Uint8Array.from(octets.splice(0, size)) };
}

t.test('numbers and tokens are made of the octets given', async t => {
  t.equal(randomToken(given(0, 0x0a, 0xff), 3), '000aff');
  t.equal(randomUint32(given(0xff, 0xff, 0xff, 0xfe)), 0xfffffffe);
  t.equal(randomUnit(given(0x80, 0, 0, 0)), 0.5);
  t.ok(randomUnit(given(255, 255, 255, 255)) < 1);
});

t.test('the system gives as many octets as asked for, and others each time', async t => {
  const random = new SystemRandom();
  t.equal(random.bytes(33).length, 33);
  t.not(randomToken(random, 16), randomToken(random, 16));
});
