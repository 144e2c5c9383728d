/** RFC 2608 §8-10: octets and messages. */
import fc from 'fast-check';
import {
  decode,
  decodeHeader,
  ErrorCode,
  encode,
  encodeForDatagram,
  errorName,
  mandatoryExtension,
  messageLength,
  SlpError,
  type SlpMessage,
  type SrvRply,
} from 'slp-js';
import t from 'tap';
import { fromWords, SAMPLES } from './messages.js';

const NO_FLAGS = { overflow: false, fresh: false, multicast: false, extensions: [] };

for (const [kind, { message, octets }] of Object.entries(SAMPLES)) {
  t.test(`a ${kind} has the octets of the RFC, both ways`, async t => {
    const bytes = fromWords(octets);
    t.equal(messageLength(bytes), bytes.length, 'the sample says its own length');
    t.equal(Buffer.from(encode(message)).toString('hex'), Buffer.from(bytes).toString('hex'));
    t.strictSame(decode(bytes), { ...NO_FLAGS, ...message });
  });

  t.test(`a ${kind} that is cut anywhere is refused, by field and offset`, async t => {
    const bytes = fromWords(octets);
    for (let length = 0; length < bytes.length; length++) {
      const error = caught(() => decode(bytes.subarray(0, length)));
      t.ok(error.offset <= length && error.message.startsWith(`${error.field} at`), `${length}`);
      // With a header that admits it, the missing field itself is named.
      const shorter = Uint8Array.from(bytes.subarray(0, length));
      if (length < 16 || kind === 'SAAdvert') continue;
      shorter[3] = length >> 8;
      shorter[4] = length & 0xff;
      t.equal(caught(() => decode(shorter)).code, 'TRUNCATED');
    }
  });
}

function caught(run: () => unknown): SlpError {
  try {
    run();
  } catch (error) {
    if (error instanceof SlpError) return error;
    throw error;
  }
  throw new Error('expected an SlpError, found none');
}

/** A SrvAck with other octets in it. */
function spoilt(changes: Record<number, number>): Uint8Array {
  const bytes = Uint8Array.from(fromWords(SAMPLES.SrvAck.octets));
  for (const [at, octet] of Object.entries(changes)) bytes[Number(at)] = octet;
  return bytes;
}

t.test('errors name field, offset and the error code a reply deserves', async t => {
  const told = (bytes: Uint8Array) => {
    const { code, field, offset, status } = caught(() => decode(bytes));
    return `${code} ${field} ${offset} ${errorName(status)}`;
  };
  t.equal(told(spoilt({ 0: 1 })), 'BAD_VERSION Version 0 VER_NOT_SUPPORTED (9)');
  t.equal(told(spoilt({ 1: 12 })), 'UNKNOWN_FUNCTION Function-ID 1 MSG_NOT_SUPPORTED (14)');
  t.equal(told(spoilt({ 4: 13 })), 'BAD_LENGTH Length 2 PARSE_ERROR (2)');
  t.equal(told(spoilt({ 2: 0xff })), 'TOO_LARGE Length 2 PARSE_ERROR (2)');
  t.equal(told(spoilt({ 14: 0x31 })), 'BAD_VALUE Language Tag 14 PARSE_ERROR (2)');
  t.equal(told(spoilt({ 14: 0xff })), 'BAD_TEXT Language Tag 14 PARSE_ERROR (2)');
  const noType = encode({ ...SAMPLES.SrvRqst.message, serviceType: '' } as SlpMessage);
  t.match(told(noType), /^BAD_VALUE service-type/, '§8.1: it is required');
  const request = fromWords(SAMPLES.SrvRqst.octets);
  const escaped = Buffer.from(request).indexOf('\\2c');
  request.set(Buffer.from('\\zz'), escaped);
  t.match(told(request), /^BAD_VALUE scope-list/);
});

t.test('extensions are read in a chain that only goes onward (§9.1)', async t => {
  const mandatory = { id: 0x4001, data: Uint8Array.of(9) };
  const base = SAMPLES.SrvAck.message;
  const bytes = encode({ ...base, extensions: [{ id: 2, data: new Uint8Array() }, mandatory] });
  t.strictSame(mandatoryExtension(decode(bytes)), mandatory);
  t.equal(
    mandatoryExtension(
      decode(encode({ ...base, extensions: [{ id: 0x8001, data: new Uint8Array() }] })),
    ),
    undefined,
  );
  for (const [at, offset] of [
    [9, 3],
    [9, 200],
    [22, 18],
    [22, 250],
  ] as const) {
    const broken = Uint8Array.from(bytes);
    broken[at] = offset;
    t.equal(caught(() => decode(broken)).code, 'BAD_EXTENSION', `offset ${offset} at ${at}`);
  }
  const many = Array.from({ length: 17 }, () => mandatory);
  t.equal(caught(() => decode(encode({ ...base, extensions: many }))).code, 'TOO_LARGE');
});

t.test('authentication blocks are bounded by their own length', async t => {
  const bytes = fromWords(SAMPLES.AttrRply.octets);
  const lengthAt = bytes.length - 12 + 1;
  t.equal(bytes[lengthAt], 14);
  bytes[lengthAt] = 9;
  t.match(
    caught(() => decode(bytes)),
    { code: 'BAD_LENGTH', offset: lengthAt - 1 },
  );
});

t.test(
  'what is too long for a datagram is cut between URL entries, and says so (§6.1, §8.2)',
  async t => {
    const urls = Array.from({ length: 60 }, (_, i) => ({
      lifetime: 60,
      url: `service:x://host-${i}.example.net`,
    }));
    const reply: SrvRply = { kind: 'SrvRply', xid: 1, language: 'en', error: 0, urls };
    const cut = encodeForDatagram(reply);
    const oneMore = encode({ ...reply, urls: urls.slice(0, 38) }).length;
    t.ok(cut.length <= 1400 && oneMore > 1400, `${cut.length} octets; one entry more: ${oneMore}`);
    t.match(decode(cut), { overflow: true, urls: urls.slice(0, 37) });
    t.equal(encodeForDatagram({ ...reply, urls: urls.slice(0, 37) }).length, cut.length);
    const types = urls.map((_, i) => `service:some-type-with-a-long-name-${i}`);
    for (const message of [
      { kind: 'SrvTypeRply', serviceTypes: types, error: 0 },
      { kind: 'AttrRply', attributes: `(a=${'x'.repeat(2000)})`, error: 0 },
    ] as const) {
      const short = encodeForDatagram({ ...message, xid: 1, language: 'en' });
      t.ok(short.length <= 1400);
      t.equal(decode(short).overflow, true);
    }
  },
);

t.test('a reply that a peer cut in the middle gives what is whole of it', async t => {
  const bytes = fromWords(SAMPLES.SrvRply.octets);
  bytes[5] = 0x80;
  const cut = decode(bytes.subarray(0, bytes.length - 20));
  t.match(cut, {
    kind: 'SrvRply',
    overflow: true,
    urls: [{ url: 'service:printer:lpr://pr1:515' }],
  });
  t.equal(cut.kind === 'SrvRply' && cut.urls.length, 1);
});

t.test('a reply may end after its error code (§7)', async t => {
  for (const kind of ['SrvRply', 'AttrRply', 'DAAdvert', 'SrvTypeRply'] as const) {
    const bytes = Uint8Array.from(fromWords(SAMPLES[kind].octets).subarray(0, 18));
    bytes.set([0, 0, 18], 2);
    t.equal(caught(() => decode(bytes)).code, 'TRUNCATED');
    bytes[17] = ErrorCode.DA_BUSY_NOW;
    t.match(decode(bytes), { kind, error: ErrorCode.DA_BUSY_NOW });
  }
});

t.test('a header is read where the rest is broken', async t => {
  const bytes = fromWords(SAMPLES.SrvRqst.octets).subarray(0, 20);
  t.match(decodeHeader(bytes), { kind: 'SrvRqst', xid: 0x1234, language: 'en', multicast: true });
});

t.test('what does not fit its field is not written', async t => {
  const { message } = SAMPLES.SrvAck;
  t.match(
    caught(() => encode({ ...message, xid: 70_000 })),
    { code: 'BAD_VALUE', field: 'XID' },
  );
  const long = { ...SAMPLES.AttrRply.message, attributes: 'x'.repeat(70_000) } as SlpMessage;
  t.match(
    caught(() => encode(long)),
    { code: 'TOO_LARGE', field: 'attr-list' },
  );
});

t.test('whatever octets come, there is a message or an SlpError', async () => {
  const samples = Object.values(SAMPLES).map(({ octets }) => fromWords(octets));
  const spoiling = fc.tuple(
    fc.nat(samples.length - 1),
    fc.array(fc.tuple(fc.nat(130), fc.nat(255)), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(spoiling, ([index, changes]) => {
      const bytes = Uint8Array.from(samples[index]!);
      for (const [at, octet] of changes) if (at < bytes.length) bytes[at] = octet;
      noOtherError(() => encode(decode(bytes)));
    }),
    { numRuns: 3000 },
  );
});

function noOtherError(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SlpError)) throw error;
  }
}
