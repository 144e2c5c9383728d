/** The WAV format: finding the samples in a file, turning them into 16-bit mono, and the header written. */
import type { FileHandle } from 'node:fs/promises';
import { CodedError } from '../core/errors.js';
import type { Decoder } from './codecs/codec.js';
import { aLawDecode, muLawDecode } from './g711.js';

/** Octets of the header `wavHeader` makes. */
export const WAV_HEADER_OCTETS = 44;

/** Format tags of RIFF WAVE. */
const PCM = 1;
const FLOAT = 3;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;

const MAX_UINT32 = 0xffffffff;
/** The second is for more than 4 GiB: EBU Tech 3306; the third is its successor, ITU-R BS.2088. */
const CONTAINERS = ['RIFF', 'RF64', 'BW64'];
/** Of the chunk that holds the lengths in 64 bits; the data's is the second. */
const DS64_OCTETS = 24;
/** The whole `fmt ` chunk of the longest kind, WAVE_FORMAT_EXTENSIBLE. */
const MAX_FORMAT_OCTETS = 40;
const LOWEST_RATE = 1000;
const HIGHEST_RATE = 384_000;

/** Where a file's samples lie and how to read one. */
export interface WavFormat {
  /** In Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Octets of one sample of all channels. */
  readonly blockOctets: number;
  /** Octets of one sample of one channel. */
  readonly sampleOctets: number;
  readonly dataStart: number;
  /** Whole blocks only. */
  readonly dataEnd: number;
  /** The 16-bit value of the sample at an offset. */
  readonly read: (view: DataView, at: number) => number;
}

/**
 * Reads the header. A file cut short holds what is there.
 *
 * @throws {CodedError} `BAD_WAV`
 */
export async function readWavFormat(handle: FileHandle, file: string): Promise<WavFormat> {
  const { size } = await handle.stat();
  const riff = await readAt(handle, 0, 12);
  if (!CONTAINERS.includes(tag(riff, 0)) || tag(riff, 8) !== 'WAVE') {
    throw badWav(file, 'a RIFF or RF64 WAVE file', 'another kind of file');
  }
  let longData: number | undefined;
  let format: ReturnType<typeof readFormatChunk> | undefined;
  for (let at = 12; at + 8 <= size; ) {
    const head = await readAt(handle, at, 8);
    const octets = head.getUint32(4, true);
    const start = at + 8;
    if (tag(head, 0) === 'ds64') {
      longData = longLength(await readAt(handle, start, DS64_OCTETS));
    } else if (tag(head, 0) === 'fmt ') {
      const length = Math.min(octets, MAX_FORMAT_OCTETS);
      format = readFormatChunk(await readAt(handle, start, length), file);
    } else if (tag(head, 0) === 'data') {
      if (!format) break;
      // A recorder that never came to write the length, or had no room for it, left 0 or the largest number.
      const unsaid = octets === 0 || octets === MAX_UINT32;
      const length = unsaid ? (longData ?? size - start) : octets;
      const whole = Math.min(length, size - start);
      const dataEnd = start + whole - (whole % format.blockOctets);
      return { ...format, dataStart: start, dataEnd };
    }
    at = start + octets + (octets & 1);
  }
  throw badWav(file, 'a format chunk and a data chunk', 'a file that ends without them');
}

/** Mixes the blocks in `data` down to 16-bit mono. */
export function decodeWav(format: WavFormat, data: Uint8Array): Int16Array {
  const { channels, blockOctets, sampleOctets, read } = format;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const out = new Int16Array(Math.floor(data.length / blockOctets));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += read(view, i * blockOctets + channel * sampleOctets);
    }
    out[i] = Math.round(sum / channels);
  }
  return out;
}

/** The header of a 16-bit mono file. @param samples after the header */
export function wavHeader(sampleRate: number, samples: number): Uint8Array {
  const out = Buffer.alloc(WAV_HEADER_OCTETS);
  // What does not fit in 32 bits goes to the end of the file, as streams do.
  const fits = samples * 2 + WAV_HEADER_OCTETS <= MAX_UINT32;
  const dataOctets = fits ? samples * 2 : MAX_UINT32;
  out.write('RIFF', 0);
  out.writeUInt32LE(fits ? dataOctets + WAV_HEADER_OCTETS - 8 : MAX_UINT32, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(PCM, 20);
  out.writeUInt16LE(1, 22);
  out.writeUInt32LE(sampleRate, 24);
  out.writeUInt32LE(sampleRate * 2, 28);
  out.writeUInt16LE(2, 32);
  out.writeUInt16LE(16, 34);
  out.write('data', 36);
  out.writeUInt32LE(dataOctets, 40);
  return out;
}

/** Of the data; undefined where the chunk is cut short, or the length is none. */
function longLength(chunk: DataView): number | undefined {
  if (chunk.byteLength < 16) return undefined;
  const octets = Number(chunk.getBigUint64(8, true));
  return octets > 0 && Number.isSafeInteger(octets) ? octets : undefined;
}

function readFormatChunk(chunk: DataView, file: string) {
  if (chunk.byteLength < 16) throw badWav(file, 'a format chunk of 16 octets or more', 'a shorter');
  const named = chunk.getUint16(0, true);
  const kind = named === EXTENSIBLE && chunk.byteLength >= 26 ? chunk.getUint16(24, true) : named;
  const channels = chunk.getUint16(2, true);
  const sampleRate = chunk.getUint32(4, true);
  const significant = chunk.getUint16(14, true);
  const container = Math.ceil(significant / 8);
  // Samples of 12 or 20 bits lie at the upper end of whole octets, where the blocks are as long.
  const whole = chunk.getUint16(12, true) === container * channels;
  const bits = whole ? container * 8 : significant;
  if (channels < 1 || channels > 2) throw badWav(file, 'one or two channels', `${channels}`);
  if (sampleRate < LOWEST_RATE || sampleRate > HIGHEST_RATE) {
    throw badWav(file, `a rate from ${LOWEST_RATE} to ${HIGHEST_RATE} Hz`, `${sampleRate} Hz`);
  }
  const read = sampleReader(kind, bits);
  if (!read) {
    const expected = 'PCM of 8, 16, 24 or 32 bits, float, µ-law or A-law';
    throw badWav(file, expected, `format ${kind} of ${bits} bits`);
  }
  const sampleOctets = bits / 8;
  return { sampleRate, channels, sampleOctets, blockOctets: sampleOctets * channels, read };
}

function sampleReader(kind: number, bits: number): WavFormat['read'] | undefined {
  switch (`${kind}/${bits}`) {
    case `${PCM}/8`:
      return (view, at) => (view.getUint8(at) - 128) << 8;
    case `${PCM}/16`:
      return (view, at) => view.getInt16(at, true);
    case `${PCM}/24`:
      return (view, at) => view.getInt16(at + 1, true);
    case `${PCM}/32`:
      return (view, at) => view.getInt16(at + 2, true);
    case `${FLOAT}/32`:
      return (view, at) => fromFloat(view.getFloat32(at, true));
    case `${FLOAT}/64`:
      return (view, at) => fromFloat(view.getFloat64(at, true));
    case `${A_LAW}/8`:
      return tableReader(aLawDecode);
    case `${MU_LAW}/8`:
      return tableReader(muLawDecode);
    default:
      return undefined;
  }
}

function fromFloat(value: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
}

function tableReader(decode: Decoder['decode']): WavFormat['read'] {
  const table = new Int16Array(256);
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
  decode(codes, 0, codes.length, table, 0);
  return (view, at) => table[view.getUint8(at)]!;
}

/** Short, like the file, at its end. */
async function readAt(handle: FileHandle, at: number, octets: number): Promise<DataView> {
  const data = new Uint8Array(octets);
  const { bytesRead } = await handle.read(data, 0, octets, at);
  return new DataView(data.buffer, 0, bytesRead);
}

function tag(view: DataView, at: number): string {
  if (view.byteLength < at + 4) return '';
  return String.fromCharCode(...[0, 1, 2, 3].map(i => view.getUint8(at + i)));
}

function badWav(file: string, expected: string, found: string): CodedError {
  return new CodedError('BAD_WAV', `expected ${expected} in ${file}, found ${found}`, {
    remedy: 'Convert it, e.g. with `sox INPUT -r 8000 -c 1 -b 16 OUTPUT.wav`.',
  });
}
