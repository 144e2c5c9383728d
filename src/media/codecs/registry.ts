/** Every codec a leg understands. */
import type { Codec } from './codec.js';
import { comfortNoise } from './comfort-noise.js';
import { pcma, pcmu } from './g711-codec.js';
import { g722 } from './g722-codec.js';
import { l16 } from './l16-codec.js';
import { opus } from './opus-codec.js';

export const codecs: readonly Codec[] = [opus, g722, pcmu, pcma, ...l16, comfortNoise];

/** @param sampleRate in Hz, where the codec has to have that one */
export function codecByName(name: string, sampleRate?: number): Codec | undefined {
  const wanted = name.toUpperCase();
  return codecs.find(
    codec =>
      codec.name.toUpperCase() === wanted &&
      (sampleRate === undefined || codec.sampleRates.includes(sampleRate)),
  );
}

/** By static payload type (RFC 3551 §6); undefined for one that no codec here has. */
export function codecByPayloadType(payloadType: number): Codec | undefined {
  return codecs.find(codec => codec.payloadType === payloadType);
}
