/** Every header field: what it reads, what it writes, what it refuses and where. */
import * as parser from '@sip-stack/parser';
import { type HeaderField, Headers } from '@sip-stack/parser';
import t from 'tap';
import { anew, FIELDS, plain } from './every-field.js';
import { CASES } from './field-cases.js';
import { DIGEST_CHALLENGE } from './field-shapes.js';

const read = (field: HeaderField<unknown>, text: string) =>
  new Headers().setText(field.name, text).all(field);

t.test('every field of the package has its cases', async t => {
  const names = FIELDS.map(({ name }) => name);
  t.same(CASES.map(({ field }) => field.name).sort(), names.sort());
});

for (const { field, good, bad } of CASES) {
  t.test(field.name, async t => {
    for (const entry of good) {
      const [text, written] = typeof entry === 'string' ? [entry, entry] : entry;
      const values = read(field, text);
      const headers = new Headers().set(field, ...values.map(anew));
      const lines = written === '' && field.inline ? '' : headers.texts(field.name).join(', ');
      t.equal(lines, written, `${text} is written`);
      const received = new Headers().setText(field.compact ?? field.name, text);
      received.all(field);
      const again = new Headers().setText(field.name, ...received.texts(field.name));
      t.same(again.all(field).map(plain), values.map(plain), `${text} survives a round trip`);
    }
    for (const [text, position] of bad) {
      const refused = { name: 'SipSyntaxError', status: 400, field: field.name, position };
      const headers = new Headers().setText(field.name, text);
      t.throws(() => headers.all(field), refused, `${text} is refused`);
      t.throws(() => headers.all(field), refused, `${text} is refused again`);
      if (!field.list) t.throws(() => field.parse(text), refused, `${text} is refused alone`);
    }
  });
}

t.test('several challenges, a line each', async t => {
  const headers = new Headers()
    .append(
      parser.WwwAuthenticate,
      parser.WwwAuthenticate.parse('Digest realm="a", nonce="1", algorithm=SHA-256'),
    )
    .append(
      parser.WwwAuthenticate,
      parser.WwwAuthenticate.parse('Digest realm="a", nonce="1", algorithm=MD5'),
    );
  t.same(
    headers.all(parser.WwwAuthenticate).map(({ params }) => params.get('algorithm')),
    ['SHA-256', 'MD5'],
  );
  t.equal(headers.texts('www-authenticate').length, 2);
  const { scheme, params } = parser.WwwAuthenticate.parse(DIGEST_CHALLENGE);
  t.equal(scheme, 'Digest');
  t.equal(params.get('REALM'), 'a, "b"');
  t.equal(params.get('opaque'), '');
  const built = parser.Authorization.format({
    scheme: 'Digest',
    params: parser.Params.from({
      username: 'bob',
      uri: 'sip:h',
      qop: 'auth',
      nc: '00000001',
      response: 'ab',
      opaque: '',
    }),
  });
  t.equal(
    built,
    'Digest username="bob", uri="sip:h", qop=auth, nc=00000001, response="ab", opaque=""',
  );
  t.equal(parser.Authorization.parse('Basic QWxhZGRpbg==').token, 'QWxhZGRpbg==');
});

t.test('typed values of the fields of extensions', async t => {
  t.same(parser.RAck.parse('776656 1 INVITE'), { response: 776656, sequence: 1, method: 'INVITE' });
  t.match(parser.Timestamp.parse('54.10 0.5'), {
    time: '54.10',
    delay: '0.5',
  });
  t.match(parser.Replaces.parse('a@h;to-tag=1;from-tag=2'), { callId: 'a@h' });
  t.same(parser.Privacy.parse('id;user'), ['id', 'user']);
  t.match(parser.ReferSub.parse('false'), { subscription: false });
  t.match(parser.ReferTo.parse('<sip:b@h?Replaces=a%40h%3Bto-tag%3D1>').uri, { host: 'h' });
  t.equal(parser.SessionExpires.parse('60;refresher=uas').seconds, 60);
  t.equal(parser.AcceptContact.parse('*;methods="INVITE,BYE"').get('methods'), 'INVITE,BYE');
  for (const [compact, field] of Object.entries({
    a: parser.AcceptContact,
    b: parser.ReferredBy,
    d: parser.RequestDisposition,
    j: parser.RejectContact,
    o: parser.Event,
    r: parser.ReferTo,
    u: parser.AllowEvents,
    x: parser.SessionExpires,
  })) {
    t.equal(field.compact, compact);
  }
});
