/** A mixer amid attackers: whatever they send, its members hear what they would hear without them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { DatagramSocket } from '../../src/core/network.js';
import type { MediaLeg, MediaNode } from '../../src/media/engine.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { writeRtpHeader } from '../../src/media/rtp.js';
import { AUDIO_LEVEL_OCTETS, writeAudioLevel } from '../../src/media/rtp-extensions.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { levelAtDb } from './signal.js';
import { readWav } from './wav-file.js';

const RATE = 8000;
const PCMU = { name: 'PCMU', payloadType: 0 };
const MIXER = '10.0.0.1';
const PHONES = '10.0.0.2';
const ATTACKER = '10.0.0.66';
const LEVEL_ID = 1;
const SECONDS = 6;

const folder = await mkdtemp(join(tmpdir(), 'ringline-hostile-'));
t.teardown(() => rm(folder, { recursive: true }));
let files = 0;

interface Scene {
  readonly clock: VirtualClock;
  /** Ports of the members' legs at the mixer, and that of a leg which the attacker was given. */
  readonly ports: readonly number[];
  readonly attackersPort: number;
  /** What the attacker can send from, where a leg expects it, and where nobody does. */
  readonly known: DatagramSocket;
  readonly strange: DatagramSocket;
}

/** An attacker sends as it likes, every 5 ms. */
type Attack = (scene: Scene, turn: number) => void;

/** What three members of a mix hear, with an attack or without one. */
async function heardBy(attack?: Attack): Promise<Int16Array[]> {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1, link: { delayMs: 3, jitterMs: 0 } });
  const engineAt = (address: string, seed: number) =>
    new LocalMediaEngine({
      clock,
      network: network.host(address),
      random: new SeededRandom(seed),
      onError: error => t.fail(error.message),
    });
  const [mixer, phones] = [engineAt(MIXER, 1), engineAt(PHONES, 2)];
  await Promise.all([mixer.start(), phones.start()]);
  const mix = await mixer.openMix({ speakers: 3 });
  const flow = { format: PCMU, send: true, receive: true, audioLevel: LEVEL_ID };

  const ports: number[] = [];
  const recorded: { file: string; recorder: MediaNode }[] = [];
  const join_ = (leg: MediaLeg) => {
    mixer.connect(leg, mix);
    mixer.connect(mix, leg);
  };
  for (const hz of [430, 970, 1590]) {
    const leg = await mixer.openLeg({ address: MIXER });
    const phone = await phones.openLeg({ address: PHONES });
    leg.configure({ remote: { address: PHONES, port: phone.port }, ...flow });
    phone.configure({ remote: { address: MIXER, port: leg.port }, ...flow });
    join_(leg);
    const tone = await phones.openTone({ tones: [{ frequencies: [hz] }], levelDbm0: -20 });
    phones.connect(tone, phone);
    const file = join(folder, `${++files}.wav`);
    const recorder = await phones.openRecorder({ file });
    phones.connect(phone, recorder);
    ports.push(leg.port);
    recorded.push({ file, recorder });
  }
  const bind = (port: number) =>
    network.host(ATTACKER).bindDatagram({ address: ATTACKER, port, trafficClass: 'voice' });
  const [known, strange] = [await bind(4000), await bind(5000)];
  const theirs = await mixer.openLeg({ address: MIXER });
  theirs.configure({ remote: { address: ATTACKER, port: 4000 }, ...flow });
  join_(theirs);

  const scene = { clock, ports, attackersPort: theirs.port, known, strange };
  for (let turn = 0; turn < SECONDS * 200; turn++) {
    // The first second is everybody's: streams find their depth.
    if (turn > 200) attack?.(scene, turn);
    await clock.advance(5);
  }
  for (const { recorder } of recorded) await recorder.close();
  await Promise.all([mixer.stop(), phones.stop()]);
  return Promise.all(recorded.map(async ({ file }) => (await readWav(file)).samples));
}

interface Fields {
  readonly payloadType?: number;
  readonly sequence: number;
  readonly timestamp?: number;
  readonly ssrc?: number;
  /** In dBov. */
  readonly level?: number;
  readonly payload?: Uint8Array;
}

/** What µ-law has for silence. */
const SILENCE = new Uint8Array(160).fill(0xff);

function packet({ payloadType = 0, sequence, ssrc = 66, payload = SILENCE, ...rest }: Fields) {
  const { timestamp = sequence * 160, level = 0 } = rest;
  const data = new Uint8Array(12 + AUDIO_LEVEL_OCTETS + payload.length);
  writeRtpHeader(data, payloadType, false, sequence & 0xffff, timestamp >>> 0, ssrc);
  writeAudioLevel(data, LEVEL_ID, level);
  data.set(payload, 12 + AUDIO_LEVEL_OCTETS);
  return data;
}

const random = new SeededRandom(9);
const octets = (count: number) => random.bytes(count);
const everywhere = ({ ports, attackersPort }: Scene) =>
  [...ports, attackersPort].map(port => ({ address: MIXER, port }));
const own = ({ attackersPort }: Scene) => ({ address: MIXER, port: attackersPort });

const attacks: Readonly<Record<string, Attack>> = {
  'a flood of sound RTP from a stranger': (scene, turn) => {
    for (const to of everywhere(scene)) {
      for (let i = 0; i < 5; i++) scene.strange.send(packet({ sequence: 5 * turn + i }), to);
    }
  },
  'garbage from everywhere': (scene, turn) => {
    for (const to of everywhere(scene)) {
      scene.strange.send(octets(1 + (turn % 400)), to);
      const rtcp = octets(60);
      rtcp.set([0x80, 0xc8 + (turn % 5)]);
      scene.strange.send(rtcp, { ...to, port: to.port + 1 });
    }
    scene.known.send(octets(1 + (turn % 400)), own(scene));
  },
  'another SSRC in each packet': (scene, turn) =>
    scene.known.send(packet({ sequence: turn, ssrc: turn }), own(scene)),
  'one packet, over and over': scene => {
    for (let i = 0; i < 10; i++) scene.known.send(packet({ sequence: 7 }), own(scene));
  },
  'another codec each second, and some that nobody has': (scene, turn) => {
    if (turn % 4 > 0) return;
    const payloadType = [0, 8, 9, 96, 13, 101, 127][Math.floor(turn / 200) % 7]!;
    const payload = payloadType === 0 ? SILENCE : payloadType === 8 ? A_LAW_SILENCE : octets(80);
    scene.known.send(packet({ sequence: turn / 4, payloadType, payload, level: -100 }), own(scene));
  },
  'a level that lies: loud, and nothing behind it': (scene, turn) => {
    if (turn % 4 === 0) scene.known.send(packet({ sequence: turn / 4, level: 0 }), own(scene));
  },
  'another codec each second, and loud by its claim': (scene, turn) => {
    if (turn % 4 > 0) return;
    const payloadType = [0, 8][Math.floor(turn / 200) % 2]!;
    const payload = payloadType === 0 ? SILENCE : A_LAW_SILENCE;
    scene.known.send(packet({ sequence: turn / 4, payloadType, payload, level: 0 }), own(scene));
  },
  'a flood at the very leg of the attacker': (scene, turn) => {
    for (let i = 0; i < 50; i++) {
      scene.known.send(packet({ sequence: 50 * turn + i, level: -127 }), own(scene));
    }
  },
};

/** The smallest that A-law has: nothing is silent in it. */
const A_LAW_SILENCE = new Uint8Array(160).fill(0xd5);

const quiet = await heardBy();

t.test('three members hear each other', async t => {
  for (const [i, own] of [430, 970, 1590].entries()) {
    const heard = quiet[i]!.subarray(-RATE);
    for (const hz of [430, 970, 1590]) {
      const level = levelAtDb(heard, hz, RATE);
      if (hz === own) t.ok(level < -75, `${hz} Hz is its own: ${level} dB`);
      else t.ok(Math.abs(level - (-20 - 3.17)) < 0.5, `${hz} Hz: ${level} dB`);
    }
  }
});

for (const [what, attack] of Object.entries(attacks)) {
  t.test(`${what}: members hear the same, sample by sample`, async t => {
    const heard = await heardBy(attack);
    for (const [i, samples] of heard.entries()) {
      t.equal(samples.length, quiet[i]!.length);
      const first = samples.findIndex((sample, at) => sample !== quiet[i]![at]);
      t.equal(first, -1, `the first difference at member ${i}`);
    }
  });
}
