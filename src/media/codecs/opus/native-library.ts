/** The system's libopus, through the native addon: it works in our arrays, with nothing copied. */
import { loadNative } from '../../../native/index.js';
import type { NativeOpus, OpusHandle } from '../../../native/opus.js';
import {
  APPLICATION_VOIP,
  type OpusDecoderState,
  type OpusEncoderState,
  type OpusLibrary,
} from './library.js';

/** Undefined where the addon is not built or the machine has no libopus. */
export function nativeOpus(): OpusLibrary | undefined {
  const opus = loadNative()?.opus;
  return (
    opus && {
      version: `${opus.version}, system`,
      newEncoder: sampleRate => new NativeEncoder(opus, sampleRate),
      newDecoder: sampleRate => new NativeDecoder(opus, sampleRate),
    }
  );
}

class NativeEncoder implements OpusEncoderState {
  readonly #opus: NativeOpus;
  readonly #handle: OpusHandle;

  constructor(opus: NativeOpus, sampleRate: number) {
    this.#opus = opus;
    this.#handle = opus.newEncoder(sampleRate, APPLICATION_VOIP);
  }

  control(request: number, value: number): void {
    this.#opus.control(this.#handle, request, value);
  }

  encode(frame: Int16Array, out: Uint8Array, at: number): number {
    return this.#opus.encode(this.#handle, frame, out, at);
  }

  close(): void {
    this.#opus.free(this.#handle);
  }
}

class NativeDecoder implements OpusDecoderState {
  readonly #opus: NativeOpus;
  readonly #handle: OpusHandle;

  constructor(opus: NativeOpus, sampleRate: number) {
    this.#opus = opus;
    this.#handle = opus.newDecoder(sampleRate);
  }

  decode(
    data: Uint8Array,
    from: number,
    octets: number,
    out: Int16Array,
    at: number,
    samples: number,
    fec: boolean,
  ): number {
    return this.#opus.decode(this.#handle, data, from, octets, out, at, samples, fec);
  }

  close(): void {
    this.#opus.free(this.#handle);
  }
}
