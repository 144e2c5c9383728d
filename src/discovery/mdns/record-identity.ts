/** When two records are one, and which of two sets wins a name (RFC 6762 §8.2). */
import { foldName } from '../phone-name.js';
import { rdataOf, typeCode } from './dns-codec.js';
import type { DnsRecord, RecordData } from './dns-message.js';

/** Equal for records of the same name, type and data, whatever their lifetime; names without regard to ASCII case. */
export function recordKey({ name, data }: Pick<DnsRecord, 'name' | 'data'>): string {
  return `${foldName(name)} ${dataKey(data)}`;
}

function dataKey(data: RecordData): string {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return `${data.type} ${data.address}`;
    case 'PTR':
      return `PTR ${foldName(data.target)}`;
    case 'SRV':
      return `SRV ${data.priority} ${data.weight} ${data.port} ${foldName(data.host)}`;
    case 'NSEC':
      return `NSEC ${data.types.join(' ')}`;
    default:
      return `${data.type} ${Buffer.from(rdataOf(data)).toString('latin1')}`;
  }
}

/**
 * Whose records come later in the order of RFC 6762 §8.2 (all are of class IN) keeps the name: negative where
 * `ours` come first, positive where they come last, 0 for the same records.
 */
export function compareRecordSets(
  ours: readonly DnsRecord[],
  theirs: readonly DnsRecord[],
): number {
  const [mine, others] = [sortable(ours), sortable(theirs)];
  for (let i = 0; i < Math.max(mine.length, others.length); i++) {
    const [a, b] = [mine[i], others[i]];
    if (!a) return -1;
    if (!b) return 1;
    const order = Buffer.compare(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

function sortable(records: readonly DnsRecord[]): Buffer[] {
  const octets = records.map(({ data }) => {
    const type = Buffer.alloc(2);
    type.writeUInt16BE(typeCode(data.type));
    return Buffer.concat([type, rdataOf(data)]);
  });
  return octets.sort(Buffer.compare);
}
