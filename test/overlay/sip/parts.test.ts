/** Messages in parts: put together again in any order, or refused, within bounds of memory and time. */
import assert from 'node:assert/strict';
import { test } from 'tap';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { Content } from '../../../src/overlay/sip/content.js';
import { MAX_LINKS, MAX_PARTS } from '../../../src/overlay/sip/fields.js';
import { KeptAnswers } from '../../../src/overlay/sip/kept-answers.js';
import {
  ASSEMBLY_BOUNDS,
  type AssemblyAction,
  BODY_IN_PART,
  cutContent,
  type Part,
  PartAssembler,
  type PartOrigin,
} from '../../../src/overlay/sip/parts.js';
import { decodeRequest, encodeRequest } from '../../../src/overlay/sip/request.js';
import { encodeAnswer } from '../../../src/overlay/sip/response.js';
import { collectGarbage } from '../../harness/garbage.js';
import {
  accepted,
  FRAME,
  member,
  OTHER,
  OVERLAY,
  octetsOf,
  requestIn,
  SELF,
} from './any-message.js';

const MIB = 2 ** 20;
/** Less is no more than noise. */
const GIVEN_BACK = 16_384;
const WHOLE: Content = {
  name: 'store',
  words: { copy: '' },
  links: Array.from({ length: 70 }, (_, i) => ({ letter: 'C', number: i + 1, peer: member(i) })),
  body: Buffer.alloc(3 * BODY_IN_PART, 'abcdefg'),
};
const PARTS = cutContent(WHOLE);

function origin(number: number, from: Peer = SELF): PartOrigin {
  return { kind: 'request', from, number };
}

function types(actions: readonly AssemblyAction[]): string[] {
  return actions.map(action => (action.type === 'refused' ? action.refusal.code : action.type));
}

/** Feeds parts of message 1; the types of the actions, a refusal by its code. */
function fed(assembler: PartAssembler, ...parts: readonly Part[]): string[] {
  return parts.flatMap(part => types(assembler.step({ type: 'part', origin: origin(1), part })));
}

function changed(part: Part, of: Partial<NonNullable<Part['place']>>): Part {
  return { content: part.content, place: { ...part.place!, ...of } };
}

/** A message that says it has so many octets, of which the first come now. */
function announced(octets: number, links = 0, count = 4): Part {
  const place = { index: 0, count, links, octets, offset: 0, digest: 'a'.repeat(43) };
  return { content: { name: 'store', words: {}, links: [], body: new Uint8Array(8) }, place };
}

test('parts are a message again, in any order and where some come twice', t => {
  const [one, two, three] = PARTS as [Part, Part, Part];
  const assembler = new PartAssembler();
  t.strictSame(fed(assembler, three, three, one), ['set-timer', 'waiting', 'waiting', 'waiting']);
  t.equal(assembler.size, 1);
  const actions = assembler.step({ type: 'part', origin: origin(1), part: two });
  assert.deepStrictEqual(
    actions.map(action => action.type === 'whole' && { ...action.content, body: undefined }),
    [{ ...WHOLE, body: undefined }],
  );
  const whole = actions[0]!;
  t.ok(whole.type === 'whole' && Buffer.from(WHOLE.body).equals(whole.content.body));
  t.strictSame([assembler.size, assembler.octets], [0, 0], 'nothing is left');
  t.strictSame(fed(assembler, one), ['set-timer', 'waiting'], 'a straggler begins anew');
  t.end();
});

test('who waits is told which part is missing first', t => {
  const assembler = new PartAssembler();
  const missing = (part: Part) =>
    assembler
      .step({ type: 'part', origin: origin(1), part })
      .flatMap(action => (action.type === 'waiting' ? [action.missing] : []));
  t.strictSame(missing(PARTS[0]!), [1]);
  t.strictSame(missing(PARTS[2]!), [1]);
  t.end();
});

test('what is kept is a copy: the octets a part came in may be used again', t => {
  const assembler = new PartAssembler();
  const came = Buffer.from(PARTS[0]!.content.body);
  fed(assembler, { ...PARTS[0]!, content: { ...PARTS[0]!.content, body: came } });
  came.fill(0);
  t.strictSame(fed(assembler, PARTS[1]!, PARTS[2]!), ['waiting', 'whole']);
  t.end();
});

test('a message that stays in pieces is forgotten when its time is up, and its link when that ends', t => {
  const assembler = new PartAssembler();
  const [timer] = assembler.step({ type: 'part', origin: origin(1), part: PARTS[1]! });
  assert(timer?.type === 'set-timer');
  t.equal(timer.ms, 32_000);
  t.strictSame(assembler.step({ type: 'timeout', assembly: timer.assembly }), [
    { type: 'expired', origin: origin(1), missing: [0, 2] },
  ]);
  t.strictSame([assembler.size, assembler.octets], [0, 0]);
  t.strictSame(assembler.step({ type: 'timeout', assembly: timer.assembly }), [], 'once');

  assembler.step({ type: 'part', origin: origin(1), part: PARTS[0]! });
  assembler.step({ type: 'part', origin: origin(2), part: PARTS[0]! });
  assembler.step({ type: 'part', origin: origin(1, OTHER), part: PARTS[0]! });
  assembler.step({ type: 'gone', from: SELF });
  t.equal(assembler.size, 1, 'of others nothing is lost');
  t.strictSame(types(assembler.step({ type: 'part', origin: origin(1, OTHER), part: PARTS[1]! })), [
    'waiting',
  ]);
  t.end();
});

test('parts that are not of one message are refused, and the message is forgotten', t => {
  const [one, two, three] = PARTS as [Part, Part, Part];
  const other = Buffer.from(two.content.body);
  other[0]! ^= 1;
  const named = { ...two, content: { ...two.content, name: 'offer' } };
  const bodyOf = (part: Part, body: Uint8Array) => ({
    ...part,
    content: { ...part.content, body },
  });
  const linksOf = (part: Part, links: Content['links']) => ({
    ...part,
    content: { ...part.content, links },
  });
  const cases: [string, Part[]][] = [
    ['of another count', [one, changed(two, { count: 4 })]],
    ['of another digest', [one, changed(two, { digest: 'b'.repeat(43) })]],
    ['of other octets', [one, changed(two, { octets: WHOLE.body.length - 1 })]],
    ['of other links', [one, changed(two, { links: 71 })]],
    ['of another name', [one, named]],
    ['of another body, twice', [one, two, bodyOf(two, other)]],
    ['of another body', [one, bodyOf(two, other), three]],
    ['beside each other', [one, two, changed(three, { offset: 5 })]],
    ['too long', [one, two, bodyOf(three, Buffer.alloc(BODY_IN_PART + 1))]],
    ['too short', [one, two, bodyOf(three, Buffer.alloc(BODY_IN_PART - 1))]],
    ['with too many links', [one, two, linksOf(three, WHOLE.links)]],
  ];
  for (const [what, parts] of cases) {
    const assembler = new PartAssembler();
    t.equal(fed(assembler, ...parts).at(-1), 'MALFORMED', what);
    t.equal(assembler.size, 0, what);
  }
  t.end();
});

test('more than a sender may have under way is refused; in all, what has stalled longest makes room', t => {
  const assembler = new PartAssembler();
  const begin = (number: number, from: Peer, part: Part) =>
    types(assembler.step({ type: 'part', origin: origin(number, from), part })).at(-1);
  t.strictSame(
    [1, 2, 3, 4].map(number => begin(number, SELF, announced(MIB))),
    ['waiting', 'waiting', 'waiting', 'OVERLOADED'],
    'four of a MiB and what stands beside it are more than 4 MiB',
  );
  for (let n = 0; n < 12; n++) t.equal(begin(1, member(n), announced(MIB)), 'waiting', `${n}`);
  const before = assembler.size;
  t.equal(begin(1, SELF, announced(MIB)), 'waiting', 'what is under way goes on');
  t.equal(begin(1, OTHER, announced(MIB)), 'waiting', '16 MiB in all');
  t.equal(assembler.size, before, 'as many as before');
  t.ok(assembler.octets <= ASSEMBLY_BOUNDS.octets, `${assembler.octets}`);
  t.equal(begin(4, SELF, announced(MIB)), 'waiting', 'the second of this sender made room');
  assembler.step({ type: 'gone', from: SELF });
  t.ok(assembler.size < before);

  const small = new PartAssembler();
  for (let n = 0; n < 256; n++) {
    small.step({ type: 'part', origin: origin(n, member(n)), part: announced(9) });
  }
  fed(small, PARTS[0]!);
  for (let n = 0; n < 255; n++) {
    small.step({ type: 'part', origin: origin(n, member(256 + n)), part: announced(9) });
  }
  t.equal(small.size, 256, '256 messages');
  t.strictSame(fed(small, PARTS[1]!, PARTS[2]!), ['waiting', 'whole'], 'one that goes on is kept');
  t.end();
});

test('what hostile members send in parts takes no more memory than was set aside', t => {
  const used = () => {
    // What a collection frees may be counted by a later one: until there is nothing more.
    for (let least = Infinity; ; ) {
      collectGarbage();
      // Not `external`: in it is what the runtime has not yet given back of the hashes made meanwhile.
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      const now = heapUsed + arrayBuffers;
      if (now > least - GIVEN_BACK) return Math.min(now, least);
      least = now;
    }
  };
  // A head of 60 kB, one link of which is kept: once for each part.
  const sip = encodeRequest(
    { kind: 'request', from: SELF, number: 17, request: { type: 'merge', contact: OTHER } },
    FRAME,
  )[0]!;
  sip.headers.setText('X-Large', 'x'.repeat(60_000));
  const octets = Buffer.from(octetsOf(sip));
  const take = (assembler: PartAssembler, sender: number, index: number) => {
    const decoded = accepted(decodeRequest(requestIn(Buffer.from(octets)), { overlay: OVERLAY }));
    assert(decoded.type === 'part');
    const { content } = decoded.part;
    const links = content.links.map(link => ({ ...link, number: index + 1 }));
    const place = announced(MIB, MAX_LINKS, MAX_PARTS).place!;
    const part = {
      content: { ...content, links, body: Buffer.alloc(MIB / MAX_PARTS, index) },
      place: { ...place, index, offset: index * (MIB / MAX_PARTS) },
    };
    return types(assembler.step({ type: 'part', origin: origin(1, member(sender)), part }));
  };
  let least = Infinity;
  // What the runtime takes for itself it takes once; all three are kept, so that none is collected meanwhile.
  for (const assembler of [new PartAssembler(), new PartAssembler(), new PartAssembler()]) {
    const before = used();
    for (let sender = 0; sender < 3; sender++) {
      for (let index = 0; index < MAX_PARTS - 1; index++) take(assembler, sender, index);
    }
    t.ok(take(assembler, 0, MAX_PARTS - 1).includes('MALFORMED'), 'the digest was wrong');
    const grown = used() - before;
    t.comment(`${grown} octets for ${assembler.octets} set aside`);
    least = Math.min(least, grown - assembler.octets);
  }
  t.ok(least < MIB, `${least} octets beyond`);
  t.end();
});

test('an answer in parts is kept until each was asked for, or its time is up', t => {
  const kept = new KeptAnswers();
  const value = new Uint8Array(2 * BODY_IN_PART);
  const record = { key: SELF.id, publisher: 'a', sequence: 1, lifeMs: 1, ageMs: 0, signature: 's' };
  const answerOf = (number: number, records = [{ ...record, value }]) =>
    encodeAnswer(
      { kind: 'answer', from: SELF, number, answer: { type: 'records', records } },
      OVERLAY,
    );
  const parts = answerOf(7);
  t.equal(parts.length, 3);
  const answered = (to: Peer, number: number) =>
    kept.step({ type: 'answered', to, number, parts: answerOf(number) });
  const asked = (from: Peer, number: number, index: number) => {
    const [action] = kept.step({ type: 'asked', from, number, index });
    if (action?.type === 'refused') return action.refusal.code;
    return action?.type === 'respond' ? action.response.headers.text('DHT-Part')?.slice(0, 3) : '';
  };
  const actions = answered(OTHER, 7);
  t.strictSame(
    actions.map(({ type }) => type),
    ['respond', 'set-timer'],
  );
  t.equal(asked(SELF, 7, 1), 'NO_SUCH_PART', 'of somebody else');
  t.equal(asked(OTHER, 8, 1), 'NO_SUCH_PART', 'of another answer');
  t.equal(asked(OTHER, 7, 3), 'NO_SUCH_PART', 'beyond the last');
  t.strictSame([asked(OTHER, 7, 1), asked(OTHER, 7, 1), asked(OTHER, 7, 2)], ['2/3', '2/3', '3/3']);
  t.strictSame([kept.size, asked(OTHER, 7, 2)], [0, 'NO_SUCH_PART'], 'all were asked for');

  const timer = answered(OTHER, 9)[1]!;
  assert(timer.type === 'set-timer');
  kept.step({ type: 'timeout', kept: timer.kept });
  t.equal(asked(OTHER, 9, 1), 'NO_SUCH_PART', 'too late');
  answered(OTHER, 10);
  answered(SELF, 10);
  kept.step({ type: 'gone', from: OTHER });
  t.strictSame([asked(OTHER, 10, 1), asked(SELF, 10, 1)], ['NO_SUCH_PART', '2/3']);
  kept.step({ type: 'gone', from: SELF });

  let most = 0;
  let last: string | undefined;
  while (last !== 'OVERLOADED' && most < 1_000) {
    const [action] = answered(OTHER, most);
    last = action?.type === 'refused' ? action.refusal.code : action?.type;
    if (last === 'respond') most++;
  }
  t.equal(last, 'OVERLOADED');
  t.ok(kept.octets <= ASSEMBLY_BOUNDS.octetsPerSender && most > 40, `${most} answers of 64 kB`);
  t.equal(answered(SELF, 1)[0]?.type, 'respond', 'others are answered');
  t.strictSame(
    kept
      .step({ type: 'answered', to: OTHER, number: 99, parts: answerOf(99, []) })
      .map(a => a.type),
    ['respond'],
    'and what fits one message is not kept',
  );
  t.end();
});
