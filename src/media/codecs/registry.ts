/** Every codec a leg understands. */
import type { Codec } from './codec.js';
import { pcma } from './pcma.js';
import { pcmu } from './pcmu.js';

export const codecs: readonly Codec[] = [pcmu, pcma];

export function codecByName(name: Codec['name']): Codec {
  return name === 'PCMU' ? pcmu : pcma;
}

/** By static payload type (RFC 3551 §6); undefined for one that no codec here has. */
export function codecByPayloadType(payloadType: number): Codec | undefined {
  switch (payloadType) {
    case pcmu.payloadType:
      return pcmu;
    case pcma.payloadType:
      return pcma;
    default:
      return undefined;
  }
}
