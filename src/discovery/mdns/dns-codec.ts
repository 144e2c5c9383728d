/**
 * DNS messages to octets and back (RFC 1035 §4, RFC 6762 §18): names compressed, packets that fit any link,
 * and no more work for a malformed packet than its length is worth.
 */
import { CodedError } from '../../core/errors.js';
import { addressOctets } from '../subnet.js';
import type { DnsMessage, DnsQuestion, DnsRecord, RecordData, RecordType } from './dns-message.js';
import { labelsOf, nameOf } from './dns-name.js';

/** What an IPv6 link carries at least (1280, RFC 8200 §5), less the headers of IPv6 and UDP. */
export const MAX_SENT_OCTETS = 1232;
/** RFC 6762 §17 */
const MAX_HEARD_OCTETS = 9000;
const HEADER_OCTETS = 12;
/** RFC 1035 §2.3.4 */
const MAX_LABEL_OCTETS = 63;
const MAX_NAME_OCTETS = 255;

const TYPE_CODES = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, NSEC: 47, ANY: 255 } as const;
const TYPE_NAMES = new Map(
  Object.entries(TYPE_CODES).map(([name, code]) => [code as number, name as RecordType]),
);
const CLASS_IN = 1;
const CLASS_ANY = 255;
/** Of a question's class: unicast will do; of a record's: flush the cache. */
const TOP_BIT = 0x8000;
/** Of the header's second word. */
const FLAG = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200 } as const;
/** RFC 6762 §18.3, §18.11: messages with either not zero are ignored. */
const OPCODE_AND_RCODE = 0x780f;
const POINTER = 0xc000;

export function typeCode(type: RecordType): number {
  const known = (TYPE_CODES as Record<string, number | undefined>)[type];
  return known ?? Number(type.slice('TYPE'.length));
}

function typeName(code: number): RecordType {
  return TYPE_NAMES.get(code) ?? `TYPE${code}`;
}

/** The message, or undefined for anything that is none. Records of other classes than IN are left out. */
export function decodeMessage(octets: Uint8Array): DnsMessage | undefined {
  if (octets.length < HEADER_OCTETS || octets.length > MAX_HEARD_OCTETS) return undefined;
  try {
    return new Reader(octets).message();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Every read beyond the end is a RangeError. */
class Reader {
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  message(): DnsMessage | undefined {
    const [id, flags] = [this.#word(), this.#word()];
    const [asked, answered, authority, additional] = [
      this.#word(),
      this.#word(),
      this.#word(),
      this.#word(),
    ];
    if ((flags & OPCODE_AND_RCODE) !== 0) return undefined;
    return {
      id,
      response: (flags & FLAG.response) !== 0,
      truncated: (flags & FLAG.truncated) !== 0,
      questions: this.#list(asked, () => this.#question()),
      answers: this.#list(answered, () => this.#record()),
      authorities: this.#list(authority, () => this.#record()),
      additionals: this.#list(additional, () => this.#record()),
    };
  }

  #list<T>(count: number, read: () => T | undefined): T[] {
    const list: T[] = [];
    for (let i = 0; i < count; i++) {
      const item = read();
      if (item !== undefined) list.push(item);
    }
    return list;
  }

  #question(): DnsQuestion | undefined {
    const name = this.#name();
    const type = typeName(this.#word());
    const klass = this.#word();
    const known = [CLASS_IN, CLASS_ANY].includes(klass & ~TOP_BIT);
    return known ? { name, type, unicast: (klass & TOP_BIT) !== 0 } : undefined;
  }

  #record(): DnsRecord | undefined {
    const name = this.#name();
    const type = typeName(this.#word());
    const klass = this.#word();
    const ttl = this.#octets.readUInt32BE(this.#at);
    this.#at += 4;
    const length = this.#word();
    const end = this.#at + length;
    if (end > this.#octets.length) throw new RangeError('data beyond the end');
    // EDNS and the like use the class for something else.
    if ((klass & ~TOP_BIT) !== CLASS_IN) {
      this.#at = end;
      return undefined;
    }
    const data = this.#data(type, end);
    if (this.#at !== end) throw new RangeError('data of another length than announced');
    return { name, ttl, flush: (klass & TOP_BIT) !== 0, data };
  }

  #data(type: RecordType, end: number): RecordData {
    switch (type) {
      case 'A':
        return { type, address: [...this.#take(4)].join('.') };
      case 'AAAA':
        return { type, address: formatIPv6(this.#take(16)) };
      case 'PTR':
        return { type, target: this.#name() };
      case 'SRV': {
        const [priority, weight, port] = [this.#word(), this.#word(), this.#word()];
        return { type, priority, weight, port, host: this.#name() };
      }
      case 'TXT': {
        const texts: Uint8Array[] = [];
        while (this.#at < end) texts.push(this.#take(this.#octets.readUInt8(this.#at++)));
        return { type, texts };
      }
      case 'NSEC': {
        const next = this.#name();
        return { type, next, types: bitmapTypes(this.#take(end - this.#at)) };
      }
      default:
        return { type: `TYPE${typeCode(type)}`, octets: this.#take(end - this.#at) };
    }
  }

  #word(): number {
    const word = this.#octets.readUInt16BE(this.#at);
    this.#at += 2;
    return word;
  }

  /** A copy: what was heard is gone when the call is over. */
  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (length < 0 || end > this.#octets.length) throw new RangeError('beyond the end');
    const taken = Uint8Array.prototype.slice.call(this.#octets, this.#at, end);
    this.#at = end;
    return taken;
  }

  /** Pointers lead back alone (RFC 1035 §4.1.4), so that every name ends. */
  #name(): string {
    const labels: string[] = [];
    let at = this.#at;
    let start = at;
    let after: number | undefined;
    let total = 1;
    for (;;) {
      const length = this.#octets.readUInt8(at++);
      if (length === 0) break;
      if (length > MAX_LABEL_OCTETS) {
        if (length < POINTER >> 8) throw new RangeError('neither label nor pointer');
        const to = ((length << 8) | this.#octets.readUInt8(at++)) & ~POINTER;
        if (to >= start) throw new RangeError('a pointer that does not lead back');
        after ??= at;
        start = to;
        at = to;
        continue;
      }
      total += length + 1;
      if (at + length > this.#octets.length || total > MAX_NAME_OCTETS)
        throw new RangeError('a name too long');
      labels.push(this.#octets.toString('utf8', at, at + length));
      at += length;
    }
    this.#at = after ?? at;
    return nameOf(labels);
  }
}

function formatIPv6(octets: Uint8Array): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i]! << 8) | octets[i + 1]!).toString(16));
  // The longest run of zeros, RFC 5952 §4.2.
  let [from, length] = [0, 1];
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (groups[i + run] === '0') run++;
    if (run > length) [from, length] = [i, run];
  }
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}`;
}

/** Types up to 255: RFC 6762 §6.1 has no others in these records. */
function bitmapTypes(bitmap: Uint8Array): RecordType[] {
  const [window, length = 0] = bitmap;
  const types: RecordType[] = [];
  if (window !== 0) return types;
  for (let bit = 0; bit < 8 * length; bit++)
    if ((bitmap[2 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) types.push(typeName(bit));
  return types;
}

/**
 * Packets of at most `MAX_SENT_OCTETS`, unless one record is longer. Answers that do not fit follow in further
 * packets, those of a query after the truncation bit (RFC 6762 §7.2); additional records that do not fit stay out.
 *
 * @throws {CodedError} `DNS_NAME_TOO_LONG`
 */
export function encodeMessage(message: DnsMessage): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let answers = message.answers;
  do {
    const writer = new Writer(message);
    const room = packets.length === 0 ? message : { ...message, questions: [], authorities: [] };
    for (const question of room.questions) writer.question(question);
    let taken = 0;
    while (taken < answers.length && writer.record('answers', answers[taken]!, taken === 0))
      taken++;
    answers = answers.slice(taken);
    for (const record of room.authorities) writer.record('authorities', record, true);
    if (answers.length === 0)
      for (const record of message.additionals) writer.record('additionals', record, false);
    packets.push(writer.packet(!message.response && answers.length > 0));
  } while (answers.length > 0);
  return packets;
}

/** The data of a record as it is compared when two hosts want one name: without compression (RFC 6762 §8.2). */
export function rdataOf(data: RecordData): Uint8Array {
  return Writer.rdata(data);
}

const COUNTED = ['questions', 'answers', 'authorities', 'additionals'] as const;

class Writer {
  #octets = Buffer.alloc(512);
  #at = HEADER_OCTETS;
  /** Where a name, or the end of one, was written before. */
  readonly #names = new Map<string, number>();
  readonly #counts = { questions: 0, answers: 0, authorities: 0, additionals: 0 };
  readonly #message: DnsMessage;

  constructor(message: DnsMessage) {
    this.#message = message;
  }

  static rdata(data: RecordData): Uint8Array {
    const writer = new Writer({} as DnsMessage);
    writer.#data(data, false);
    return writer.#octets.subarray(HEADER_OCTETS, writer.#at);
  }

  packet(truncated: boolean): Uint8Array {
    const { id, response } = this.#message;
    const flags =
      (response ? FLAG.response | FLAG.authoritative : 0) | (truncated ? FLAG.truncated : 0);
    const counts = COUNTED.map(section => this.#counts[section]);
    for (const [i, word] of [id, flags, ...counts].entries())
      this.#octets.writeUInt16BE(word, 2 * i);
    return this.#octets.subarray(0, this.#at);
  }

  question({ name, type, unicast }: DnsQuestion): void {
    this.#name(name);
    this.#word(typeCode(type));
    this.#word(CLASS_IN | (unicast ? TOP_BIT : 0));
    this.#counts.questions++;
  }

  /** False if it does not fit and need not go in. */
  record(
    section: 'answers' | 'authorities' | 'additionals',
    { name, ttl, flush, data }: DnsRecord,
    needed: boolean,
  ): boolean {
    const start = this.#at;
    this.#name(name);
    this.#word(typeCode(data.type));
    this.#word(CLASS_IN | (flush ? TOP_BIT : 0));
    this.#room(6);
    this.#at = this.#octets.writeUInt32BE(ttl, this.#at);
    const length = this.#at;
    this.#word(0);
    this.#data(data, true);
    this.#octets.writeUInt16BE(this.#at - length - 2, length);
    if (this.#at > MAX_SENT_OCTETS && !needed) {
      this.#at = start;
      for (const [suffix, at] of this.#names) if (at >= start) this.#names.delete(suffix);
      return false;
    }
    this.#counts[section]++;
    return true;
  }

  #data(data: RecordData, compress: boolean): void {
    switch (data.type) {
      case 'A':
      case 'AAAA':
        this.#raw(addressOctets(data.address));
        return;
      case 'PTR':
        this.#name(data.target, compress);
        return;
      case 'SRV':
        for (const word of [data.priority, data.weight, data.port]) this.#word(word);
        // RFC 6762 §18.14 lets it be compressed, unlike RFC 2782.
        this.#name(data.host, compress);
        return;
      case 'TXT':
        // RFC 6763 §6.1: never without a string.
        for (const text of data.texts.length > 0 ? data.texts : [new Uint8Array()]) {
          this.#raw(Uint8Array.of(text.length));
          this.#raw(text);
        }
        return;
      case 'NSEC': {
        this.#name(data.next, compress);
        const codes = data.types.map(typeCode);
        const bitmap = new Uint8Array((Math.max(0, ...codes) >> 3) + 1);
        for (const code of codes) bitmap[code >> 3]! |= 0x80 >> (code & 7);
        this.#raw(Uint8Array.of(0, bitmap.length, ...bitmap));
        return;
      }
      default:
        this.#raw(data.octets);
        return;
    }
  }

  #name(name: string, compress = true): void {
    const labels = labelsOf(name);
    for (let i = 0; i < labels.length; i++) {
      const suffix = labels.slice(i).join('\0');
      const before = compress ? this.#names.get(suffix) : undefined;
      if (before !== undefined) {
        this.#word(POINTER | before);
        return;
      }
      if (this.#at < POINTER >> 2 && compress) this.#names.set(suffix, this.#at);
      const label = Buffer.from(labels[i]!);
      if (label.length > MAX_LABEL_OCTETS || label.length === 0) {
        throw new CodedError('DNS_NAME_TOO_LONG', `expected labels of 1 to 63 octets: "${name}"`);
      }
      this.#raw(Uint8Array.of(label.length));
      this.#raw(label);
    }
    this.#raw(Uint8Array.of(0));
  }

  #word(word: number): void {
    this.#room(2);
    this.#at = this.#octets.writeUInt16BE(word, this.#at);
  }

  #raw(octets: Uint8Array): void {
    this.#room(octets.length);
    this.#octets.set(octets, this.#at);
    this.#at += octets.length;
  }

  #room(octets: number): void {
    if (this.#at + octets <= this.#octets.length) return;
    const larger = Buffer.alloc(2 * this.#octets.length + octets);
    this.#octets.copy(larger);
    this.#octets = larger;
  }
}
