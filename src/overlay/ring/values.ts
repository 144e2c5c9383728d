/**
 * Values larger than a record, up to 1 MiB: cut into parts, each a record of its own under a key of its
 * own, so that no member holds all of it, and named by a record under the value's key. Parts are put first
 * and their names last: who finds the names finds the parts.
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../../core/errors.js';
import { type Id, idOf } from './ids.js';
import type { MemberState, ValueFailure } from './member-state.js';
import { startGet, startPut } from './operations.js';
import type { RingRecord, StoreRefusal } from './records.js';

export const MAX_LARGE_VALUE_BYTES = 2 ** 20;
/** With what a record and a message add, well below what a member takes at once. */
export const PART_BYTES = 49_152;
/** Parts on their way at once. */
const AT_ONCE = 4;
/** The first octet of a record: what follows is the value, or what its parts are. */
const WHOLE = 0;
const IN_PARTS = 1;
/** SHA-256 of the value. */
const HASH_BYTES = 32;

export type UnsignedRecord = Omit<RingRecord, 'signature'>;

/**
 * The records of a value: its parts, and last the one under its key.
 * @param sign by the publisher, over `recordText`
 * Throws VALUE_TOO_LARGE.
 */
export function valueRecords(
  named: Omit<UnsignedRecord, 'ageMs' | 'value'> & { readonly value: Uint8Array },
  sign: (record: UnsignedRecord) => string,
): RingRecord[] {
  const { value } = named;
  if (value.length > MAX_LARGE_VALUE_BYTES) {
    throw new CodedError(
      'VALUE_TOO_LARGE',
      `a stored value may have ${MAX_LARGE_VALUE_BYTES} octets, this one has ${value.length}`,
      { remedy: 'Store less, or in several values.' },
    );
  }
  const signed = (key: Id, octets: Uint8Array): RingRecord => {
    const record = { ...named, key, ageMs: 0, value: octets };
    return { ...record, signature: sign(record) };
  };
  if (value.length <= PART_BYTES) {
    return [signed(named.key, Buffer.concat([Buffer.of(WHOLE), value]))];
  }
  const parts: RingRecord[] = [];
  for (let start = 0; start < value.length; start += PART_BYTES) {
    const key = partKey(named, parts.length);
    parts.push(signed(key, value.subarray(start, start + PART_BYTES)));
  }
  const head = Buffer.alloc(5);
  head.writeUInt8(IN_PARTS, 0);
  head.writeUInt32BE(value.length, 1);
  return [...parts, signed(named.key, Buffer.concat([head, hashOf(value)]))];
}

export function startPutValue(
  state: MemberState,
  records: readonly RingRecord[],
  tag: number,
): void {
  const [named, ...parts] = [...records].reverse();
  if (!named) {
    state.out.push({ type: 'put-done', tag, copies: 0, reason: 'outdated' });
    return;
  }
  const number = state.nextNumber++;
  const copies = Number.POSITIVE_INFINITY;
  state.transfers.set(number, { type: 'put', tag, waiting: parts, named, inFlight: 0, copies });
  putOn(state, number);
}

function putOn(state: MemberState, number: number): void {
  const transfer = state.transfers.get(number);
  if (transfer?.type !== 'put') return;
  while (transfer.inFlight < AT_ONCE && transfer.waiting.length > 0) {
    transfer.inFlight++;
    startPut(state, transfer.waiting.pop()!, { transfer: number });
  }
  if (transfer.inFlight > 0) return;
  if (transfer.named) {
    const { named } = transfer;
    transfer.named = undefined;
    transfer.inFlight++;
    startPut(state, named, { transfer: number });
    return;
  }
  state.transfers.delete(number);
  const { tag, copies } = transfer;
  state.out.push({ type: 'put-done', tag, copies });
}

/** One record is kept, or is not: then the whole value is not. */
export function partPut(
  state: MemberState,
  number: number,
  copies: number,
  reason: StoreRefusal | 'no-answer' | undefined,
): void {
  const transfer = state.transfers.get(number);
  if (transfer?.type !== 'put') return;
  transfer.inFlight--;
  transfer.copies = Math.min(transfer.copies, copies);
  if (copies > 0) {
    putOn(state, number);
    return;
  }
  state.transfers.delete(number);
  state.out.push({ type: 'put-done', tag: transfer.tag, copies: 0, ...(reason && { reason }) });
}

export function startGetValue(state: MemberState, key: Id, publisher: string, tag: number): void {
  const number = state.nextNumber++;
  state.transfers.set(number, { type: 'get', tag, publisher, inFlight: 1, parts: undefined });
  startGet(state, key, { transfer: number, part: undefined });
}

/** `part` undefined: the record under the value's key. */
export function partGot(
  state: MemberState,
  number: number,
  part: number | undefined,
  records: readonly RingRecord[] | undefined,
): void {
  const transfer = state.transfers.get(number);
  if (transfer?.type !== 'get') return;
  transfer.inFlight--;
  const record = records?.find(({ publisher }) => publisher === transfer.publisher);
  const end = (value: Uint8Array | undefined, failure?: ValueFailure) => {
    state.transfers.delete(number);
    const { tag } = transfer;
    state.out.push({ type: 'value-done', tag, value, ...(failure && { failure }) });
  };
  if (!record?.value) {
    if (part !== undefined) end(undefined, 'incomplete');
    else end(undefined, records ? 'absent' : 'no-answer');
    return;
  }
  if (part === undefined) {
    if (record.value[0] === WHOLE) {
      end(record.value.subarray(1));
      return;
    }
    const parts = readParts(record);
    if (!parts) {
      end(undefined, 'incomplete');
      return;
    }
    transfer.parts = parts;
  } else transfer.parts?.got.set(part, record.value);
  const { parts } = transfer;
  if (!parts) return;
  while (transfer.inFlight < AT_ONCE && parts.next < parts.count) {
    transfer.inFlight++;
    const next = parts.next++;
    startGet(state, partKey(parts.of, next), { transfer: number, part: next });
  }
  if (transfer.inFlight > 0) return;
  const value = Buffer.concat(
    Array.from({ length: parts.count }, (_, i) => parts.got.get(i) ?? new Uint8Array()),
  );
  if (value.length === parts.size && hashOf(value).equals(parts.hash)) end(value);
  else end(undefined, 'incomplete');
}

function readParts(of: RingRecord) {
  const octets = Buffer.from(of.value ?? []);
  if (octets.length !== 5 + HASH_BYTES || octets[0] !== IN_PARTS) return undefined;
  const size = octets.readUInt32BE(1);
  if (size > MAX_LARGE_VALUE_BYTES) return undefined;
  const count = Math.ceil(size / PART_BYTES);
  return { of, size, hash: octets.subarray(5), count, next: 0, got: new Map<number, Uint8Array>() };
}

/** Of each sequence its own, so that an older value is never mixed with a newer one. */
function partKey(of: Pick<RingRecord, 'key' | 'publisher' | 'sequence'>, part: number): Id {
  return idOf(`part ${part} of ${of.key} ${of.publisher} ${of.sequence}`);
}

function hashOf(value: Uint8Array): Buffer {
  return createHash('sha256').update(value).digest();
}
