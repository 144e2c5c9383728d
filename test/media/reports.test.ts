/** What packets and reports tell beside the voice: levels, collisions, quality, extended reports. */
import t from 'tap';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { LossPattern } from '../../src/media/loss-pattern.js';
import { OwnSsrc } from '../../src/media/own-ssrc.js';
import { readRtcp, writeRtcp } from '../../src/media/rtcp.js';
import { RtcpSession, type SendState } from '../../src/media/rtcp-session.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../src/media/rtp.js';
import { audioLevelOf, findExtension, writeAudioLevel } from '../../src/media/rtp-extensions.js';
import { RtpSource } from '../../src/media/rtp-source.js';
import { voiceQuality } from '../../src/media/voice-quality.js';
import { readBlocks, type VoipMetrics, writeBlocks } from '../../src/media/xr.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';

const bytes = (...values: number[]) => Uint8Array.from(values);

/** A packet with an extension of these octets under this profile. */
function extended(profile: number, ...elements: number[]): RtpPacket {
  const data = new Uint8Array(16 + elements.length + 2);
  writeRtpHeader(data, 0, false, 1, 2, 3);
  data[0] = 0x90;
  data.set(bytes(profile >> 8, profile & 255, 0, elements.length / 4, ...elements), 12);
  const packet = new RtpPacket();
  t.ok(readRtp(data, packet));
  return packet;
}

t.test('header extensions of one and of two octets are found by their ID', async t => {
  const one = extended(0xbede, 0x10, 0x2a, 0, 0x31, 7, 8, 0, 0);
  t.equal(audioLevelOf(one, 1), 0x2a);
  t.equal(findExtension(one, 3, 2), 20);
  t.equal(findExtension(one, 3, 3), -1, 'too short');
  t.equal(audioLevelOf(one, 2), -1);
  const two = extended(0x1005, 1, 1, 0xff, 0, 20, 2, 9, 9);
  t.equal(audioLevelOf(two, 1), 0x7f);
  t.equal(findExtension(two, 20, 2), 22);
  t.equal(audioLevelOf(extended(0x4242, 0x10, 0x2a, 0, 0), 1), -1, 'of another kind');
  t.equal(audioLevelOf(extended(0xbede, 0xf0, 0, 0x10, 5), 1), -1, 'ID 15 ends the list');
  t.equal(audioLevelOf(extended(0xbede, 0x2f, 0, 0, 0), 1), -1, 'longer than the packet');
  const out = new Uint8Array(24);
  writeRtpHeader(out, 0, false, 1, 2, 3);
  for (const [dbov, level] of [
    [0, 0],
    [-33.4, 33],
    [-200, 127],
  ] as const) {
    writeAudioLevel(out, 5, dbov);
    const packet = new RtpPacket();
    t.ok(readRtp(out, packet));
    t.equal(audioLevelOf(packet, 5), level);
    t.equal(packet.payloadOffset, 20);
  }
});

t.test('contributing sources are read', async t => {
  const data = new Uint8Array(12 + 8 + 1);
  writeRtpHeader(data, 0, false, 1, 2, 3);
  data[0] = 0x82;
  data.set(bytes(0, 0, 0, 9, 0xff, 0, 0, 1), 12);
  const packet = new RtpPacket();
  t.ok(readRtp(data, packet));
  t.same([packet.contributors, packet.contributor(0), packet.contributor(1)], [2, 9, 0xff000001]);
});

t.test('who has our SSRC by chance makes us take another; who repeats us is a loop', async t => {
  const own = new OwnSsrc(new SeededRandom(1));
  const first = own.current;
  t.equal(own.check(first ^ 1, 0), 'none');
  t.equal(own.check(first, 1000), 'changed');
  t.not(own.current, first);
  t.equal(own.previous, first);
  t.equal(own.check(first, 1020), 'none', 'theirs now');
  t.equal(own.check(own.current, 1040), 'loop');
  t.equal(own.check(own.current, 50_000), 'loop');
  t.equal(own.check(own.current, 200_000), 'changed', 'long forgotten');
});

t.test('losses one by one are no burst, those within 16 packets are', async t => {
  const single = new LossPattern();
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 50; j++) single.arrived(j === 25 ? 1 : 0);
  }
  const gaps = single.bursts();
  t.match(gaps, { burstDensity: 0, burstPackets: 0 });
  t.ok(Math.abs(gaps.gapDensity - 10 / 510) < 0.001, `${gaps.gapDensity}`);
  const bursts = new LossPattern();
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 50; j++) bursts.arrived(j === 20 || j === 23 ? 2 : 0);
  }
  const { burstDensity, burstPackets, gapDensity } = bursts.bursts();
  t.equal(burstPackets, 7, 'two lost, three heard, two lost');
  t.ok(Math.abs(burstDensity - 4 / 7) < 0.001, `${burstDensity}`);
  t.equal(gapDensity, 0);
});

t.test('the E-model: G.107 values for loss and delay', async t => {
  const near = (found: number, wanted: number) =>
    t.ok(Math.abs(found - wanted) < 0.05, `${found}, expected ${wanted}`);
  near(voiceQuality('PCMU', 0, 0).rFactor, 93.2);
  near(voiceQuality('PCMU', 0, 0).mosListening, 4.41);
  near(voiceQuality('pcma', 0.05, 0).rFactor, 93.2 - (95 * 5) / 30.1);
  near(voiceQuality('PCMU', 0, 300).rFactor, 93.2 - 7.2 - 0.11 * 122.7);
  t.ok(voiceQuality('PCMU', 0, 300).mosConversational < voiceQuality('PCMU', 0, 300).mosListening);
  t.match(voiceQuality('PCMU', 1, 5000), { rFactor: 0, mosConversational: 1 });
});

const VOIP: VoipMetrics = {
  ssrc: 0xfffffffe,
  lossRate: 0.125,
  discardRate: 0.0625,
  burstDensity: 0.5,
  gapDensity: 0.25,
  burstMs: 60,
  gapMs: 70_000,
  roundTripMs: 35,
  endSystemDelayMs: 60,
  rFactor: 81,
  mosListening: 4.1,
  mosConversational: 3.9,
  bufferMs: 40,
  bufferMaximumMs: 60,
  bufferLimitMs: 300,
};

t.test(
  'extended reports read as they were written, within a compound and by themselves',
  async t => {
    const report = {
      referenceTime: { seconds: 7, fraction: 9 },
      receiverDelays: [{ ssrc: 5, lastReference: 6, delay: 7 }],
      summary: { ssrc: 1, firstSequence: 65_530, lastSequence: 10, lost: 3, duplicates: 1 },
      voip: VOIP,
    };
    const read = { ...report, voip: { ...VOIP, gapMs: 65_535 } };
    const blocks = writeBlocks(report);
    t.same(readBlocks(blocks, 0, blocks.length), read);
    const compound = writeRtcp({ ssrc: 4, sender: undefined, blocks: [] }, 'me', true, report);
    t.match(readRtcp(compound), { goodbyes: [4], extended: [{ ssrc: 4, ...read }] });
    for (let end = 0; end < blocks.length; end++) readBlocks(blocks.slice(0, end), 0, end);
    t.equal(blocks[12 + 16 + 40 + 3], 8, 'the length of VoIP metrics, RFC 3611 §4.7');
    const unknown = { ...VOIP, rFactor: undefined, mosListening: undefined };
    const without = writeBlocks({ receiverDelays: [], voip: unknown });
    t.match(readBlocks(without, 0, without.length).voip, {
      rFactor: undefined,
      mosListening: undefined,
    });
  },
);

t.test('a report of reduced size (RFC 5506) is read, and APP passed over', async t => {
  const app = [0x80, 204, 0, 2, 0, 0, 0, 1, 65, 66, 67, 68];
  t.match(readRtcp(bytes(...app)), { reports: [] });
  t.match(readRtcp(bytes(...app, 0x81, 203, 0, 1, 0, 0, 0, 9)), { goodbyes: [9] });
  t.equal(readRtcp(bytes(0x80, 100, 0, 1, 0, 0, 0, 9)), undefined);
});

const silent = (ssrc: number): SendState => ({
  ssrc,
  packets: 0,
  octets: 0,
  timestamp: 0,
  sending: false,
});

t.test('who only listens learns the round trip all the same (RFC 3611 §4.4, §4.5)', async t => {
  const [near, far] = [new RtcpSession('near', 0, 0.5), new RtcpSession('far', 0, 0.5)];
  near.extended = far.extended = true;
  const source = new RtpSource(8000);
  far.receive(near.report(silent(1), source, 10_000, 0.5)!, 2, 700_020);
  near.receive(far.report(silent(2), source, 703_020, 0.5)!, 1, 13_040);
  t.ok(Math.abs((near.roundTripMs ?? 0) - 40) < 0.1, `${near.roundTripMs}`);
});

t.test(
  'the more take part the more seldom each reports, and who is silent is forgotten',
  async t => {
    const session = new RtcpSession('me', 0, 0.5);
    const source = new RtpSource(8000);
    for (let ssrc = 10; ssrc < 70; ssrc++) {
      const report = writeRtcp({ ssrc, sender: undefined, blocks: [] }, 'x', false);
      session.receive(report, 1, 2000);
    }
    t.ok(session.isDue(3000));
    t.equal(session.report(silent(1), source, 3000, 0.5), undefined, 'reconsidered');
    const next = [...Array(60).keys()].find(s => session.isDue(3000 + s * 1000));
    t.ok(next !== undefined && next > 2, `${next} s`);
    // Five intervals later nobody was heard again.
    t.ok(session.report(silent(1), source, 500_000, 0.5));
    t.ok(session.isDue(510_000), 'alone with one other');
  },
);

t.test('a far end with feedback hears of us sooner (RFC 4585 §3.4)', async t => {
  const session = new RtcpSession('me', 0, 0.5);
  session.feedback = true;
  t.ok(session.report(silent(1), new RtpSource(8000), 2500, 0.5));
  t.equal(session.isDue(2600), false);
  t.ok(session.isDue(5000));
});

async function pair(loss = 0) {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 4, link: { loss } });
  const [a, b] = ['10.0.0.1', '10.0.0.2'].map((address, i) => {
    const random = new SeededRandom(i + 1);
    return {
      address,
      engine: new LocalMediaEngine({ clock, network: network.host(address), random }),
    };
  }) as [Party, Party];
  await Promise.all([a.engine.start(), b.engine.start()]);
  const legs = await Promise.all([a, b].map(({ engine, address }) => engine.openLeg({ address })));
  const format = { name: 'PCMU', payloadType: 0 };
  const common = { format, send: true, receive: true, rtcpExtended: true, audioLevel: 3 };
  legs[0]!.configure({ ...common, remote: { address: b.address, port: legs[1]!.port } });
  legs[1]!.configure({ ...common, remote: { address: a.address, port: legs[0]!.port } });
  t.teardown(() => Promise.all([a.engine.stop(), b.engine.stop()]));
  return { clock, network, a, b, legs };
}

interface Party {
  readonly address: string;
  readonly engine: LocalMediaEngine;
}

t.test('both ends of a call know how it sounds at either', async t => {
  const { clock, legs } = await pair();
  await clock.advance(30_000);
  const [here, there] = await Promise.all(legs.map(leg => leg.statistics()));
  t.ok((here?.quality?.mosListening ?? 0) > 4.3, `${here?.quality?.mosListening}`);
  t.ok((here?.farEnd?.mosListening ?? 0) > 4.2, 'as the far end says');
  t.ok(Math.abs((here?.farEnd?.rFactor ?? 0) - (there?.quality?.rFactor ?? 0)) < 2);
  t.equal(here?.farEnd?.lossFraction, 0);
});

t.test('loss on the way shows in what both ends say', async t => {
  const { clock, legs } = await pair(0.1);
  await clock.advance(60_000);
  const here = await legs[0]!.statistics();
  const { mosListening = 5 } = here.quality ?? {};
  t.ok(mosListening < 4 && mosListening > 2, `${mosListening}`);
  t.ok((here.farEnd?.lossFraction ?? 0) > 0.03, `${here.farEnd?.lossFraction}`);
  t.ok((here.farEnd?.mosListening ?? 5) < 4, `${here.farEnd?.mosListening}`);
});

t.test('a mirror is heard by nobody, and our SSRC is ours again', async t => {
  const { clock, network, legs, a } = await pair();
  const mirror = await network.host('10.0.0.3').bindDatagram({
    address: '10.0.0.3',
    port: 4000,
    trafficClass: 'voice',
  });
  const ssrcs = new Set<number>();
  mirror.onMessage = (data, from) => {
    const packet = new RtpPacket();
    if (readRtp(data, packet)) ssrcs.add(packet.ssrc);
    mirror.send(data.slice(), from);
  };
  const remote = { address: '10.0.0.3', port: 4000 };
  legs[0]!.configure({
    remote,
    format: { name: 'PCMU', payloadType: 0 },
    send: true,
    receive: true,
  });
  await clock.advance(2000);
  const before = await legs[0]!.statistics();
  await clock.advance(5000);
  const after = await legs[0]!.statistics();
  t.equal(ssrcs.size, 2, 'changed once');
  t.equal(after.packetsReceived, before.packetsReceived);
  t.ok(after.packetsRefused > before.packetsRefused + 200);
  t.ok(a.engine);
});
