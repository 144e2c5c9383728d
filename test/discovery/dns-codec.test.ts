/** Our codec against another one, and against what nobody should send. */
import { type Answer, decode, encode } from 'dns-packet';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeMessage,
  encodeMessage,
  MAX_SENT_OCTETS,
} from '../../src/discovery/mdns/dns-codec.js';
import { type DnsRecord, queryOf, responseOf } from '../../src/discovery/mdns/dns-message.js';
import { instanceName, labelsOf, nameOf } from '../../src/discovery/mdns/dns-name.js';
import { compareRecordSets, recordKey } from '../../src/discovery/mdns/record-identity.js';

const ALICE = 'alice._sip._udp.local';
const texts = (...each: string[]) => each.map(text => new Uint8Array(Buffer.from(text)));
const RECORDS: DnsRecord[] = [
  { name: '_sip._udp.local', ttl: 4500, flush: false, data: { type: 'PTR', target: ALICE } },
  {
    name: ALICE,
    ttl: 120,
    flush: true,
    data: { type: 'SRV', priority: 1, weight: 2, port: 5060, host: 'a1.local' },
  },
  { name: ALICE, ttl: 4500, flush: true, data: { type: 'TXT', texts: texts('id=a1', '') } },
  { name: 'a1.local', ttl: 120, flush: true, data: { type: 'A', address: '192.0.2.1' } },
  { name: 'a1.local', ttl: 0, flush: true, data: { type: 'AAAA', address: 'fe80::1:0:0:9' } },
  {
    name: 'a1.local',
    ttl: 120,
    flush: true,
    data: { type: 'NSEC', next: 'a1.local', types: ['A', 'AAAA'] },
  },
  {
    name: 'x.local',
    ttl: 9,
    flush: false,
    data: { type: 'TYPE13', octets: texts('\x01a\x01b')[0]! },
  },
];

/** The same record for the other codec. */
function other({ name, ttl, flush, data }: DnsRecord): Answer {
  const common = { name, ttl, flush };
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return { ...common, type: data.type, data: data.address };
    case 'PTR':
      return { ...common, type: 'PTR', data: data.target };
    case 'SRV': {
      const { priority, weight, port, host: target } = data;
      return { ...common, type: 'SRV', data: { priority, weight, port, target } };
    }
    case 'TXT':
      return { ...common, type: 'TXT', data: data.texts.map(each => Buffer.from(each)) };
    case 'NSEC':
      return { ...common, type: 'NSEC', data: { nextDomain: data.next, rrtypes: [...data.types] } };
    default:
      return { ...common, type: 'HINFO', data: { cpu: 'a', os: 'b' } };
  }
}

t.test('another codec reads what ours writes, and ours what another writes', async t => {
  const message = responseOf({
    id: 7,
    answers: RECORDS.slice(0, 3),
    additionals: RECORDS.slice(3),
  });
  const [packet] = encodeMessage(message);
  t.match(decode(Buffer.from(packet!)), {
    type: 'response',
    id: 7,
    flag_aa: true,
    answers: RECORDS.slice(0, 3).map(other),
    additionals: RECORDS.slice(3).map(other),
  });
  const theirs = encode({
    type: 'response',
    id: 7,
    answers: RECORDS.slice(0, 3).map(other),
    additionals: RECORDS.slice(3).map(other),
  });
  t.same(decodeMessage(theirs), message);
  t.same(decodeMessage(packet!), message);
  t.ok(packet!.length < 0.75 * theirs.length, `${packet!.length} octets of ${theirs.length}`);
});

t.test('questions, with and without the wish for a unicast answer', async t => {
  const questions = [
    { name: ALICE, type: 'ANY', unicast: true },
    { name: '_sip._udp.local', type: 'PTR', unicast: false },
    { name: 'x.local', type: 'TYPE65', unicast: false },
  ] as const;
  const [packet] = encodeMessage(queryOf({ questions, authorities: RECORDS.slice(1, 3) }));
  const back = decodeMessage(packet!);
  t.same(back, queryOf({ questions, authorities: RECORDS.slice(1, 3) }));
  t.match(
    decode(Buffer.from(packet!)).questions,
    [
      { type: 'ANY', class: 'UNKNOWN_32769' },
      { type: 'PTR', class: 'IN' },
      { type: 'HTTPS' },
    ].slice(0, 2),
  );
});

t.test('a label may hold dots, backslashes and any script', async t => {
  for (const label of ['Dr. No', 'back\\slash.', '会議室', 'a b']) {
    const name = instanceName(label, '_sip._udp.local');
    t.same(labelsOf(name), [label, '_sip', '_udp', 'local']);
    t.equal(nameOf(labelsOf(name)), name);
    const question = { name, type: 'SRV', unicast: false } as const;
    const [packet] = encodeMessage(queryOf({ questions: [question] }));
    t.same(decodeMessage(packet!)?.questions, [question]);
    t.ok(Buffer.from(packet!).includes(label));
  }
  const long = { name: `${'ä'.repeat(32)}.local`, type: 'A', unicast: false } as const;
  t.throws(() => encodeMessage(queryOf({ questions: [long] })), { code: 'DNS_NAME_TOO_LONG' });
});

t.test('addresses are read and written as everybody does', async t => {
  const written: Record<string, string> = {
    '::': '::',
    '::1': '::1',
    'fe80::dc90:62ff:fe8c:e1d8': 'fe80::dc90:62ff:fe8c:e1d8',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '1:0:2:0:3:0:4:0': '1:0:2:0:3:0:4:0',
    '::ffff:192.0.2.1': '::ffff:c000:201',
    'fe80::1%eth0': 'fe80::1',
    '1:2:3:4:5:6::': '1:2:3:4:5:6::',
  };
  for (const [given, canonical] of Object.entries(written)) {
    const record = { ...RECORDS[4]!, data: { type: 'AAAA', address: given } as const };
    const [packet] = encodeMessage(responseOf({ answers: [record] }));
    t.match(decodeMessage(packet!)?.answers, [{ data: { address: canonical } }], given);
  }
});

t.test('what does not fit one packet goes in several; additional records stay out', async t => {
  const many = Array.from({ length: 200 }, (_, i): DnsRecord => {
    const target = `phone-${i}._sip._udp.local`;
    return { name: '_sip._udp.local', ttl: 4500, flush: false, data: { type: 'PTR', target } };
  });
  const question = { name: '_sip._udp.local', type: 'PTR', unicast: false } as const;
  const packets = encodeMessage(queryOf({ questions: [question], answers: many }));
  const messages = packets.map(each => decodeMessage(each)!);
  t.ok(packets.every(each => each.length <= MAX_SENT_OCTETS));
  t.same(
    messages.flatMap(({ answers }) => answers),
    many,
  );
  t.same(
    messages.map(({ truncated }) => truncated),
    [...packets.slice(1).map(() => true), false],
  );
  t.same(
    messages.flatMap(({ questions }) => questions),
    [question],
  );
  const answers = encodeMessage(responseOf({ answers: many, additionals: many }));
  t.same(
    answers.flatMap(each => decodeMessage(each)!.answers),
    many,
  );
  t.ok(answers.every(each => each.length <= MAX_SENT_OCTETS && !decodeMessage(each)!.truncated));
  const [big, ...none] = encodeMessage(
    responseOf({
      answers: [
        { ...RECORDS[2]!, data: { type: 'TXT', texts: Array(8).fill(new Uint8Array(255)) } },
      ],
    }),
  );
  t.equal(none.length, 0, 'one record is never cut');
  t.equal(decodeMessage(big!)?.answers.length, 1);
});

t.test('nonsense is no message', async t => {
  const [good] = encodeMessage(responseOf({ answers: RECORDS }));
  for (let cut = 0; cut < good!.length; cut++)
    t.equal(decodeMessage(good!.subarray(0, cut)), undefined);
  const hex: Record<string, string> = {
    'an opcode': '000028000001000000000000',
    'an error': '000080030000000000000000',
    'a pointer to itself': '000084000000000100000000c00c000100010000000000040a000001',
    'a pointer ahead': '000084000000000100000000c00e00000100010000000000040a000001',
    'a label of reserved kind': '00008400000000010000000040610000010001000000000004' + '0a000001',
    'an address too long': '000084000000000100000000000001000100000000' + '00050a00000100',
    'text beyond its end': '000084000000000100000000000010000100000000' + '0002ff61',
    'counts of nothing': '00008400ffffffffffffffff',
  };
  for (const [what, octets] of Object.entries(hex))
    t.equal(decodeMessage(Buffer.from(octets, 'hex')), undefined, what);
  t.equal(decodeMessage(Buffer.alloc(9001)), undefined, 'too long');
  const chaos = Buffer.from('000084000000000100000000000001000300000000' + '00040a000001', 'hex');
  t.same(decodeMessage(chaos)?.answers, [], 'another class is left out');
});

t.test('whatever comes is read, or not, and never more than was there', async () => {
  const [good] = encodeMessage(responseOf({ answers: RECORDS }));
  const changes = fc.array(fc.tuple(fc.nat(good!.length - 1), fc.nat(255)), { maxLength: 8 });
  const broken = changes.map(list => {
    const octets = Uint8Array.from(good!);
    for (const [at, value] of list) octets[at] = value;
    return octets;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), broken), octets => {
      const { answers, authorities, additionals } = decodeMessage(octets) ?? responseOf({});
      const records = [...answers, ...authorities, ...additionals];
      records.map(recordKey);
      // A name, a type, a class, a lifetime and a length: RFC 1035 §4.1.3.
      return records.length <= octets.length / 11;
    }),
    { numRuns: 2000, seed: 11 },
  );
});

t.test('names of pointers upon pointers cost no more than their packet is long', async t => {
  // Each pointer leads to the one before it.
  const chain = Buffer.alloc(9000);
  chain.writeUInt16BE(0x8400, 2);
  chain.writeUInt16BE(4000, 6);
  for (let at = 14; at < 9000; at += 2) chain.writeUInt16BE(0xc000 | (at - 2), at);
  const before = performance.now();
  t.equal(decodeMessage(chain), undefined);
  t.ok(performance.now() - before < 2000);
});

t.test('records are the same whatever their lifetime and the case of their names', async t => {
  const [pointer, server, text, a] = RECORDS as [DnsRecord, DnsRecord, DnsRecord, DnsRecord];
  t.equal(recordKey(pointer), recordKey({ ...pointer, name: '_SIP._udp.LOCAL' }));
  t.not(
    recordKey(text),
    recordKey({ name: ALICE, data: { type: 'TXT', texts: texts('id=A1', '') } }),
  );
  t.not(recordKey(a), recordKey(server));
});

t.test('the example of RFC 6762 §8.2: 169.254.200.50 is later than 169.254.99.200', async t => {
  const at = (address: string): DnsRecord => ({ ...RECORDS[3]!, data: { type: 'A', address } });
  const [low, high] = [at('169.254.99.200'), at('169.254.200.50')];
  t.ok(compareRecordSets([low], [high]) < 0);
  t.ok(compareRecordSets([high], [low]) > 0);
  t.equal(compareRecordSets([high, low], [low, high]), 0);
  t.ok(compareRecordSets([low, high], [low]) > 0, 'more of them are later');
});
