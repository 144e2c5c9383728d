/**
 * RTP, RTCP and SRTP, sound and broken: nothing crashes the readers, no table grows without bound, and what is forged or
 * was there before changes nothing: the sound packets in between are heard, each of them once.
 * Run by `make fuzz`: [PACKETS=1000000] [PACKET_SEED=…] node dist/test/fuzz/rtp.js [--json]
 */
import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import { readRtcp, writeRtcp } from '../../src/media/rtcp.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../src/media/rtp.js';
import { RtpSource } from '../../src/media/rtp-source.js';
import { SrtpReceiver } from '../../src/media/srtp/receiver.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../src/media/srtp/sender.js';
import { MAX_SSRCS, SRTP_SUITES } from '../../src/media/srtp/suites.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';

const PACKETS = Number(process.env.PACKETS ?? 1_000_000);
const SEED = Number(process.env.PACKET_SEED ?? randomInt(2 ** 32));
/** A sound packet among so many broken ones. */
const SOUND_EVERY = 10;
const MAX_OCTETS = 220;
const SSRC = 0xbeef;

/** One suite's stream under attack. */
class Lane {
  readonly #sender: SrtpSender;
  readonly #receiver: SrtpReceiver;
  readonly #past: Uint8Array[] = [];
  readonly #buffer = new Uint8Array(MAX_OCTETS + MAX_OVERHEAD_OCTETS);
  #sequence = 65_000;
  heard = 0;
  sent = 0;

  constructor(
    readonly random: SeededRandom,
    suite: (typeof SRTP_SUITES)[number],
  ) {
    const key = { suite, master: random.bytes(suite.keyOctets + suite.saltOctets) };
    this.#sender = new SrtpSender(key);
    this.#receiver = new SrtpReceiver(key);
  }

  get streams(): number {
    return this.#receiver.streams;
  }

  /** Sends a sound packet, which has to be heard, whatever came before. */
  sound(): void {
    const rtcp = this.random.uint32() % 8 === 0;
    const data = this.#buffer;
    if (rtcp) data.set(report(this.random));
    else writeRtpHeader(data, 0, false, this.#sequence++ & 0xffff, this.random.uint32(), SSRC);
    const octets = rtcp ? 8 + 4 * (this.random.uint32() % 10) : 12 + (this.random.uint32() % 160);
    const sealed = rtcp
      ? this.#sender.protectRtcp(data, octets)
      : this.#sender.protectRtp(data, octets);
    const packet = data.slice(0, sealed);
    this.sent++;
    this.#past.push(packet);
    if (this.#past.length > 50) this.#past.shift();
    if (this.#open(packet.slice(), rtcp) === octets) this.heard++;
  }

  /** A packet that was there before, whole or broken: never let in. */
  attack(): void {
    const past = this.#past[this.random.uint32() % Math.max(1, this.#past.length)];
    const whole = this.random.uint32() % 4 === 0;
    const packet = past ? (whole ? past.slice() : broken(this.random, past)) : noise(this.random);
    const wasThere = this.#past.some(known => Buffer.compare(known, packet) === 0);
    const [rtp, rtcp] = [this.#open(packet.slice(), false), this.#open(packet.slice(), true)];
    assert.equal(rtp + rtcp, 0, wasThere ? 'a replay was let in' : 'a forgery was let in');
  }

  #open(packet: Uint8Array, rtcp: boolean): number {
    return rtcp
      ? this.#receiver.unprotectRtcp(packet, packet.length)
      : this.#receiver.unprotectRtp(packet, packet.length);
  }
}

function report(random: SeededRandom): Uint8Array {
  const block = {
    ssrc: random.uint32(),
    fractionLost: 1,
    cumulativeLost: 2,
    highestSequence: 3,
    jitter: 4,
    lastSenderReport: 5,
    delaySinceLast: 6,
  };
  const sender = {
    ntp: { seconds: 1, fraction: 2 },
    rtpTimestamp: random.uint32(),
    packets: 1,
    octets: 160,
  };
  return writeRtcp({ ssrc: SSRC, sender, blocks: [block] }, 'cname', random.uint32() % 2 === 0);
}

function noise(random: SeededRandom): Uint8Array {
  const packet = Uint8Array.from(random.bytes(random.uint32() % MAX_OCTETS));
  // Else nearly all of it ends at the version.
  if (packet.length > 0 && random.uint32() % 4 > 0) packet[0] = 0x80 | (packet[0]! & 0x3f);
  return packet;
}

/** Octets changed (at least one in truth), or cut off. */
function broken(random: SeededRandom, packet: Uint8Array): Uint8Array {
  if (random.uint32() % 3 === 0) return packet.slice(0, random.uint32() % packet.length);
  const changed = packet.slice();
  const at = random.uint32() % packet.length;
  changed[at] = changed[at]! ^ (1 + (random.uint32() % 255));
  for (let more = random.uint32() % 3; more > 0; more--) {
    // Never the first again: it would be mended.
    const other = random.uint32() % packet.length;
    if (other !== at) changed[other] = random.uint32();
  }
  return changed;
}

/** The readers of plain packets: whatever comes, what they say lies within the packet. */
function readPlain(packet: Uint8Array, rtp: RtpPacket, source: RtpSource, nowMs: number): void {
  if (readRtp(packet, rtp)) {
    assert.ok(rtp.payloadOffset + rtp.payloadLength <= packet.length);
    rtp.arrivalMs = nowMs;
    source.accept(rtp);
    const { ssrc, fractionLost } = source.report() ?? {};
    assert.ok(ssrc === undefined || ssrc >>> 0 === ssrc);
    assert.ok(fractionLost === undefined || (fractionLost >= 0 && fractionLost < 256));
  }
  const compound = readRtcp(packet);
  const things = (compound?.reports.length ?? 0) + (compound?.goodbyes.length ?? 0);
  assert.ok(things <= packet.length / 4);
}

await runProgram({ withinSeconds: 600 }, async () => {
  progress(`fuzz: ${PACKETS} packets of RTP, RTCP, SRTP; repeat with PACKET_SEED=${SEED}`);
  const random = new SeededRandom(SEED);
  const lanes = SRTP_SUITES.map(suite => new Lane(random, suite));
  const rtp = new RtpPacket();
  const source = new RtpSource(8000);
  const began = performance.now();
  for (let i = 0; i < PACKETS; i++) {
    const lane = lanes[i % lanes.length]!;
    if (Math.floor(i / lanes.length) % SOUND_EVERY === 0) lane.sound();
    else if (i % 2 === 0) lane.attack();
    else {
      const kind = random.uint32() % 3;
      const plainPacket = kind === 0 ? noise(random) : broken(random, report(random));
      readPlain(plainPacket, rtp, source, i);
    }
  }
  const sum = (of: (lane: Lane) => number) => lanes.reduce((total, lane) => total + of(lane), 0);
  const sent = sum(lane => lane.sent);
  const figures: Figure[] = [
    plain('seed', SEED, ''),
    exactly(PACKETS, 'packets of RTP, RTCP, SRTP', PACKETS, 'packets'),
    exactly(
      sent,
      'sound ones among them, heard',
      sum(lane => lane.heard),
      'packets',
    ),
    atMost(MAX_SSRCS, 'SSRCs kept at the end', Math.max(...lanes.map(lane => lane.streams)), ''),
    plain('time', (performance.now() - began) / 1000, 's'),
  ];
  return figures;
});
