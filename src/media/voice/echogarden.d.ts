declare module '@echogarden/fvad-wasm' {
  /** The functions of libfvad used here; pointers are offsets into the heap. */
  export interface FvadModule {
    readonly HEAP16: Int16Array;
    _malloc(octets: number): number;
    _free(pointer: number): void;
    _fvad_new(): number;
    _fvad_free(detector: number): void;
    _fvad_set_mode(detector: number, mode: number): number;
    _fvad_set_sample_rate(detector: number, rate: number): number;
    /** 1 voice, 0 none, -1 where the length is wrong. */
    _fvad_process(detector: number, frame: number, samples: number): number;
  }
  function load(): Promise<FvadModule>;

  // biome-ignore lint/style/noDefaultExport: the package has no other.
  export { load as default };
}

declare module '@echogarden/rnnoise-wasm' {
  /** The functions of RNNoise used here; pointers are offsets into the heap. */
  export interface RnnoiseModule {
    readonly HEAPF32: Float32Array;
    _malloc(octets: number): number;
    _free(pointer: number): void;
    _rnnoise_create(model: number): number;
    _rnnoise_destroy(state: number): void;
    /** Samples on the scale of 16 bits. */
    _rnnoise_process_frame(state: number, output: number, input: number): number;
  }
  function load(): Promise<RnnoiseModule>;

  // biome-ignore lint/style/noDefaultExport: the package has no other.
  export { load as default };
}
