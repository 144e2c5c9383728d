import t from 'tap';
import type { Clock } from '../../src/core/clock.js';
import type { Encoder } from '../../src/media/codecs/codec.js';
import { hasRedundancy } from '../../src/media/codecs/opus/packet.js';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import { Graph } from '../../src/media/graph.js';
import { Leg } from '../../src/media/leg.js';
import { Mix } from '../../src/media/mix.js';
import type { PacketPath } from '../../src/media/packet-path.js';
import { writeRtcp } from '../../src/media/rtcp.js';
import { RTP_HEADER_OCTETS } from '../../src/media/rtp.js';
import { TickProfile } from '../../src/media/tick-profile.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { speechLike } from './signal.js';

const RATE = 16_000;
const FRAME = 320;
const SECONDS = 2;

const codings = new Codings();

/** Leg, path and what is sent by it: whether packets repeat those before them. */
function listener(clock: Clock, seed = 1, fmtp = 'useinbandfec=1') {
  let ssrc = 0;
  const sent: boolean[] = [];
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
    sendRtp: packet => {
      ssrc = new DataView(packet.buffer, packet.byteOffset).getUint32(8);
      const octets = packet.length - RTP_HEADER_OCTETS;
      sent.push(hasRedundancy(packet, RTP_HEADER_OCTETS, octets));
    },
    sendRtcp: () => undefined,
    close: () => undefined,
  };
  const leg = new Leg({ clock, random: new SeededRandom(seed), path, codings });
  leg.configure({
    remote: { address: '10.0.0.1', port: 4000 + seed },
    format: { name: 'opus', payloadType: 96, fmtp, sampleRate: RATE },
    send: true,
    receive: true,
  });
  const report = (fraction: number) => {
    const block = {
      ssrc,
      fractionLost: Math.round(fraction * 256),
      cumulativeLost: 25,
      highestSequence: 100,
      jitter: 0,
      lastSenderReport: 0,
      delaySinceLast: 0,
    };
    path.onRtcp(writeRtcp({ ssrc: 7, sender: undefined, blocks: [block] }, 'far', false));
  };
  return { leg, sent, report };
}

t.test(
  'a far end that loses packets is sent each twice, by in-band FEC, if it wants that',
  async t => {
    await codecByName('opus')?.load?.();
    const speech = speechLike(SECONDS * RATE, RATE);
    for (const [fmtp, wants] of [
      ['useinbandfec=1', true],
      ['', false],
    ] as const) {
      let now = 0;
      const clock = {
        now: () => now,
        wallTime: () => 0,
        after: () => ({ cancel: () => undefined }),
      };
      const { leg, sent, report } = listener(clock, 1, fmtp);
      const talk = () => {
        sent.length = 0;
        for (let at = 0; at < speech.length; at += FRAME) {
          leg.consume(speech.subarray(at, at + FRAME), now);
          now += 20;
        }
        return sent.filter(Boolean).length;
      };
      t.equal(talk(), 0, 'before anything is known');
      for (let i = 0; i < 3; i++) report(0.25);
      const found = talk();
      if (wants) t.ok(found > SECONDS * 20, `${found} packets repeat the one before`);
      else t.equal(found, 0);
      leg.close();
    }
  },
);

t.test('one encoder for many suits the worst of them, as long as it is one of them', async t => {
  await codecByName('opus')?.load?.();
  let now = 0;
  const clock = { now: () => now, wallTime: () => 0, after: () => ({ cancel: () => undefined }) };
  const graph = new Graph();
  const mix = graph.addMix();
  const speech = speechLike(SECONDS * RATE, RATE);
  let at = 0;
  const voice = graph.add(
    {
      produce: frame => {
        frame.set(speech.subarray(at, at + FRAME));
        at = (at + FRAME) % speech.length;
      },
    },
    RATE,
  );
  graph.connect(voice, mix);
  const listeners = [1, 2, 3].map(seed => listener(clock, seed));
  const nodes = listeners.map(({ leg }) => graph.add(leg, RATE));
  for (const node of nodes) graph.connect(mix, node);
  /** Whether packets repeat others, of the last second. @param losses of each, told each second */
  const talk = (seconds: number, losses: readonly (number | undefined)[]) => {
    for (let tick = 0; tick < seconds * 50; tick++) {
      for (const [i, loss] of losses.entries()) {
        if (tick % 50 === 0 && loss !== undefined) listeners[i]!.report(loss);
      }
      graph.tick(now);
      now += 20;
    }
    return listeners.map(({ sent }) => sent.slice(-50).filter(Boolean).length);
  };
  t.same(talk(2, []), [0, 0, 0], 'before anything is known');
  t.ok(
    talk(12, [0.25, 0, 0]).every(repeated => repeated > 15),
    'all get packets that repeat, since one loses them',
  );
  t.same(talk(40, [0, 0, 0]), [0, 0, 0], 'not any more');
  t.ok(talk(12, [0.25, 0, 0])[1]! > 15);
  // Its reports cease, and with them what they said.
  t.same(talk(55, [undefined, 0, 0]), [0, 0, 0]);
  t.ok(talk(12, [0.25, 0, 0])[1]! > 15);
  graph.disconnect(mix, nodes[0]!);
  t.same(talk(40, [undefined, 0, 0]).slice(1), [0, 0], 'who lost is gone');
  for (const { leg } of listeners) leg.close();
});

t.test('one who hears next to nothing does not make it worse for all', t => {
  const told: number[] = [];
  const encoder: Encoder = {
    encode: () => 1,
    adapt: ({ lossFraction }) => told.push(lossFraction),
  };
  const coding = { maxPayloadOctets: 10, newEncoder: () => encoder };
  const mix = new Mix(20);
  for (let tick = 0; tick < 1000; tick++) {
    mix.addUp();
    mix.coded(8000, coding, { lossFraction: 0.02, load: 0 });
    mix.coded(8000, coding, { lossFraction: tick < 500 ? 0.9 : 0.04, load: 0 });
    mix.coded(8000, coding);
  }
  t.same(told, [0.25, 0.25, 0.25, 0.04], 'at once, and then each 5 s');
  t.end();
});

t.test('the load is what the ticks of the last second took of the time there was', async t => {
  let now = 0;
  const clock = { now: () => now, wallTime: () => 0, after: () => ({ cancel: () => undefined }) };
  const profile = new TickProfile(clock);
  const tick = (ms: number) => {
    profile.begin();
    now += ms;
    profile.next();
    now += 20 - ms;
  };
  t.equal(profile.load, 0);
  for (let i = 0; i < 300; i++) tick(5);
  t.ok(Math.abs(profile.load - 0.25) < 0.01, `${profile.load}`);
  for (let i = 0; i < 300; i++) tick(20);
  t.ok(profile.load > 0.98, `${profile.load}`);
});
