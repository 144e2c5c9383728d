/** Secret key transaction authentication (RFC 8945), by HMAC-SHA256: who asks, and that the answer is to that. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { CodedError } from '../../core/errors.js';
import { nameOctets, WireReader, words } from './wire.js';

export interface TsigKey {
  /** As the server calls it, e.g. `alice.home.example.net`. */
  readonly name: string;
  readonly secret: Uint8Array;
}

const ALGORITHM = nameOctets('hmac-sha256');
const TYPE_TSIG = 250;
const CLASS_ANY = 255;
/** How far clocks may be apart, in s (RFC 8945 §10). */
const FUDGE_S = 300;
const MAC_OCTETS = 32;
/** RFC 8945 §3, in the field of the TSIG record. */
export const TSIG_ERROR = { BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

export interface Signed {
  readonly octets: Uint8Array;
  /** Part of what the answer is signed over. */
  readonly mac: Uint8Array;
}

/** What follows a message that is signed, as far as it is signed itself. */
interface Variables {
  readonly name: Uint8Array;
  readonly timeS: number;
  readonly fudgeS: number;
  readonly error: number;
  readonly other: Uint8Array;
}

/** @param nowS seconds since 1970 */
export function sign(message: Uint8Array, key: TsigKey, nowS: number): Signed {
  const timeS = Math.floor(nowS);
  const name = nameOctets(key.name);
  const variables = { name, timeS, fudgeS: FUDGE_S, error: 0, other: new Uint8Array() };
  const mac = digest(key, [message, ...signedPart(variables)]);
  const id = message.subarray(0, 2);
  const data = Buffer.concat([
    ALGORITHM,
    time(timeS),
    words(FUDGE_S, mac.length),
    mac,
    id,
    words(0, 0),
  ]);
  const record = [name, words(TYPE_TSIG, CLASS_ANY, 0, 0, data.length), data];
  const octets = Buffer.concat([message, ...record]);
  octets.writeUInt16BE(octets.readUInt16BE(10) + 1, 10);
  return { octets, mac };
}

export interface Verdict {
  /** Signed by the key, in answer to that request. */
  readonly genuine: boolean;
  /** Of the TSIG record; 0 where there is none. */
  readonly error: number;
  /** What the server takes for now, in s since 1970, where it says so (BADTIME, RFC 8945 §5.2.3). */
  readonly serverTimeS?: number;
}

/** @throws {RangeError} for what is no DNS message */
export function verify(answer: Uint8Array, requestMac: Uint8Array, key: TsigKey): Verdict {
  const at = lastRecordAt(answer);
  if (at === undefined) return { genuine: false, error: 0 };
  const reader = new WireReader(answer, at);
  const name = reader.name();
  const [type, klass] = [reader.word(), reader.word()];
  const ttl = [reader.word(), reader.word()];
  const end = reader.word() + reader.at;
  if (type !== TYPE_TSIG || klass !== CLASS_ANY) return { genuine: false, error: 0 };
  const algorithm = reader.name();
  const [timeS, fudgeS] = [reader.time(), reader.word()];
  const mac = reader.take(reader.word());
  const id = reader.take(2);
  const error = reader.word();
  const other = reader.take(reader.word());
  // What is not signed has one value that is right.
  const isWhole = ttl.every(each => each === 0) && reader.at === end && end === answer.length;
  const unsigned = Buffer.from(answer.subarray(0, at));
  unsigned.set(id, 0);
  unsigned.writeUInt16BE(unsigned.readUInt16BE(10) - 1, 10);
  const isKey = same(name, nameOctets(key.name)) && same(algorithm, ALGORITHM);
  const variables = { name: nameOctets(key.name), timeS, fudgeS, error, other };
  const parts = [words(requestMac.length), requestMac, unsigned, ...signedPart(variables)];
  // Shorter ones are allowed where both agree (RFC 8945 §5.2.2.1), which we do not.
  const genuine =
    isKey && isWhole && mac.length === MAC_OCTETS && timingSafeEqual(mac, digest(key, parts));
  const isTimed = error === TSIG_ERROR.BADTIME && other.length === 6;
  return { genuine, error, ...(isTimed && { serverTimeS: new WireReader(other).time() }) };
}

/** @throws {CodedError} `BAD_TSIG_KEY` */
export function readTsigSecret(base64: string): Uint8Array {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0;
  const secret = Buffer.from(isBase64 ? base64 : '', 'base64');
  if (secret.length >= 16) return secret;
  throw new CodedError('BAD_TSIG_KEY', 'expected a secret of 16 octets or more in base64', {
    remedy: 'Take what `keymgr -t NAME hmac-sha256` or `tsig-keygen NAME` prints as the secret.',
  });
}

function digest({ secret }: TsigKey, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** RFC 8945 §4.3.3 */
function signedPart({ name, timeS, fudgeS, error, other }: Variables): Uint8Array[] {
  const head = [name, words(CLASS_ANY, 0, 0), ALGORITHM, time(timeS)];
  return [...head, words(fudgeS, error, other.length), other];
}

function time(timeS: number): Uint8Array {
  const octets = Buffer.alloc(6);
  octets.writeUIntBE(timeS, 0, 6);
  return octets;
}

/** Where the last record of the additional section begins, where there is one. */
function lastRecordAt(message: Uint8Array): number | undefined {
  const reader = new WireReader(message, 4);
  const [questions, ...records] = [reader.word(), reader.word(), reader.word(), reader.word()];
  for (let i = 0; i < questions!; i++) {
    reader.name();
    reader.take(4);
  }
  const count = records.reduce((sum, each) => sum + each, 0);
  let at: number | undefined;
  for (let i = 0; i < count; i++) {
    at = reader.at;
    reader.name();
    reader.take(8);
    reader.take(reader.word());
  }
  return records[2] === 0 ? undefined : at;
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
