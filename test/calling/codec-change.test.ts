/** Another codec amid a call, by re-INVITE and by UPDATE (RFC 3311): the echo of a tone goes on. */
import t from 'tap';
import {
  audioFormats,
  CODEC_NAMES,
  type CodecName,
  payloadFormat,
} from '../../src/calling/audio-codecs.js';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import { Leg } from '../../src/media/leg.js';
import { PlainPath } from '../../src/media/plain-path.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { type LocalAudio, makeOffer, readAnswer } from '../../src/sip/offer-answer.js';
import { frequencyHz, levelDb, sine } from '../media/signal.js';
import { PEER, peerAt, request } from '../sip/peer.js';

const ALICE = { address: '10.0.0.1', port: 5060 };
const FRAME_MS = 20;
const [HZ, AMPLITUDE] = [440, 8000];
const TONE_DB = 20 * Math.log10(AMPLITUDE / 32_767);
/** Each way the codec changes once, and not at the same time. */
const LONGEST_GAP_MS = 60;

t.test('G.722, then µ-law by re-INVITE, Opus by UPDATE, and back to A-law', async t => {
  await codecByName('opus')?.load?.();
  const world = new Simulation({ seed: 1, link: { delayMs: 15 } });
  const { clock, network } = world;
  const alice = await world.addPhone('alice', ALICE.address, { codecs: CODEC_NAMES });
  const random = new SeededRandom(9);
  const deps = { clock, network: network.host(PEER.address), random };
  const path = await PlainPath.open(deps, PEER.address);
  const leg = new Leg({ clock, random, path, codings: new Codings() });
  const peer = await peerAt(network, PEER);
  const local = (codec: CodecName, version: number): LocalAudio => ({
    endpoint: { address: PEER.address, port: path.port },
    formats: audioFormats([codec]),
    sessionId: 1,
    version,
  });
  const heard: Int16Array[] = [];
  /** The peer's 20 ms: it speaks, and hears its echo. */
  const tick = async () => {
    const { sampleRate } = leg;
    const frame = new Int16Array((sampleRate * FRAME_MS) / 1000);
    leg.produce(frame, clock.now());
    heard.push(frame);
    const second = sine(HZ, sampleRate, sampleRate, AMPLITUDE);
    const from = (heard.length % 50) * frame.length;
    leg.consume(second.subarray(from, from + frame.length), clock.now());
    await clock.advance(FRAME_MS);
  };
  let sequence = 0;
  let to: string[] = [];
  /** Offers that codec; speaks it once Alice has agreed. */
  const offer = async (method: 'INVITE' | 'UPDATE', codec: CodecName) => {
    const ours = local(codec, ++sequence);
    const known = peer.responses.length;
    peer.send(request(method, sequence, to, makeOffer(ours)), ALICE);
    const answer = () =>
      peer.responses.slice(known).find(({ status, body }) => status === 200 && body.length > 0);
    for (let tries = 0; tries < 500 && !answer(); tries++) {
      await tick();
      // Codecs are loaded in the time of this machine.
      await new Promise(setImmediate);
    }
    const response = answer();
    if (!response) throw new Error(`${method} was not answered`);
    to = [`To: ${response.headers.text('To')}`];
    if (method === 'INVITE') peer.send(request('ACK', sequence, to), ALICE);
    const agreed = readAnswer(Buffer.from(response.body).toString(), ours);
    const { remote, rtcp } = agreed;
    const format = payloadFormat(agreed, ours.formats);
    leg.configure({ remote, rtcp, format, send: true, receive: true });
  };
  const talk = async (ms: number) => {
    for (const until = clock.now() + ms; clock.now() < until; ) await tick();
  };
  await offer('INVITE', 'g722');
  await talk(1500);
  for (const [method, codec] of [
    ['INVITE', 'pcmu'],
    ['UPDATE', 'opus'],
    ['UPDATE', 'g722'],
    ['INVITE', 'pcma'],
  ] as const) {
    heard.length = 0;
    await offer(method, codec);
    await talk(1500);
    const how = `${codec} by ${method}`;
    t.equal(alice.calls.current[0]?.format?.name.toLowerCase(), codec, how);
    const gap = longestGap(heard);
    t.ok(gap <= LONGEST_GAP_MS, `${how}: ${gap} ms without the tone`);
    t.comment(`${how}: ${gap} ms`);
    const last = Int16Array.from(heard.slice(-25).flatMap(frame => [...frame]));
    t.ok(Math.abs(levelDb(last) - TONE_DB) < 1, `${how}: ${levelDb(last).toFixed(1)} dB`);
    t.ok(Math.abs(frequencyHz(last, leg.sampleRate) - HZ) < 2, how);
    t.match(leg.statistics(), { packetsLost: 0, packetsRefused: 0 });
  }
  t.equal(alice.calls.current[0]?.phase, 'connected');
  leg.close();
  await world.stop();
});

/** The longest time in which the tone is not within 6 dB, in ms. */
function longestGap(frames: readonly Int16Array[]): number {
  let longest = 0;
  let gap = 0;
  for (const frame of frames) {
    const step = frame.length / 4;
    for (let at = 0; at < frame.length; at += step) {
      const off = Math.abs(levelDb(frame.subarray(at, at + step)) - TONE_DB) > 6;
      gap = off ? gap + FRAME_MS / 4 : 0;
      longest = Math.max(longest, gap);
    }
  }
  return longest;
}
