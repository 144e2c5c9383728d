/** Attribute lists, search filters, service types, scopes: RFC 2608 §4-6, §8.1, §9. */
import fc from 'fast-check';
import {
  type Attributes,
  type AttributeValue,
  attributesOf,
  dropAttributes,
  escapeText,
  filterMatches,
  fold,
  formatAttributes,
  mergeAttributes,
  parseAttributes,
  parseFilter,
  parseServiceType,
  parseServiceUrl,
  SlpError,
  selectAttributes,
  typeMatches,
  unescapeText,
  updateAttributes,
} from 'slp-js';
import t from 'tap';

const PRINTER =
  '(location=12th Floor\\2c east),(ppm=12,40),(color=true),(x-key=\\ff\\00\\0a),duplex,(note=*a)';

t.test('attribute values have the type of their form (§5)', async t => {
  const attributes = parseAttributes(PRINTER);
  const values = (tag: string) => attributes.get(tag)?.values;
  t.strictSame(values('location'), ['12th Floor, east']);
  t.strictSame(values('ppm'), [12, 40]);
  t.strictSame(values('color'), [true]);
  t.strictSame(values('x-key'), [Uint8Array.of(0, 10)]);
  t.strictSame(values('duplex'), []);
  t.equal(formatAttributes(attributes), PRINTER);
  t.strictSame(parseAttributes('(n=2147483648)').get('n')?.values, ['2147483648'], 'no integer');
  t.strictSame(parseAttributes('(n=-2147483648)').get('n')?.values, [-2_147_483_648]);
  t.equal(parseAttributes('').size, 0);
  const written = attributesOf({
    id: 'a1',
    tls: true,
    ports: [1, 2],
    key: Uint8Array.of(255),
    mains: [],
  });
  t.equal(formatAttributes(written), '(id=a1),(tls=true),(ports=1,2),(key=\\ff\\ff),mains');
});

t.test('what is no attribute list is refused, with the place', async t => {
  for (const [text, offset] of [
    ['(a=1', 0],
    ['(a)', 0],
    ['(a=1),', 6],
    ['(a=1)b', 5],
    ['(a_b=1)', 2],
    ['(a=1<2)', 4],
    ['(a=\\41)', 3],
    ['(a=\\2)', 3],
    ['(a=1),(A=2)', 11],
    ['(=1)', 1],
  ] as const) {
    t.throws(
      () => parseAttributes(text),
      { code: 'BAD_VALUE', field: 'attr-list', offset, status: 2 },
      text,
    );
  }
  t.throws(
    () => parseAttributes('(x=4,true,sue)'),
    { code: 'BAD_VALUE', status: 3 },
    'mixed types: INVALID_REGISTRATION',
  );
});

t.test('attribute lists are what they were after writing and reading', async () => {
  const tag = fc.stringMatching(/^[a-z][a-z0-9 -]{0,8}[a-z0-9]$/);
  // Strings that look like another type would become one.
  const text = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter(s => !/^\s*(-?\d+|true|false)\s*$/i.test(s));
  const values = fc.oneof(
    fc.array(text, { maxLength: 3 }),
    fc.array(fc.integer(), { maxLength: 3 }),
    fc.array(fc.boolean(), { maxLength: 2 }),
    fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 2 }),
  );
  fc.assert(
    fc.property(
      fc.dictionary(tag, values as fc.Arbitrary<AttributeValue[]>, { maxKeys: 5 }),
      entries => {
        const attributes = attributesOf(entries);
        const before = formatAttributes(attributes);
        const after = formatAttributes(parseAttributes(before));
        if (after !== before) throw new Error(`${before} became ${after}`);
      },
    ),
    { numRuns: 300 },
  );
});

t.test('attributes are updated, selected, dropped and merged (§9.3, §9.4, §10.4)', async t => {
  const abc = parseAttributes('(A=1),(B=2),(C=3)');
  t.equal(
    formatAttributes(updateAttributes(abc, parseAttributes('(c=30),(D=40)'))),
    '(A=1),(B=2),(c=30),(D=40)',
  );
  const lobby = parseAttributes('(x-a=1),(resolution=res-600),(bob=1),x-OK');
  t.equal(
    formatAttributes(selectAttributes(lobby, ['x-*', 'RESOLUTION'])),
    '(x-a=1),(resolution=res-600),x-OK',
  );
  t.equal(formatAttributes(selectAttributes(lobby, [])), formatAttributes(lobby));
  t.equal(formatAttributes(dropAttributes(lobby, ['*o*'])), '(x-a=1)');
  const merged = mergeAttributes([
    parseAttributes('(A=a a,b),k'),
    parseAttributes('(a=A   A,B,c)'),
  ]);
  t.equal(formatAttributes(merged), '(A=a a,b,c),k');
});

const cases: ReadonlyArray<readonly [string, boolean]> = [
  ['', true],
  ['(ppm=12)', true],
  ['(ppm>=41)', false],
  ['(ppm>=40)', true],
  ['(ppm<=11)', false],
  ['(ppm=12*)', false], // wildcards are for strings
  ['(PPM=*)', true],
  ['(duplex=*)', true],
  ['(duplex=true)', false],
  ['(color=TRUE)', true],
  ['(color=1)', false],
  ['(color>=true)', false],
  ['(location=12TH   floor\\2c East)', true],
  ['(location~= 12th floor\\2c east )', true],
  ['(location=12*east)', true],
  ['(location=*FLOOR*)', true],
  ['(location=*floor)', false],
  ['(location=12*floor*\\2c*)', true],
  ['(location>=12)', false], // an integer asks for integers
  ['(location>=12s)', true],
  ['(location<=12s)', false],
  ['(x-key=\\FF\\00\\0A)', true],
  ['(x-key=\\FF\\00)', false],
  ['(note=\\2aa)', true],
  ['(!(ppm=12))', true], // 40 is not 12: each value by itself (§8.1)
  ['(!(color=true))', false],
  ['(!(absent=*))', true],
  ['(!(absent=1))', true],
  ['(&(ppm=12)(color=true))', true],
  ['(&(ppm=12)(color=false))', false],
  ['(|(ppm=99)(color=true))', true],
  ['(!(|(ppm=99)(color=true)))', false],
  [' ( & (ppm>=12) (!(|(color=false)(absent=*))) ) ', true],
];

t.test('filters match as §8.1 says', async t => {
  const attributes: Attributes = parseAttributes(PRINTER);
  for (const [filter, expected] of cases) {
    t.equal(filterMatches(parseFilter(filter), attributes), expected, filter);
  }
  t.ok(filterMatches(parseFilter('(!(y=0))'), parseAttributes('(y=0,1)')));
  t.notOk(filterMatches(parseFilter('(x=34*)'), parseAttributes('(x=3432)')));
  t.ok(filterMatches(parseFilter('(x=34*)'), parseAttributes('(x=34foo)')));
});

t.test('what is no filter is refused, with the place', async t => {
  for (const [text, offset] of [
    ['ppm=12', 0],
    ['(ppm=12', 7],
    ['(ppm=12))', 8],
    ['(&)', 2],
    ['(!)', 2],
    ['()', 1],
    ['(ppm>=1*)', 1],
    ['(a=\\41)', 3],
  ] as const) {
    t.throws(() => parseFilter(text), { code: 'BAD_VALUE', field: 'predicate', offset }, text);
  }
  const deep = `${'(!'.repeat(40)}(a=1)${')'.repeat(40)}`;
  t.throws(() => parseFilter(deep), { code: 'TOO_LARGE' });
  const noise = fc.string({ unit: fc.constantFrom(...'()&|!=<>~*\\a1 2c'), maxLength: 30 });
  fc.assert(
    fc.property(noise, text => {
      try {
        filterMatches(parseFilter(text), parseAttributes(PRINTER));
      } catch (error) {
        if (!(error instanceof SlpError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

t.test('wildcards take no longer for a hostile pattern', async t => {
  const attributes = attributesOf({ a: 'a'.repeat(20_000) });
  const filter = parseFilter(`(a=${'*a'.repeat(5000)}*b)`);
  t.notOk(filterMatches(filter, attributes));
});

t.test('escapes and folding (§6.4)', async t => {
  t.equal(escapeText('a,b(c)\\'), 'a\\2cb\\28c\\29\\5c');
  t.equal(escapeText('a;b*', 'scope'), 'a\\3bb\\2a');
  t.equal(unescapeText('a\\2Cb', 'scope-list'), 'a,b');
  t.throws(() => unescapeText('x\\41', 'scope-list', 10), {
    code: 'BAD_VALUE',
    field: 'scope-list',
    offset: 11,
  });
  t.equal(fold('  Some\t String\r\n'), 'some string');
  t.equal(fold('ÄÖ'), 'äö');
});

t.test('service types and URLs (§4)', async t => {
  t.match(parseServiceUrl('service:supernode.ringline:sip://192.0.2.7:5060'), {
    type: {
      text: 'service:supernode.ringline:sip',
      name: 'supernode',
      namingAuthority: 'ringline',
      concrete: 'sip',
    },
    host: '192.0.2.7',
    port: 5060,
  });
  t.match(parseServiceUrl('service:sip://[fe80::1]:5060/x'), { host: 'fe80::1', port: 5060 });
  t.match(parseServiceUrl('http://user@example.com/a:b'), { host: 'example.com', port: undefined });
  t.match(parseServiceUrl('service:printer:lpr://h/draft;a=b'), {
    host: 'h',
    type: { concrete: 'lpr' },
  });
  for (const bad of ['service:', 'service:a:b:c', 'a:b', 'service:x.iana', 'service:-', 'b@d']) {
    t.throws(() => parseServiceType(bad), { code: 'BAD_VALUE' }, bad);
  }
  for (const bad of ['service:x', 'service:x://h:99999', 'service:x://h:port']) {
    t.throws(() => parseServiceUrl(bad), { code: 'BAD_VALUE', field: 'URL' }, bad);
  }
  const matches = (wanted: string, offered: string) =>
    typeMatches(parseServiceType(wanted), parseServiceType(offered));
  t.ok(matches('service:printer', 'SERVICE:Printer:lpr'));
  t.ok(matches('service:printer:lpr', 'service:printer:lpr'));
  t.notOk(matches('service:printer:http', 'service:printer:lpr'));
  t.notOk(matches('service:print', 'service:printer'));
  t.notOk(
    matches('service:supernode', 'service:supernode.ringline:sip'),
    'another authority is another type',
  );
});
