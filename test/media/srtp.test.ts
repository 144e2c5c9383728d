import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import t from 'tap';
import {
  ProtectionProfileAeadAes128Gcm,
  ProtectionProfileAes128CmHmacSha1_80,
  RtpHeader,
  SrtcpSession,
  SrtpSession,
} from 'werift-rtp';
import { writeRtpHeader } from '../../src/media/rtp.js';
import { AesCounter } from '../../src/media/srtp/aes.js';
import { Ghash } from '../../src/media/srtp/ghash.js';
import { HmacSha1 } from '../../src/media/srtp/hmac-sha1.js';
import { SrtpReceiver } from '../../src/media/srtp/receiver.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../src/media/srtp/sender.js';
import { deriveSessionKeys, wordsOf } from '../../src/media/srtp/session-keys.js';
import {
  MAX_SSRCS,
  SRTP_SUITES,
  type SrtpKey,
  type SrtpSuite,
  srtpSuite,
} from '../../src/media/srtp/suites.js';
import { newTransform } from '../../src/media/srtp/transform.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { octetsAllocated } from './allocation.js';

const RANDOM_INPUTS = 100_000;
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const toHex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const random = new SeededRandom(7);
const suiteOf = (name: string) => srtpSuite(name) as SrtpSuite;

function newKey(suite: SrtpSuite): SrtpKey {
  return { suite, master: random.bytes(suite.keyOctets + suite.saltOctets) };
}

/** With room for what protection adds. */
function rtp(sequence: number, ssrc = 0xcafebabe, text = `packet ${sequence}`): Packet {
  const payload = Buffer.from(text);
  const data = new Uint8Array(12 + payload.length + MAX_OVERHEAD_OCTETS);
  writeRtpHeader(data, 0, false, sequence & 0xffff, sequence * 160, ssrc);
  data.set(payload, 12);
  return { data, octets: 12 + payload.length };
}

interface Packet {
  readonly data: Uint8Array;
  readonly octets: number;
}

function sealed(sender: SrtpSender, { data, octets }: Packet): Uint8Array {
  const whole = data.slice();
  return whole.slice(0, sender.protectRtp(whole, octets));
}

/** The payload, or undefined where the packet is refused. */
function opened(receiver: SrtpReceiver, packet: Uint8Array): string | undefined {
  const data = packet.slice();
  const octets = receiver.unprotectRtp(data, data.length);
  return octets === 0 ? undefined : Buffer.from(data.subarray(12, octets)).toString();
}

const REPORT = hex('81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61');

function sealedReport(sender: SrtpSender, report = REPORT): Uint8Array {
  const data = new Uint8Array(report.length + MAX_OVERHEAD_OCTETS);
  data.set(report);
  return data.slice(0, sender.protectRtcp(data, report.length));
}

t.test(
  'AES, HMAC-SHA1 and GHASH agree with FIPS 197, RFC 3711 B.2, RFC 2202 and node:crypto',
  async t => {
    // FIPS 197 appendix C.1 and C.3: the plain text as counter, its cipher text as key stream.
    const plain = wordsOf(hex('00112233445566778899aabbccddeeff'));
    const cipher128 = new Uint8Array(16);
    new AesCounter(hex('000102030405060708090a0b0c0d0e0f')).apply(plain, cipher128, 0, 16);
    t.equal(toHex(cipher128), '69c4e0d86a7b0430d8cdb78070b4c55a');
    const cipher256 = new Uint8Array(16);
    const key256 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
    new AesCounter(hex(key256)).apply(plain, cipher256, 0, 16);
    t.equal(toHex(cipher256), '8ea2b7ca516745bfeafc49904b496089');

    const stream = new Uint8Array(0xff02 * 16);
    const counter = wordsOf(hex('f0f1f2f3f4f5f6f7f8f9fafbfcfd0000'));
    new AesCounter(hex('2b7e151628aed2a6abf7158809cf4f3c')).apply(
      counter,
      stream,
      0,
      stream.length,
    );
    t.equal(toHex(stream.subarray(0, 16)), 'e03ead0935c95e80e166b16dd92b4eb4');
    t.equal(toHex(stream.subarray(0xfeff * 16, 0xff00 * 16)), 'ec8cdf7398607cb0f2d21675ea9ea1e4');
    t.equal(toHex(stream.subarray(0xff01 * 16)), '6a2cc3787889374fbeb4c81b17ba6c44');

    // RFC 2202 §3, case 2.
    const mac = new HmacSha1(Buffer.from('Jefe'));
    const text = Buffer.from('what do ya want for nothing?');
    mac.update(text, text.length);
    t.equal(digestOf(mac), 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79');

    const pool = randomBytes(1 << 16);
    let differences = 0;
    for (let i = 0; i < RANDOM_INPUTS; i++) {
      const at = (i * 131) % 32_768;
      const data = pool.subarray(at, at + (i % 200));
      const key = pool.subarray(at + 300, at + 300 + (i & 1 ? 16 : 32));
      const iv = pool.subarray(at + 400, at + 416);
      switch (i % 3) {
        case 0: {
          const ours = Uint8Array.from(data);
          // Ours counts in 32 bits: what would carry beyond is no packet's.
          const start = Buffer.from(iv);
          start[12] = 0;
          new AesCounter(key).apply(wordsOf(start), ours, 0, ours.length);
          const theirs = createCipheriv(`aes-${key.length * 8}-ctr`, key, start).update(data);
          if (!theirs.equals(ours)) differences++;
          break;
        }
        case 1: {
          const ours = new HmacSha1(key);
          ours.update(data, data.length, iv.readInt32BE(0));
          const theirs = createHmac('sha1', key).update(data).update(iv.subarray(0, 4));
          if (theirs.digest('hex') !== digestOf(ours)) differences++;
          break;
        }
        default: {
          const clear = Math.min(12, data.length);
          const gcm = createCipheriv(
            `aes-${key.length * 8}-gcm` as 'aes-128-gcm',
            key,
            iv.subarray(0, 12),
          );
          gcm.setAAD(data.subarray(0, clear));
          const cipherText = Buffer.concat([gcm.update(data.subarray(clear)), gcm.final()]);
          const block = (words: Int32Array) => {
            const out = new Uint8Array(16);
            new AesCounter(key).apply(words, out, 0, 16);
            return out;
          };
          const ghash = new Ghash(block(new Int32Array(4)));
          ghash.update(data, 0, clear);
          ghash.update(cipherText, 0, cipherText.length);
          ghash.updateWords(0, clear * 8, 0, cipherText.length * 8);
          const first = wordsOf(iv.subarray(0, 12));
          first[3] = 1;
          const tag = wordsOf(block(first)).map((word, j) => word ^ ghash.state[j]!);
          if (!wordsOf(gcm.getAuthTag()).every((word, j) => word === tag[j])) differences++;
        }
      }
    }
    t.equal(differences, 0, `${RANDOM_INPUTS} random inputs`);
  },
);

function digestOf({ digest }: HmacSha1): string {
  const out = Buffer.alloc(20);
  for (const [i, word] of digest.entries()) out.writeInt32BE(word, 4 * i);
  return out.toString('hex');
}

t.test('session keys are those of RFC 3711 B.3', async t => {
  const master = hex('e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6');
  const keys = deriveSessionKeys(suiteOf('AES_CM_128_HMAC_SHA1_80'), master, 'rtp');
  t.equal(toHex(keys.encryption), 'c61e7a93744f39ee10734afe3ff7a087');
  t.equal(toHex(keys.salt), '30cbbc08863d8c85d49db34a9ae1');
  t.equal(toHex(keys.authentication), 'cebe321f6ff7716b6fd4ab49af256a156d38baa4');
});

t.test('AES-GCM packets are those of RFC 7714 §16.1.1, §16.2.1 and §17.1', async t => {
  const text = Buffer.from('Gallia est omnis divisa in partes tres');
  const salt = hex('517569642070726f2071756f');
  const transform = (octets: 16 | 32) => {
    const encryption = hex(
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ).slice(0, octets);
    const keys = { encryption, authentication: new Uint8Array(0), salt };
    return newTransform(suiteOf('AEAD_AES_128_GCM'), keys, 16);
  };
  const packet = () => {
    const data = new Uint8Array(12 + text.length + MAX_OVERHEAD_OCTETS);
    data.set(hex('8040f17b8041f8d35501a0b2'));
    data.set(text, 12);
    return data;
  };
  const ssrc = 0x5501a0b2;
  const short = packet();
  t.equal(transform(16).seal(short, 12, 50, ssrc, 0, 0xf17b, undefined), 66);
  t.equal(
    toHex(short.subarray(12, 66)),
    'f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce',
  );
  const long = packet();
  transform(32).seal(long, 12, 50, ssrc, 0, 0xf17b, undefined);
  t.equal(
    toHex(long.subarray(12, 66)),
    '32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13',
  );
  const report = new Uint8Array(80);
  report.set(REPORT);
  for (let at = 32; at < 52; at += 4) report.set(hex('deadbeef'), at);
  t.equal(transform(16).seal(report, 8, 52, 0x4d617273, 0, 0x5d4, 0x800005d4), 72);
  t.equal(
    toHex(report.subarray(8, 72)),
    '63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4',
  );
});

const ORACLES = [
  ['AES_CM_128_HMAC_SHA1_80', ProtectionProfileAes128CmHmacSha1_80],
  ['AEAD_AES_128_GCM', ProtectionProfileAeadAes128Gcm],
] as const;

for (const [name, profile] of ORACLES) {
  t.test(`${name}: werift reads what we write and we read what it writes`, async t => {
    const suite = suiteOf(name);
    const [ours, theirs] = [newKey(suite), newKey(suite)];
    const part = ({ master }: SrtpKey, from: number, to?: number) =>
      Buffer.from(master.subarray(from, to));
    const keys = {
      localMasterKey: part(theirs, 0, suite.keyOctets),
      localMasterSalt: part(theirs, suite.keyOctets),
      remoteMasterKey: part(ours, 0, suite.keyOctets),
      remoteMasterSalt: part(ours, suite.keyOctets),
    };
    const werift = new SrtpSession({ keys, profile });
    const weriftRtcp = new SrtcpSession({ keys, profile });
    const sender = new SrtpSender(ours);
    const receiver = new SrtpReceiver(theirs);
    // Over the wrap, with gaps.
    for (let sequence = 65_500; sequence < 65_600; sequence += sequence % 7 ? 1 : 3) {
      const packet = rtp(sequence);
      const plain = Buffer.from(packet.data.slice(0, packet.octets));
      t.same(werift.decrypt(Buffer.from(sealed(sender, packet))), plain);
      const header = RtpHeader.deSerialize(plain);
      t.equal(opened(receiver, werift.encrypt(plain.subarray(12), header)), `packet ${sequence}`);
    }
    for (let i = 0; i < 3; i++) {
      t.same(weriftRtcp.decrypt(Buffer.from(sealedReport(sender))), Buffer.from(REPORT));
      const data = Uint8Array.from(weriftRtcp.encrypt(Buffer.from(REPORT)));
      t.equal(receiver.unprotectRtcp(data, data.length), REPORT.length);
      t.same(data.slice(0, REPORT.length), REPORT);
    }
  });
}

for (const suite of SRTP_SUITES) {
  t.test(`${suite.name}: loss and reordering over the wrap, header extension, RTCP`, async t => {
    const key = newKey(suite);
    const sender = new SrtpSender(key);
    const receiver = new SrtpReceiver(key);
    const packets: { readonly text: string; readonly data: Uint8Array }[] = [];
    for (let sequence = 65_000; sequence < 65_000 + 2 * 65_536; sequence += 50) {
      const packet = rtp(sequence);
      packets.push({ text: `packet ${sequence}`, data: sealed(sender, packet) });
    }
    // Pairs change places; each tenth is lost.
    for (let i = 0; i + 1 < packets.length; i += 2) {
      [packets[i], packets[i + 1]] = [packets[i + 1]!, packets[i]!];
    }
    const heard = packets.filter((_, i) => i % 10 !== 3);
    t.same(
      heard.map(({ data }) => opened(receiver, data)),
      heard.map(({ text }) => text),
    );
    t.equal(opened(receiver, heard.at(-1)!.data), undefined, 'a replay is refused');

    const extended = rtp(10, 5, 'x'.repeat(40));
    extended.data[0] = 0x91;
    extended.data.set(hex('00000001bede000110aa0000'), 12);
    extended.data.set(Buffer.from('secret'), 24);
    const onTheWire = sealed(sender, { data: extended.data.slice(), octets: 24 + 6 });
    t.equal(toHex(onTheWire.subarray(0, 24)), toHex(extended.data.subarray(0, 24)), 'clear');
    t.notSame(onTheWire.slice(24, 30), Uint8Array.from(Buffer.from('secret')));
    t.equal(opened(receiver, onTheWire)?.slice(-6), 'secret');

    const report = sealedReport(sender);
    t.equal(toHex(report.subarray(0, 8)), toHex(REPORT.subarray(0, 8)));
    t.equal(receiver.unprotectRtcp(report.slice(), report.length), REPORT.length);
    t.equal(receiver.unprotectRtcp(report.slice(), report.length), 0, 'a replay is refused');
  });

  t.test(
    `${suite.name}: nothing forged, cut or changed is let in, and none leaves a trace`,
    async t => {
      const key = newKey(suite);
      const sender = new SrtpSender(key);
      const receiver = new SrtpReceiver(key);
      const good = sealed(sender, rtp(100));
      const report = sealedReport(sender);
      for (let octet = 0; octet < good.length; octet++) {
        const forged = good.slice();
        forged[octet] = forged[octet]! ^ (1 << (octet % 8));
        if (opened(receiver, forged) !== undefined) t.fail(`octet ${octet} is not protected`);
        if (opened(receiver, good.slice(0, octet)) !== undefined) t.fail(`cut at ${octet}`);
      }
      for (let octet = 0; octet < report.length; octet++) {
        const forged = report.slice();
        forged[octet] = forged[octet]! ^ (1 << (octet % 8));
        if (receiver.unprotectRtcp(forged, forged.length) > 0) t.fail(`RTCP octet ${octet}`);
      }
      t.equal(receiver.streams, 0);
      t.equal(opened(receiver, good), 'packet 100');
      const far = good.slice();
      far[2] = 0x7f;
      t.equal(opened(receiver, far), undefined);
      t.equal(opened(receiver, sealed(sender, rtp(101))), 'packet 101', 'the window did not move');
    },
  );
}

t.test('the replay window is as wide as asked for', async t => {
  for (const window of [64, 128, 1024]) {
    const key = newKey(SRTP_SUITES[0]!);
    const sender = new SrtpSender(key);
    const receiver = new SrtpReceiver(key, { window });
    const [old, edge] = [sealed(sender, rtp(1000)), sealed(sender, rtp(1001))];
    t.ok(opened(receiver, sealed(sender, rtp(1000 + window))));
    t.equal(opened(receiver, old), undefined, 'too old to tell');
    t.equal(opened(receiver, edge), 'packet 1001');
    t.equal(opened(receiver, edge), undefined, 'twice');
  }
});

t.test('SSRCs are bounded, and none is forgotten for another', async t => {
  const key = newKey(SRTP_SUITES[0]!);
  const receiver = new SrtpReceiver(key);
  const sender = new SrtpSender(key);
  const first = sealed(sender, rtp(1, 1));
  t.ok(opened(receiver, first));
  for (let ssrc = 2; ssrc <= MAX_SSRCS; ssrc++)
    t.ok(opened(receiver, sealed(sender, rtp(1, ssrc))));
  t.equal(sender.protectRtp(rtp(1, 1000).data, 20), 0);
  t.equal(opened(receiver, sealed(new SrtpSender(key), rtp(1, 1000))), undefined);
  t.equal(opened(receiver, first), undefined, 'still known');
  t.equal(receiver.streams, MAX_SSRCS);
});

t.test('a key that protected all it may is used no more', async t => {
  const key = { ...newKey(SRTP_SUITES[0]!), lifetime: 3 };
  const sender = new SrtpSender(key);
  const receiver = new SrtpReceiver(key);
  for (let i = 1; i <= 3; i++) t.equal(opened(receiver, sealed(sender, rtp(i))), `packet ${i}`);
  t.equal(sender.exhausted, true);
  t.equal(receiver.exhausted, true);
  const { data, octets } = rtp(4);
  t.equal(sender.protectRtp(data, octets), 0);
  t.equal(sender.protectRtcp(REPORT.slice(), REPORT.length), 0);
  t.equal(opened(receiver, sealed(new SrtpSender({ ...key, lifetime: 9 }), rtp(4))), undefined);
});

t.test(
  'another key: the roll-over counter goes on, or begins again as some phones have it',
  async t => {
    const [first, second] = [newKey(SRTP_SUITES[0]!), newKey(SRTP_SUITES[0]!)];
    const sender = new SrtpSender(first);
    const before = new SrtpReceiver(first);
    for (const sequence of [65_000, 65_535, 65_536, 65_540]) {
      t.ok(opened(before, sealed(sender, rtp(sequence))));
    }
    const goesOn = new SrtpSender(second, sender);
    const after = new SrtpReceiver(second, { previous: before });
    t.equal(opened(after, sealed(goesOn, rtp(65_541))), 'packet 65541');
    t.equal(opened(after, sealed(goesOn, rtp(65_542))), 'packet 65542');
    const restarted = new SrtpReceiver(second, { previous: before });
    t.equal(opened(restarted, sealed(new SrtpSender(second), rtp(5))), 'packet 5');
    t.equal(opened(restarted, sealed(goesOn, rtp(65_543))), undefined);
  },
);

t.test('protecting and opening allocates nothing', async t => {
  for (const suite of SRTP_SUITES) {
    const key = newKey(suite);
    const sender = new SrtpSender(key);
    const receiver = new SrtpReceiver(key);
    const data = new Uint8Array(172 + MAX_OVERHEAD_OCTETS);
    let sequence = 0;
    const passOne = () => {
      writeRtpHeader(data, 0, false, ++sequence & 0xffff, 160, 0xfedcba98);
      const length = sender.protectRtp(data, 172);
      if (receiver.unprotectRtp(data, length) !== 172) throw new Error('refused');
    };
    const octets = octetsAllocated(passOne);
    // The measurement itself takes one.
    t.ok(octets < 2, `${suite.name}: ${octets} octets a packet`);
  }
});
