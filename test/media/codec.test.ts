import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pcma, pcmu } from '../../src/media/codecs/g711-codec.js';
import { aLawDecode, aLawEncode, muLawDecode, muLawEncode } from '../../src/media/g711.js';
import { middleNtp, ntpTime } from '../../src/media/ntp.js';
import {
  type RtcpReport,
  readRtcp,
  roundTripMs,
  rtcpIntervalMs,
  writeRtcp,
} from '../../src/media/rtcp.js';
import { RtcpSession, type SendState } from '../../src/media/rtcp-session.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../src/media/rtp.js';
import { RtpSource } from '../../src/media/rtp-source.js';
import { throughCodec } from './through-codec.js';

const VECTORS = join(process.cwd(), '../shared/vectors/itu-g711');
const everySample = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);
const everyCode = Uint8Array.from({ length: 256 }, (_, code) => code);

function sha256(data: Uint8Array | Int16Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** 16-bit little-endian words. */
function words(file: string): Int16Array {
  const data = readFileSync(join(VECTORS, file));
  return Int16Array.from({ length: data.length / 2 }, (_, i) => data.readInt16LE(i * 2));
}

const skip = existsSync(VECTORS) ? false : `needs the ITU-T vectors in ${VECTORS}`;

t.test('G.711 is bit-exact to the ITU-T sweep', { skip }, async t => {
  const input = words('sweep.src');
  for (const [law, encode, decode] of [
    ['a', aLawEncode, aLawDecode],
    ['u', muLawEncode, muLawDecode],
  ] as const) {
    const codes = new Uint8Array(input.length);
    encode(input, codes, 0);
    t.equal(sha256(codes), sha256(Uint8Array.from(words(`sweep-r.${law}`))), `${law}-law encoder`);
    const decoded = new Int16Array(input.length);
    decode(codes, 0, codes.length, decoded, 0);
    t.equal(sha256(decoded), sha256(words(`sweep-r.re${law}`)), `${law}-law decoder`);
  }
});

t.test(
  'G.711 of every sample and every code is what it was when it matched the vectors',
  async t => {
    const codes = new Uint8Array(65_536);
    const samples = new Int16Array(256);
    muLawEncode(everySample, codes, 0);
    t.equal(sha256(codes), '90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c');
    muLawDecode(everyCode, 0, everyCode.length, samples, 0);
    t.equal(sha256(samples), '3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827');
    aLawEncode(everySample, codes, 0);
    t.equal(sha256(codes), '38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b');
    aLawDecode(everyCode, 0, everyCode.length, samples, 0);
    t.equal(sha256(samples), 'e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174');
  },
);

t.test('what G.711 coded once passes unchanged ever after', async t => {
  for (const codec of [pcmu, pcma]) {
    const once = throughCodec(codec, everySample);
    t.equal(sha256(throughCodec(codec, once)), sha256(once), codec.name);
  }
});

t.test('an RTP header is read back as written', async t => {
  const data = new Uint8Array(172);
  writeRtpHeader(data, 8, true, 0xfffe, 0xfedcba98, 0x89abcdef);
  const packet = new RtpPacket();
  t.equal(readRtp(data, packet), true);
  t.match(packet, {
    marker: true,
    payloadType: 8,
    sequence: 0xfffe,
    timestamp: 0xfedcba98,
    ssrc: 0x89abcdef,
    payloadOffset: 12,
    payloadLength: 160,
  });
});

t.test('contributing sources, extension and padding are not payload', async t => {
  const data = new Uint8Array(12 + 8 + 4 + 8 + 20 + 4);
  writeRtpHeader(data, 0, false, 1, 2, 3);
  data[0] = 0x80 | 0x20 | 0x10 | 2;
  data[12 + 8 + 3] = 2;
  data[data.length - 1] = 4;
  const packet = new RtpPacket();
  t.equal(readRtp(data, packet), true);
  t.equal(packet.payloadOffset, 32);
  t.equal(packet.payloadLength, 20);
});

t.test('what is not RTP is refused', async t => {
  const good = new Uint8Array(20);
  writeRtpHeader(good, 0, false, 1, 2, 3);
  const changed = (at: number, value: number) => {
    const data = good.slice();
    data[at] = value;
    return data;
  };
  const packet = new RtpPacket();
  t.equal(readRtp(good, packet), true);
  for (const [why, data] of [
    ['too short', good.subarray(0, 11)],
    ['version 1', changed(0, 0x40)],
    ['more contributing sources than octets', changed(0, 0x8f)],
    ['an extension beyond the end', changed(14, 0xff).fill(0x90, 0, 1)],
    ['more padding than octets', changed(19, 200).fill(0xa0, 0, 1)],
    ['no padding where some is said to be', changed(19, 0).fill(0xa0, 0, 1)],
    ['an RTCP sender report', changed(1, 200)],
  ] as const) {
    t.equal(readRtp(data, packet), false, why);
  }
});

const report: RtcpReport = {
  ssrc: 0xdeadbeef,
  sender: { ntp: ntpTime(1_234_567.5), rtpTimestamp: 160, packets: 7, octets: 1120 },
  blocks: [
    {
      ssrc: 5,
      fractionLost: 64,
      cumulativeLost: -3,
      highestSequence: 0x12345,
      jitter: 9,
      lastSenderReport: 77,
      delaySinceLast: 88,
    },
  ],
};

t.test('an RTCP compound packet is read back as written', async t => {
  for (const sender of [report.sender, undefined]) {
    const data = writeRtcp({ ...report, sender }, 'somebody@phone', true);
    t.equal(data.length % 4, 0);
    t.same(readRtcp(data), {
      reports: [{ ...report, sender }],
      cname: 'somebody@phone',
      goodbyes: [0xdeadbeef],
      extended: [],
    });
  }
});

t.test('a broken RTCP packet is refused, and never read beyond its end', async t => {
  const data = writeRtcp(report, 'x', true);
  for (let length = 1; length < data.length; length++) {
    const cut = readRtcp(data.subarray(0, length));
    t.ok(cut === undefined || cut.goodbyes.length === 0, `${length} octets`);
  }
  const manyBlocks = data.slice();
  manyBlocks[0] = 0x9f;
  t.equal(readRtcp(manyBlocks), undefined, 'more blocks than octets');
  const rtpInstead = data.slice();
  rtpInstead[1] = 8;
  t.equal(readRtcp(rtpInstead), undefined, 'begins with what is no RTCP');
});

t.test('reports come about every five seconds, the first sooner, never in step', async t => {
  const input = {
    members: 2,
    senders: 2,
    weSent: true,
    initial: false,
    meanOctets: 100,
    bandwidth: 80_000,
  };
  const compensated = 5000 / (Math.E - 1.5);
  t.equal(rtcpIntervalMs(input, 0), compensated / 2);
  t.equal(rtcpIntervalMs(input, 0.5), compensated);
  t.equal(rtcpIntervalMs({ ...input, initial: true }, 0.5), compensated / 2);
  const crowd = rtcpIntervalMs({ ...input, members: 1000, senders: 2 }, 0.5);
  t.ok(crowd === compensated, 'senders keep a quarter of the bandwidth to themselves');
  const listener = rtcpIntervalMs({ ...input, members: 1000, senders: 2, weSent: false }, 0.5);
  t.ok(listener > 200_000, 'a thousand listeners share the rest');
});

t.test(
  'the round trip is what lies between two reports, less the time spent at the far end',
  async t => {
    const sends = (ssrc: number): SendState => ({
      ssrc,
      packets: 1,
      octets: 160,
      timestamp: 160,
      sending: true,
    });
    const near = new RtcpSession('near', 0, 0.5);
    const far = new RtcpSession('far', 0, 0.5);
    const fromNear = new RtpSource(8000);
    const packet = new RtpPacket();
    packet.ssrc = 1;
    fromNear.accept(packet);

    t.equal(near.isDue(2000), false);
    t.equal(near.isDue(2100), true);
    const first = near.report(sends(1), new RtpSource(8000), 10_000, 0.5)!;
    t.equal(near.isDue(14_000), false);
    far.receive(first, 2, 500_030);
    const answer = far.report(sends(2), fromNear, 503_030, 0.5)!;
    near.receive(answer, 1, 13_050);
    t.ok(Math.abs((near.roundTripMs ?? 0) - 50) < 0.1, `${near.roundTripMs} ms`);

    near.receive(far.report(sends(2), new RtpSource(8000), 510_000, 0.5)!, 1, 21_000);
    t.ok(near.roundTripMs !== undefined, 'a report about nobody changes nothing');
    const impossible = { ...report.blocks[0]!, lastSenderReport: 1000, delaySinceLast: 5 };
    t.equal(roundTripMs(impossible, middleNtp(ntpTime(0))), undefined);
  },
);

t.test('loss is reported by RFC 3550 A.3', async t => {
  const source = new RtpSource(8000);
  const packet = new RtpPacket();
  const hear = (sequence: number) => {
    packet.sequence = sequence & 0xffff;
    packet.timestamp = sequence * 160;
    packet.arrivalMs = sequence * 20;
    return source.accept(packet);
  };
  t.equal(source.report(), undefined);
  t.equal(hear(65_530), 'restarted');
  for (let i = 65_531; i < 65_630; i++) if (i % 4 !== 0) hear(i);
  t.match(source.report(), {
    fractionLost: 64,
    cumulativeLost: 25,
    highestSequence: 65_536 + 65_629,
  });
  for (let i = 65_630; i < 65_640; i++) hear(i);
  t.match(source.report(), { fractionLost: 0, cumulativeLost: 25, jitter: 0 });
});
