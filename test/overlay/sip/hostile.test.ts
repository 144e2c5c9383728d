/** What is broken, or of a later version, is taken or refused by a code: nothing else. */
import assert from 'node:assert/strict';
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import { ASSEMBLY_BOUNDS } from '../../../src/overlay/sip/parts.js';
import { decodeRequest, encodeRequest, readRequest } from '../../../src/overlay/sip/request.js';
import {
  answering,
  decodeResponse,
  encodeAnswer,
  encodeRefusal,
  readAnswer,
} from '../../../src/overlay/sip/response.js';
import { VERSION } from '../../../src/overlay/sip/sender.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { one } from '../../fuzz/mutate.js';
import {
  accepted,
  FRAME,
  OTHER,
  OVERLAY,
  octetsOf,
  requestIn,
  responseIn,
  SELF,
} from './any-message.js';
import { broken, Reader, soundMessages } from './mutated.js';

const MESSAGES = 10_000;
const EXPECTED = { overlay: OVERLAY };
const KEY = idOf('alice');
const RECORD = {
  key: KEY,
  publisher: 'alice',
  sequence: 4,
  lifeMs: 9,
  ageMs: 1,
  signature: 'c2ln',
};
const ENTRY = {
  peer: OTHER,
  version: 3,
  state: 'present',
  signer: OTHER.id,
  signature: 'c2ln',
} as const;

test('ten thousand broken messages are each taken, or refused by a code', t => {
  const random = new SeededRandom(11);
  const sound = soundMessages(150, 11);
  const reader = new Reader();
  const said = new Map<string, number>();
  for (let n = 0; n < MESSAGES; n++) {
    const outcome = reader.read(broken(random, one(random, sound)), random);
    said.set(outcome.said, (said.get(outcome.said) ?? 0) + 1);
  }
  t.comment([...said].map(([what, times]) => `${what} ${times}`).join(', '));
  // The rest is rare, or refused elsewhere: parts.test.ts and wire.test.ts.
  const often = [
    ...['MALFORMED', 'BAD_ID', 'WRONG_OVERLAY', 'WRONG_ALGORITHM', 'NOT_OVERLAY', 'UNSIGNED'],
    ...['WRONG_METHOD', 'UNKNOWN_MESSAGE', 'UNKNOWN_CONTENT', 'UNSUPPORTED_EXTENSION'],
    'BAD_SIGNATURE',
  ];
  t.strictSame(
    often.filter(code => !said.has(code)),
    [],
  );
  t.ok(reader.assembler.octets <= ASSEMBLY_BOUNDS.octets);
  t.end();
});

/** What a later version may add, everywhere it may. */
function later(octets: Uint8Array): Buffer {
  const [head = '', body = ''] = Buffer.from(octets)
    .toString('latin1')
    .split(/\r\n\r\n(.*)/s);
  const newHead = head
    .replace('version=1', `version=${VERSION + 1};min-version=1;proof="a b"`)
    .replace(/^DHT-Message: .*$/m, '$&;zeal=9;flag')
    .replace(/^DHT-Link: (.*)$/m, 'DHT-Link: $1;rtt=12')
    .replace(/^DHT-PeerID: .*$/m, `$&\r\nDHT-Link: <sip:P@h9.example;peer-ID=${KEY}>;link=Proxy7`)
    .replace(/^From: <sip:([^>]*)>/m, 'From: <sip:$1;power=mains>')
    .replace(/^To: <sip:([^>]*)>/m, 'To: <sip:$1;power=mains>')
    .replace(/^Supported: dht/m, 'Supported: dht, dht-onion');
  const newBody = body
    .replace(/^(record .*) (\S+)\r\n/m, '$1 new-word $2\r\n')
    .replace(/^((?:version|member) .*)\r\n/m, '$1 new-word\r\n')
    .replace(/^/, body === '' ? '' : 'witness of something +6\r\nab\r\ncd\r\nnote x y\r\n');
  const length = `Content-Length: ${newBody.length}`;
  const all = newHead.replace(/^Content-Length: .*$/m, `DHT-Later: 1\r\n${length}`);
  return Buffer.from(`${all}\r\n\r\n${newBody}`, 'latin1');
}

test('two versions in one ring: what a later one adds is passed over', t => {
  const requests = [
    { type: 'ping' },
    { type: 'find', key: KEY, avoid: [OTHER.id], withinMs: 900 },
    { type: 'leave', predecessor: OTHER, successors: [SELF, OTHER] },
    { type: 'store', records: [{ ...RECORD, value: Buffer.from('1\r\n2') }], copy: true },
    { type: 'store', records: [{ ...RECORD, value: undefined }], copy: false },
    { type: 'offer', versions: [{ key: KEY, publisher: 'alice', sequence: 4 }] },
    { type: 'membership', hops: 3, entries: [ENTRY] },
  ] as const;
  for (const request of requests) {
    const message = { kind: 'request', from: SELF, number: 17, request } as const;
    const octets = later(octetsOf(encodeRequest(message, FRAME)[0]!));
    const decoded = accepted(decodeRequest(requestIn(octets), EXPECTED));
    assert(decoded.type === 'part');
    const back = accepted(readRequest(decoded.origin, decoded.part.content));
    t.same(back, message, request.type);
  }
  const asked = requestIn(
    octetsOf(
      encodeRequest({ kind: 'request', from: SELF, number: 17, request: requests[0] }, FRAME)[0]!,
    ),
  );
  const answers = [
    { type: 'pong' },
    { type: 'closer', closer: [OTHER], owners: [SELF], predecessor: OTHER },
    { type: 'records', records: [{ ...RECORD, value: Buffer.from('x') }] },
    { type: 'compared', parts: [3, 4], entries: [ENTRY] },
    { type: 'refused', reason: 'outdated' },
  ] as const;
  for (const answer of answers) {
    const message = { kind: 'answer', from: OTHER, number: 17, answer } as const;
    const octets = later(octetsOf(answering(encodeAnswer(message, OVERLAY)[0]!, asked, 't')));
    const decoded = accepted(decodeResponse(responseIn(octets), 'ping', EXPECTED));
    assert(decoded.type === 'part');
    t.same(accepted(readAnswer(decoded.origin, decoded.part.content)), message, answer.type);
  }
  const refused = encodeAnswer(
    { kind: 'answer', from: OTHER, number: 17, answer: { type: 'refused', reason: 'full' } },
    OVERLAY,
  )[0]!;
  const quota = Buffer.from(octetsOf(refused)).toString().replace('reason=full', 'reason=quota');
  const decoded = accepted(decodeResponse(responseIn(Buffer.from(quota)), 'store', EXPECTED));
  assert(decoded.type === 'part');
  t.match(
    accepted(readAnswer(decoded.origin, decoded.part.content)).answer,
    { reason: 'full' },
    'a reason not known',
  );
  t.end();
});

test('a version that we cannot read is refused by 420, which says what we speak', t => {
  const ping = { kind: 'request', from: SELF, number: 17, request: { type: 'ping' } } as const;
  const text = Buffer.from(octetsOf(encodeRequest(ping, FRAME)[0]!)).toString();
  const of = (version: string) =>
    decodeRequest(requestIn(Buffer.from(text.replace('version=1', version))), EXPECTED);
  t.match(of('version=2;min-version=1'), { ok: true });
  t.match(of('version=1.1'), { ok: true });
  for (const version of ['version=2;min-version=2', 'version=9;min-version=x']) {
    const refusal = of(version);
    assert(!refusal.ok);
    t.equal(refusal.code, 'UNKNOWN_VERSION');
    const sip = encodeRefusal(refusal);
    t.equal(sip.status, 420);
    t.equal(sip.headers.text('Unsupported'), 'dht');
    t.match(sip.headers.text('DHT-Message'), `version=${VERSION}`);
    t.match(decodeResponse(responseIn(octetsOf(sip)), 'ping', EXPECTED), {
      value: { type: 'rejected', status: 420, code: 'UNKNOWN_VERSION' },
    });
  }
  t.end();
});
