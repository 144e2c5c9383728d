/** A WAV file as a source: read ahead off the tick, in bounded memory. */
import { type FileHandle, open } from 'node:fs/promises';
import { CodedError, errorCode } from '../core/errors.js';
import { GRAPH_RATES, type NodeBehaviour } from './graph.js';
import { createResampler, type Resampler } from './resampler.js';
import { SampleRing } from './sample-ring.js';
import { decodeWav, readWavFormat, type WavFormat } from './wav.js';

/** Kept ready: this much disk trouble goes unheard, and a shorter file is whole in memory. */
const READ_AHEAD_MS = 5000;
const READ_MS = 100;

export interface PlayerOptions {
  readonly file: string;
  readonly loop: boolean;
  /** Told once, after the last sample was handed on. */
  readonly onEnded: () => void;
  /** The file could not be read on; what was read is played. */
  readonly onError: (error: Error) => void;
}

export class Player implements NodeBehaviour {
  /** Of the frames, in Hz: one of the graph's rates that loses nothing of the file. */
  readonly sampleRate: number;
  readonly #options: PlayerOptions;
  readonly #handle: FileHandle;
  readonly #format: WavFormat;
  readonly #resampler: Resampler;
  readonly #ring: SampleRing;
  readonly #chunk: Uint8Array;
  #position: number;
  #reading: Promise<void> | undefined;
  #readAll = false;
  #ended = false;

  private constructor(
    options: PlayerOptions,
    handle: FileHandle,
    format: WavFormat,
    resampler: Resampler,
  ) {
    this.#options = options;
    this.#handle = handle;
    this.#format = format;
    this.#resampler = resampler;
    this.sampleRate = rateFor(format.sampleRate);
    this.#ring = new SampleRing((this.sampleRate * READ_AHEAD_MS) / 1000);
    const blocks = Math.ceil((format.sampleRate * READ_MS) / 1000);
    this.#chunk = new Uint8Array(blocks * format.blockOctets);
    this.#position = format.dataStart;
  }

  /**
   * Resolves when playing can begin.
   *
   * @throws {CodedError} `NO_SUCH_FILE`, `BAD_WAV`
   */
  static async open(options: PlayerOptions): Promise<Player> {
    const handle = await openFile(options.file);
    try {
      const format = await readWavFormat(handle, options.file);
      const resampler = await createResampler(format.sampleRate, rateFor(format.sampleRate));
      const player = new Player(options, handle, format, resampler);
      await player.#readAhead();
      return player;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** A file nobody hears waits. */
  produce(frame: Int16Array, _nowMs: number, heard: boolean): void {
    if (!heard || this.#ended || (this.#ring.length < frame.length && !this.#readAll)) {
      frame.fill(0);
      return;
    }
    const count = this.#ring.shift(frame);
    for (let i = count; i < frame.length; i++) frame[i] = 0;
    if (this.#readAll && this.#ring.length === 0) {
      this.#ended = true;
      this.#options.onEnded();
    } else if (!this.#readAll && !this.#reading && this.#ring.free > this.#ring.length) {
      this.#reading = this.#readAhead().finally(() => {
        this.#reading = undefined;
      });
    }
  }

  /** Resolves when what is being read is there to be played. */
  async settled(): Promise<void> {
    await this.#reading;
  }

  async close(): Promise<void> {
    this.#readAll = true;
    await this.#reading;
    await this.#handle.close();
  }

  async #readAhead(): Promise<void> {
    // What one read may yield, and the filter's tail.
    const room = Math.ceil((this.sampleRate * READ_MS) / 1000) * 2;
    try {
      while (!this.#readAll && this.#ring.free >= room) await this.#readChunk();
    } catch (cause) {
      this.#readAll = true;
      const message = `expected to read on in ${this.#options.file}, found it unreadable`;
      const remedy = 'Check the disk or card the file lies on.';
      this.#options.onError(new CodedError('FILE_NOT_READABLE', message, { cause, remedy }));
    }
  }

  async #readChunk(): Promise<void> {
    const { dataStart, dataEnd, blockOctets } = this.#format;
    const wanted = Math.min(this.#chunk.length, dataEnd - this.#position);
    const { bytesRead } =
      wanted > 0
        ? await this.#handle.read(this.#chunk, 0, wanted, this.#position)
        : { bytesRead: 0 };
    const octets = bytesRead - (bytesRead % blockOctets);
    this.#position += octets;
    if (octets > 0) {
      const samples = decodeWav(this.#format, this.#chunk.subarray(0, octets));
      this.#ring.push(this.#resampler.process(samples));
    } else if (this.#options.loop && this.#position > dataStart) {
      this.#position = dataStart;
    } else {
      this.#ring.push(this.#resampler.flush());
      this.#readAll = true;
    }
  }
}

function rateFor(fileRate: number): number {
  return GRAPH_RATES.find(rate => rate >= fileRate) ?? Math.max(...GRAPH_RATES);
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (cause) {
    const missing = errorCode(cause) === 'ENOENT';
    throw new CodedError(
      missing ? 'NO_SUCH_FILE' : 'FILE_NOT_READABLE',
      `expected a WAV file at ${file}, found ${missing ? 'nothing' : 'one that cannot be opened'}`,
      { cause, remedy: 'Check the path and who may read the file.' },
    );
  }
}
