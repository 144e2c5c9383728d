/**
 * Every codec, plain and encrypted, through legs over an even network: a numbered chirp arrives with nothing missing and
 * nothing said twice, at its level. 10 s each, or VOICE_SECONDS (`make soak`: 60); the virtual clock makes short work
 * of them. That this test hears one frame that is dropped, repeated or swapped is tested too.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { codecByName } from '../../src/media/codecs/registry.js';
import type { LegSecurity, PayloadFormat } from '../../src/media/engine.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import type { DatagramNetwork } from '../../src/media/plain-path.js';
import { SRTP_SUITES } from '../../src/media/srtp/suites.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { fit } from './fit.js';
import { cornerHz, numberedChirp, SECTIONS, SECTIONS_PER_SECOND } from './numbered-chirp.js';
import { follow } from './signal.js';
import { throughCodec } from './through-codec.js';
import { readWav, writeWav } from './wav-file.js';

const SECONDS = Number(process.env.VOICE_SECONDS ?? 10);
const MAX_DELAY_MS = 400;
const LEVEL_DB = 0.5;
/** Of a call in which a frame goes wrong, and the packet in whose place it does: half a second in. */
const BROKEN_SECONDS = 1;
const BROKEN_PACKET = 40;
const FRAME_MS = 20;
const DISK_TURNS = 30;

// They wait for the disk now and then.
t.jobs = 6;
const folder = await mkdtemp(join(tmpdir(), 'ringline-voices-'));
t.teardown(() => rm(folder, { recursive: true }));

/** Without state, or with one that every stream begins with and silence does not change. */
const EXACT: readonly PayloadFormat[] = [
  { name: 'PCMU', payloadType: 0, sampleRate: 8000 },
  { name: 'PCMA', payloadType: 8, sampleRate: 8000 },
  { name: 'L16', payloadType: 97, sampleRate: 16_000 },
];
const ALIKE: readonly PayloadFormat[] = [
  { name: 'G722', payloadType: 9, sampleRate: 16_000 },
  { name: 'opus', payloadType: 96, sampleRate: 8000 },
  { name: 'opus', payloadType: 96, sampleRate: 16_000 },
  { name: 'opus', payloadType: 96, sampleRate: 48_000 },
];

function keys(suite: string): LegSecurity[] {
  const known = SRTP_SUITES.find(({ name }) => name === suite)!;
  const octets = known.keyOctets + known.saltOctets;
  const key = (from: number) => ({
    suite,
    master: Uint8Array.from({ length: octets }, (_, i) => from + i),
  });
  return [
    { send: key(1), receive: key(100) },
    { send: key(100), receive: key(1) },
  ];
}

/** What leaves in place of a packet of voice; nothing: it is lost. */
type Tamper = (packet: Uint8Array, number: number) => Uint8Array | undefined;

/** A network on whose way out something goes wrong with the packets of RTP. */
function tampered(network: DatagramNetwork, tamper: Tamper): DatagramNetwork {
  return {
    bindDatagram: async options => {
      const socket = await network.bindDatagram(options);
      const send = socket.send.bind(socket);
      let number = 0;
      socket.send = (data, to) => {
        const instead = to.port % 2 === 0 ? tamper(data, number++) : data;
        if (instead) send(instead, to);
      };
      return socket;
    },
  };
}

interface Call {
  readonly suite?: string | undefined;
  readonly tamper?: Tamper;
}

/** What is heard of a chirp at the far end of a call. */
async function heard(
  t: Test,
  format: PayloadFormat,
  said: Int16Array,
  { suite, tamper = packet => packet }: Call,
): Promise<Int16Array> {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1, link: { delayMs: 5 } });
  const onError = (error: Error) => t.fail(error.message);
  const engineAt = (address: string, seed: number, tamper: Tamper) =>
    new LocalMediaEngine({
      clock,
      network: tampered(network.host(address), tamper),
      random: new SeededRandom(seed),
      onError,
    });
  const near = engineAt('10.0.0.1', 1, tamper);
  const far = engineAt('10.0.0.2', 2, packet => packet);
  const engines = [near, far];
  await Promise.all(engines.map(engine => engine.start()));
  const from = await near.openLeg({ address: '10.0.0.1', codecs: [format.name] });
  const to = await far.openLeg({ address: '10.0.0.2', codecs: [format.name] });
  const [sending, receiving] = suite ? keys(suite) : [];
  const flow = { format, send: true, receive: true };
  from.configure({
    remote: { address: '10.0.0.2', port: to.port },
    ...flow,
    ...(sending && { security: sending }),
  });
  to.configure({
    remote: { address: '10.0.0.1', port: from.port },
    ...flow,
    ...(receiving && { security: receiving }),
  });
  const files = await mkdtemp(join(folder, 'call-'));
  const original = join(files, 'said.wav');
  await writeWav(original, said, format.sampleRate!);
  const player = await near.openPlayer({ file: original });
  // The stream runs before the signal begins.
  await clock.advance(300);
  const file = join(files, 'heard.wav');
  const recorder = await far.openRecorder({ file });
  far.connect(to, recorder);
  near.connect(player, from);
  const halves = (2 * said.length) / format.sampleRate!;
  for (let half = 0; half <= halves + 1; half++) {
    await clock.advance(500);
    // The disk has its own time; in as many turns, each for a tenth of a second, it reads and writes more.
    for (let turn = 0; turn < DISK_TURNS; turn++) await stat(file);
  }
  await recorder.close();
  const statistics = await to.statistics();
  t.match(statistics, { packetsRefused: 0, stretchedMs: 0, compressedMs: 0 });
  await Promise.all(engines.map(engine => engine.stop()));
  const { samples, sampleRate } = await readWav(file);
  t.equal(sampleRate, format.sampleRate, 'recorded at the rate of what was heard');
  await rm(files, { recursive: true });
  return samples;
}

/** What is wrong with how `samples` came through; nothing where all of `said` is there once, in its place. */
function wrong(samples: Int16Array, said: Int16Array, format: PayloadFormat): string | undefined {
  const { name, sampleRate = 8000 } = format;
  if (EXACT.includes(format)) {
    const expected = throughCodec(codecByName(name, sampleRate)!, said);
    const { exact, missing, extra } = follow(samples, expected);
    if (exact !== said.length || extra > 0) {
      return `${missing} samples of ${said.length} missing, ${extra} that are none of them`;
    }
  }
  const { misfits, gainDb, worst } = fit(samples, said, sampleRate, MAX_DELAY_MS);
  const [first] = misfits;
  if (first) return `${misfits.length} windows out of place: ${JSON.stringify(first)}`;
  if (Math.abs(gainDb) >= LEVEL_DB) return `${gainDb.toFixed(2)} dB, ${worst.toFixed(2)} at worst`;
  return undefined;
}

const WAYS = [undefined, 'AES_CM_128_HMAC_SHA1_80', 'AEAD_AES_256_GCM'];

/** The payload of the packet before, in place of this one's. */
function repeated(): Tamper {
  let before: Uint8Array | undefined;
  return (packet, number) => {
    const instead = number === BROKEN_PACKET && before ? withPayloadOf(packet, before) : packet;
    before = Uint8Array.from(packet);
    return instead;
  };
}

/** Two packets have each other's payload. @param payloads of the same call when nothing went wrong with it */
function swapped(payloads: readonly Uint8Array[]): Tamper {
  return (packet, number) => {
    if (number === BROKEN_PACKET) return withPayloadOf(packet, payloads[number + 1]!);
    if (number === BROKEN_PACKET + 1) return withPayloadOf(packet, payloads[number - 1]!);
    return packet;
  };
}

function withPayloadOf(packet: Uint8Array, other: Uint8Array): Uint8Array {
  return Uint8Array.from([...packet.subarray(0, 12), ...other.subarray(12)]);
}

/** What was heard with the frame in its middle as often as that. */
function spliced(samples: Int16Array, times: number, sampleRate: number): Int16Array {
  const at = samples.length >> 1;
  const after = at + (FRAME_MS * sampleRate) / 1000;
  const frame = Array.from({ length: times }, () => [...samples.subarray(at, after)]).flat();
  return Int16Array.from([...samples.subarray(0, at), ...frame, ...samples.subarray(after)]);
}

t.test('a tenth of a second of the chirp comes once in two minutes', async t => {
  const sections = Array.from({ length: SECTIONS }, (_, i) => `${cornerHz(i)}-${cornerHz(i + 1)}`);
  t.equal(new Set(sections).size, SECTIONS);
  t.ok(SECTIONS / SECTIONS_PER_SECOND > 120);
});

for (const format of [...EXACT, ...ALIKE]) {
  const { name, sampleRate = 8000 } = format;
  for (const suite of WAYS) {
    t.test(`${name} at ${sampleRate} Hz, ${suite ?? 'plain'}`, { buffered: true }, async t => {
      const said = numberedChirp(SECONDS * sampleRate, sampleRate);
      t.equal(wrong(await heard(t, format, said, { suite }), said, format), undefined);
    });
  }
  t.test(`${name} at ${sampleRate} Hz with one frame wrong: heard`, { buffered: true }, async t => {
    const said = numberedChirp(BROKEN_SECONDS * sampleRate, sampleRate);
    const payloads: Uint8Array[] = [];
    const through = async (tamper: Tamper) => {
      const samples = await heard(t, format, said, { tamper });
      return wrong(samples, said, format);
    };
    const keep: Tamper = packet => {
      payloads.push(Uint8Array.from(packet));
      return packet;
    };
    const untouched = await heard(t, format, said, { tamper: keep });
    t.equal(wrong(untouched, said, format), undefined, 'without it');
    t.type(wrong(spliced(untouched, 0, sampleRate), said, format), 'string', 'one less');
    t.type(wrong(spliced(untouched, 2, sampleRate), said, format), 'string', 'one more');
    const drop: Tamper = (packet, number) => (number === BROKEN_PACKET ? undefined : packet);
    t.type(await through(drop), 'string', 'dropped');
    t.type(await through(repeated()), 'string', 'repeated');
    t.type(await through(swapped(payloads)), 'string', 'swapped');
  });
}
