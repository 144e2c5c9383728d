import {
  formatUri,
  isSipUri,
  isTelUri,
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
  t.same(parseUri('MailTo:Ann@h?Subject=x'), { scheme: 'mailto', opaque: 'Ann@h?Subject=x' });
});

t.test('URIs that are not', async t => {
  const refused = [
    '',
    'sip',
    'sip:',
    ':x',
    'sip:@host',
    'sip:a b@host',
    'sip:[::1]@host',
    'sip:a@',
    'sip:a@host:',
    'sip:a@host:65536',
    'sip:a@host:x',
    'sip:a@[::1',
    'sip:a@[abc]',
    'sip:[::1::2]',
    'sip:[::::1]',
    'sip:[1:2:3:4:5:6:7]',
    'sip:[1:2:3:4:5:6:7:8:9]',
    'sip:[1:2:3:4::5:6:7:8]',
    'sip:[::12345]',
    'sip:[::1.2.3]',
    'sip:[::1.2.3.256]',
    'sip:[1.2.3.4]',
    'sip:[:]',
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
    'tel:bob',
    'tel:+',
    'tel:+1f',
    'tel:--',
    'tel:1?x=y',
    'tel:1;',
    'tel:1;ext=',
    'tel:1;ext=1;EXT=2',
    'sip:h;lr;LR',
    'sip:h;lr;%6cr',
    'sip:[fe80::1%]',
    'sip:[fe80::1%25eth 0]',
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
    'tel:+1-201-555-0123;ext=42;x=%22',
    'tel:*43#;phone-context=example.com',
    'sip:alice;day=tuesday@h;user=phone',
    'sip:a%3Bb:c%24d@h',
    'sip:[fe80::1%25eth0]:5060;lr',
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
  t.equal(formatUri(sipUri({ host: 'fe80::1%wlan0', port: 5060 })), 'sip:[fe80::1%25wlan0]:5060');
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

t.test('telephone numbers', async t => {
  const uri = parseUri('TEL:+1-(201)-555.0123;EXT=4-2;phone-context=x');
  if (!isTelUri(uri)) throw new Error(`expected a tel URI, found ${uri.scheme}`);
  t.match(uri, { scheme: 'tel', number: '+1-(201)-555.0123' });
  t.equal(uri.params.get('ext'), '4-2');
  t.equal(isSipUri(uri), false);
  uri.params.set('ext', '7').delete('phone-context');
  t.equal(formatUri(uri), 'tel:+1-(201)-555.0123;EXT=7');
  t.equal(
    formatUri({ scheme: 'tel', number: '7042', params: Params.from({ 'phone-context': '+1-2' }) }),
    'tel:7042;phone-context=+1-2',
  );
});

t.test('hosts with a zone, escaped as in RFC 6874 or bare', async t => {
  for (const text of ['sip:a@[fe80::1%25eth0]:5070', 'sip:a@[fe80::1%eth0]:5070']) {
    t.match(sip(text), { host: 'fe80::1%eth0', port: 5070 }, text);
    t.equal(formatUri(parseUri(text)), 'sip:a@[fe80::1%25eth0]:5070', text);
  }
  t.match(sip('sip:[fe80::1%25]'), { host: 'fe80::1%25' }, 'a zone that is the number 25');
});

t.test('an escaped reserved character survives until the user is changed', async t => {
  const uri = sip('sip:a%3bb:%41%24@h');
  t.match(uri, { user: 'a;b', password: 'A$' });
  t.equal(formatUri(uri), 'sip:a%3Bb:A%24@h');
  t.equal(formatUri({ ...uri, user: 'c;d' }), 'sip:c;d:A$@h');
  t.equal(formatUri({ ...uri, password: undefined }), 'sip:a;b@h');
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
    ['sip:%61%3b@h', 'sip:a%3B@h'],
    ['sip:h;x=%41%2f', 'sip:h;X=a%2F'],
    ['sip:h?to=%3Csip:b%40H%3E', 'sip:h?To=sip%3Ab%40h'],
    ['sip:h?s=Hello', 'sip:h?Subject=hello'],
    ['sip:h?Route=a&Route=b', 'sip:h?route=a&route=b'],
    ['sip:h?to=%22A%22%20%3Csip:h%3E%3Bx%3D1', 'sip:h?to=Bob%3Csip:H%3E%3BX%3D1'],
    ['sip:[fe80::1%25eth0]', 'sip:[FE80:0::1%eth0]'],
    ['sips:a@h;maddr=1.2.3.4;ttl=1', 'sips:a@h;ttl=1;maddr=1.2.3.4'],
    ['sip:h;method=invite', 'sip:h;method=INVITE'],
    ['tel:123', 'tel:123'],
    ['tel:+1-201-555-0123', 'tel:+1(201)555.0123'],
    ['tel:7042;ext=1-2;phone-context=Example.COM', 'TEL:70-42;Phone-Context=example.com;EXT=12'],
    ['tel:7042;phone-context=+1-201', 'tel:7042;phone-context=+1201'],
    ['tel:AB#', 'tel:ab#'],
    ['mailto:a@h', 'MAILTO:a@h'],
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
    ['sip:123@biloxi.com', 'tel:123'],
    ['tel:123', 'tel:124'],
    ['tel:123', 'tel:+123'],
    ['tel:123', 'tel:123;ext=1'],
    ['tel:123;ext=2', 'tel:123;ext=1'],
    ['tel:123;phone-context=a', 'tel:123;ext=1'],
    ['tel:123', 'mailto:123'],
    ['sip:a%3Bb@h', 'sip:a;b@h'],
    ['sip:a:b%2C@h', 'sip:a:b,@h'],
    ['sip:h;x=%2F', 'sip:h;x=/'],
    ['sip:A@h', 'sip:a@h'],
    ['sip:a:P@h', 'sip:a:p@h'],
    ['sip:h;user=phone', 'sip:h;user=ip'],
    ['sip:h;user=phone', 'sip:h'],
    ['sip:h;ttl=1', 'sip:h'],
    ['sip:h;method=INVITE', 'sip:h'],
    ['sip:h;maddr=1.2.3.4', 'sip:h;maddr=1.2.3.5'],
    ['sip:h;lr', 'sip:h;lr=true'],
    ['sip:h?a=1', 'sip:h?b=1'],
    ['sip:h?a=1&a=2', 'sip:h?a=1&b=2'],
    ['sip:h?Route=a&Route=b', 'sip:h?Route=b&Route=a'],
    ['sip:h?to=sip:h', 'sip:h?to=sip:h2'],
    ['sip:h?to=sip:h', 'sip:h?to=nonsense'],
    ['sip:h?Call-ID=a', 'sip:h?Call-ID=A'],
    ['sip:h?Subject=%22a%22', 'sip:h?Subject=%22A%22'],
    ['sip:[fe80::1%25eth0]', 'sip:[fe80::1%25eth1]'],
    ['sip:[fe80::1%25eth0]', 'sip:[fe80::1]'],
    ['mailto:a@h', 'mailto:A@h'],
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
