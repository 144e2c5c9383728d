import t from 'tap';
import { hasRedundancy } from '../../src/media/codecs/opus/packet.js';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import { Leg } from '../../src/media/leg.js';
import type { PacketPath } from '../../src/media/packet-path.js';
import { writeRtcp } from '../../src/media/rtcp.js';
import { RTP_HEADER_OCTETS } from '../../src/media/rtp.js';
import { TickProfile } from '../../src/media/tick-profile.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { speechLike } from './signal.js';

const RATE = 16_000;
const FRAME = 320;
const SECONDS = 2;

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
      let ssrc = 0;
      let redundant = 0;
      const path: PacketPath = {
        port: 0,
        sendErrors: 0,
        refused: 0,
        onRtp: () => undefined,
        onRtcp: () => undefined,
        onSourceChange: () => undefined,
        guard: undefined,
        setRemote: () => undefined,
        sendRtp: packet => {
          ssrc = ((packet[8]! << 24) | (packet[9]! << 16) | (packet[10]! << 8) | packet[11]!) >>> 0;
          const octets = packet.length - RTP_HEADER_OCTETS;
          if (hasRedundancy(packet, RTP_HEADER_OCTETS, octets)) redundant++;
        },
        sendRtcp: () => undefined,
        close: () => undefined,
      };
      const leg = new Leg({ clock, random: new SeededRandom(1), path, codings: new Codings() });
      const format = { name: 'opus', payloadType: 96, fmtp, sampleRate: RATE };
      const remote = { address: '10.0.0.1', port: 4000 };
      leg.configure({ remote, format, send: true, receive: true });
      const talk = () => {
        redundant = 0;
        for (let at = 0; at < speech.length; at += FRAME) {
          leg.consume(speech.subarray(at, at + FRAME), now);
          now += 20;
        }
        return redundant;
      };
      t.equal(talk(), 0, 'before anything is known');
      const block = {
        ssrc,
        fractionLost: 64,
        cumulativeLost: 25,
        highestSequence: 100,
        jitter: 0,
        lastSenderReport: 0,
        delaySinceLast: 0,
      };
      for (let i = 0; i < 3; i++) {
        path.onRtcp(writeRtcp({ ssrc: 7, sender: undefined, blocks: [block] }, 'far', false));
      }
      const found = talk();
      if (wants) t.ok(found > SECONDS * 20, `${found} packets repeat the one before`);
      else t.equal(found, 0);
      leg.close();
    }
  },
);

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
