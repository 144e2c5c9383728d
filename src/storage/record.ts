/**
 * A record as text: an envelope of format version and checksum around the value, so that a reader
 * can tell a damaged record from a newer one.
 */
import { createHash } from 'node:crypto';
import type { Storable } from './store.js';

/** Raise when a reader of the former format could misread the new one. */
export const RECORD_FORMAT = 1;

export type DecodedRecord =
  | { readonly kind: 'whole'; readonly value: Storable }
  | { readonly kind: 'newer'; readonly format: number }
  | { readonly kind: 'damaged'; readonly reason: string };

export function encodeRecord(value: Storable): string {
  const body = JSON.stringify(value);
  return `{"format":${RECORD_FORMAT},"checksum":"${checksum(body)}","value":${body}}\n`;
}

export function decodeRecord(text: string): DecodedRecord {
  const envelope = parseEnvelope(text);
  if (!envelope || !Number.isSafeInteger(envelope.format)) {
    return { kind: 'damaged', reason: 'it is not a record' };
  }
  const format = Number(envelope.format);
  if (format > RECORD_FORMAT) return { kind: 'newer', format };
  const { value } = envelope;
  // Writing again what was read yields the same text, so the checksum can be taken over it.
  if (value === undefined || checksum(JSON.stringify(value)) !== envelope.checksum) {
    return { kind: 'damaged', reason: 'its checksum does not match' };
  }
  return { kind: 'whole', value };
}

interface Envelope {
  format?: unknown;
  checksum?: unknown;
  value?: Storable;
}

function parseEnvelope(text: string): Envelope | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Guards against damage, not against an attacker: 64 bits are plenty and spare the card. */
function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16);
}
