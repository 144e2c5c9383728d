/** Sample-rate conversion by the Speex resampler; loaded only where rates differ. */
import type { SpeexResamplerModule } from '@echogarden/speex-resampler-wasm/simd';

/** 0 to 10; 5 was measured: 5 to 14 µs a frame. */
const QUALITY = 5;
/** Samples handed over at a time. */
const CHUNK = 2048;

export interface Resampler {
  /** All input is taken; what it yields is a new array. */
  process(input: Int16Array): Int16Array;
  /** What the filter still holds. Call it last. */
  flush(): Int16Array;
}

/** Rates in Hz. */
export async function createResampler(fromRate: number, toRate: number): Promise<Resampler> {
  if (fromRate === toRate) {
    return { process: input => input, flush: () => new Int16Array(0) };
  }
  const { default: load } = await import('@echogarden/speex-resampler-wasm/simd');
  return new SpeexResampler(await load(), fromRate, toRate);
}

class SpeexResampler implements Resampler {
  readonly #speex: SpeexResamplerModule;
  readonly #state: number;
  readonly #input: number;
  readonly #output: number;
  readonly #outputSize: number;
  /** Two lengths: taken and yielded. */
  readonly #lengths: number;

  constructor(speex: SpeexResamplerModule, fromRate: number, toRate: number) {
    this.#speex = speex;
    this.#outputSize = Math.ceil((CHUNK * toRate) / fromRate) + 1;
    this.#input = speex._malloc(CHUNK * 2);
    this.#output = speex._malloc(this.#outputSize * 2);
    this.#lengths = speex._malloc(8);
    this.#state = speex._speex_resampler_init(1, fromRate, toRate, QUALITY, this.#lengths);
    speex._speex_resampler_skip_zeros(this.#state);
  }

  process(input: Int16Array): Int16Array {
    const parts: Int16Array[] = [];
    for (let at = 0; at < input.length; ) {
      const { taken, yielded } = this.#convert(input.subarray(at, at + CHUNK));
      at += taken;
      parts.push(yielded);
    }
    return concat(parts);
  }

  flush(): Int16Array {
    return this.process(
      new Int16Array(this.#speex._speex_resampler_get_input_latency(this.#state)),
    );
  }

  #convert(input: Int16Array): { taken: number; yielded: Int16Array } {
    const speex = this.#speex;
    speex.HEAP16.set(input, this.#input / 2);
    const lengths = this.#lengths / 4;
    speex.HEAPU32[lengths] = input.length;
    speex.HEAPU32[lengths + 1] = this.#outputSize;
    speex._speex_resampler_process_int(
      this.#state,
      0,
      this.#input,
      this.#lengths,
      this.#output,
      this.#lengths + 4,
    );
    const from = this.#output / 2;
    return {
      taken: speex.HEAPU32[lengths]!,
      yielded: speex.HEAP16.slice(from, from + speex.HEAPU32[lengths + 1]!),
    };
  }
}

function concat(parts: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
