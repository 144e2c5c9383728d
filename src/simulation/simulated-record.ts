/** Records of a simulation, signed without ciphers. */
import { idOf } from '../overlay/ring/ids.js';
import type { RingRecord } from '../overlay/ring/records.js';

/** A record of a publisher of the simulation. */
export function simulatedRecord(
  name: string,
  {
    sequence = 1,
    lifeMs = 86_400_000,
    publisher = name,
    value,
  }: {
    sequence?: number;
    lifeMs?: number;
    publisher?: string;
    value?: Uint8Array | undefined;
  } = {},
): RingRecord {
  const record = { key: idOf(name), publisher, sequence, lifeMs, ageMs: 0, value };
  return { ...record, signature: recordSignature(record) };
}

export function recordSignature({
  key,
  publisher,
  sequence,
  lifeMs,
  value,
}: Omit<RingRecord, 'signature'>) {
  return `${publisher} signed ${key} ${sequence} ${lifeMs} ${value?.length ?? 'gone'}`;
}
