/** What a listener hears of a signal that was coded once, frame by frame. */
import type { Codec } from '../../src/media/codecs/codec.js';

const FRAMES_PER_SECOND = 50;

/**
 * @param signal what does not fill a frame at its end is coded as it is
 * @param sampleRate of the signal in Hz, by default the codec's most natural one
 */
export function throughCodec(
  codec: Codec,
  signal: Int16Array,
  sampleRate = codec.sampleRates[0] ?? 8000,
): Int16Array {
  const frame = sampleRate / FRAMES_PER_SECOND;
  const encoder = codec.newEncoder({ sampleRate });
  const decoder = codec.newDecoder({ sampleRate });
  const payload = new Uint8Array(codec.maxPayloadOctets);
  const heard = new Int16Array(signal.length);
  for (let at = 0; at < signal.length; at += frame) {
    const octets = encoder.encode(signal.subarray(at, at + frame), payload, 0);
    decoder.decode(payload, 0, octets, heard, at);
  }
  encoder.close?.();
  decoder.close?.();
  return heard;
}
