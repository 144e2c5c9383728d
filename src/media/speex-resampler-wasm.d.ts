declare module '@echogarden/speex-resampler-wasm/simd' {
  /** The functions of SpeexDSP's `speex_resampler.h` used here; pointers are offsets into the heap. */
  export interface SpeexResamplerModule {
    readonly HEAP16: Int16Array;
    readonly HEAPU32: Uint32Array;
    _malloc(octets: number): number;
    _speex_resampler_init(
      channels: number,
      fromRate: number,
      toRate: number,
      quality: number,
      errorPointer: number,
    ): number;
    _speex_resampler_skip_zeros(state: number): number;
    _speex_resampler_get_input_latency(state: number): number;
    _speex_resampler_process_int(
      state: number,
      channel: number,
      input: number,
      inputLengthPointer: number,
      output: number,
      outputLengthPointer: number,
    ): number;
  }
  function load(): Promise<SpeexResamplerModule>;

  // biome-ignore lint/style/noDefaultExport: the package has no other.
  export { load as default };
}
