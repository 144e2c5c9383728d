import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { DIGITS, parseDigits, tonesOfDigit } from '../../src/media/dtmf/digits.js';
import {
  EVENT_OCTETS,
  EventReport,
  readEvent,
  writeEvent,
} from '../../src/media/dtmf/event-packet.js';
import { EventReceiver } from '../../src/media/dtmf/event-receiver.js';
import { EventSender } from '../../src/media/dtmf/event-sender.js';
import { ToneDetector } from '../../src/media/dtmf/tone-detector.js';
import { ToneSender } from '../../src/media/dtmf/tone-sender.js';
import type { HeardDigit, LegSettings, MediaLeg, PayloadFormat } from '../../src/media/engine.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { RtpPacket, readRtp } from '../../src/media/rtp.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { type LinkOptions, VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { octetsAllocated } from './allocation.js';
import { levelDb, speechLike } from './signal.js';
import { spoken } from './spoken.js';
import { readWav } from './wav-file.js';

const folder = await mkdtemp(join(tmpdir(), 'ringline-dtmf-'));
t.teardown(() => rm(folder, { recursive: true }));

const RATE = 8000;
const FRAME = 160;
const FRAME_MS = 20;
const PCMU: PayloadFormat = { name: 'PCMU', payloadType: 0 };
const EVENTS = { payloadType: 101, clockRate: 8000 };
const FULL_SCALE_DBM0 = 3.17;

interface Told {
  readonly event: number;
  readonly marker: boolean;
  readonly end: boolean;
  readonly timestamp: number;
  readonly duration: number;
  readonly volume: number;
}

/** Every report of `digits`, with the time of its frame. */
function reports(
  digits: string,
  toneMs: number,
  gapMs: number,
  clocks = [8000, 8000],
  from = 1000,
) {
  const [audio, event] = clocks as [number, number];
  const sender = new EventSender(audio, event, FRAME_MS);
  sender.begin(digits, { toneMs, gapMs });
  const told: (Told & { readonly atMs: number })[] = [];
  for (let frame = 0; sender.busy; frame++) {
    const timestamp = (from + (frame * FRAME_MS * audio) / 1000) >>> 0;
    if (!sender.next(timestamp)) continue;
    const { marker } = sender;
    told.push({ ...sender.report, marker, timestamp: sender.timestamp, atMs: frame * FRAME_MS });
  }
  return told;
}

t.test(
  'a digit: one timestamp, a growing duration, one marker, and its end three times',
  async t => {
    const told = reports('5', 100, 80);
    t.same(
      told.map(({ duration, end, marker }) => [duration, end, marker]),
      [
        [160, false, true],
        [320, false, false],
        [480, false, false],
        [640, false, false],
        [800, true, false],
        [800, true, false],
        [800, true, false],
      ],
    );
    t.ok(
      told.every(
        ({ event, timestamp, volume }) => event === 5 && timestamp === 1000 && volume === 10,
      ),
    );
  },
);

t.test('the next digit begins after the gap, with a marker and a timestamp of its own', async t => {
  const firsts = reports('1#', 100, 80).filter(({ marker }) => marker);
  t.match(firsts, [
    { event: 1, atMs: 0, timestamp: 1000 },
    { event: 11, atMs: 180, timestamp: 1000 + 180 * 8 },
  ]);
  t.equal(
    reports('11', 40, 0).filter(({ end }) => end).length,
    6,
    'the ends of a short one are told too',
  );
});

t.test('an event longer than 65535 units goes on in segments', async t => {
  const told = reports('7', 3000, 80, [48_000, 48_000]);
  const timestamps = [...new Set(told.map(({ timestamp }) => timestamp))];
  t.same(timestamps, [1000, 1000 + 0xffff, 1000 + 2 * 0xffff]);
  const full = told.filter(({ duration }) => duration === 0xffff);
  t.same(
    full.map(({ end }) => end),
    [false, false],
    'a full segment has no end',
  );
  t.equal(told.filter(({ marker }) => marker).length, 1, 'and the next one no marker');
  t.same(
    told.slice(-3).map(({ end, duration }) => [end, duration]),
    Array(3).fill([true, 144_000 - 2 * 0xffff]),
  );
});

t.test(
  'where telephone-event has another clock, durations are in it and timestamps are not',
  async t => {
    const told = reports('12', 100, 80, [48_000, 8000]);
    t.same(
      told.filter(({ marker }) => marker).map(({ timestamp }) => timestamp),
      [1000, 1000 + 180 * 48],
    );
    t.equal(told.find(({ end }) => end)?.duration, 800);
  },
);

t.test('four octets say it all', async t => {
  const report = Object.assign(new EventReport(), {
    event: 11,
    end: true,
    volume: 10,
    duration: 0x1234,
  });
  const out = new Uint8Array(EVENT_OCTETS);
  writeEvent(report, out);
  t.same([...out], [11, 0x8a, 0x12, 0x34]);
  const read = new EventReport();
  readEvent(out, 0, read);
  t.same(read, report);
});

/** What a receiver makes of reports that arrive at their times. */
function received(
  arriving: readonly (Told & { readonly atMs: number })[],
  clocks = [8000, 8000],
  untilMs = 0,
): string[] {
  const heard: string[] = [];
  const [audio, event] = clocks as [number, number];
  const receiver = new EventReceiver(audio, event, (digit, ms) =>
    heard.push(`${digit}${ms ?? '+'}`),
  );
  const payload = new Uint8Array(EVENT_OCTETS);
  const sorted = arriving.toSorted((a, b) => a.atMs - b.atMs);
  let next = 0;
  const lastMs = untilMs || (sorted.at(-1)?.atMs ?? 0) + 1000;
  for (let now = 0; now <= lastMs; now++) {
    for (; next < sorted.length && sorted[next]!.atMs <= now; next++) {
      const told = sorted[next]!;
      writeEvent(told, payload);
      receiver.receive(payload, 0, EVENT_OCTETS, told.timestamp, told.marker, now);
    }
    if (now % FRAME_MS === 0) receiver.expire(now);
  }
  return heard;
}

t.test('each digit is heard once, whichever of its packets arrive', async t => {
  const told = reports('4711', 100, 80, undefined, 2 ** 32 - 500);
  const whole = ['4+', '4100', '7+', '7100', '1+', '1100', '1+', '1100'];
  t.same(received(told), whole, 'all of them, over a wrap of the timestamp');
  t.same(received([...told, ...told.map(one => ({ ...one, atMs: one.atMs + 3 }))]), whole, 'twice');
  t.same(received(told.map(one => ({ ...one, marker: false }))), whole, 'without markers');
  const digits = (heard: string[]) => heard.filter(text => text.endsWith('+')).join('');
  for (let kept = 0; kept < 7; kept++) {
    const lone = told.filter((_, i) => i % 7 === kept);
    t.equal(digits(received(lone)), '4+7+1+1+', `only packet ${kept} of each`);
  }
});

t.test('a digit whose end is lost is over after a while, and does not come again', async t => {
  const endless = reports('9', 100, 80).filter(({ end }) => !end);
  t.same(received(endless), ['9+', '980']);
  const late = reports('9', 100, 80).map(one => (one.end ? { ...one, atMs: one.atMs + 500 } : one));
  t.same(received(late), ['9+', '980'], 'its end is told too late');
});

t.test(
  'a packet of a digit that comes amid the next one, or after it, is not a digit again',
  async t => {
    const told = reports('12', 100, 80);
    for (const delay of [120, 400]) {
      for (let i = 0; i < 7; i++) {
        const straggler = { ...told[i]!, atMs: told[i]!.atMs + delay };
        t.same(
          received([...told, straggler]),
          ['1+', '1100', '2+', '2100'],
          `packet ${i}, ${delay} ms`,
        );
      }
    }
  },
);

t.test('segments of a long event are one digit, with or without the packets between', async t => {
  for (const clocks of [
    [48_000, 48_000],
    [48_000, 8000],
  ]) {
    const told = reports('0', 20_000, 80, clocks);
    t.same(received(told, clocks), ['0+', '020000']);
    const sparse = told.filter((_, i) => i % 5 === 2 || i === told.length - 1);
    t.same(received(sparse, clocks), ['0+', '020000']);
  }
});

t.test('a sender that begins its timestamps anew is heard; what is no digit is not', async t => {
  const first = reports('1', 100, 80, undefined, 500_000);
  const again = reports('2', 100, 80).map(one => ({ ...one, atMs: one.atMs + 400 }));
  t.same(received([...first, ...again]), ['1+', '1100', '2+', '2100']);
  t.same(received(reports('1', 100, 80).map(one => ({ ...one, event: 16 }))), []);
  const heard: string[] = [];
  const receiver = new EventReceiver(8000, 8000, digit => heard.push(digit));
  receiver.receive(new Uint8Array([5, 0, 0]), 0, 3, 0, true, 0);
  t.same(heard, [], 'three octets are no event');
  receiver.receive(new Uint8Array([5, 0x80, 3, 32, 6, 0x80, 3, 32]), 0, 8, 0, true, 0);
  t.same(heard, ['5', '5', '6', '6'], 'two events in a packet');
});

t.test(
  'whatever arrives, digits begin and end in turn, and no length is less than nothing',
  async t => {
    const random = new SeededRandom(7);
    let sounding = '';
    let told = 0;
    const receiver = new EventReceiver(48_000, 8000, (digit, ms) => {
      told++;
      if ((ms === undefined) !== (sounding === ''))
        t.fail(`${digit} ${ms} while "${sounding}" sounds`);
      if (ms !== undefined && (digit !== sounding || ms < 0))
        t.fail(`${digit} ends after ${ms} ms`);
      sounding = ms === undefined ? digit : '';
    });
    let timestamp = 0;
    for (let now = 0; now < 20_000; now++) {
      const [size, event, flags, high, low, step, marker] = random.bytes(7);
      if (step! < 40) timestamp = (timestamp + (step! - 20) * 0xffff) >>> 0;
      const payload = Uint8Array.of(event! % 18, flags!, high!, low!, ...random.bytes(8));
      receiver.receive(payload, 0, size! % 13, timestamp, marker! > 128, now);
      if (step! > 250) receiver.reset();
      if (step! % 2) receiver.expire(now + (step! % 3) * 200);
    }
    t.ok(told > 1000, `${told} told`);
  },
);

t.test('digits are typed with what numbers are written with', async t => {
  t.equal(parseDigits(' (030) 123-4.5 *#a'), '03012345*#A');
  for (const bad of ['', '12x', '12,3', '1'.repeat(65)])
    t.throws(() => parseDigits(bad), { code: 'BAD_DIGITS' });
});

// ---- tones

function tone(
  parts: readonly { hz: number; dbm0: number }[],
  ms: number,
  sampleRate = RATE,
): Int16Array {
  return Int16Array.from({ length: Math.round((ms * sampleRate) / 1000) }, (_, i) => {
    let sum = 0;
    for (const { hz, dbm0 } of parts) {
      sum +=
        32767 *
        10 ** ((dbm0 - FULL_SCALE_DBM0) / 20) *
        Math.sin((2 * Math.PI * hz * i) / sampleRate + 1);
    }
    return Math.round(sum);
  });
}

interface Pressed {
  readonly digit: string;
  readonly ms?: number;
  readonly lowDbm0?: number;
  readonly highDbm0?: number;
  /** Times the nominal frequencies. */
  readonly detune?: number;
}

function pressed(
  { digit, ms = 60, lowDbm0 = -10, highDbm0 = -10, detune = 1 }: Pressed,
  rate = RATE,
) {
  const { low, high } = tonesOfDigit(digit);
  return tone(
    [
      { hz: low * detune, dbm0: lowDbm0 },
      { hz: high * detune, dbm0: highDbm0 },
    ],
    ms,
    rate,
  );
}

function joined(...parts: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const pause = (ms: number, rate = RATE) => new Int16Array((ms * rate) / 1000);

/** The digits in a signal, wherever blocks begin in it: asked at several offsets; `/` between what differs. */
function digitsIn(signal: Int16Array, rate = RATE): string {
  const frame = (rate * FRAME_MS) / 1000;
  const told = new Set<string>();
  for (let offset = 0; offset < frame; offset += Math.round(frame / 7)) {
    let digits = '';
    const detector = new ToneDetector(rate, (digit, ms) => {
      if (ms === undefined) digits += digit;
    });
    const shifted = joined(new Int16Array(offset), signal, pause(100, rate));
    for (let at = 0; at + frame <= shifted.length; at += frame) {
      detector.process(shifted.subarray(at, at + frame));
    }
    told.add(digits);
  }
  return [...told].join('/');
}

t.test('tones of every key are heard, at every rate', async t => {
  for (const rate of [8000, 16_000, 48_000]) {
    const sender = new ToneSender(rate);
    sender.begin(DIGITS, { toneMs: 60, gapMs: 60 });
    const frames: Int16Array[] = [];
    while (sender.busy) {
      const frame = new Int16Array((rate * FRAME_MS) / 1000);
      sender.fill(frame);
      frames.push(frame);
    }
    t.equal(digitsIn(joined(...frames), rate), DIGITS, `${rate} Hz`);
  }
});

t.test('ITU-T Q.24: what has to be taken is taken, and what must not be is not', async t => {
  const each = (like: Omit<Pressed, 'digit'>) =>
    digitsIn(joined(...[...DIGITS].flatMap(digit => [pressed({ digit, ...like }), pause(60)])));
  t.equal(each({ ms: 40 }), DIGITS, '40 ms are enough');
  t.equal(each({ ms: 23 }), '', '23 ms are not');
  t.equal(each({ lowDbm0: -25, highDbm0: -25 }), DIGITS, '-25 dBm0');
  t.equal(each({ lowDbm0: -29, highDbm0: -29 }), '', '-29 dBm0');
  t.equal(each({ lowDbm0: -3, highDbm0: -3 }), DIGITS, '-3 dBm0');
  t.equal(each({ lowDbm0: -14, highDbm0: -10 }), DIGITS, 'the high tone 4 dB stronger');
  t.equal(each({ lowDbm0: -8, highDbm0: -16 }), DIGITS, 'and 8 dB weaker');
  t.equal(each({ lowDbm0: -10, highDbm0: -22 }), '', '12 dB weaker');
  t.equal(each({ lowDbm0: -18, highDbm0: -10 }), '', '8 dB stronger');
  for (const sign of [1, -1]) {
    t.equal(each({ detune: 1 + sign * 0.0165 }), DIGITS, `${sign * 1.65}%`);
    t.equal(each({ detune: 1 + sign * 0.035 }), '', `${sign * 3.5}%`);
  }
});

t.test('a break of 10 ms is not a second press, a pause of 40 ms is', async t => {
  const five = pressed({ digit: '5', ms: 60 });
  t.equal(digitsIn(joined(five, pause(10), five)), '5');
  t.equal(digitsIn(joined(five, pause(40), five)), '55');
  t.equal(digitsIn(joined(five, pause(40), pressed({ digit: '6' }))), '56');
  t.equal(digitsIn(pressed({ digit: '5', ms: 3000 })), '5');
});

t.test(
  'tones are heard in noise, and noise, tones of the line and speech are no digits',
  async t => {
    let state = 1;
    const uniform = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32 - 0.5;
    };
    const noise = (samples: number, dbm0: number) => {
      const amplitude = 32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20) * Math.sqrt(6);
      return Int16Array.from({ length: samples }, () => Math.round(amplitude * uniform()));
    };
    const clean = joined(...[...DIGITS].flatMap(digit => [pressed({ digit }), pause(60)]));
    const noisy = noise(clean.length, -22).map((sample, i) => sample + clean[i]!);
    t.equal(digitsIn(noisy), DIGITS, '15 dB over the noise');
    t.equal(digitsIn(noise(RATE * 10, -10)), '', 'noise');
    for (const parts of [[350, 440], [440, 480], [480, 620], [425], [950], [1400], [1800]]) {
      t.equal(
        digitsIn(
          tone(
            parts.map(hz => ({ hz, dbm0: -13 })),
            2000,
          ),
        ),
        '',
        parts.join('+'),
      );
    }
    t.equal(digitsIn(speechLike(RATE * 20, RATE)), '', 'what is like speech');
  },
);

t.test('two minutes of speech hold no digit', async t => {
  const speech = await spoken(120, RATE);
  if (!speech) return t.comment('skipped: no espeak-ng here');
  let digits = '';
  const detector = new ToneDetector(RATE, (digit, ms) => {
    if (ms === undefined) digits += digit;
  });
  for (let at = 0; at + FRAME <= speech.length; at += FRAME)
    detector.process(speech.subarray(at, at + FRAME));
  t.equal(digits, '');
});

t.test('nothing is allocated per frame', async t => {
  const frame = pressed({ digit: '5', ms: 20 });
  const detector = new ToneDetector(RATE, () => undefined);
  const sender = new EventSender(RATE, RATE, FRAME_MS);
  const timing = { toneMs: 100, gapMs: 80 };
  const octets = octetsAllocated(() => {
    detector.process(frame);
    if (!sender.busy) sender.begin('5', timing);
    sender.next(0);
  }, 2000);
  t.ok(octets < 64, `${octets} octets`);
});

// ---- legs on the virtual network

interface Lab {
  readonly clock: VirtualClock;
  readonly network: VirtualNetwork;
  readonly near: MediaLeg;
  readonly far: MediaLeg;
  readonly engines: readonly [LocalMediaEngine, LocalMediaEngine];
  /** What `far` heard: digits, and digits with their lengths. */
  readonly heard: HeardDigit[];
}

async function lab(
  test: Pick<typeof t, 'teardown' | 'fail'>,
  settings: Partial<LegSettings> = { events: EVENTS },
  link: Partial<LinkOptions> = {},
  seed = 1,
): Promise<Lab> {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed, link });
  const engine = (i: number) =>
    new LocalMediaEngine({
      clock,
      network: network.host(`10.0.0.${i}`),
      random: new SeededRandom(seed * 10 + i),
      onError: error => test.fail(error.message),
    });
  const engines = [engine(1), engine(2)] as const;
  for (const each of engines) await each.start();
  test.teardown(() => Promise.all(engines.map(each => each.stop())));
  const near = await engines[0].openLeg({ address: '10.0.0.1' });
  const far = await engines[1].openLeg({ address: '10.0.0.2' });
  const configure = (leg: MediaLeg, address: string, port: number) =>
    leg.configure({
      ...{ remote: { address, port }, format: PCMU, send: true, receive: true },
      ...settings,
    });
  configure(near, '10.0.0.2', far.port);
  configure(far, '10.0.0.1', near.port);
  const heard: HeardDigit[] = [];
  far.listenForDigits(digit => heard.push(digit));
  await clock.advance(500);
  return { clock, network, near, far, engines, heard };
}

const begun = (heard: readonly HeardDigit[]) =>
  heard.flatMap(({ digit, ms }) => (ms === undefined ? [digit] : [])).join('');

t.test('digits sent by one leg are heard by the other, and told when they are sent', async t => {
  const { clock, near, heard } = await lab(t);
  let sent = 0;
  void near.sendDigits({ digits: '12', by: 'events' }).then(() => sent++);
  void near.sendDigits({ digits: '#', by: 'events', toneMs: 200 }).then(() => sent++);
  await clock.advance(370);
  t.equal(sent, 1);
  await clock.advance(400);
  t.equal(sent, 2);
  t.equal(begun(heard), '12#');
  t.same(
    heard.filter(({ ms }) => ms !== undefined).map(({ ms, by }) => [ms, by]),
    [
      [100, 'events'],
      [100, 'events'],
      [200, 'events'],
    ],
  );
});

t.test('on a bad network every digit is heard once', async t => {
  const digits = '0123456789*#ABCD00119922';
  for (let seed = 1; seed <= 8; seed++) {
    const link = { jitterMs: 45, loss: 0.2, duplication: 0.2 };
    const { clock, near, heard } = await lab(t, { events: EVENTS }, link, seed);
    void near.sendDigits({ digits, by: 'events' });
    await clock.advance(digits.length * 180 + 1000);
    t.equal(begun(heard), digits, `seed ${seed}`);
    t.equal(heard.length, digits.length * 2, 'and ends once');
  }
});

t.test('events take the place of the voice, and no sound is made of them', async t => {
  const { clock, near, far, engines } = await lab(t);
  const [a, b] = engines;
  const voice = await a.openTone({ tones: [{ frequencies: [440] }] });
  a.connect(voice, near);
  const heard = await b.openRecorder({ file: join(folder, 'heard.wav') });
  b.connect(far, heard);
  await clock.advance(500);
  void near.sendDigits({ digits: '5', by: 'events', toneMs: 400 });
  await clock.advance(1000);
  const statistics = await far.statistics();
  t.match(statistics, {
    packetsLost: 0,
    packetsLate: 0,
    concealedFrames: 0,
    concealedMs: 0,
    underruns: 0,
  });
  await heard.close();
  const { samples } = await readWav(join(folder, 'heard.wav'));
  const silent = samples.subarray(0.7 * RATE, 0.9 * RATE);
  t.ok(
    silent.every(sample => sample === 0),
    'silence amid the event',
  );
  t.ok(levelDb(samples.subarray(1.2 * RATE, 1.4 * RATE)) > -20, 'and the voice after it');
  t.ok(statistics.jitterMs < 1, `${statistics.jitterMs} ms of jitter: events tell nothing of it`);
});

t.test('a leg that hears tones tells the digits within the voice', async t => {
  const { clock, near, heard } = await lab(t, { hearTones: true });
  t.rejects(near.sendDigits({ digits: '1', by: 'events' }), { code: 'NO_EVENTS' });
  void near.sendDigits({ digits: '147*', by: 'tones' });
  await clock.advance(1500);
  t.equal(begun(heard), '147*');
  t.ok(heard.every(({ by }) => by === 'tones'));
});

t.test('digits wait while a leg does not send, and are over when it is closed', async t => {
  const { clock, near, far, heard } = await lab(t);
  const flow = {
    remote: { address: '10.0.0.2', port: far.port },
    format: PCMU,
    receive: true,
    events: EVENTS,
  };
  near.configure({ ...flow, send: false });
  let sent = false;
  void near.sendDigits({ digits: '1', by: 'events' }).then(() => {
    sent = true;
  });
  await clock.advance(1000);
  t.equal(begun(heard), '');
  near.configure({ ...flow, send: true });
  await clock.advance(1000);
  t.equal(begun(heard), '1');
  t.ok(sent);
  near.configure({ ...flow, send: false });
  const never = near.sendDigits({ digits: '2', by: 'events' });
  await near.close();
  await never;
  t.equal(begun(heard), '1');
});

t.test('packets of an event on the wire', async t => {
  const { clock, network, near, far } = await lab(t);
  // Else what comes from there tells where we are.
  await far.close();
  const wire = network.host('10.0.0.3');
  const packets: { type: number; marker: boolean; timestamp: number; sequence: number }[] = [];
  const socket = await wire.bindDatagram({
    address: '10.0.0.3',
    port: 9000,
    trafficClass: 'voice',
  });
  socket.onMessage = (data: Uint8Array) => {
    const packet = new RtpPacket();
    if (!readRtp(data, packet)) return;
    const { payloadType: type, marker, timestamp, sequence } = packet;
    packets.push({ type, marker, timestamp, sequence });
  };
  near.configure({
    remote: { address: '10.0.0.3', port: 9000 },
    format: PCMU,
    send: true,
    receive: true,
    events: EVENTS,
  });
  await clock.advance(100);
  void near.sendDigits({ digits: '5', by: 'events' });
  await clock.advance(300);
  const first = packets.findIndex(({ type }) => type === 101);
  const events = packets.filter(({ type }) => type === 101);
  t.equal(events.length, 7);
  t.same(packets.slice(first, first + 7), events, 'the voice is silent meanwhile');
  const before = packets[first - 1]!;
  const after = packets[first + 7]!;
  t.equal(
    events[0]!.timestamp,
    (before.timestamp + FRAME) >>> 0,
    'it begins where the voice stops',
  );
  t.equal(after.timestamp, (events[0]!.timestamp + 180 * 8) >>> 0, 'which goes on after the gap');
  t.ok(after.marker, 'as what follows a pause');
  t.same(
    packets.map(({ sequence }) => (sequence - packets[0]!.sequence) & 0xffff),
    packets.map((_, i) => i),
  );
});
