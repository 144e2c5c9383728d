/** A sink that writes what it hears to a WAV file. Memory is bounded; the disk is never waited for. */
import { type FileHandle, open } from 'node:fs/promises';
import { CodedError } from '../core/errors.js';
import { isSilent } from './frame.js';
import { BASE_RATE, type NodeBehaviour } from './graph.js';
import { SampleRing } from './sample-ring.js';
import { WAV_HEADER_OCTETS, wavHeader } from './wav.js';

/** Held while the disk is busy; what does not fit is left out, and told. */
const BUFFER_MS = 5000;
/** How often samples and header are written: a crash costs no more. */
const WRITE_MS = 1000;

export interface RecorderOptions {
  readonly file: string;
  /** Told once: the recording is not complete. */
  readonly onError: (error: Error) => void;
}

export class Recorder implements NodeBehaviour {
  readonly #options: RecorderOptions;
  readonly #handle: FileHandle;
  #sampleRate = BASE_RATE;
  #ring = new SampleRing((BASE_RATE * BUFFER_MS) / 1000);
  #began = false;
  #written = 0;
  #writing: Promise<void> | undefined;
  #failure: CodedError | undefined;

  private constructor(options: RecorderOptions, handle: FileHandle) {
    this.#options = options;
    this.#handle = handle;
  }

  /** @throws {CodedError} `FILE_NOT_WRITABLE` */
  static async open(options: RecorderOptions): Promise<Recorder> {
    const { file } = options;
    let handle: FileHandle | undefined;
    try {
      handle = await open(file, 'w');
      await writeAll(handle, wavHeader(BASE_RATE, 0), 0);
      return new Recorder(options, handle);
    } catch (cause) {
      await handle?.close().catch(() => undefined);
      throw new CodedError(
        'FILE_NOT_WRITABLE',
        `expected to write ${file}, found it cannot be created`,
        { cause, remedy: 'Check that the folder exists, may be written, and has room.' },
      );
    }
  }

  /** Of the frames and of the file, in Hz. */
  get sampleRate(): number {
    return this.#sampleRate;
  }

  /** The file has the rate of what is heard first. */
  rateFor(offered: number): number {
    if (!this.#began && offered !== this.#sampleRate) {
      this.#sampleRate = offered;
      this.#ring = new SampleRing((offered * BUFFER_MS) / 1000);
    }
    return this.#sampleRate;
  }

  consume(frame: Int16Array): void {
    if (this.#failure) return;
    if (!this.#ring.push(frame)) this.#fail('found the disk too slow');
    this.#began ||= !isSilent(frame);
    if (this.#ring.length >= (this.#sampleRate * WRITE_MS) / 1000) this.#write();
  }

  /** Resolves when what is being written is in the file. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Rejects with `RECORDING_INCOMPLETE` if the disk failed on the way. */
  async close(): Promise<void> {
    await this.#writing;
    this.#write();
    await this.#writing;
    await this.#handle.close();
    if (this.#failure) throw this.#failure;
  }

  #write(): void {
    if (this.#writing || this.#failure || this.#ring.length === 0) return;
    this.#writing = this.#writeOut()
      .catch(cause => this.#fail('found a disk error', cause))
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #writeOut(): Promise<void> {
    const samples = new Int16Array(this.#ring.length);
    this.#ring.shift(samples);
    const octets = littleEndian(samples);
    await writeAll(this.#handle, octets, WAV_HEADER_OCTETS + this.#written * 2);
    this.#written += samples.length;
    await writeAll(this.#handle, wavHeader(this.#sampleRate, this.#written), 0);
  }

  #fail(found: string, cause?: unknown): void {
    if (this.#failure) return;
    const message = `expected to write ${this.#options.file} to its end, ${found}`;
    const remedy = 'Check the room and health of the disk or card; what was written can be played.';
    this.#failure = new CodedError('RECORDING_INCOMPLETE', message, { cause, remedy });
    this.#options.onError(this.#failure);
  }
}

async function writeAll(handle: FileHandle, octets: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < octets.length; ) {
    const { bytesWritten } = await handle.write(
      octets,
      done,
      octets.length - done,
      position + done,
    );
    done += bytesWritten;
  }
}

function littleEndian(samples: Int16Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  for (let i = 0; i < samples.length; i++) view.setInt16(i * 2, samples[i]!, true);
  return new Uint8Array(view.buffer);
}
