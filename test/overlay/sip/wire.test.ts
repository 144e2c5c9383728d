/** What members say to each other, as SIP and back. */
import assert from 'node:assert/strict';
import { checkRequest, SipResponse, Supported } from '@sip-stack/parser';
import fc from 'fast-check';
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import type { RingMessage } from '../../../src/overlay/ring/messages.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { BODY_IN_PART, cutContent, LINKS_IN_PART } from '../../../src/overlay/sip/parts.js';
import type { WireRefusalCode } from '../../../src/overlay/sip/refusal.js';
import {
  decodeRequest,
  encodeMore,
  encodeRequest,
  readRequest,
} from '../../../src/overlay/sip/request.js';
import {
  decodeResponse,
  encodeContinue,
  encodeRefusal,
  readAnswer,
} from '../../../src/overlay/sip/response.js';
import { signMessage } from '../../../src/overlay/sip/signature.js';
import { WIRE_REFUSAL_STATUS } from '../../../src/overlay/sip/status.js';
import {
  accepted,
  anyMessage,
  FRAME,
  member,
  OTHER,
  OVERLAY,
  octetsOf,
  requestIn,
  responseIn,
  SELF,
  travelled,
} from './any-message.js';

const EXPECTED = { overlay: OVERLAY };
const KEY = idOf('alice');

function request(
  of: Extract<RingMessage, { kind: 'request' }>['request'],
  number = 17,
): RingMessage {
  return { kind: 'request', from: SELF, number, request: of };
}

const PING = { kind: 'request', from: SELF, number: 17, request: { type: 'ping' } } as const;

/** Octets by their digits, whatever class holds them. */
function plain(message: unknown): unknown {
  if (message instanceof Uint8Array) return Buffer.from(message).toString('hex');
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== 'object' || message === null) return message;
  return Object.fromEntries(Object.entries(message).map(([name, of]) => [name, plain(of)]));
}

/** Lines of a request, with what every REGISTER has. */
function text(...lines: string[]): Uint8Array {
  const named = (name: string) => lines.some(line => line.startsWith(`${name}:`));
  const all = [
    'REGISTER sip:192.0.2.2 SIP/2.0',
    'Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx',
    'Max-Forwards: 70',
    'Call-ID: 1@192.0.2.1',
    'CSeq: 5 REGISTER',
    ...(named('From') ? [] : ['From: <sip:peer@192.0.2.1>;tag=1']),
    ...(named('Require') ? [] : ['Require: dht']),
    ...lines,
  ];
  return Buffer.from(`${all.join('\r\n')}\r\n\r\n`);
}

function requestOf(octets: Uint8Array, expected = EXPECTED) {
  const decoded = decodeRequest(requestIn(octets), expected);
  if (!decoded.ok) return decoded.code;
  if (decoded.value.type !== 'part') return decoded.value.type;
  const { origin, part } = decoded.value;
  const read = readRequest(origin, part.content);
  return read.ok ? read.value : read.code;
}

test('every message comes back as it was, its parts in any order', t => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(anyMessage, fc.integer(), (message, seed) => {
      seen.add(message.kind === 'request' ? message.request.type : message.answer.type);
      const shuffled = <T>(parts: readonly T[]) =>
        [...parts.keys()]
          .sort((a, b) => ((a * 7919 + seed) % 13) - ((b * 7919 + seed) % 13))
          .map(index => parts[index]!);
      const back = travelled(message, shuffled).message;
      assert.deepStrictEqual(plain(back), plain(message));
    }),
    { seed: 7, numRuns: 1_500 },
  );
  t.equal(seen.size, 33, 'all eighteen requests and fifteen answers were among them');
  t.end();
});

test('the first request of a ring is one that any SIP element takes', t => {
  const message = { kind: 'request', from: SELF, number: 17, request: { type: 'join' } } as const;
  const sip = requestIn(octetsOf(encodeRequest(message, FRAME)[0]!));
  checkRequest(sip);
  t.equal(sip.headers.text('Require'), 'dht');
  t.equal(sip.headers.text('Contact'), `<sip:P@${SELF.address};peer-ID=${SELF.id}>`);
  t.equal(sip.headers.text('To'), `<sip:${SELF.id}@${SELF.address};user=node;alg=sha1>`);
  t.end();
});

test('every spelling of earlier work says the same', t => {
  const field = (uri: string, params: string) => `DHT-PeerID: ${uri};${params}`;
  const ID = SELF.id;
  const peers = [
    field(
      `<sip:P@192.0.2.1;peer-ID=${ID}>`,
      `algorithm=sha1;dht=chord;overlay=${OVERLAY};version=1`,
    ),
    field(
      `<sip:peer@192.0.2.1;peer-ID=${ID}>`,
      `algorithm=sha1;dht=Chord1.0;overlay=${OVERLAY};expires=600`,
    ),
    field(
      `<sip:peer@192.0.2.1;peerId=${ID.toUpperCase()}>`,
      `algorithm=SHA-1;dht-param=Chord1.0;overlay-param=${OVERLAY}`,
    ),
    field(`<sip:P@192.0.2.1;pID=${ID}>`, `alg=sha1;dht=chord;overlay="${OVERLAY}"`),
    field(`sip:peer@192.0.2.1;peer-ID=${ID}`, `algorithm=sha1;dht=chord;overlay=${OVERLAY}`),
    field(`<sip:${ID}@192.0.2.1;user=node;alg=sha1>`, `overlay=${OVERLAY};colour=red`),
    `From: <sip:${ID}@192.0.2.1;user=node;alg=sha1;overlay=${OVERLAY}>;tag=1`,
  ];
  const from = { id: ID, address: '192.0.2.1' };
  for (const peer of peers) {
    const octets = text(peer, `To: <sip:peer@0.0.0.0;peer-ID=${KEY}>`, 'X-Later: anything');
    const expected = {
      kind: 'request',
      from,
      number: 5,
      request: { type: 'find', key: KEY, avoid: [] },
    };
    t.strictSame(requestOf(octets), expected, peer);
  }
  const us = peers[1]!;
  const asked = (...lines: string[]) => {
    const read = requestOf(text(us, ...lines));
    return typeof read === 'string' ? read : read.request;
  };
  const self = `<sip:peer@192.0.2.1;peer-ID=${ID}>`;
  t.strictSame(asked(`To: ${self}`, `Contact: ${self}`, 'Expires: 600'), { type: 'join' });
  const gone = asked(
    `To: ${self}`,
    `Contact: ${self}`,
    'Expires: 0',
    `DHT-Link: <sip:peer@192.0.2.9:5070;peer-ID=${OTHER.id}>;link=S1;expires=427, <sip:peer@[2001:db8::3];peerID=${KEY}>;link=P1`,
    `DHT-Link: <sip:P@192.0.2.7;pID=${KEY}>;link=F6;expires=9`,
  );
  t.strictSame(gone, {
    type: 'leave',
    predecessor: { id: KEY, address: '[2001:db8::3]' },
    successors: [{ id: OTHER.id, address: '192.0.2.9:5070' }],
  });
  for (const name of ['resource-ID', 'resourceId', 'rID']) {
    t.strictSame(asked(`To: <sip:P@0.0.0.0;${name}=${KEY}>`), { type: 'fetch', key: KEY }, name);
  }
  const named = asked(`To: <sip:alice@example.com;resource-ID=${'0'.repeat(40)}>`);
  t.strictSame(
    named,
    { type: 'fetch', key: idOf('sip:alice@example.com') },
    'a resource-ID is a hint only',
  );
  t.match(
    asked(`To: <sip:P@0.0.0.0;peer-ID=${KEY}>`, 'Request-Disposition: proxy'),
    { type: 'find', withinMs: 4_000 },
    'recursive',
  );
  t.end();
});

test('of a further address only what a link could lead to is believed', t => {
  const alsoOf = (told: string) => {
    const peer = { ...SELF, also: '[fe80::1]:5061' };
    const [sip] = encodeRequest({ ...PING, from: peer }, FRAME);
    const octets = Buffer.from(octetsOf(sip!)).toString();
    const decoded = accepted(
      decodeRequest(requestIn(Buffer.from(octets.replace('also=[fe80::1]:5061', told))), EXPECTED),
    );
    assert(decoded.type === 'part');
    t.equal(decoded.origin.from.address, SELF.address);
    return decoded.origin.from.also;
  };
  t.equal(alsoOf('also=[fe80::1]:5061'), '[fe80::1]:5061');
  t.equal(alsoOf('also=192.0.2.7:5061'), '192.0.2.7:5061');
  t.equal(alsoOf('also=[fe80::1%25eth0]:5061'), '[fe80::1]:5061', 'the zone is one of theirs');
  for (const told of ['kitchen.local:5061', '[fe80::1]', '192.0.2.7:99999', '[::', ':5061']) {
    t.equal(alsoOf(`also=${told}`), undefined, told);
  }
  t.equal(alsoOf('also'), undefined);
  t.end();
});

test('answers of earlier work are told by their status', t => {
  const answer = (
    status: number,
    asked: Parameters<typeof decodeResponse>[1],
    ...lines: string[]
  ) => {
    const octets = Buffer.from(
      [
        `SIP/2.0 ${status} X`,
        'CSeq: 5 REGISTER',
        `DHT-PeerID: <sip:peer@192.0.2.2;peer-ID=${OTHER.id}>;algorithm=sha1;dht=Chord1.0;overlay=${OVERLAY}`,
        ...lines,
        '\r\n',
      ].join('\r\n'),
    );
    const decoded = accepted(decodeResponse(responseIn(octets), asked, EXPECTED));
    if (decoded.type !== 'part') return decoded;
    return accepted(readAnswer(decoded.origin, decoded.part.content)).answer;
  };
  const peer: Peer = { id: KEY, address: '192.0.2.3' };
  const contact = `<sip:peer@192.0.2.3;peer-ID=${KEY}>`;
  const s1 = `DHT-Link: ${contact};link=S1;expires=9`;
  t.strictSame(answer(302, 'find', `Contact: ${contact}`), {
    type: 'closer',
    closer: [peer],
    owners: [],
    predecessor: undefined,
  });
  t.strictSame(answer(200, 'join', s1), {
    type: 'links',
    predecessor: undefined,
    successors: [peer],
  });
  t.strictSame(answer(404, 'find', s1), {
    type: 'owner',
    predecessor: undefined,
    successors: [peer],
  });
  t.strictSame(answer(404, 'fetch'), { type: 'records', records: [] });
  t.strictSame(answer(302, 'store'), { type: 'refused', reason: 'not-owner' });
  t.strictSame(answer(200, 'store'), { type: 'stored', copies: 1 });
  t.strictSame(answer(403, 'store'), { type: 'refused', reason: 'outdated' });
  t.strictSame(answer(480, 'find'), { type: 'busy' });
  t.match(answer(403, 'join'), { type: 'rejected', status: 403, code: undefined });
  t.end();
});

test('what cannot be taken is refused, each by its code', t => {
  const us = `DHT-PeerID: <sip:P@192.0.2.1;peer-ID=${SELF.id}>;algorithm=sha1;dht=chord;overlay=${OVERLAY}`;
  const to = `To: <sip:P@0.0.0.0;peer-ID=${KEY}>`;
  const body = (type: string, of: string) => {
    const head = text(
      us,
      to,
      'DHT-Message: offer;number=1',
      `Content-Type: ${type}`,
      `Content-Length: ${of.length}`,
    );
    return Buffer.concat([head, Buffer.from(of)]);
  };
  const cases: [WireRefusalCode, Uint8Array, number][] = [
    ['WRONG_METHOD', Buffer.from(text(us, to).toString().replaceAll('REGISTER', 'OPTIONS')), 405],
    [
      'WRONG_METHOD',
      Buffer.from(text(us, to, 'DHT-Message: find').toString().replaceAll('REGISTER', 'REFER')),
      405,
    ],
    ['NOT_OVERLAY', text(us, to, 'Require:'), 421],
    ['UNSUPPORTED_EXTENSION', text(us, to, 'Require: dht, dht-onion'), 420],
    ['UNKNOWN_VERSION', text(`${us};version=3;min-version=2`, to), 420],
    ['WRONG_OVERLAY', text(us.replace(OVERLAY, 'chat'), to), 488],
    ['WRONG_ALGORITHM', text(us.replace('sha1', 'sha256'), to), 488],
    ['WRONG_ALGORITHM', text(us.replace('=chord', '=Bamboo1.0'), to), 488],
    ['BAD_ID', text(us.replace(SELF.id, 'a04d371e'), to), 493],
    ['BAD_ID', text(us.replace(`;peer-ID=${SELF.id}`, ''), to), 493],
    ['UNSIGNED', text(us, 'To: <sip:alice@example.com>', 'Contact: <sip:alice@192.0.2.5>'), 428],
    ['UNKNOWN_MESSAGE', text(us, to, 'DHT-Message: sing'), 501],
    ['UNKNOWN_CONTENT', body('application/sdp', 'v=0'), 415],
    ['MALFORMED', body('application/ringline-record', 'version'), 400],
    ['TOO_LARGE', body('application/ringline-record', '\r\n'.repeat(25_001)), 413],
    ['MALFORMED', text(us, to, 'DHT-Link: <sip:P@h>;link='), 400],
    ['MALFORMED', text(us, 'DHT-Message: merge;number=1', 'To: <sip:P@h>'), 400],
    ['MALFORMED', text(us, 'DHT-Message: ping;number=-1', 'To: <sip:P@h>'), 400],
    [
      'TOO_LARGE',
      text(
        us,
        to,
        'DHT-Message: offer',
        `DHT-Part: 1/2;links=0;octets=9999999;offset=0;sha-256=${'a'.repeat(43)}`,
      ),
      413,
    ],
  ];
  for (const [code, octets, status] of cases) {
    t.equal(requestOf(octets), code);
    t.equal(WIRE_REFUSAL_STATUS[code], status);
    const sip = responseIn(
      octetsOf(encodeRefusal({ ok: false, code, detail: 'é', unsupported: ['dht-x'] })),
    );
    t.equal(sip.status, status);
    t.match(accepted(decodeResponse(sip, 'find', EXPECTED)), { type: 'rejected', status, code });
  }
  t.match(decodeRequest(requestIn(text(us, to, 'Require: dht, dht-onion')), EXPECTED), {
    unsupported: ['dht-onion'],
  });
  t.equal(
    requestOf(text(`${us};version=3;min-version=1`, to, 'X-New: 1')) instanceof Object,
    true,
    'a later version is read',
  );
  t.end();
});

test('who signs is believed only for what was signed, and only as who it is', t => {
  const message = {
    kind: 'request',
    from: SELF,
    number: 17,
    request: { type: 'leave', predecessor: OTHER, successors: [member(1)] },
  } as const;
  const sip = encodeRequest(message, FRAME)[0]!;
  const signatureOf = (signer: string, of: string) => idOf(`${signer} ${of}`);
  const verify = (signer: string, of: string, signature: string) =>
    signatureOf(signer, of) === signature;
  t.equal(requestOf(octetsOf(sip), { ...EXPECTED, verify } as typeof EXPECTED), 'UNSIGNED');
  signMessage(sip, of => signatureOf(SELF.id, of));
  const octets = Buffer.from(octetsOf(sip));
  t.match(requestOf(octets, { ...EXPECTED, verify } as typeof EXPECTED), { kind: 'request' });
  for (const [was, is] of [
    ['link=S1', 'link=S2'],
    ['Expires: 0', 'Expires: 9'],
    ['number=17', 'number=18'],
    ['9 REGISTER', '8 REGISTER'],
  ] as const) {
    const changed = Buffer.from(octets.toString().replace(was, is));
    t.equal(requestOf(changed, { ...EXPECTED, verify } as typeof EXPECTED), 'BAD_SIGNATURE', was);
  }
  t.equal(
    requestOf(octets, { ...EXPECTED, selfId: SELF.id } as typeof EXPECTED),
    'BAD_ID',
    'for somebody else',
  );
  t.end();
});

test('a signed REGISTER has some 830 octets and each link some 113', t => {
  const octets = (successors: number) => {
    const many = Array.from({ length: successors }, (_, i) => member(0x6464 + i));
    const leave = { type: 'leave', predecessor: undefined, successors: many } as const;
    const sip = encodeRequest(
      { kind: 'request', from: SELF, number: 17, request: leave },
      { ...FRAME, to: member(0x6465) },
    )[0]!;
    signMessage(sip, () => 'A'.repeat(128));
    return octetsOf(sip).length;
  };
  const [none, ten] = [octets(0), octets(10)];
  const perLink = (ten - none) / 10;
  t.comment(`signed REGISTER: ${none} octets, ${perLink} for each link`);
  t.ok(none > 700 && none <= 1_000, `${none}`);
  t.ok(perLink > 100 && perLink <= 125, `${perLink}`);
  t.end();
});

test('lists and values are cut at their limits, and not before', t => {
  const ofLinks = (n: number) => {
    const successors = Array.from({ length: n }, (_, i) => member(i));
    return travelled(request({ type: 'leave', predecessor: undefined, successors })).octets;
  };
  t.equal(ofLinks(LINKS_IN_PART).length, 1);
  t.equal(ofLinks(LINKS_IN_PART + 1).length, 2);
  t.equal(ofLinks(1_024).length, 1_024 / LINKS_IN_PART);
  t.throws(() => ofLinks(1_025), { code: 'UNWRITABLE' });
  const record: RingRecord = {
    key: KEY,
    publisher: 'alice',
    sequence: 1,
    lifeMs: 1,
    ageMs: 0,
    signature: 'c2ln',
    value: new Uint8Array(2 ** 20).fill(7),
  };
  const { octets, message } = travelled(
    request({ type: 'store', records: [record], copy: false }),
    parts => [...parts].reverse(),
  );
  assert.deepStrictEqual(
    plain(message),
    plain(request({ type: 'store', records: [record], copy: false })),
  );
  t.equal(octets.length, Math.ceil((2 ** 20 + 200) / BODY_IN_PART), 'a mebibyte');
  const longest = Math.max(...octets.map(({ length }) => length));
  t.ok(longest < BODY_IN_PART + 1_500, `${longest} octets in one message`);
  const tooLong = { ...record, value: new Uint8Array(2 ** 20 + 2 ** 16) };
  t.throws(() => travelled(request({ type: 'store', records: [tooLong], copy: false })), {
    code: 'UNWRITABLE',
  });
  t.throws(() => travelled(request({ type: 'merge', contact: { id: KEY, address: 'a b' } })), {
    code: 'UNWRITABLE',
  });
  const attach = { type: 'attach', contact: 'alice', expiresS: 600, records: [] } as const;
  t.throws(
    () => encodeRequest({ kind: 'request', from: SELF, number: 1, request: attach }, FRAME),
    {
      code: 'UNWRITABLE',
    },
  );
  const body = (n: number) =>
    cutContent({ name: 'store', words: {}, links: [], body: new Uint8Array(n) }).length;
  t.strictSame([body(BODY_IN_PART), body(BODY_IN_PART + 1)], [1, 2]);
  t.end();
});

test('a part of a request is answered by "continue", a part of an answer is asked for', t => {
  const more = requestIn(octetsOf(encodeMore(SELF, 17, 2, FRAME)));
  t.match(decodeRequest(more, EXPECTED), {
    value: { type: 'more', from: SELF, number: 17, index: 2 },
  });
  const on = responseIn(octetsOf(encodeContinue(OTHER, 17, OVERLAY)));
  t.match(decodeResponse(on, 'store', EXPECTED), {
    value: { type: 'continue', from: OTHER, number: 17 },
  });
  const stranger = new SipResponse({ status: 200 });
  stranger.headers.set(Supported, 'path');
  t.match(decodeResponse(stranger, 'ping', EXPECTED), { ok: false, code: 'BAD_ID' });
  t.end();
});
