/**
 * What stands in the body: records, versions of records, membership entries and digests, each on a line of words
 * (README.md); the value of a record follows its line. Lines of an unknown kind are passed over, with their octets.
 */
import { CodedError } from '../../core/errors.js';
import type { AttachedNode } from '../nodes/node-messages.js';
import type { MembershipEntry } from '../ring/membership-entry.js';
import { furtherAddress, type Peer } from '../ring/peer.js';
import type { RecordVersion, RingRecord } from '../ring/records.js';
import { isAddress, readId } from './peer-uri.js';
import { shown, Unreadable } from './refusal.js';

export const BODY_TYPE = 'application/ringline-record';

export interface Items {
  readonly records: readonly RingRecord[];
  readonly versions: readonly RecordVersion[];
  readonly entries: readonly MembershipEntry[];
  readonly digests: readonly number[];
  readonly parts: readonly number[];
  readonly nodes: readonly AttachedNode[];
}

const LF = 0x0a;
const CR = 0x0d;
const LINE_END = Buffer.from('\r\n');
/** Of one line: the longest are those of digests, 256 of 9 characters. */
const MAX_LINE_OCTETS = 4_096;
/** Of one body: 8 ms of this processor are spent on reading them. */
const MAX_LINES = 2_500;
/** Records, versions and entries of one body: twice what anybody sends; most are to be verified. */
const MAX_ITEMS = 1_000;
/** The last word of a line after which octets follow: `+` and how many. */
const OCTETS_FOLLOW = /^\+(\d{1,7})$/;
/** The value of a record that is none: a tombstone. */
const GONE = '-';
/** The signer of an entry is the member it speaks of. */
const ITSELF = '.';
/** Before a further address of a member or node, after what every version reads. */
const ALSO = 'also=';

/** @throws {CodedError} `UNWRITABLE` */
export function writeBody(items: Partial<Items>): Uint8Array {
  const pieces: Uint8Array[] = [];
  const line = (...words: string[]) => {
    const octets = Buffer.from(`${words.join(' ')}\r\n`);
    if (octets.length > MAX_LINE_OCTETS) throw unwritable('a line of 4096 octets', words[0]!);
    pieces.push(octets);
  };
  const writeRecord = (record: RingRecord) => {
    const { value, lifeMs, ageMs, signature } = record;
    const times = [count(lifeMs), count(Math.max(0, Math.round(ageMs)))];
    const length = value ? `+${value.length}` : GONE;
    line('record', ...versionWords(record), ...times, word(signature), length);
    if (value) pieces.push(value, LINE_END);
  };
  for (const record of items.records ?? []) writeRecord(record);
  for (const version of items.versions ?? []) line('version', ...versionWords(version));
  for (const { peer, version, state, signer, signature } of items.entries ?? []) {
    if (!isAddress(peer.address)) throw unwritable('the address of a member', peer.address);
    const by = signer === peer.id ? ITSELF : word(signer);
    const words = [peer.id, peer.address, count(version), state, by, word(signature)];
    line('member', ...words, ...alsoWords(peer));
  }
  if (items.digests) line('digests', ...items.digests.map(digest => count(digest, 16)));
  for (const { peer, contact, expiresS, records } of items.nodes ?? []) {
    if (!isAddress(peer.address)) throw unwritable('the address of a node', peer.address);
    const words = [peer.id, peer.address, word(contact), count(expiresS), count(records.length)];
    line('node', ...words, ...alsoWords(peer));
    for (const record of records) writeRecord(record);
  }
  if (items.parts) line('parts', ...items.parts.map(part => count(part)));
  return Buffer.concat(pieces);
}

/** @throws {Unreadable} `MALFORMED`, `BAD_ID`, `TOO_LARGE` */
export function readBody(body: Uint8Array): Items {
  const octets = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const records: RingRecord[] = [];
  const versions: RecordVersion[] = [];
  const entries: MembershipEntry[] = [];
  const digests: number[] = [];
  const parts: number[] = [];
  const nodes: AttachedNode[] = [];
  /** The records that follow are those of the last node, as many as it says. */
  let ofNode: { records: RingRecord[]; count: number } = { records: [], count: 0 };
  let at = 0;
  let items = 0;
  for (let lines = 1; at < octets.length; lines++) {
    if (lines > MAX_LINES) throw tooManyLines();
    const end = octets.subarray(at, at + MAX_LINE_OCTETS).indexOf(LF) + at;
    if (end < at + 1 || octets[end - 1] !== CR)
      throw malformed('a line of at most 4096 octets that ends in CRLF');
    const words = octets.toString('utf8', at, end - 1).split(' ');
    at = end + 1;
    const follow = OCTETS_FOLLOW.exec(words.at(-1)!);
    let value: Uint8Array | undefined;
    if (follow) {
      const length = Number(follow[1]);
      if (!octets.subarray(at + length, at + length + 2).equals(LINE_END)) {
        throw malformed(`${length} octets and a line end`);
      }
      value = octets.subarray(at, at + length);
      at += length + 2;
    }
    if (isItem(words[0]) && ++items > MAX_ITEMS) {
      throw new Unreadable(
        'TOO_LARGE',
        `expected up to ${MAX_ITEMS} items in the body, found more`,
      );
    }
    switch (words[0]) {
      case 'record':
        (ofNode.records.length < ofNode.count ? ofNode.records : records).push(
          readRecord(words, value),
        );
        break;
      case 'node': {
        const [node, count] = readNode(words);
        ofNode = { records: [], count };
        nodes.push({ ...node, records: ofNode.records });
        break;
      }
      case 'version':
        versions.push(readVersion(words));
        break;
      case 'member':
        entries.push(readEntry(words));
        break;
      case 'digests':
        digests.push(...words.slice(1).map(text => readCount(text, 16, 0xffffffff)));
        break;
      case 'parts':
        parts.push(...words.slice(1).map(text => readCount(text)));
        break;
      default:
        break;
    }
  }
  return { records, versions, entries, digests, parts, nodes };
}

function isItem(kind: string | undefined): boolean {
  return kind === 'record' || kind === 'version' || kind === 'member';
}

function readRecord(words: string[], value: Uint8Array | undefined): RingRecord {
  const [, , , , life = '', age = '', signature = ''] = words;
  const last = words.at(-1);
  if (value === undefined && last !== GONE) throw malformed('a value, or "-" for none', last);
  return {
    ...readVersion(words),
    lifeMs: readCount(life),
    ageMs: readCount(age),
    signature: readWord(signature),
    // A copy: the whole message is not kept for one of its records.
    value: value && new Uint8Array(value),
  };
}

function readVersion([, key = '', publisher = '', sequence = '']: string[]): RecordVersion {
  return { key: readId(key), publisher: readWord(publisher), sequence: readCount(sequence) };
}

function readEntry([
  ,
  id = '',
  address = '',
  version = '',
  state,
  by = '',
  signature = '',
  ...more
]: string[]) {
  if (state !== 'present' && state !== 'gone') throw malformed('"present" or "gone"', state);
  if (!isAddress(address)) throw malformed('the address of a member', address);
  const peer = { id: readId(id), address, ...alsoIn(more) };
  const signer = by === ITSELF ? peer.id : readWord(by);
  return {
    peer,
    version: readCount(version),
    state,
    signer,
    signature: readWord(signature),
  } as const;
}

function readNode([
  ,
  id = '',
  address = '',
  contact = '',
  expires = '',
  count = '',
  ...more
]: string[]) {
  if (!isAddress(address)) throw malformed('the address of a node', address);
  const node = {
    peer: { id: readId(id), address, ...alsoIn(more) },
    contact: readWord(contact),
    expiresS: readCount(expires),
  };
  return [node, readCount(count)] as const;
}

function alsoWords({ also }: Peer): string[] {
  return also === undefined ? [] : [`${ALSO}${also}`];
}

function alsoIn(words: readonly string[]): Pick<Peer, 'also'> {
  const found = words.find(each => each.startsWith(ALSO));
  return furtherAddress(found?.slice(ALSO.length));
}

function versionWords({ key, publisher, sequence }: RecordVersion): string[] {
  return [key, word(publisher), count(sequence)];
}

/** UTF-8 in percent escapes, but for letters, digits and what base64 and URIs need; `%` alone for nothing. */
function word(text: string): string {
  if (text === '') return '%';
  let written: string;
  try {
    written = encodeURIComponent(text);
  } catch {
    throw unwritable('well-formed text', text);
  }
  const bare = written.replace(/%(?:2[BF]|3[AD]|40)/g, decodeURIComponent);
  return bare.replace(/^[.+-]/, first => `%${first.charCodeAt(0).toString(16).toUpperCase()}`);
}

function readWord(text: string): string {
  if (text === '%') return '';
  try {
    if (text !== '') return decodeURIComponent(text);
  } catch {
    // Told below.
  }
  throw malformed('a word with percent escapes', text);
}

function count(value: number, base = 10): string {
  if (Number.isSafeInteger(value) && value >= 0) return value.toString(base);
  throw unwritable('a number that is whole and not negative', String(value));
}

function readCount(text: string, base = 10, max = Number.MAX_SAFE_INTEGER): number {
  const value = (base === 10 ? /^\d{1,16}$/ : /^[0-9a-f]{1,8}$/i).test(text)
    ? Number.parseInt(text, base)
    : Number.NaN;
  if (value <= max) return value;
  throw malformed('a number', text);
}

function tooManyLines(): Unreadable {
  return new Unreadable('TOO_LARGE', `expected up to ${MAX_LINES} lines in the body, found more`);
}

function malformed(expected: string, found?: string): Unreadable {
  const told = found === undefined ? '' : `, found ${shown(found)}`;
  return new Unreadable('MALFORMED', `expected ${expected} in the body${told}`);
}

function unwritable(expected: string, found: string): CodedError {
  return new CodedError('UNWRITABLE', `expected ${expected}, found ${shown(found)}`);
}
