/** Whole WAV files for analysis. */
import { open, writeFile } from 'node:fs/promises';
import { decodeWav, readWavFormat, wavHeader } from '../../src/media/wav.js';

export interface WavFile {
  /** Mixed down to mono. */
  readonly samples: Int16Array;
  /** In Hz. */
  readonly sampleRate: number;
}

/** @throws {CodedError} `BAD_WAV` */
export async function readWav(file: string): Promise<WavFile> {
  const handle = await open(file);
  try {
    const format = await readWavFormat(handle, file);
    const data = new Uint8Array(format.dataEnd - format.dataStart);
    await handle.read(data, 0, data.length, format.dataStart);
    return { samples: decodeWav(format, data), sampleRate: format.sampleRate };
  } finally {
    await handle.close();
  }
}

export async function writeWav(
  file: string,
  samples: Int16Array,
  sampleRate: number,
): Promise<void> {
  const data = Buffer.alloc(samples.length * 2);
  samples.forEach((sample, i) => {
    data.writeInt16LE(sample, i * 2);
  });
  await writeFile(file, Buffer.concat([wavHeader(sampleRate, samples.length), data]));
}
