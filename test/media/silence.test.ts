/** Pauses of a voice: what is sent of them, and what is heard. */
import t, { type Test } from 'tap';
import { Codings } from '../../src/media/codings.js';
import type { LegSecurity, LegSettings, PayloadFormat } from '../../src/media/engine.js';
import { levelOf } from '../../src/media/frame.js';
import { Leg } from '../../src/media/leg.js';
import type { PacketPath } from '../../src/media/packet-path.js';
import { PlainPath } from '../../src/media/plain-path.js';
import { RtpPacket, readRtp } from '../../src/media/rtp.js';
import { SecurePath, srtpKeys } from '../../src/media/secure-path.js';
import { SRTP_SUITES } from '../../src/media/srtp/suites.js';
import { SilenceSuppressor } from '../../src/media/voice/silence-suppressor.js';
import { loadFvad, VoiceDetector } from '../../src/media/voice/voice-detector.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { octetsAllocated } from './allocation.js';
import { sine, speechLike } from './signal.js';
import { spoken } from './spoken.js';

const FRAME_MS = 20;
const NOISE_DBOV = -55;
const PCMU: PayloadFormat = { name: 'PCMU', payloadType: 0 };
const G722: PayloadFormat = { name: 'G722', payloadType: 9 };
const CN = 13;
const SUPPRESS = { comfortNoise: CN, suppressSilence: true } as const;
const REMOTE = { address: '10.0.0.9', port: 4000 };

const fvad = await loadFvad();
const newSuppressor = (rate: number, samples: number) =>
  new SilenceSuppressor(new VoiceDetector(fvad, rate, samples), samples);

/** As rooms have it, weaker toward high tones. */
function roomNoise(samples: number, dbov: number, seed = 1): Int16Array {
  let state = seed;
  let value = 0;
  const raw = Float64Array.from({ length: samples }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    value = 0.7 * value + (state / 2 ** 32 - 0.5);
    return value;
  });
  const power = raw.reduce((sum, sample) => sum + sample ** 2, 0) / samples;
  const gain = (32_768 * 10 ** (dbov / 20)) / Math.sqrt(power);
  return Int16Array.from(raw, sample => Math.round(sample * gain));
}

function added(a: Int16Array, b: Int16Array, at: number): void {
  for (let i = 0; i < b.length; i++) a[at + i] = a[at + i]! + b[i]!;
}

function framesOf(samples: Int16Array, rate: number): Int16Array[] {
  const length = (rate * FRAME_MS) / 1000;
  return Array.from({ length: Math.floor(samples.length / length) }, (_, i) =>
    samples.subarray(i * length, (i + 1) * length),
  );
}

interface Packet {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequence: number;
  readonly timestamp: number;
  readonly octets: number;
  /** In which tick it was sent. */
  readonly tick: number;
}

/** A leg whose packets are looked at; `settings` beside those of a plain stream. */
function talker(format: PayloadFormat, settings: Partial<LegSettings>, rate = 8000) {
  const packets: Packet[] = [];
  let tick = 0;
  const parsed = new RtpPacket();
  const path: PacketPath = {
    port: 0,
    sendErrors: 0,
    refused: 0,
    onRtp: () => undefined,
    onRtcp: () => undefined,
    onSourceChange: () => undefined,
    guard: undefined,
    move: async () => undefined,
    setRemote: () => undefined,
    sendRtp: data => {
      if (!readRtp(data, parsed)) throw new Error('expected RTP');
      const { payloadType, marker, sequence, timestamp, payloadLength } = parsed;
      packets.push({ payloadType, marker, sequence, timestamp, octets: payloadLength, tick });
    },
    sendRtcp: () => undefined,
    close: () => undefined,
  };
  const clock = new VirtualClock();
  const leg = new Leg({ clock, random: new SeededRandom(1), path, codings: new Codings() });
  const all = { remote: REMOTE, format, send: true, receive: true, ...settings };
  const configure = (more: Partial<LegSettings> = {}) => {
    const now = { ...all, ...more };
    leg.configure(now);
    leg.suppressSilence(newSuppressor);
  };
  configure();
  t.teardown(() => leg.close());
  const say = (signal: Int16Array) => {
    const from = packets.length;
    for (const frame of framesOf(signal, rate)) {
      leg.consume(frame, tick * FRAME_MS);
      tick++;
    }
    return packets.slice(from);
  };
  return { leg, packets, say, configure };
}

/** What every receiver counts on: numbers without a gap, timestamps that tell the time. */
function checkTime(test: Test, packets: readonly Packet[]): void {
  const [first] = packets;
  const off = packets.filter(
    ({ timestamp, tick }) => timestamp - first!.timestamp !== (tick - first!.tick) * 160,
  );
  test.same(off, [], 'timestamps run on');
  const numbers = packets.map(({ sequence }) => sequence - first!.sequence);
  test.same(numbers, [...packets.keys()], 'numbers have no gap');
}

t.test(
  'a pause: its noise at once, again while it lasts, and a marker on what follows',
  async t => {
    const { say, packets } = talker(PCMU, SUPPRESS);
    const word = speechLike(4000, 8000);
    const room = roomNoise(5 * 8000, NOISE_DBOV);
    const spoke = say(word);
    t.equal(spoke.length, 25, 'a voice is sent as it is');
    const paused = say(room);
    const speech = paused.filter(({ payloadType }) => payloadType === 0);
    t.ok(speech.length >= 10 && speech.length <= 25, `${speech.length} frames until it is a pause`);
    const noise = paused.filter(({ payloadType }) => payloadType === CN);
    t.equal(noise.length + speech.length, paused.length, 'nothing else');
    t.same(
      noise.slice(1).map(({ tick }, i) => tick - noise[i]!.tick),
      Array(noise.length - 1).fill(20),
      'every 400 ms',
    );
    t.equal(noise[0]!.tick, speech.at(-1)!.tick + 1, 'no frame without either before it');
    t.ok(noise.every(({ marker, octets }) => !marker && octets === 9));
    const again = say(word);
    t.equal(again.length, 25, 'from the first frame on');
    t.same([again[0]!.marker, again[1]!.marker], [true, false]);
    checkTime(t, packets);
  },
);

t.test('where it was not asked for, or the other side has none, everything is sent', async t => {
  for (const settings of [{}, { comfortNoise: CN }] as const) {
    const { say } = talker(PCMU, settings);
    t.equal(say(roomNoise(2 * 8000, NOISE_DBOV)).length, 100);
  }
  const { say, configure } = talker(PCMU, SUPPRESS);
  say(roomNoise(8000, NOISE_DBOV));
  configure({ suppressSilence: false });
  t.equal(say(roomNoise(8000, NOISE_DBOV)).length, 50, 'told otherwise in the middle of a pause');
});

t.test('of a word, its first frame is sent, however it begins', async t => {
  const { say } = talker(PCMU, SUPPRESS);
  say(roomNoise(2 * 8000, NOISE_DBOV));
  const hiss = roomNoise(2400, -40, 5);
  const hum = speechLike(8000, 8000).subarray(600, 3000);
  const beep = sine(700, 2400, 8000, 2000);
  for (let turn = 0; turn < 24; turn++) {
    const room = roomNoise(8000, NOISE_DBOV, turn + 20);
    // Anywhere within a frame.
    const at = 6400 + turn * 6;
    const word = [hum, hiss, beep][turn % 3]!;
    added(room, word.subarray(0, 8000 - at), at);
    const sent = say(room).filter(({ payloadType }) => payloadType === 0);
    const frames = framesOf(room, 8000);
    const first = frames.findIndex((frame, i) => i >= 40 && levelOf(frame) > NOISE_DBOV + 6);
    const missing = frames.length - first - sent.filter(({ tick }) => tick % 50 >= first).length;
    t.equal(missing, 0, `word ${turn}, from frame ${first}`);
  }
});

t.test('noise that changes is described anew; what rises above it is sent', async t => {
  const { say } = talker(PCMU, SUPPRESS);
  say(roomNoise(2 * 8000, -50));
  const quieter = say(roomNoise(8000, -62, 7));
  t.ok(quieter[0]!.tick % 50 < 15, 'within 300 ms');
  t.ok(quieter.length >= 3);
  const louder = say(roomNoise(6 * 8000, -42, 9));
  t.equal(louder[0]!.payloadType, 0, 'a rise may be anything');
  t.equal(louder.at(-1)!.payloadType, CN, 'the detector has learnt that it is noise');
});

t.test('a quiet tone, loud noise and a whisper of a voice are no pauses', async t => {
  const { say } = talker(PCMU, SUPPRESS);
  t.equal(say(sine(440, 2 * 8000, 8000, 60)).length, 100, 'a tone of -58 dBov');
  t.equal(say(roomNoise(2 * 8000, -30)).length, 100, 'noise as loud as speech');
  const silence = say(new Int16Array(8000));
  t.ok(silence.length < 25, `${silence.length} packets of nothing at all`);
});

t.test('digits have the way to themselves, and are no pause', async t => {
  const events = { payloadType: 101, clockRate: 8000 };
  const { leg, say, packets } = talker(PCMU, { ...SUPPRESS, events });
  say(roomNoise(8000, NOISE_DBOV));
  let done = false;
  leg.sendDigits({ digits: '12', by: 'events' }, () => {
    done = true;
  });
  const sent = say(roomNoise(8000, NOISE_DBOV));
  t.ok(done);
  const last = sent.findLastIndex(({ payloadType }) => payloadType === 101);
  t.ok(sent.slice(0, last).every(({ payloadType }) => payloadType === 101));
  t.equal(sent.filter(({ payloadType, marker }) => payloadType === 101 && marker).length, 2);
  t.same(
    sent.slice(last + 1, last + 3).map(({ payloadType, marker }) => [payloadType, marker]),
    [
      [0, true],
      [0, false],
    ],
    'then the voice, behind a marker',
  );
  t.equal(sent.at(-1)!.payloadType, CN, 'and then the pause again');
  checkTime(
    t,
    packets
      .filter(({ payloadType }) => payloadType !== 101)
      .map((p, sequence) => ({ ...p, sequence })),
  );
});

t.test('packets of other lengths: a pause begins where one ends', async t => {
  for (const ptimeMs of [10, 30, 60]) {
    const { say } = talker({ ...PCMU, ptimeMs }, SUPPRESS);
    const sent = say(roomNoise(2 * 8000, NOISE_DBOV));
    const units = ptimeMs * 8;
    const first = sent.findIndex(({ payloadType }) => payloadType === CN);
    t.ok(first > 0);
    const before = sent[first - 1]!;
    t.equal(sent[first]!.timestamp - before.timestamp, units, `${ptimeMs} ms: nothing is missing`);
    const [word] = say(speechLike(4000, 8000));
    t.equal(word!.marker, true);
    t.equal((word!.timestamp - before.timestamp - units) % 160, 0);
  }
});

t.test('members of a mix who share an encoder pause too', async t => {
  const { leg, packets } = talker(PCMU, SUPPRESS);
  const { coding } = leg;
  const encoder = coding!.newEncoder();
  const payload = new Uint8Array(160);
  framesOf(roomNoise(2 * 8000, NOISE_DBOV), 8000).forEach((frame, tick) => {
    leg.consumeCoded(payload, encoder.encode(frame, payload, 0), frame, encoder, tick * FRAME_MS);
  });
  t.ok(packets.length < 35, `${packets.length} of 100`);
  t.equal(packets.at(-1)!.payloadType, CN);
});

t.test('to tell pauses allocates nothing of its own', async t => {
  const detector = await VoiceDetector.open(16_000, 320);
  const suppressor = new SilenceSuppressor(detector, 320);
  const frames = framesOf(roomNoise(16_000, NOISE_DBOV), 16_000);
  let at = 0;
  const octets = octetsAllocated(() => suppressor.next(frames[at++ % 50]!, true), 300);
  t.ok(octets < 256, `${octets} octets`);
  suppressor.close();
});

function keys(): LegSecurity[] {
  const { name, keyOctets, saltOctets } = SRTP_SUITES[0]!;
  const key = (from: number) => ({
    suite: name,
    master: Uint8Array.from({ length: keyOctets + saltOctets }, (_, i) => from + i),
  });
  return [
    { send: key(1), receive: key(100) },
    { send: key(100), receive: key(1) },
  ];
}

/** What is heard at the far end of a call, and in how many packets it came. */
async function heard(
  format: PayloadFormat,
  said: Int16Array,
  rate: number,
  { suppress, secure }: { readonly suppress: boolean; readonly secure: boolean },
) {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1, link: { delayMs: 5 } });
  const both = secure ? keys() : [undefined, undefined];
  const addresses = ['10.0.0.1', '10.0.0.2'];
  const ends = await Promise.all(
    addresses.map(async (address, i) => {
      const random = new SeededRandom(i + 1);
      const deps = { clock, network: network.host(address), random };
      const path = new SecurePath(clock, await PlainPath.open(deps, address));
      const security = both[i];
      path.secure(security && srtpKeys(security));
      return { path, security, leg: new Leg({ clock, random, path, codings: new Codings() }) };
    }),
  );
  ends.forEach(({ leg, security }, i) => {
    leg.configure({
      remote: { address: addresses[1 - i]!, port: ends[1 - i]!.path.port },
      format,
      send: true,
      receive: true,
      comfortNoise: CN,
      suppressSilence: suppress,
      ...(security && { security }),
    });
    leg.suppressSilence(newSuppressor);
  });
  const [near, far] = ends.map(({ leg }) => leg) as [Leg, Leg];
  const samples = new Int16Array(said.length);
  const nothing = new Int16Array((rate * FRAME_MS) / 1000);
  const out = framesOf(samples, rate);
  for (const [i, frame] of framesOf(said, rate).entries()) {
    const now = clock.now();
    far.produce(out[i]!, now);
    near.consume(frame, now);
    far.consume(nothing, now);
    await clock.advance(FRAME_MS);
  }
  const statistics = far.statistics();
  for (const leg of [near, far]) leg.close();
  return { samples, statistics };
}

/** A conversation's half: words, and as long a pause, in a room that is never quite still. */
async function halfOfTalk(rate: number): Promise<Int16Array> {
  const words = (await spoken(6, rate)) ?? speechLike(6 * rate, rate);
  const all = roomNoise(rate * 16, NOISE_DBOV);
  added(all, words.subarray(0, 3 * rate), rate * 2);
  added(all, words.subarray(3 * rate), rate * 9);
  return all;
}

/** The most frames in a row in which something of `whole` rises above the noise, and is not in `saved`. */
function longestClip(
  whole: readonly Int16Array[],
  saved: readonly Int16Array[],
  from: number,
  to: number,
): number {
  const clips = [-3, -2, -1, 0, 1, 2, 3].map(lag => {
    let run = 0;
    let longest = 0;
    for (let i = Math.ceil(from); i < to; i++) {
      const [was, is] = [whole[i], saved[i + lag]].map(frame => (frame ? levelOf(frame) : 0));
      const isMissing = was! > NOISE_DBOV + 6 && Math.abs(is! - was!) > 3;
      run = isMissing ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    return longest;
  });
  return Math.min(...clips);
}

for (const [format, rate, secure] of [
  [PCMU, 8000, false],
  [PCMU, 8000, true],
  [G722, 16_000, false],
] as const) {
  const how = `${format.name}${secure ? ', encrypted' : ''}`;
  t.test(`pauses of half a conversation, ${how}: the far end hears no difference`, async t => {
    const said = await halfOfTalk(rate);
    const whole = await heard(format, said, rate, { suppress: false, secure });
    const saved = await heard(format, said, rate, { suppress: true, secure });
    const share = 1 - saved.statistics.packetsReceived / whole.statistics.packetsReceived;
    t.ok(share > 0.4, `${Math.round(share * 100)}% of the packets saved`);
    t.match(saved.statistics, { packetsLost: 0, packetsRefused: 0, packetsLate: 0, underruns: 0 });
    const [a, b] = [framesOf(whole.samples, rate), framesOf(saved.samples, rate)];
    // Each half with its words; in the pause before it the delay may change by whole frames.
    const half = b.length / 2;
    const worst = Math.max(longestClip(a, b, 25, half), longestClip(a, b, half, b.length - 5));
    t.ok(worst <= 1, `${worst * FRAME_MS} ms of a word clipped at most`);
    // From the sixth second to the eighth nobody speaks.
    const inPause = (samples: Int16Array) => levelOf(samples.subarray(6.5 * rate, 8.5 * rate));
    const [was, is] = [inPause(whole.samples), inPause(saved.samples)];
    t.ok(Math.abs(is - was) < 3, `noise of ${is.toFixed(1)} dBov in place of ${was.toFixed(1)}`);
    t.comment(
      `${how}: ${Math.round(share * 100)}% saved, ${worst * FRAME_MS} ms clipped, noise ${(is - was).toFixed(1)} dB`,
    );
  });
}
