/** Every codec there is, each by every library that this machine has for it; loaded. */
import type { Codec } from '../../src/media/codecs/codec.js';
import { comfortNoise } from '../../src/media/codecs/comfort-noise.js';
import { pcma, pcmu } from '../../src/media/codecs/g711-codec.js';
import { g722 } from '../../src/media/codecs/g722-codec.js';
import { nativeOpus } from '../../src/media/codecs/opus/native-library.js';
import { loadWasmOpus } from '../../src/media/codecs/opus/wasm-library.js';
import { opusCodec } from '../../src/media/codecs/opus-codec.js';

export interface CodecVariant {
  readonly name: string;
  readonly codec: Codec;
  /** In Hz. */
  readonly sampleRate: number;
}

export async function everyCodec(): Promise<CodecVariant[]> {
  const libraries = [await loadWasmOpus(), nativeOpus()].filter(library => library !== undefined);
  const opusVariants = libraries.map(library => ({
    name: `opus (${library.version})`,
    codec: opusCodec(async () => library),
  }));
  const codecs = [pcmu, pcma, g722, comfortNoise].map(codec => ({ name: codec.name, codec }));
  const variants = [...codecs, ...opusVariants].flatMap(({ name, codec }) =>
    codec.sampleRates
      .filter(rate => rate === 8000 || rate === 16_000 || rate === 48_000)
      .map(sampleRate => ({ name: `${name}, ${sampleRate / 1000} kHz`, codec, sampleRate })),
  );
  for (const { codec } of variants) await codec.load?.();
  return variants;
}
