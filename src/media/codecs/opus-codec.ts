/** Opus (RFC 6716) over RTP (RFC 7587) as a codec record. */
import { asError, CodedError } from '../../core/errors.js';
import type { Codec } from './codec.js';
import { OpusDecoder } from './opus/decoder.js';
import { OpusEncoder } from './opus/encoder.js';
import { MAX_FRAME_OCTETS, type OpusLibrary } from './opus/library.js';
import { loadOpus } from './opus/load.js';

/** @param loadLibrary is asked once, at the first `load`; again only where it failed */
export function opusCodec(loadLibrary: () => Promise<OpusLibrary>): Codec {
  let library: OpusLibrary | undefined;
  let loading: Promise<void> | undefined;
  const loaded = (): OpusLibrary => {
    if (library) return library;
    throw unavailable('it was not loaded');
  };
  return {
    name: 'opus',
    payloadType: undefined,
    // RFC 7587 §4.1, §7: whatever is sent.
    clockRate: 48_000,
    sampleRates: [16_000, 48_000, 8000, 24_000, 12_000],
    maxPayloadOctets: MAX_FRAME_OCTETS,
    load: () => {
      loading ??= loadLibrary().then(
        found => {
          library = found;
        },
        error => {
          loading = undefined;
          throw unavailable(asError(error).message);
        },
      );
      return loading;
    },
    newEncoder: options => new OpusEncoder(loaded(), options),
    newDecoder: options => new OpusDecoder(loaded(), options),
  };
}

export const opus: Codec = opusCodec(loadOpus);

function unavailable(reason: string): CodedError {
  return new CodedError('CODEC_UNAVAILABLE', `expected a libopus, found none: ${reason}`, {
    remedy: 'Install the packages again (npm ci), or leave opus out of codecs in ringline.yaml.',
  });
}
