/**
 * libopus as WebAssembly, from the package `libopus-wasm`. Its own wrapper makes new arrays for every
 * frame, so the module beneath it is used, with memory that each stream keeps from first to last.
 */
import {
  APPLICATION_VOIP,
  MAX_FRAME_OCTETS,
  MAX_PACKET_MS,
  type OpusDecoderState,
  type OpusEncoderState,
  type OpusLibrary,
} from './library.js';

/** Pointers are numbers; the views change when memory grows. */
interface OpusModule {
  readonly HEAPU8: Uint8Array;
  readonly HEAP16: Int16Array;
  _malloc(octets: number): number;
  _free(pointer: number): void;
  UTF8ToString(pointer: number): string;
  _oc_get_version_string(): number;
  _oc_create_encoder(rate: number, channels: number, application: number, error: number): number;
  _oc_encoder_ctl(encoder: number, request: number, value: number): number;
  _oc_encode(
    encoder: number,
    pcm: number,
    samples: number,
    packet: number,
    maxOctets: number,
  ): number;
  _oc_destroy_encoder(encoder: number): void;
  _oc_create_decoder(rate: number, channels: number, error: number): number;
  _oc_decode(
    decoder: number,
    packet: number,
    octets: number,
    pcm: number,
    samples: number,
    fec: number,
  ): number;
  _oc_destroy_decoder(decoder: number): void;
}

/** Longest datagram that carries a packet. */
const MAX_PACKET_OCTETS = 65_535;
const ERROR_OCTETS = 4;

/** Rejects where the package is missing or this machine runs no WebAssembly. */
export async function loadWasmOpus(): Promise<OpusLibrary> {
  const wrapper = import.meta.resolve('libopus-wasm');
  const { default: load }: { default: () => Promise<OpusModule> } = await import(
    new URL('./generated/libopus.generated.mjs', wrapper).href
  );
  const module = await load();
  return {
    version: `${module.UTF8ToString(module._oc_get_version_string())}, WebAssembly`,
    newEncoder: sampleRate => new WasmEncoder(module, sampleRate),
    newDecoder: sampleRate => new WasmDecoder(module, sampleRate),
  };
}

class WasmEncoder implements OpusEncoderState {
  readonly #module: OpusModule;
  readonly #encoder: number;
  readonly #pcm: number;
  readonly #maxSamples: number;
  readonly #packet: number;

  constructor(module: OpusModule, sampleRate: number) {
    this.#module = module;
    this.#maxSamples = (sampleRate / 1000) * MAX_PACKET_MS;
    this.#packet = allocate(module, MAX_FRAME_OCTETS);
    this.#pcm = allocate(module, this.#maxSamples * 2);
    this.#encoder = create(module, error =>
      module._oc_create_encoder(sampleRate, 1, APPLICATION_VOIP, error),
    );
  }

  control(request: number, value: number): void {
    this.#module._oc_encoder_ctl(this.#encoder, request, value);
  }

  encode(frame: Int16Array, out: Uint8Array, at: number): number {
    const module = this.#module;
    const samples = Math.min(frame.length, this.#maxSamples);
    const pcm = module.HEAP16;
    const first = this.#pcm >> 1;
    for (let i = 0; i < samples; i++) pcm[first + i] = frame[i]!;
    const room = Math.min(MAX_FRAME_OCTETS, out.length - at);
    const octets = module._oc_encode(this.#encoder, this.#pcm, samples, this.#packet, room);
    const packet = module.HEAPU8;
    for (let i = 0; i < octets; i++) out[at + i] = packet[this.#packet + i]!;
    return octets;
  }

  close(): void {
    this.#module._oc_destroy_encoder(this.#encoder);
    this.#module._free(this.#pcm);
    this.#module._free(this.#packet);
  }
}

class WasmDecoder implements OpusDecoderState {
  readonly #module: OpusModule;
  readonly #decoder: number;
  readonly #pcm: number;
  readonly #maxSamples: number;
  #packet: number;
  #packetOctets = MAX_FRAME_OCTETS;

  constructor(module: OpusModule, sampleRate: number) {
    this.#module = module;
    this.#maxSamples = (sampleRate / 1000) * MAX_PACKET_MS;
    this.#packet = allocate(module, this.#packetOctets);
    this.#pcm = allocate(module, this.#maxSamples * 2);
    this.#decoder = create(module, error => module._oc_create_decoder(sampleRate, 1, error));
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
    const module = this.#module;
    if (octets > this.#packetOctets) this.#grow(octets);
    const packet = module.HEAPU8;
    for (let i = 0; i < octets; i++) packet[this.#packet + i] = data[from + i]!;
    const room = Math.min(samples, this.#maxSamples);
    const source = octets > 0 ? this.#packet : 0;
    const count = module._oc_decode(this.#decoder, source, octets, this.#pcm, room, fec ? 1 : 0);
    const pcm = module.HEAP16;
    const first = this.#pcm >> 1;
    for (let i = 0; i < count; i++) out[at + i] = pcm[first + i]!;
    return count;
  }

  close(): void {
    this.#module._oc_destroy_decoder(this.#decoder);
    this.#module._free(this.#pcm);
    this.#module._free(this.#packet);
  }

  /** A longer packet than any before: of several frames. */
  #grow(octets: number): void {
    this.#module._free(this.#packet);
    this.#packetOctets = Math.min(MAX_PACKET_OCTETS, octets);
    this.#packet = allocate(this.#module, this.#packetOctets);
  }
}

function create(module: OpusModule, make: (error: number) => number): number {
  const error = allocate(module, ERROR_OCTETS);
  const state = make(error);
  module._free(error);
  if (state === 0) throw outOfMemory();
  return state;
}

function allocate(module: OpusModule, octets: number): number {
  const pointer = module._malloc(octets);
  if (pointer === 0) throw outOfMemory();
  return pointer;
}

function outOfMemory(): RangeError {
  return new RangeError('expected memory for an Opus stream, found none left');
}
