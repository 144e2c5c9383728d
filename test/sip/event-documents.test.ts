/** Bodies of event packages: what is written is read again, what others write is read, what would harm is refused. */
import fc from 'fast-check';
import t from 'tap';
import {
  type DialogEntry,
  DialogTable,
  readDialogInfo,
  writeDialogInfo,
} from '../../src/sip/events/dialog-info.js';
import { readPidf, writePidf } from '../../src/sip/events/pidf.js';
import { MAX_XML_OCTETS, readXml, xmlElement, xmlText } from '../../src/sip/events/xml.js';

const read = (text: string) => readXml(Buffer.from(text));

t.test('prefixes, comments, CDATA, character references and attributes are read', async t => {
  const root = read(
    '\ufeff<?xml version="1.0"?><!-- a --><p:a xmlns:p="urn:x" k=\'1 &lt; &#x32;\'>' +
      '<p:b/>t&amp;&#65;<![CDATA[<&]]><!-- b --><c xmlns="urn:y"> d </c></p:a>\n',
  );
  t.match(root, { name: 'a', namespace: 'urn:x', text: 't&A<&' });
  t.equal(root.attributes.get('k'), '1 < 2');
  t.match(root.children, [
    { name: 'b', namespace: 'urn:x' },
    { name: 'c', namespace: 'urn:y', text: 'd' },
  ]);
});

const BAD: readonly [what: string, text: string][] = [
  ['a DOCTYPE', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
  ['a DOCTYPE inside', '<a><!DOCTYPE b></a>'],
  ['an entity nobody declared', '<a>&x;</a>'],
  ['a character that is none', '<a>&#0;</a>'],
  ['half a surrogate pair', '<a>&#xd800;</a>'],
  ['an ampersand', '<a>a & b</a>'],
  ['a control character', '<a>\u0001</a>'],
  ['an element that does not end', '<a><b></a>'],
  ['two roots', '<a/><b/>'],
  ['text after the end', '<a/>b'],
  ['nothing', ''],
  ['an attribute twice', '<a b="1" b="2"/>'],
  ['an attribute without a quote', '<a b=1/>'],
  ['attributes without a blank', '<a b="1"c="2"/>'],
  ['a prefix nobody declared', '<p:a/>'],
  ['a comment that does not end', '<a><!-- </a>'],
  ['too deep', `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`],
  ['too many elements', `<a>${'<b/>'.repeat(2001)}</a>`],
  ['too many attributes', `<a ${Array.from({ length: 40 }, (_, n) => `a${n}="1"`).join(' ')}/>`],
  ['too long', `<a>${' '.repeat(MAX_XML_OCTETS)}</a>`],
];
for (const [what, text] of BAD) {
  t.test(`${what} is refused`, async t => {
    t.throws(() => read(text), { code: 'BAD_XML' });
  });
}

t.test('other octets than UTF-8 are refused', async t => {
  t.throws(() => readXml(Buffer.from('<a>\xff</a>', 'latin1')), { code: 'BAD_XML' });
  t.throws(() => readXml(Buffer.from('<a/>', 'utf16le')), { code: 'BAD_XML' });
});

t.test('any text survives being written and read', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      // A line end in an attribute, and what XML cannot say, is not kept.
      const kept = text.replace(/\p{Cc}|[\ufffe\uffff]/gu, '');
      const root = read(xmlElement('a', { k: kept }, xmlText(kept)));
      return root.attributes.get('k') === kept && root.text === kept.trim();
    }),
  );
});

t.test('whatever comes, it is read or refused, soon', async t => {
  const samples = ['<a b="c">d</a>', '<p:a xmlns:p="u"><!-- x --><![CDATA[y]]>&amp;</p:a>'];
  const bits = fc.constantFrom(...'<>/="\'!?-[]&;# apxy:', '<a', '</a>', '<![CDATA[', '<!--', '&#');
  const started = performance.now();
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(bits, { maxLength: 60 }),
      fc.nat(),
      (sample, add, at) => {
        const place = at % sample.length;
        try {
          read(sample.slice(0, place) + add.join('') + sample.slice(place));
        } catch (error) {
          return error instanceof Error && 'code' in error && error.code === 'BAD_XML';
        }
        return true;
      },
    ),
    { numRuns: 2000 },
  );
  for (const hostile of ['<', '&', '<a ', '<a b="', '<!--', '<a>&#', ' ']) {
    const before = performance.now();
    t.throws(() => read(hostile.repeat(MAX_XML_OCTETS / hostile.length)));
    t.ok(performance.now() - before < 2000, hostile);
  }
  t.ok(performance.now() - started < 60_000);
});

t.test('dialogs are written as they are read', async t => {
  const dialogs: DialogEntry[] = [
    { id: '1', state: 'early', direction: 'recipient' },
    { id: '"<&', state: 'confirmed', direction: undefined },
  ];
  const info = { version: 7, state: 'full', entity: 'sip:a@b;c="d"', dialogs } as const;
  const { type, body } = writeDialogInfo(info);
  t.equal(type, 'application/dialog-info+xml');
  t.same(readDialogInfo(body), info);
});

t.test('dialogs as other phones write them are read', async t => {
  const info = readDialogInfo(
    Buffer.from(`<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="partial" entity="sip:101@10.0.0.1">
<dialog id="8d" call-id="8d@x" local-tag="1" remote-tag="2" direction="initiator"><state event="remote-busy" code="486">Terminated</state>
<remote><identity display="Anna">sip:anna@x</identity><target uri="sip:anna@x"/></remote></dialog></dialog-info>`),
  );
  t.same(info.dialogs, [{ id: '8d', state: 'terminated', direction: 'initiator' }]);
  for (const bad of [
    '<presence xmlns="urn:ietf:params:xml:ns:pidf"/>',
    '<dialog-info xmlns="urn:other" version="1"/>',
    '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="-1"/>',
    '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1"><dialog id="1"/></dialog-info>',
  ]) {
    t.throws(() => readDialogInfo(Buffer.from(bad)), { code: 'BAD_XML' });
  }
});

t.test('documents add up to a lamp, and a gap is found', async t => {
  const table = new DialogTable();
  const tell = (version: number, state: 'full' | 'partial', ...dialogs: DialogEntry[]) => [
    table.apply({ version, state, entity: '', dialogs }),
    table.lamp,
  ];
  const one = { id: '1', direction: 'recipient' } as const;
  const two = { id: '2', direction: 'initiator' } as const;
  t.same(tell(0, 'full'), [true, 'idle']);
  t.same(tell(1, 'partial', { ...two, state: 'early' }), [true, 'busy'], 'it calls');
  t.same(tell(2, 'partial', { ...one, state: 'early' }), [true, 'ringing']);
  t.same(tell(2, 'partial', { ...one, state: 'terminated' }), [true, 'ringing'], 'old news');
  t.same(tell(3, 'partial', { ...one, state: 'confirmed' }), [true, 'busy']);
  t.same(tell(5, 'partial', { ...two, state: 'terminated' }), [false, 'busy'], 'one is missing');
  t.same(tell(6, 'full'), [true, 'idle']);
});

t.test('presence is written as it is read', async t => {
  const presence = {
    entity: 'sip:anna@local',
    tuples: [
      { id: 'phone', basic: 'open', contact: 'sip:anna@10.0.0.1', note: 'a < b' },
      { id: 't2', basic: 'closed' },
    ],
    activities: ['on-the-phone'],
    note: 'back soon',
  } as const;
  const { type, body } = writePidf(presence);
  t.equal(type, 'application/pidf+xml');
  t.same(readPidf(body), presence);
});

t.test('presence as other phones write it is read', async t => {
  const presence = readPidf(
    Buffer.from(`<pr:presence xmlns:pr="urn:ietf:params:xml:ns:pidf" xmlns:es="urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status" entity="sip:x@y">
<pr:tuple id="t1"><pr:status><pr:basic>OPEN</pr:basic><es:activities><es:away/></es:activities></pr:status></pr:tuple></pr:presence>`),
  );
  t.match(presence, { tuples: [{ id: 't1', basic: 'open' }], activities: ['away'] });
  t.throws(() => readPidf(Buffer.from('<presence/>')), { code: 'BAD_XML' });
});
