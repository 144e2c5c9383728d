/**
 * The members of the conference, all of them: each sends a tone of its own or silence, and listens. Runs without
 * a pause on a core of its own, so that what it measures is the mixer's lateness and not its own.
 */
import { constants, setPriority } from 'node:os';
import type { DatagramSocket, Endpoint } from '../../../../src/core/network.js';
import { codecByName } from '../../../../src/media/codecs/registry.js';
import { levelOf, SILENCE_DBOV } from '../../../../src/media/frame.js';
import { saturated } from '../../../../src/media/limiter.js';
import {
  RTP_HEADER_OCTETS,
  RtpPacket,
  readRtp,
  writeRtpHeader,
} from '../../../../src/media/rtp.js';
import { AUDIO_LEVEL_OCTETS, writeAudioLevel } from '../../../../src/media/rtp-extensions.js';
import { SrtpReceiver } from '../../../../src/media/srtp/receiver.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../../../src/media/srtp/sender.js';
import { srtpSuite } from '../../../../src/media/srtp/suites.js';
import { DatagramBatch } from '../../../../src/native/datagram-batch.js';
import { loadNative } from '../../../../src/native/index.js';
import { levelAtDb, levelDb } from '../../../media/signal.js';
import { throughCodec } from '../../../media/through-codec.js';
import {
  AUDIO_LEVEL_ID,
  type FromGenerator,
  type Heard,
  type Plan,
  SRTP_KEY,
  type ToGenerator,
  toneFrames,
  toneOf,
  WARM_UP_MS,
} from './plan.js';

const ADDRESS = '127.0.0.1';
const FIRST_PORT = 33_000;
const FRAME_MS = 20;
const HEADER = RTP_HEADER_OCTETS + AUDIO_LEVEL_OCTETS;
/** Of sound that is sent again and again. */
const LOOP_FRAMES = 50;
/** Of what a listener heard, looked at for levels. */
const LISTENED_FRAMES = 100;
const LISTENERS = 4;
/** After which a codec of constant sound has found its way. */
const SETTLING_SECONDS = 2;
const HISTOGRAM_MS = 2000;
const MAX_PAYLOAD_OCTETS = 400;

try {
  // As the mixer: what else runs here is no part of the load.
  setPriority(constants.priority.PRIORITY_HIGH);
} catch {
  // Needs CAP_SYS_NICE; without it the generator may be behind, which is told.
}

const native = loadNative();
if (!native) throw new Error('the mixing benchmark needs the native addon: make native');

class Member {
  readonly socket: DatagramSocket;
  readonly payloads: readonly Uint8Array[];
  readonly remote: Endpoint;
  readonly ssrc: number;
  /** What its packets claim, in dBov. */
  readonly level: number;
  readonly sender: SrtpSender | undefined;
  readonly receiver: SrtpReceiver | undefined;
  received = 0;
  missing = 0;
  highest = -1;
  lastMs = Number.NaN;
  baseMs = Number.POSITIVE_INFINITY;
  longestGapMs = 0;
  heard: Uint8Array[] | undefined;
  readonly #packet = new Uint8Array(HEADER + MAX_PAYLOAD_OCTETS + MAX_OVERHEAD_OCTETS);
  readonly #views: Uint8Array[] = [];

  constructor(socket: DatagramSocket, payloads: readonly Uint8Array[], to: Speech) {
    this.socket = socket;
    this.payloads = payloads;
    this.remote = to.remote;
    this.ssrc = to.ssrc;
    this.level = to.level;
    const suite = srtpSuite(SRTP_KEY.suite);
    if (!plan.srtp || !suite) return;
    const key = { suite, master: SRTP_KEY.master };
    this.sender = new SrtpSender(key);
    this.receiver = new SrtpReceiver(key);
  }

  /** Sends the frame with this number. */
  say(frame: number, unitsPerFrame: number): void {
    const payload = this.payloads[frame % LOOP_FRAMES]!;
    if (payload.length === 0) return;
    const packet = this.#packet;
    const { payloadType } = plan;
    writeRtpHeader(
      packet,
      payloadType,
      frame === 0,
      frame & 0xffff,
      frame * unitsPerFrame,
      this.ssrc,
    );
    writeAudioLevel(packet, AUDIO_LEVEL_ID, this.level);
    packet.set(payload, HEADER);
    const clear = HEADER + payload.length;
    const octets = this.sender ? this.sender.protectRtp(packet, clear) : clear;
    this.#views[octets] ??= packet.subarray(0, octets);
    this.socket.send(this.#views[octets]!, this.remote);
  }

  /** Octets of a packet in the clear; 0 where it does not prove itself. */
  open(data: Uint8Array): number {
    return this.receiver ? this.receiver.unprotectRtp(data, data.length) : data.length;
  }
}

interface Speech {
  readonly remote: Endpoint;
  readonly ssrc: number;
  readonly level: number;
}

const gaps = new Uint32Array(HISTOGRAM_MS);
const lates = new Uint32Array(HISTOGRAM_MS);
let lateMaxMs = 0;

let batch: DatagramBatch;
let plan: Plan;
let sockets: DatagramSocket[] = [];

async function open(wanted: Plan): Promise<void> {
  plan = wanted;
  batch = new DatagramBatch(native!);
  sockets = [];
  for (let i = 0, port = FIRST_PORT; i < plan.members; port += 2) {
    try {
      const socket = await batch.bindDatagram({ address: ADDRESS, port, trafficClass: 'voice' });
      // Reports come here and are not looked at; unheard they would come back as errors.
      await batch.bindDatagram({ address: ADDRESS, port: port + 1, trafficClass: 'voice' });
      sockets.push(socket);
      i++;
    } catch {
      // Taken: the next pair.
    }
  }
  tell({ type: 'opened', ports: sockets.map(({ local }) => local.port) });
}

function loopOf(signal: Int16Array): Uint8Array[] {
  const { codec: name, sampleRate } = plan;
  const codec = codecByName(name)!;
  const encoder = codec.newEncoder({ sampleRate });
  const payload = new Uint8Array(codec.maxPayloadOctets);
  const samples = (sampleRate * FRAME_MS) / 1000;
  const frames: Uint8Array[] = [];
  // A round before, so that the end of the loop fits its beginning.
  for (let i = 0; i < 2 * LOOP_FRAMES; i++) {
    const at = (i % LOOP_FRAMES) * samples;
    const octets = encoder.encode(signal.subarray(at, at + samples), payload, 0);
    if (i >= LOOP_FRAMES) frames.push(payload.slice(0, octets));
  }
  encoder.close?.();
  return frames;
}

function isTalker(member: number): boolean {
  // Spread among the others.
  const every = plan.members / plan.talkers;
  return member % every < 1 && Math.floor(member / every) < plan.talkers;
}

async function run(ports: readonly number[]): Promise<void> {
  const { members, sampleRate, seconds } = plan;
  const codec = codecByName(plan.codec)!;
  await codec.load?.();
  const silence = loopOf(new Int16Array(sampleRate));
  const list = sockets.map((socket, i) => {
    const talks = isTalker(i);
    const tone = toneFrames(i, plan);
    const payloads = talks ? loopOf(tone) : silence;
    const level = talks ? levelOf(tone) : SILENCE_DBOV;
    return new Member(socket, payloads, {
      remote: { address: ADDRESS, port: ports[i]! },
      ssrc: i + 1,
      level,
    });
  });
  const listeners = Array.from({ length: LISTENERS }, (_, i) =>
    Math.floor((i * (members - 1)) / (LISTENERS - 1)),
  );
  for (const i of listeners) list[i]!.heard = [];

  const packet = new RtpPacket();
  let now = performance.now();
  const began = now + 50;
  for (const member of list) {
    member.socket.onMessage = (data, _from, ageUs = 0) => {
      const octets = member.open(data);
      if (
        octets === 0 ||
        !readRtp(octets === data.length ? data : data.subarray(0, octets), packet)
      )
        return;
      const at = now - ageUs / 1000;
      hear(member, packet, at, at - began > WARM_UP_MS);
    };
  }

  const unitsPerFrame = (codec.clockRate * FRAME_MS) / 1000;
  const frames = Math.round((seconds * 1000 + WARM_UP_MS) / FRAME_MS);
  let generatorLateMs = 0;
  for (let frame = 0; frame < frames; frame++) {
    for (let i = 0; i < members; i++) {
      const due = began + (frame + i / members) * FRAME_MS;
      // Once at least, so that a generator that is behind listens too.
      do {
        batch.flush();
        now = performance.now();
        batch.receive();
      } while (now < due);
      generatorLateMs = Math.max(generatorLateMs, now - due);
      list[i]!.say(frame, unitsPerFrame);
    }
  }
  batch.flush();
  tell({ type: 'heard', heard: result(list, listeners, generatorLateMs) });
}

function hear(member: Member, packet: RtpPacket, atMs: number, counts: boolean): void {
  const { sequence, data, payloadOffset, payloadLength } = packet;
  const step = member.highest < 0 ? 1 : ((sequence - member.highest) << 16) >> 16;
  if (step <= 0) return;
  member.highest = sequence;
  if (counts) {
    member.received++;
    member.missing += step - 1;
    if (!Number.isNaN(member.lastMs)) {
      const gap = atMs - member.lastMs;
      count(gaps, gap);
      member.longestGapMs = Math.max(member.longestGapMs, gap);
    }
    const onTime = atMs - member.received * FRAME_MS - member.missing * FRAME_MS;
    member.baseMs = Math.min(member.baseMs, onTime);
    const late = onTime - member.baseMs;
    count(lates, late);
    lateMaxMs = Math.max(lateMaxMs, late);
    if (member.heard && member.heard.length < LISTENED_FRAMES) {
      member.heard.push(data.slice(payloadOffset, payloadOffset + payloadLength));
    }
  }
  member.lastMs = atMs;
}

function count(histogram: Uint32Array, ms: number): void {
  const place = Math.max(0, Math.min(histogram.length - 1, Math.floor(ms)));
  histogram[place] = histogram[place]! + 1;
}

function quantile(histogram: Uint32Array, fraction: number): number {
  let left = histogram.reduce((sum, each) => sum + each, 0) * (1 - fraction);
  for (let ms = histogram.length - 1; ms >= 0; ms--) {
    left -= histogram[ms]!;
    if (left < 0) return ms + 1;
  }
  return 0;
}

function result(list: Member[], listeners: number[], generatorLateMs: number): Heard {
  const { members, sampleRate } = plan;
  const talkers = list.map((_, i) => i).filter(isTalker);
  const deviations: number[] = [];
  const together: number[] = [];
  const codecAlone: number[] = [];
  let ownDb: number | undefined;
  for (const at of listeners) {
    const heard = decode(list[at]!.heard ?? []);
    const others = talkers.filter(talker => talker !== at).map(talker => toneFrames(talker, plan));
    const byCodec = levelDb(coded(sumOf(others.map(coded))));
    codecAlone.push(byCodec - levelDb(sumOf(others)));
    together.push(Math.abs(levelDb(heard) - byCodec));
    for (let i = 0; i < members; i++) {
      if (!isTalker(i)) continue;
      const hz = toneOf(i, members);
      const said = levelAtDb(toneFrames(i, plan), hz, sampleRate);
      const level = levelAtDb(heard, hz, sampleRate) - said;
      if (i === at) ownDb = Math.max(ownDb ?? Number.NEGATIVE_INFINITY, level);
      else deviations.push(Math.abs(level));
    }
  }
  deviations.sort((a, b) => a - b);
  return {
    received: list.reduce((sum, { received }) => sum + received, 0),
    missing: list.reduce((sum, { missing }) => sum + missing, 0),
    gapP99Ms: quantile(gaps, 0.99),
    gapMaxMs: Math.max(...list.map(({ longestGapMs }) => longestGapMs)),
    gapsOver60: list.filter(({ longestGapMs }) => longestGapMs > 60).length,
    lateMaxMs,
    lateP99Ms: quantile(lates, 0.99),
    worstDb: deviations.at(-1) ?? Number.NaN,
    medianDb: deviations[deviations.length >> 1] ?? Number.NaN,
    togetherDb: Math.max(...together),
    codecDb: worst(codecAlone),
    ownDb,
    generatorLateMs,
  };
}

/** A second of a signal after the codec alone, once it has settled. */
function coded(signal: Int16Array): Int16Array {
  const again = new Int16Array(signal.length * SETTLING_SECONDS);
  for (let i = 0; i < SETTLING_SECONDS; i++) again.set(signal, i * signal.length);
  return throughCodec(codecByName(plan.codec)!, again, plan.sampleRate).subarray(-signal.length);
}

/** Cut off where it does not fit, which it does: see `amplitudeOf`. */
function sumOf(signals: readonly Int16Array[]): Int16Array {
  const sum = new Int32Array(plan.sampleRate);
  for (const signal of signals) for (let i = 0; i < sum.length; i++) sum[i]! += signal[i]!;
  return Int16Array.from(sum, saturated);
}

function worst(levels: readonly number[]): number {
  return levels.reduce((most, level) => (Math.abs(level) > Math.abs(most) ? level : most), 0);
}

/** The last second that a listener heard. */
function decode(payloads: readonly Uint8Array[]): Int16Array {
  const { sampleRate } = plan;
  const decoder = codecByName(plan.codec)!.newDecoder({ sampleRate });
  const samples = (sampleRate * FRAME_MS) / 1000;
  const heard = new Int16Array(payloads.length * samples);
  for (const [i, payload] of payloads.entries()) {
    decoder.decode(payload, 0, payload.length, heard, i * samples);
  }
  decoder.close?.();
  return heard.subarray(Math.max(0, heard.length - sampleRate));
}

function tell(message: FromGenerator): void {
  process.send?.(message);
}

process.on('message', async (message: ToGenerator) => {
  switch (message.type) {
    case 'open':
      await open(message.plan);
      return;
    case 'run':
      await run(message.ports);
      process.disconnect();
      return;
  }
});
