/** RFC 6762 §6-10, as a phone keeps them. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { DnsRecord } from '../../src/discovery/mdns/dns-message.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import {
  address,
  HOST,
  link,
  phone,
  pointer,
  ResponderBench,
  recordInWords,
  SIP,
  server,
  text,
} from './responder-bench.js';

const ALICE = `alice.${SIP}`;
const META = '_services._dns-sd._udp.local';
const ALL = [
  `PTR ${ALICE} 4500`,
  `PTR ${SIP} 4500`,
  `SRV ${HOST}:5060 120!`,
  'TXT txtvers=1 4500!',
];

t.test('a name is asked for three times, then announced three times (§8.1, §8.3)', async t => {
  const bench = new ResponderBench();
  bench.publish(phone('alice'));
  bench.advance(60_000);
  t.same(bench.said(), [], 'not without a link');
  bench.network(link('eth0', '192.0.2.1', 'fe80::1%eth0'));
  bench.advance(60_000);
  const times = bench.log.map(({ at }) => at - 60_000);
  const words = bench.what();
  const records = `SRV ${HOST}:5060 120, TXT txtvers=1 4500`;
  const probe = `eth0 probe ${HOST} ${ALICE} with A 192.0.2.1 120, AAAA fe80::1 120, ${records}`;
  t.same(words.slice(0, 3), [probe, probe, probe]);
  const host = 'A 192.0.2.1 120!, AAAA fe80::1 120!';
  const announcement = `eth0 ${host}, ${ALL.join(', ')} + NSEC A AAAA 120!`;
  t.same(words.slice(3), [announcement, 'named alice', announcement, announcement]);
  t.ok(times[0]! >= 0 && times[0]! <= 250, `first after ${times[0]} ms`);
  const pauses = times.slice(1).map((at, index) => Math.round(at - times[index]!));
  t.same(pauses, [250, 250, 250, 0, 1000, 2000]);
});

t.test('who has the name already keeps it, whenever they say so (§8.1, §9)', async t => {
  for (const after of [0, 300, 700]) {
    const bench = new ResponderBench();
    bench.network(link('eth0', '192.0.2.1'));
    bench.publish(phone('alice', 'id=a1'));
    bench.advance(after);
    bench.answer(server('ALICE'));
    bench.advance(20_000);
    const words = bench.what();
    t.ok(words.includes('alice is taken, alice-2 is next'));
    t.same(
      words.filter(each => each.startsWith('named')),
      ['named alice-2'],
    );
    t.notOk(words.some(each => each.includes('TXT') && each.includes(`PTR ${ALICE} `)));
  }
});

t.test('what is said as we would say it is no conflict, on whichever link', async t => {
  const bench = ResponderBench.settled(
    phone('alice'),
    link('eth0', '192.0.2.1'),
    link('wlan0', '192.0.2.2'),
  );
  bench.answer(server('alice', HOST.toUpperCase()), text('alice', 'txtvers=1'));
  // Both links are one network: each hears what is sent on the other.
  bench.answer(address(HOST, '192.0.2.2'));
  bench.probe(HOST, address(HOST, '192.0.2.2'));
  bench.advance(20_000);
  t.same(bench.what(), ['eth0 A 192.0.2.1 120! + NSEC A 120!'], 'but the probe is answered');
});

t.test('what was ours a moment ago is no conflict: our own packets come back late', async t => {
  const bench = ResponderBench.settled(phone('alice', 'busy'));
  bench.publish(phone('alice', 'free'));
  bench.answer(text('alice', 'txtvers=1', 'busy'));
  bench.advance(20_000);
  t.notOk(bench.what().some(each => each.includes('probe')));
});

t.test(
  'of two that ask at once the later in order goes on, the other waits a second (§8.2)',
  async t => {
    // §8.2.1 compares data octet by octet: TXT before SRV, for its type is lower.
    const cases: [string, DnsRecord[], boolean][] = [
      ['the same', [server('alice', HOST), text('alice', 'txtvers=1')], true],
      ['later text', [server('alice', HOST), text('alice', 'txtvers=2')], false],
      ['earlier text', [server('alice', 'z.local'), text('alice', 'txtvers=0')], true],
      ['later host', [text('alice', 'txtvers=1'), server('alice', 's'.repeat(20))], false],
      ['shorter host', [text('alice', 'txtvers=1'), server('alice', 'zz.local')], true],
      [
        'more of them',
        [text('alice', 'txtvers=1'), text('alice', 'z'), server('alice', HOST)],
        true,
      ],
      ['text alone', [text('alice', 'txtvers=1')], true],
      ['another name', [server('bob', 'z.local'), text('bob', 'z')], true],
    ];
    for (const [how, theirs, weWin] of cases) {
      const bench = new ResponderBench();
      bench.publish(phone('alice'));
      bench.network(link('eth0', '192.0.2.1'));
      bench.advance(350);
      bench.log.length = 0;
      bench.probe(ALICE, ...theirs);
      bench.advance(5000);
      const named = bench.log.find(({ action }) => action.kind === 'named');
      t.ok(weWin ? named!.at < 1001 : named!.at === 350 + 1000 + 750, `${how}: at ${named?.at}`);
      const next = bench.log.find(({ action }) => action.kind === 'send');
      t.ok(weWin ? next!.at <= 600 : next!.at <= 750, `${how}: the host name is not in question`);
    }
  },
);

t.test('who waits hears of the winner, and takes another name at once', async t => {
  const bench = new ResponderBench();
  bench.publish(phone('alice'));
  bench.network(link('eth0', '192.0.2.1'));
  bench.advance(350);
  bench.probe(ALICE, text('alice', 'txtvers=9'));
  bench.advance(500);
  bench.answer(text('alice', 'txtvers=9'), server('alice'));
  bench.advance(1000);
  t.ok(bench.what().includes('named alice-2'));
});

t.test(
  'a conflict after announcing: asked for again, and kept unless somebody insists (§9)',
  async t => {
    for (const insists of [false, true]) {
      const bench = ResponderBench.settled();
      bench.answer(server('alice'));
      bench.ask([['SRV', ALICE]]);
      bench.advance(260);
      const words = bench.what();
      t.match(words, [new RegExp(`^eth0 probe ${ALICE} with`)], 'no answer while it is in doubt');
      if (insists) bench.answer(server('alice'));
      bench.advance(20_000);
      const after = bench.what();
      if (insists) t.match(after.slice(0, 1), ['alice is taken, alice-2 is next']);
      t.same(
        after.filter(each => each.startsWith('named')),
        insists ? ['named alice-2'] : [],
      );
      const last = after.at(-1) ?? '';
      t.ok(last.includes(insists ? `PTR alice-2.${SIP} 4500` : `PTR ${ALICE} 4500`), last);
      t.notOk(
        after.some(each => each.includes(`${ALICE} 0`)),
        'nobody takes the pointer of the winner away',
      );
    }
  },
);

t.test(
  'a device with the same ID: the host takes another name, the phone keeps its own',
  async t => {
    const bench = new ResponderBench();
    bench.publish(phone('alice'));
    bench.network(link('eth0', '192.0.2.1'));
    bench.advance(400);
    bench.answer(address(HOST, '192.0.2.77'));
    bench.advance(10_000);
    const words = bench.what();
    t.ok(words.includes('named alice'));
    t.ok(words.some(each => each.includes('SRV ringline-a1-2.local:5060 120!')));
  },
);

t.test('given up on one network, a name is said goodbye to on the others', async t => {
  const links = [link('eth0', '192.0.2.1'), link('wlan0', '198.51.100.1')];
  const bench = ResponderBench.settled(phone('alice'), ...links);
  bench.answer(server('alice'));
  bench.advance(300);
  bench.log.length = 0;
  bench.answer(server('alice'));
  const goodbyes = bench.what().filter(each => each.includes(`PTR ${ALICE} 0`));
  t.same(goodbyes, [`wlan0 SRV ${HOST}:5060 0!, TXT txtvers=1 0!, PTR ${ALICE} 0`]);
});

t.test('a goodbye of another, and records of other types, are no conflict', async t => {
  const bench = ResponderBench.settled();
  bench.answer(
    server('alice', 'rival.local', 0),
    { name: ALICE, ttl: 120, flush: true, data: { type: 'NSEC', next: ALICE, types: ['SRV'] } },
    { name: HOST, ttl: 120, flush: true, data: { type: 'TYPE13', octets: Buffer.from('x') } },
  );
  bench.advance(20_000);
  t.same(bench.what(), []);
});

t.test('where every name is taken, it is tried seldom and told (§8.1)', async t => {
  const bench = new ResponderBench();
  bench.publish(phone('alice'));
  bench.network(link('eth0', '192.0.2.1'));
  for (let now = 0; now < 60_000; now += 10) {
    const { label } = bench.state.entries.get('phone')!;
    for (let i = 0; i < 3; i++) bench.answer(server(label));
    bench.advance(10);
  }
  const words = bench.what();
  t.ok(words.some(each => each.endsWith('after a while')));
  const renames = words.filter(each => each.includes('is taken'));
  t.ok(renames.length < 100, `${renames.length} names in a minute of 18,000 conflicts`);
  t.ok(bench.state.conflictsAt.length <= 15);
  t.ok(bench.state.retired.size <= 256);
  bench.advance(20_000);
  t.equal(bench.what().filter(each => each.startsWith('named')).length, 1, 'when it is over');
});

t.test('questions: what for, and what comes along (RFC 6763 §12)', async t => {
  const cases: [[Parameters<ResponderBench['ask']>[0][number][0], string], string[]][] = [
    [
      ['PTR', SIP.toUpperCase()],
      [
        `PTR ${ALICE} 4500 + SRV ${HOST}:5060 120!, TXT txtvers=1 4500!, A 192.0.2.1 120!, NSEC A 120!`,
      ],
    ],
    [['PTR', META], [`PTR ${SIP} 4500 + SRV`]],
    [['SRV', 'Alice._SIP._udp.local'], [`SRV ${HOST}:5060 120! + A 192.0.2.1 120!, NSEC A 120!`]],
    [['TXT', ALICE], ['TXT txtvers=1 4500!']],
    [['A', HOST], ['A 192.0.2.1 120! + NSEC A 120!']],
    [['AAAA', HOST], ['NSEC A 120!']],
    [['A', ALICE], ['NSEC SRV TXT 120!']],
    [['ANY', HOST], ['A 192.0.2.1 120! + NSEC A 120!']],
    [
      ['ANY', ALICE],
      [`SRV ${HOST}:5060 120!, TXT txtvers=1 4500! + A 192.0.2.1 120!, NSEC A 120!`],
    ],
    [['SRV', SIP], []],
    [['PTR', 'bob._sip._udp.local'], []],
    [['A', 'rival.local'], []],
  ];
  for (const [question, expected] of cases) {
    const bench = ResponderBench.settled();
    bench.ask([question]);
    bench.advance(200);
    const wanted = question[1] === META ? [`PTR ${SIP} 4500`] : expected;
    t.same(
      bench.what(),
      wanted.map(each => `eth0 ${each}`),
      question.join(' '),
    );
  }
});

t.test(
  'answers others may have too come after 20-120 ms, together; our own at once (§6)',
  async t => {
    const bench = ResponderBench.settled();
    const asked = bench.now;
    bench.ask([['SRV', ALICE]]);
    t.equal(bench.log[0]?.at, asked);
    bench.advance(5000);
    bench.log.length = 0;
    const delays = Array.from({ length: 20 }, () => {
      bench.advance(5000);
      const at = bench.now;
      bench.ask([['PTR', SIP]]);
      bench.ask([['PTR', META]], { source: { address: '192.0.2.10', port: 5353 } });
      bench.advance(500);
      const sent = bench.log.splice(0);
      t.equal(sent.length, 1, 'one packet');
      return sent[0]!.at - at;
    });
    t.ok(Math.min(...delays) >= 20 && Math.max(...delays) <= 120, delays.map(Math.round).join(' '));
    t.ok(Math.max(...delays) - Math.min(...delays) > 30, 'at random');
    bench.advance(5000);
    bench.ask([
      ['SRV', ALICE],
      ['A', 'somebody.local'],
    ]);
    t.same(bench.what(), [], 'where more is asked, others may answer');
  },
);

t.test('what the asker knows for long enough is not said (§7.1)', async t => {
  for (const [ttl, silent] of [
    [4500, true],
    [2250, true],
    [2249, false],
    [0, false],
  ] as const) {
    const bench = ResponderBench.settled();
    bench.ask([['PTR', SIP]], { known: [pointer('ALICE', ttl), pointer('bob')] });
    bench.advance(1000);
    t.equal(bench.what().length, silent ? 0 : 1, `${ttl} s`);
  }
});

t.test('known answers that come in further packets are waited for (§7.2)', async t => {
  const bench = ResponderBench.settled();
  bench.ask([['PTR', SIP]], { truncated: true });
  bench.advance(300);
  bench.ask([], { known: [pointer('bob')], truncated: true });
  bench.ask([], { known: [pointer('alice')], source: { address: '192.0.2.10', port: 5353 } });
  bench.ask([], { known: [pointer('alice')] });
  bench.advance(5000);
  t.same(bench.what(), []);
  const at = bench.now;
  bench.ask([['PTR', SIP]], { truncated: true });
  bench.advance(5000);
  const delay = bench.log[0]!.at - at;
  t.ok(delay >= 400 && delay <= 620, `without them it answers after ${delay} ms`);
  for (let i = 0; i < 1000; i++)
    bench.ask([['PTR', SIP]], {
      truncated: true,
      source: { address: `10.0.${i >> 8}.${i & 255}`, port: 5353 },
    });
  t.ok(bench.state.links.get('eth0')!.collecting.size <= 32);
});

t.test('what somebody else has just said is not said (§7.4)', async t => {
  const bench = ResponderBench.settled();
  const meta: DnsRecord = {
    name: META,
    ttl: 4500,
    flush: false,
    data: { type: 'PTR', target: SIP },
  };
  bench.ask([['PTR', META]]);
  bench.answer(meta);
  bench.advance(1000);
  t.same(bench.what(), []);
  bench.ask([['PTR', META]]);
  bench.answer({ ...meta, ttl: 100 });
  bench.advance(1000);
  t.same(bench.what(), [`eth0 PTR ${SIP} 4500`], 'unless it was said to be over soon');
});

t.test('who says that what is ours is over is put right (§6.6)', async t => {
  const bench = ResponderBench.settled();
  bench.answer(pointer('alice', 0));
  bench.advance(1000);
  t.match(bench.what(), [new RegExp(`PTR ${ALICE} 4500`)]);
});

t.test('a record is multicast once a second, in defence of a name four times (§6)', async t => {
  const bench = ResponderBench.settled();
  for (let i = 0; i < 500; i++) {
    bench.ask([
      ['PTR', SIP],
      ['A', HOST],
      ['AAAA', HOST],
    ]);
    bench.ask([['ANY', ALICE]]);
    bench.advance(20);
  }
  bench.advance(2000);
  checkSpacing(t, bench.sent(), 1000);
  for (let i = 0; i < 100; i++) {
    bench.probe(ALICE, server('alice'));
    bench.advance(20);
  }
  bench.advance(2000);
  const sent = bench.sent();
  checkSpacing(t, sent, 250);
  const defences = sent.filter(({ record }) => record.data.type === 'SRV');
  t.ok(defences.length >= 8, `${defences.length} in two seconds`);
});

t.test('who comes right after an announcement is answered within a second', async t => {
  const bench = ResponderBench.settled();
  bench.ask([['PTR', SIP]]);
  bench.advance(200);
  bench.log.length = 0;
  bench.ask([['PTR', SIP]], { source: { address: '192.0.2.10', port: 5353 } });
  bench.advance(1000);
  t.match(bench.what(), [/PTR.*SRV.*A 192/]);
});

t.test(
  'a unicast answer where one will do, unless others have not heard it for long (§5.4)',
  async t => {
    const bench = ResponderBench.settled();
    bench.advance(10_000);
    bench.ask([['PTR', SIP]], { unicast: true });
    bench.ask([['A', HOST]], { unicast: true });
    bench.advance(500);
    const words = bench.what();
    t.match(words[0], 'eth0 to 192.0.2.9 5353 A 192.0.2.1 120!');
    t.match(words[1], `eth0 to 192.0.2.9 5353 PTR ${ALICE} 4500 + SRV`);
    bench.advance(31_000);
    bench.ask([['A', HOST]], { unicast: true });
    t.match(bench.what(), [/^eth0 A 192/], 'a quarter of its life is over');
    bench.hear(
      {
        id: 0,
        response: false,
        truncated: false,
        questions: [{ name: HOST, type: 'A', unicast: false }],
        answers: [],
        authorities: [],
        additionals: [],
      },
      { unicast: true },
    );
    t.match(bench.what(), [/^eth0 to 192.0.2.9 5353 A/], 'asked by unicast (§5.5)');
    for (let i = 0; i < 1000; i++) bench.ask([['PTR', SIP]], { unicast: true });
    t.ok(bench.state.links.get('eth0')!.unicasts.length <= 64);
  },
);

t.test('a resolver that knows no multicast gets what it understands (§6.7)', async t => {
  const bench = ResponderBench.settled();
  bench.ask([['SRV', ALICE]], { id: 77, source: { address: '192.0.2.9', port: 40_000 } });
  const action = bench.log[0]?.action;
  t.match(action, { to: { port: 40_000 }, message: { id: 77, questions: [{ name: ALICE }] } });
  t.same(bench.what(), [`eth0 to 192.0.2.9 40000 SRV ${HOST}:5060 10 + A 192.0.2.1 10, NSEC A 10`]);
});

t.test('a phone that stops says goodbye (§10.1)', async t => {
  const bench = ResponderBench.settled();
  bench.stop();
  bench.stop();
  bench.ask([['PTR', SIP]]);
  bench.advance(10_000);
  t.same(bench.what(), [
    `eth0 A 192.0.2.1 0!, SRV ${HOST}:5060 0!, TXT txtvers=1 0!, PTR ${ALICE} 0`,
  ]);
  const probing = new ResponderBench();
  probing.network(link('eth0', '192.0.2.1'));
  probing.publish(phone('alice'));
  probing.advance(600);
  probing.log.length = 0;
  probing.stop();
  t.same(probing.what(), [], 'nobody knows of it yet');
});

t.test('an address that changes is announced at once, on its link alone (§8.4)', async t => {
  const wlan0 = link('wlan0', '198.51.100.1');
  const bench = ResponderBench.settled(phone('alice'), link('eth0', '192.0.2.1'), wlan0);
  bench.network(link('eth0', '192.0.2.7'), wlan0);
  t.same(bench.what(), ['eth0 A 192.0.2.7 120! + NSEC A 120!']);
  bench.advance(10_000);
  t.same(bench.what(), Array(2).fill('eth0 A 192.0.2.7 120! + NSEC A 120!'));
  bench.ask([['A', HOST]], { on: 'wlan0' });
  t.same(bench.what(), ['wlan0 A 198.51.100.1 120! + NSEC A 120!']);
});

t.test('a link that comes is asked and told, and goes without a word', async t => {
  const eth0 = link('eth0', '192.0.2.1');
  const bench = ResponderBench.settled(phone('alice'), eth0);
  bench.network(eth0, link('wlan0', '198.51.100.1'));
  bench.ask([['PTR', SIP]], { on: 'wlan0' });
  bench.ask([['A', HOST]]);
  bench.advance(5000);
  const words = bench.what();
  t.match(words[0], 'eth0 A 192.0.2.1', 'meanwhile all is as before on the other');
  t.match(words.slice(1), [
    /^wlan0 probe/,
    /^wlan0 probe/,
    /^wlan0 probe/,
    /^wlan0 A 198/,
    /^wlan0 A/,
    /^wlan0 A/,
  ]);
  bench.network(eth0);
  bench.advance(5000);
  t.same(bench.what(), []);
  bench.network();
  bench.network(link('eth0', '192.0.2.1'));
  bench.advance(300);
  bench.answer(server('alice'));
  bench.advance(5000);
  t.ok(bench.what().includes('named alice-2'), 'on another network the name may be taken');
});

t.test('several services, each announced, changed and withdrawn by itself', async t => {
  const bench = ResponderBench.settled();
  const member = (...texts: string[]) => ({
    name: 'a1',
    services: [{ type: '_ringline._tcp', port: 5061, texts, subtypes: ['_overlay-x'] }],
  });
  bench.publish(member('load=0'), 'super-node');
  bench.advance(10_000);
  const words = bench.what();
  t.ok(words.includes('named a1'));
  t.notOk(
    words.some(each => each.includes(ALICE)),
    'the phone is left alone',
  );
  bench.ask([['PTR', '_overlay-x._sub._ringline._tcp.local']]);
  bench.ask([['PTR', META]]);
  bench.advance(200);
  t.match(bench.what(), [
    /^eth0 PTR a1\._ringline\._tcp\.local 4500, PTR _sip\._udp\.local 4500, PTR _ringline\._tcp\.local 4500 \+ SRV/,
  ]);
  bench.advance(5000);
  bench.publish(member('load=9'), 'super-node');
  t.match(bench.what(), [/TXT load=9 4500!/]);
  bench.advance(10_000);
  t.equal(bench.what().length, 2, 'it is said three times');
  bench.publish(member('load=9'), 'super-node');
  bench.advance(10_000);
  t.same(bench.what(), [], 'no change, no word');
  bench.withdraw('super-node');
  t.match(bench.what(), [/^eth0 SRV .* 0!, TXT load=9 0!, PTR a1.* 0, PTR a1.* 0$/]);
  bench.ask([['ANY', 'a1._ringline._tcp.local']]);
  bench.ask([['SRV', ALICE]]);
  t.match(bench.what(), [/^eth0 SRV ringline/]);
});

t.test('a name taken for one protocol alone is theirs there, and ours elsewhere', async t => {
  const bench = new ResponderBench();
  const { name, services } = phone('alice');
  bench.publish({ name, services: [...services, { type: '_sip._tcp', port: 5060, texts: [] }] });
  bench.network(link('eth0', '192.0.2.1'));
  bench.advance(300);
  bench.answer({ ...server('alice'), name: 'alice._sip._tcp.local' });
  bench.advance(10_000);
  const words = bench.what();
  t.ok(words.includes('alice is taken for _sip._tcp'));
  t.ok(words.includes('named alice'));
  t.notOk(words.at(-1)?.includes('_tcp'));
});

t.test(
  'whatever is heard: nothing is said too often or grows, and in the end there is a name',
  async () => {
    const names = ['alice', 'alice-2', 'bob'];
    const record = fc.oneof(
      fc.constantFrom(...names).map(name => server(name)),
      fc.constantFrom(...names).map(name => server(name, HOST)),
      fc.constantFrom(...names).map(name => text(name, 'z')),
      fc
        .tuple(fc.constantFrom(...names), fc.constantFrom(0, 10, 4500))
        .map(([name, ttl]) => pointer(name, ttl)),
      fc.constantFrom('192.0.2.1', '192.0.2.66').map(literal => address(HOST, literal)),
    );
    const event = fc.oneof(
      record.map(each => (bench: ResponderBench) => bench.answer(each)),
      record.map(each => (bench: ResponderBench) => bench.probe(each.name, each)),
      fc
        .tuple(
          fc.constantFrom('PTR', 'ANY', 'A', 'SRV'),
          fc.constantFrom(SIP, ALICE, HOST),
          fc.boolean(),
          fc.boolean(),
        )
        .map(
          ([type, name, unicast, truncated]) =>
            (bench: ResponderBench) =>
              bench.ask([[type as 'PTR', name]], { unicast, truncated }),
        ),
      fc
        .constantFrom('192.0.2.1', '192.0.2.5')
        .map(literal => (bench: ResponderBench) => bench.network(link('eth0', literal))),
      fc.constant((bench: ResponderBench) => bench.network()),
      fc
        .constantFrom('a', 'b')
        .map(each => (bench: ResponderBench) => bench.publish(phone('alice', each))),
      fc.integer({ min: 0, max: 1500 }).map(ms => (bench: ResponderBench) => bench.advance(ms)),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer(), (events, seed) => {
        const bench = new ResponderBench(seed);
        bench.publish(phone('alice'));
        for (const happen of events) happen(bench);
        bench.network(link('eth0', '192.0.2.1'));
        bench.advance(60_000);
        const multicasts = bench.log.filter(({ action }) => action.kind === 'send' && !action.to);
        const { entries, links } = bench.state;
        const state = links.get('eth0')!;
        const { label, named } = entries.get('phone')!;
        bench.log.splice(0, bench.log.length, ...multicasts);
        return (
          named === label &&
          state.pending.size + state.unicasts.length + state.collecting.size === 0 &&
          state.sentAt.size <= 8 &&
          state.claims.size === 2 &&
          tooOften(bench.sent(), 250).length === 0
        );
      }),
      { numRuns: 300, seed: new SeededRandom(5).uint32() | 0 },
    );
  },
);

/** Multicasts of one record that follow one another sooner than `spacingMs`; goodbyes are no news. */
function tooOften(sent: ReturnType<ResponderBench['sent']>, spacingMs: number): string[] {
  const last = new Map<string, number>();
  const wrong: string[] = [];
  for (const { at, record } of sent) {
    if (record.ttl === 0) continue;
    const key = `${record.name} ${recordInWords(record)}`;
    const before = last.get(key) ?? Number.NEGATIVE_INFINITY;
    if (at - before < spacingMs - 0.001) wrong.push(`${key} after ${at - before} ms`);
    last.set(key, at);
  }
  return wrong;
}

function checkSpacing(t: Test, sent: ReturnType<ResponderBench['sent']>, spacingMs: number): void {
  t.ok(sent.length > 0);
  t.same(tooOften(sent, spacingMs), []);
}
