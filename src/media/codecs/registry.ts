/** Every codec a leg understands. */
import type { Codec } from './codec.js';
import { pcma, pcmu } from './g711-codec.js';

/** Best first. */
export const codecs: readonly Codec[] = [pcmu, pcma];

export function codecByName(name: string): Codec | undefined {
  const wanted = name.toUpperCase();
  return codecs.find(codec => codec.name.toUpperCase() === wanted);
}

/** By static payload type (RFC 3551 §6); undefined for one that no codec here has. */
export function codecByPayloadType(payloadType: number): Codec | undefined {
  return codecs.find(codec => codec.payloadType === payloadType);
}
