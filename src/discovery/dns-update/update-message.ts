/** Dynamic updates of the DNS (RFC 2136): what is asked, and what the answer means. */

import { rdataOf, typeCode } from '../mdns/dns-codec.js';
import type { RecordData } from '../mdns/dns-message.js';
import { sign, TSIG_ERROR, type TsigKey, verify } from './tsig.js';
import { nameOctets, WireReader, words } from './wire.js';

/** One of the update section, RFC 2136 §2.5. */
export type Change =
  | {
      readonly kind: 'add';
      readonly name: string;
      readonly ttlS: number;
      readonly data: RecordData;
    }
  /** All records of a name and type. */
  | { readonly kind: 'delete-set'; readonly name: string; readonly type: 'A' | 'AAAA' }
  /** This one record. */
  | { readonly kind: 'delete'; readonly name: string; readonly data: RecordData };

export interface Update {
  readonly zone: string;
  readonly changes: readonly Change[];
}

const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
const TYPE_SOA = 6;
/** Opcode UPDATE, and its place in the header's second word. */
const OPCODE_UPDATE = 5;
const RESPONSE = 0x8000;

/** @throws {CodedError} `BAD_DNS_NAME` */
export function encodeUpdate({ zone, changes }: Update, id: number): Uint8Array {
  const header = words(id, OPCODE_UPDATE << 11, 1, 0, changes.length, 0);
  const section = [nameOctets(zone), words(TYPE_SOA, CLASS.IN)];
  return Buffer.concat([header, ...section, ...changes.map(encodeChange)]);
}

function encodeChange(change: Change): Uint8Array {
  const name = nameOctets(change.name);
  switch (change.kind) {
    case 'add':
      return record(name, typeCode(change.data.type), CLASS.IN, change.ttlS, rdataOf(change.data));
    case 'delete-set':
      return record(name, typeCode(change.type), CLASS.ANY, 0, new Uint8Array());
    case 'delete':
      return record(name, typeCode(change.data.type), CLASS.NONE, 0, rdataOf(change.data));
  }
}

function record(name: Uint8Array, type: number, klass: number, ttlS: number, data: Uint8Array) {
  const ttl = words(Math.floor(ttlS / 0x10000), ttlS % 0x10000);
  return Buffer.concat([name, words(type, klass), ttl, words(data.length), data]);
}

/** RFC 2136 §2.2, and those of RFC 1035 §4.1.1. */
const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
  6: 'YXDOMAIN',
  7: 'YXRRSET',
  8: 'NXRRSET',
  9: 'NOTAUTH',
  10: 'NOTZONE',
};

export type UpdateAnswer =
  | { readonly type: 'done' }
  /** `REFUSED`, `BADKEY`, … */
  | { readonly type: 'refused'; readonly code: string }
  /** Our clock is wrong; the server's, in s since 1970, as it has signed it. */
  | { readonly type: 'clock'; readonly serverTimeS: number };

export interface SentUpdate {
  readonly octets: Uint8Array;
  /** What the octets answer, if they answer it: anything else is to be left alone. */
  answer(octets: Uint8Array): UpdateAnswer | undefined;
}

/**
 * @param nowS seconds since 1970
 * @throws {CodedError} `BAD_DNS_NAME`
 */
export function signedUpdate(update: Update, id: number, key: TsigKey, nowS: number): SentUpdate {
  const { octets, mac } = sign(encodeUpdate(update, id), key, nowS);
  return {
    octets,
    answer: heard => {
      try {
        return answerIn(heard, id, mac, key);
      } catch (error) {
        if (error instanceof RangeError) return undefined;
        throw error;
      }
    },
  };
}

function answerIn(
  octets: Uint8Array,
  id: number,
  mac: Uint8Array,
  key: TsigKey,
): UpdateAnswer | undefined {
  const reader = new WireReader(octets);
  const [theirs, flags] = [reader.word(), reader.word()];
  const isAnswer = (flags & RESPONSE) !== 0 && ((flags >> 11) & 0xf) === OPCODE_UPDATE;
  if (theirs !== id || !isAnswer) return undefined;
  const rcode = flags & 0xf;
  const { genuine, error, serverTimeS } = verify(octets, mac, key);
  if (genuine && serverTimeS !== undefined) return { type: 'clock', serverTimeS };
  // Only what is signed is believed to be done. A refusal may come from a server that does not have our key.
  if (rcode === 0 && error === 0) return genuine ? { type: 'done' } : undefined;
  const [tsigError] = Object.entries(TSIG_ERROR).find(([, code]) => code === error) ?? [];
  return { type: 'refused', code: tsigError ?? RCODES[rcode] ?? `RCODE${rcode}` };
}
