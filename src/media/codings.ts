/** One object for each way of coding in use, so that those who hear the same can be given the same payload. */
import type { Codec, CodingOptions } from './codecs/codec.js';
import type { Coding } from './mix.js';

export class Codings {
  readonly #codings = new Map<string, Coding>();

  of(codec: Codec, options: CodingOptions): Coding {
    const key = `${codec.name} ${options.sampleRate} ${options.fmtp ?? ''}`;
    let coding = this.#codings.get(key);
    if (!coding) {
      coding = {
        maxPayloadOctets: codec.maxPayloadOctets,
        newEncoder: () => codec.newEncoder(options),
      };
      this.#codings.set(key, coding);
    }
    return coding;
  }
}
