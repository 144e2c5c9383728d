import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { GRAPH_RATES } from '../../src/media/graph.js';
import { Player } from '../../src/media/player.js';
import { Recorder } from '../../src/media/recorder.js';
import { decodeWav, readWavFormat, wavHeader } from '../../src/media/wav.js';
import { frequencyHz, levelDb, sine } from './signal.js';
import { readWav } from './wav-file.js';

const RATE = 8000;
const FRAME = 160;

const folder = await mkdtemp(join(tmpdir(), 'ringline-wav-'));
t.teardown(() => rm(folder, { recursive: true }));

interface FileSpec {
  readonly kind: number;
  readonly bits: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly data: Buffer;
  readonly extensible?: boolean;
  /** Said in the header, whatever the data. */
  readonly saidOctets?: number;
  readonly before?: Buffer;
}

function wavFile(spec: FileSpec): Buffer {
  const { kind, bits, channels = 1, rate = RATE, data, extensible = false } = spec;
  const format = Buffer.alloc(extensible ? 40 : 16);
  format.writeUInt16LE(extensible ? 0xfffe : kind, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE((rate * channels * bits) / 8, 8);
  format.writeUInt16LE((channels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  if (extensible) format.writeUInt16LE(kind, 24);
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    chunk('fmt ', format),
    spec.before ?? Buffer.alloc(0),
    chunk('data', data, spec.saidOctets),
  ]);
  return chunk('RIFF', body);
}

function chunk(tag: string, data: Buffer, saidOctets = data.length): Buffer {
  const head = Buffer.alloc(8, tag);
  head.writeUInt32LE(saidOctets, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length & 1)]);
}

function pcm16(samples: Int16Array): Buffer {
  const data = Buffer.alloc(samples.length * 2);
  samples.forEach((sample, i) => {
    data.writeInt16LE(sample, i * 2);
  });
  return data;
}

let files = 0;
async function save(content: Buffer): Promise<string> {
  const file = join(folder, `${++files}.wav`);
  await writeFile(file, content);
  return file;
}

/** Everything a file plays, up to `limit` frames; waits for the disk where the player does. */
async function playFile(content: Buffer, { loop = false, limit = 1000 } = {}): Promise<Int16Array> {
  let ended = 0;
  const player = await Player.open({
    file: await save(content),
    loop,
    onEnded: () => {
      ended++;
    },
    onError: error => {
      throw error;
    },
  });
  const frames: Int16Array[] = [];
  const frame = new Int16Array(player.sampleRate / 50);
  player.produce(frame, 0, false);
  while (ended === 0 && frames.length < limit) {
    player.produce(frame, 0, true);
    frames.push(frame.slice());
    await player.settled();
  }
  player.produce(frame, 0, true);
  if (ended > 1) throw new Error(`ended ${ended} times`);
  await player.close();
  return Int16Array.from(frames.flatMap(one => [...one]));
}

function alike(a: Int16Array, b: Int16Array): boolean {
  return a.length === b.length && a.every((sample, i) => sample === b[i]);
}

const tone = sine(440, RATE, RATE);

t.test('16-bit mono at the rate of the graph is played sample by sample', async t => {
  const long = sine(440, RATE * 10 + 37, RATE);
  const played = await playFile(wavFile({ kind: 1, bits: 16, data: pcm16(long) }));
  t.ok(alike(played.subarray(0, long.length), long));
  t.ok(played.length - long.length < FRAME);
});

t.test('every format yields the same tone', async t => {
  const bytes = (octets: number, write: (data: Buffer, at: number, sample: number) => void) => {
    const data = Buffer.alloc(tone.length * octets);
    tone.forEach((sample, i) => {
      write(data, i * octets, sample);
    });
    return data;
  };
  const stereo = Int16Array.from({ length: tone.length * 2 }, (_, i) =>
    i % 2 ? tone[i >> 1]! - 50 : tone[i >> 1]! + 50,
  );
  const list = chunk('LIST', Buffer.from('INFOIART123'));
  const specs: FileSpec[] = [
    { kind: 1, bits: 8, data: bytes(1, (data, at, s) => data.writeUInt8((s >> 8) + 128, at)) },
    { kind: 1, bits: 24, data: bytes(3, (data, at, s) => data.writeIntLE(s * 256 + 255, at, 3)) },
    { kind: 1, bits: 32, data: bytes(4, (data, at, s) => data.writeInt32LE(s * 65_536, at)) },
    { kind: 3, bits: 32, data: bytes(4, (data, at, s) => data.writeFloatLE(s / 32_768, at)) },
    { kind: 3, bits: 64, data: bytes(8, (data, at, s) => data.writeDoubleLE(s / 32_768, at)) },
    { kind: 1, bits: 16, channels: 2, data: pcm16(stereo) },
    { kind: 1, bits: 16, data: pcm16(tone), extensible: true },
    { kind: 1, bits: 16, data: pcm16(tone), before: list },
  ];
  for (const spec of specs) {
    const played = await playFile(wavFile(spec));
    const heard = played.subarray(0, tone.length);
    const name = `format ${spec.kind}, ${spec.bits} bits, ${spec.channels ?? 1} channels`;
    if (spec.bits === 8) t.ok(Math.abs(levelDb(heard) - levelDb(tone)) < 0.2, name);
    else t.ok(alike(heard, tone), name);
  }
});

t.test('A-law and µ-law files are decoded', async t => {
  const quiet = Buffer.alloc(800, 0xd5);
  const aLaw = await playFile(wavFile({ kind: 6, bits: 8, data: quiet }));
  t.ok(aLaw.every(sample => sample === 8 || sample === 0));
  const loud = await playFile(wavFile({ kind: 7, bits: 8, data: Buffer.alloc(800, 0x80) }));
  t.equal(loud[0], 32_124);
});

t.test('other rates are converted: same frequency, level and length', async t => {
  for (const rate of [8000, 11_025, 16_000, 44_100, 48_000]) {
    const data = pcm16(sine(440, rate * 2, rate));
    const played = await playFile(wavFile({ kind: 1, bits: 16, rate, data }));
    const at = GRAPH_RATES.find(graphRate => graphRate >= rate)!;
    t.ok(Math.abs(played.length - 2 * at) <= at / 25, `${rate} Hz: ${played.length} samples`);
    const middle = played.subarray(at / 2, at * 1.5);
    t.ok(Math.abs(frequencyHz(middle, at) - 440) < 0.1, `${rate} Hz: frequency`);
    t.ok(Math.abs(levelDb(middle) - levelDb(tone)) < 0.1, `${rate} Hz: level`);
  }
});

t.test('a loop begins again without a gap', async t => {
  const short = tone.subarray(0, 1000);
  const content = wavFile({ kind: 1, bits: 16, data: pcm16(short) });
  const played = await playFile(content, { loop: true, limit: 200 });
  t.equal(played.length, 200 * FRAME);
  t.ok(played.every((sample, i) => sample === short[i % 1000]));
});

t.test('a file cut short plays what it holds', async t => {
  const data = pcm16(tone);
  const whole = wavFile({ kind: 1, bits: 16, data });
  const cut = await playFile(whole.subarray(0, 44 + 2001));
  t.ok(alike(cut.subarray(0, 1000), tone.subarray(0, 1000)));
  t.equal(cut.length, 7 * FRAME);
  for (const saidOctets of [0, 0xffffffff]) {
    const played = await playFile(wavFile({ kind: 1, bits: 16, data, saidOctets }));
    t.ok(alike(played.subarray(0, tone.length), tone), `a header that says ${saidOctets}`);
  }
  const nothing = await playFile(wavFile({ kind: 1, bits: 16, data: Buffer.alloc(0) }));
  t.ok(alike(nothing, new Int16Array(FRAME)), 'nothing: ends at once');
});

t.test('what cannot be played says why, and what to do', async t => {
  const open = (file: string) =>
    Player.open({
      file,
      loop: true,
      onEnded: () => undefined,
      onError: () => undefined,
    });
  await t.rejects(open(join(folder, 'none.wav')), { code: 'NO_SUCH_FILE', remedy: /path/ });
  const data = Buffer.alloc(100);
  for (const [why, content] of [
    ['empty', Buffer.alloc(0)],
    ['no RIFF', Buffer.from('ID3 and then some more octets')],
    ['no data', wavFile({ kind: 1, bits: 16, data }).subarray(0, 36)],
    ['ADPCM', wavFile({ kind: 2, bits: 4, data })],
    ['12 bits', wavFile({ kind: 1, bits: 12, data })],
    ['six channels', wavFile({ kind: 1, bits: 16, channels: 6, data })],
    ['0 Hz', wavFile({ kind: 1, bits: 16, rate: 0, data })],
  ] as const) {
    await t.rejects(open(await save(content)), { code: 'BAD_WAV', remedy: /sox/ }, why);
  }
});

async function record(file: string, errors: Error[] = []): Promise<Recorder> {
  return Recorder.open({ file, onError: error => errors.push(error) });
}

t.test('a recording is what was heard', async t => {
  const file = join(folder, 'recorded.wav');
  const recorder = await record(file);
  const long = sine(300, FRAME * 201, RATE);
  for (let at = 0; at < long.length; at += FRAME) recorder.consume(long.subarray(at, at + FRAME));
  await recorder.close();
  const { samples, sampleRate } = await readWav(file);
  t.equal(sampleRate, RATE);
  t.ok(alike(samples, long));
});

t.test('a recording that was never closed can be played up to its last second', async t => {
  const file = join(folder, 'crashed.wav');
  const recorder = await record(file);
  for (let i = 0; i < 50; i++) recorder.consume(tone.subarray(0, FRAME));
  await recorder.settled();
  const content = await readFile(file);
  t.same(content.subarray(0, 44), Buffer.from(wavHeader(RATE, RATE)));
  t.equal(content.length, 44 + RATE * 2);
  await recorder.close();
});

t.test(
  'a recorder that is killed leaves what it had written, whole, and a header that says so',
  async t => {
    const file = join(folder, 'killed.wav');
    const child = spawn(process.execPath, [
      fileURLToPath(new URL('./recording-child.js', import.meta.url)),
      file,
    ]);
    t.teardown(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    let seconds = 0;
    for await (const line of lines) {
      seconds = Number(line);
      // It goes on writing while it is killed.
      if (seconds === 20) child.kill('SIGKILL');
    }
    const { samples, sampleRate } = await readWav(file);
    t.equal(sampleRate, RATE);
    t.ok(samples.length >= seconds * RATE, `${samples.length} samples after ${seconds} s`);
    t.ok(samples.every((sample, i) => sample === i % 30_000));
  },
);

t.test(
  'more than 4 GiB are played to the end, in RF64 and where the length had no room',
  async t => {
    const octets = 5 * 2 ** 30;
    t.same(wavHeader(48_000, octets / 2).subarray(40), Buffer.alloc(4, 0xff), 'as a stream');
    const ds64 = Buffer.alloc(28);
    ds64.writeBigUInt64LE(BigInt(octets), 8);
    const long = Buffer.alloc(8, 'data');
    long.fill(0xff, 4);
    const riff = wavFile({ kind: 1, bits: 16, data: Buffer.alloc(0) });
    const rf64 = Buffer.concat([
      ...[Buffer.from('RF64\xff\xff\xff\xffWAVE', 'latin1'), chunk('ds64', ds64)],
      ...[riff.subarray(12, -8), long],
    ]);
    for (const [head, after] of [
      [Buffer.from(wavHeader(48_000, octets / 2)), 0],
      [rf64, 1000],
    ] as const) {
      const file = await save(head);
      // A hole: the file takes no room on the disk.
      await truncate(file, head.length + octets + after);
      const handle = await open(file, 'r+');
      await handle.write(pcm16(Int16Array.of(1234)), 0, 2, head.length + octets - 2);
      const format = await readWavFormat(handle, file);
      t.equal(format.dataEnd - format.dataStart, octets);
      const last = new Uint8Array(2);
      await handle.read(last, 0, 2, format.dataEnd - 2);
      t.same([...decodeWav(format, last)], [1234]);
      await handle.close();
      await rm(file);
    }
  },
);

t.test('samples of 12 and 20 bits lie at the upper end of theirs', async t => {
  for (const [bits, octets] of [
    [12, 2],
    [20, 3],
  ] as const) {
    const data = Buffer.alloc(octets * 4);
    for (let i = 0; i < 4; i++)
      data.writeIntLE(i * 0x1000 * (octets === 3 ? 256 : 1), i * octets, octets);
    const content = wavFile({ kind: 1, bits, data });
    content.writeUInt16LE(octets, 12 + 8 + 12);
    const played = await playFile(content);
    t.same([...played.subarray(0, 4)], [0, 0x1000, 0x2000, 0x3000], `${bits} bits`);
  }
});

t.test('a disk that fails is told once, and does not stop the call', async t => {
  const errors: Error[] = [];
  const recorder = await record('/dev/full', errors).catch(error => error);
  t.match(recorder, { code: 'FILE_NOT_WRITABLE' });
  await t.rejects(record(join(folder, 'no', 'such', 'folder.wav')), { code: 'FILE_NOT_WRITABLE' });

  // Nothing reaches the disk while the ring is filled in one turn of the event loop.
  const slow = await record(join(folder, 'slow.wav'), errors);
  for (let i = 0; i < 50 * 60; i++) slow.consume(tone.subarray(0, FRAME));
  t.match(errors, [{ code: 'RECORDING_INCOMPLETE' }]);
  await t.rejects(slow.close(), { code: 'RECORDING_INCOMPLETE' });
});
