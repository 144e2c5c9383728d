/** Small WAV files (16-bit linear, mono) whole in memory: what is played to phones and what they recorded. */
import { readFileSync, writeFileSync } from 'node:fs';
import { PlainFailure } from './program.js';

export const SAMPLE_RATE = 8000; // Hz, G.711

/** Octets before the samples of a WAV file without extra chunks. */
const HEADER_OCTETS = 44;
const BITS = 16;

export function writeSound(path: string, samples: Int16Array): void {
  const header = Buffer.alloc(HEADER_OCTETS);
  header.write('RIFF', 0);
  header.writeUInt32LE(HEADER_OCTETS - 8 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // linear PCM
  header.writeUInt16LE(1, 22); // mono
  header.writeUInt32LE(SAMPLE_RATE, 24);
  header.writeUInt32LE((SAMPLE_RATE * BITS) / 8, 28);
  header.writeUInt16LE(BITS / 8, 32);
  header.writeUInt16LE(BITS, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  writeFileSync(path, Buffer.concat([header, new Uint8Array(samples.buffer)]));
}

/**
 * The samples of the `data` chunk, as far as they are there; of a recording that goes on, those so far. What
 * was recorded at a higher rate, in a wideband call, is taken down to `SAMPLE_RATE` by the mean of each few
 * samples.
 */
export function readSound(path: string): Int16Array {
  const file = readFileSync(path);
  let at = 12;
  let each = 1;
  while (at + 8 <= file.length) {
    const size = file.readUInt32LE(at + 4);
    const name = file.toString('latin1', at, at + 4);
    // While they record, peers have not written the length yet.
    const chunk = file.subarray(at + 8, name === 'data' && size === 0 ? undefined : at + 8 + size);
    if (name === 'fmt ') each = samplesForOne(path, chunk);
    if (name === 'data') return meansOf(chunk, each);
    at += 8 + size + (size % 2);
  }
  throw new PlainFailure(`${path} is no WAV file`);
}

/** How much sound a recording without extra chunks holds, and whether who records it has ended it. */
export function recordedSeconds(path: string | undefined): { seconds: number; complete: boolean } {
  if (path === undefined) return { seconds: 0, complete: false };
  const file = readFileSync(path);
  if (file.length < HEADER_OCTETS) return { seconds: 0, complete: false };
  const octets = file.length - HEADER_OCTETS;
  return {
    seconds: octets / file.readUInt32LE(28), // octets a second
    complete: octets > 0 && file.readUInt32LE(40) === octets,
  };
}

export function silence(seconds: number): Int16Array {
  return new Int16Array(seconds * SAMPLE_RATE);
}

export function joined(...parts: readonly Int16Array[]): Int16Array {
  return Int16Array.from(parts.flatMap(part => [...part]));
}

/** The samples from second `from` to second `to`. */
export function stretch(samples: Int16Array, from: number, to: number): Int16Array {
  return samples.subarray(from * SAMPLE_RATE, to * SAMPLE_RATE);
}

/** How many samples there are for each of `SAMPLE_RATE`. */
function samplesForOne(path: string, format: Buffer): number {
  const [channels, rate, bits] = [
    format.readUInt16LE(2),
    format.readUInt32LE(4),
    format.readUInt16LE(14),
  ];
  if (channels === 1 && bits === BITS && rate % SAMPLE_RATE === 0) return rate / SAMPLE_RATE;
  throw new PlainFailure(
    `${path}: expected 1 channel, a multiple of ${SAMPLE_RATE} Hz, ${BITS} bits, found ${channels}, ${rate}, ${bits}`,
  );
}

function meansOf(data: Buffer, each: number): Int16Array {
  const octets = each * (BITS / 8);
  return Int16Array.from({ length: Math.floor(data.length / octets) }, (_, i) => {
    let sum = 0;
    for (let at = i * octets; at < (i + 1) * octets; at += BITS / 8) sum += data.readInt16LE(at);
    return Math.round(sum / each);
  });
}

/** How much of it is no silence: of a steady sound, what was heard. */
export function loudSeconds(samples: Int16Array): number {
  let windows = 0;
  for (let at = 0; at < samples.length; at += WINDOW) {
    if (samples.subarray(at, at + WINDOW).some(sample => Math.abs(sample) >= LOUD)) windows++;
  }
  return (windows * WINDOW) / SAMPLE_RATE;
}

const WINDOW = SAMPLE_RATE / 100; // 10 ms
/** 30 dB below full scale. */
const LOUD = 1000;
