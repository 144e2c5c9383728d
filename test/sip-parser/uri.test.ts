import {
  formatUri,
  isSipUri,
  Params,
  parseUri,
  SipSyntaxError,
  type SipUri,
  sameUri,
  sipUri,
} from '@sip-stack/parser';
import fc from 'fast-check';
import t from 'tap';

function sip(text: string): SipUri {
  const uri = parseUri(text);
  if (!isSipUri(uri)) throw new Error(`expected a SIP URI, found ${uri.scheme}`);
  return uri;
}

t.test('the parts of a URI', async t => {
  const uri = sip(
    'SIPS:alice:se%3Acret@Atlanta.example.com:5061;transport=tcp;lr?Subject=a%20b&X=',
  );
  t.match(uri, {
    scheme: 'sips',
    user: 'alice',
    password: 'se:cret',
    host: 'Atlanta.example.com',
    port: 5061,
  });
  t.same(
    [...uri.params],
    [
      ['transport', 'tcp'],
      ['lr', ''],
    ],
  );
  t.same(
    [...uri.headers],
    [
      ['Subject', 'a b'],
      ['X', ''],
    ],
  );
  t.match(sip('sip:[2001:db8::1]:5070'), { user: undefined, host: '2001:db8::1', port: 5070 });
  t.match(sip('sip:%C3%A9t%C3%A9@h'), { user: 'été' });
  t.same(parseUri('TEL:+1-212-555;phone-context=x'), {
    scheme: 'tel',
    opaque: '+1-212-555;phone-context=x',
  });
});

t.test('URIs that are not', async t => {
  const refused = [
    '',
    'sip',
    'sip:',
    ':x',
    'sip:@host',
    'sip:a b@host',
    'sip:a@',
    'sip:a@host:',
    'sip:a@host:65536',
    'sip:a@host:x',
    'sip:a@[::1',
    'sip:a@[abc]',
    'sip:a@ho st',
    'sip:a@host;',
    'sip:a@host;;lr',
    'sip:a@host;x=',
    'sip:a@host?',
    'sip:a@host?x',
    'sip:a@host?x=1&',
    'sip:%4@host',
    'sip:%zz@host',
    'sip:é@host',
    'sip:a@b@c',
    'sip:a@host\r\nX: y',
    'tel:',
    'tel:1 2',
    'tel:<1>',
    '<sip:a@b>',
  ];
  for (const text of refused) {
    t.throws(() => parseUri(text), { code: 'BAD_URI', status: 400 }, JSON.stringify(text));
  }
});

t.test('a URI is written as it was read, escapes where they are needed', async t => {
  for (const text of [
    'sip:alice@atlanta.example.com',
    'sip:[2001:db8::1]:5070;transport=tcp',
    'sips:a%40b:c%3A@h;x=%22;lr?A=b%26c&D=',
    'sip:%FF%C3@h',
    'sip:a;b=c?/@h',
    'mailto:someone@example.com',
  ]) {
    t.equal(formatUri(parseUri(text)), text);
  }
  t.equal(formatUri(parseUri('sip:%61lice@h')), 'sip:alice@h');
  t.equal(
    formatUri(
      sipUri({ user: 'Ann Smith é"', host: '::1', port: 5060, params: { lr: '', 'a b': 'c;d' } }),
    ),
    'sip:Ann%20Smith%20%C3%A9%22@[::1]:5060;lr;a%20b=c%3Bd',
  );
  t.equal(formatUri(sipUri({ scheme: 'sips', host: '[::1]' })), 'sips:[::1]');
  t.throws(() => sipUri({ host: 'a b' }), { code: 'BAD_URI' });
  t.throws(() => sipUri({ host: '' }), { code: 'BAD_URI' });
  t.throws(() => sipUri({ host: 'a', port: 70000 }), { code: 'BAD_URI' });
});

t.test('parameters that are changed are written changed', async t => {
  const uri = sip('sip:h;Transport=udp;x=1');
  uri.params.set('transport', 'tcp').set('lr');
  t.equal(uri.params.delete('X'), true);
  t.equal(uri.params.delete('X'), false);
  t.equal(formatUri(uri), 'sip:h;Transport=tcp;lr');
  t.equal(Params.from({ a: '1', b: '' }).toString(), ';a=1;b');
});

t.test('RFC 3261 §19.1.4: URIs that are the same', async t => {
  const same: [string, string][] = [
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtlanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:[2001:db8::1]', 'sip:[2001:DB8:0:0:0::0001]'],
    ['sip:[::ffff:192.0.2.1]', 'sip:[::ffff:c000:201]'],
    ['tel:123', 'tel:123'],
  ];
  for (const [a, b] of same) {
    t.equal(sameUri(parseUri(a), parseUri(b)), true, `${a} is ${b}`);
    t.equal(sameUri(parseUri(b), parseUri(a)), true, `${b} is ${a}`);
  }
});

t.test('RFC 3261 §19.1.4: URIs that differ', async t => {
  const different: [string, string][] = [
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:bob@biloxi.com', 'sips:bob@biloxi.com'],
    ['sip:bob@biloxi.com', 'sip:bob:@biloxi.com'],
    ['sip:bob@biloxi.com', 'sip:biloxi.com'],
    ['sip:bob@biloxi.com?a=1', 'sip:bob@biloxi.com?a=2'],
    ['sip:bob@biloxi.com;maddr=1.2.3.4', 'sip:bob@biloxi.com'],
    ['sip:[2001:db8::1]', 'sip:[2001:db8::2]'],
    ['sip:bob@biloxi.com', 'tel:bob'],
    ['tel:123', 'tel:124'],
  ];
  for (const [a, b] of different) {
    t.equal(sameUri(parseUri(a), parseUri(b)), false, `${a} is not ${b}`);
    t.equal(sameUri(parseUri(b), parseUri(a)), false, `${b} is not ${a}`);
  }
});

t.test('any user, parameters and headers survive a round trip', async t => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
  const entries = fc.dictionary(
    text.filter(name => name !== '__proto__'),
    text,
    { maxKeys: 4 },
  );
  fc.assert(
    fc.property(
      text,
      entries,
      fc.option(fc.nat(65535), { nil: undefined }),
      (user, params, port) => {
        const uri = sipUri({ user, host: 'h.example', port, params });
        for (const [name, value] of Object.entries(params)) uri.headers.set(name, value);
        const again = sip(formatUri(uri));
        t.equal(again.user, user);
        t.equal(again.port, port);
        t.same([...again.params], [...uri.params]);
        t.same([...again.headers], [...uri.headers]);
      },
    ),
    { seed: 3261, numRuns: 100 },
  );
});

t.test('any text is a URI or a SipSyntaxError', async t => {
  const piece = fc.constantFrom(
    'sip:',
    'a',
    '@',
    ':',
    ';',
    '=',
    '?',
    '&',
    '%41',
    '%',
    '[',
    ']',
    '::1',
    '<',
    ' ',
    'é',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      try {
        const uri = parseUri(pieces.join(''));
        const written = formatUri(uri);
        t.equal(formatUri(parseUri(written)), written);
      } catch (error) {
        if (!(error instanceof SipSyntaxError)) throw error;
      }
    }),
    { seed: 19, numRuns: 2000 },
  );
});
