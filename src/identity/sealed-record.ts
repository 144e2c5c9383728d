/**
 * Something for one or several users alone, kept with others: voicemail, contacts, settings.
 *
 *   header = [1, ephemeral: bytes .size 32, [1*16 slot: bytes .size 48], chunks: uint]     (CBOR)
 *   chunk  = ChaCha20-Poly1305 of 32 KiB of the content, the last of the rest
 *   content = sender key (32) | signature (64) | length of the body (4) | body | zeros
 *
 * - The content key is drawn for each record. Each slot holds it for one recipient, under HKDF-SHA256 of what X25519
 *   makes of an ephemeral key and the recipient's; which slot is whose is not told.
 * - A nonce is the number of the chunk, and the header, which tells how many there are, is authenticated with each: no
 *   key meets a nonce twice, and chunks neither change places nor go missing unnoticed.
 * - The sender's signature is inside, so holders do not learn who sent it. It covers purpose, header (thus all
 *   recipients: nobody passes it on as if to another) and body.
 * - Zeros fill the content up to one of few lengths (at most 12 % more).
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { decrypt, encrypt, NONCE_OCTETS, TAG_OCTETS } from './aead.js';
import { decodeCbor, encodeCbor } from './cbor.js';
import { isCount, isOctets, itemsOf, sameOctets } from './fields.js';
import { accept, type Outcome, type Refusal, refuse } from './refusal.js';
import { derivedKey, KEY_OCTETS, SIGNATURE_OCTETS, type Signer, type Verifier } from './signing.js';
import { type SealingKey, X25519Key } from './user-key.js';

/** What it is, and where: opened for anything else it is refused. */
export interface SealedPurpose {
  /** Such as `voicemail`. */
  readonly kind: string;
  readonly overlay: string;
  readonly subject: string;
}

export interface Sealed {
  readonly header: Uint8Array;
  /** Each a value by itself for those who keep it; 1 to 32. */
  readonly chunks: readonly Uint8Array[];
}

export interface SealOptions {
  readonly body: Uint8Array;
  readonly sender: Signer;
  /** Raw X25519 keys, 1 to 16. */
  readonly recipients: readonly Uint8Array[];
  readonly purpose: SealedPurpose;
  readonly random: Random;
}

export interface OpenOptions {
  readonly key: SealingKey;
  readonly purpose: SealedPurpose;
  readonly verifier: Verifier;
  /** Where only this one may have sent it. */
  readonly sender?: Uint8Array;
}

export interface Opened {
  /** Raw Ed25519 key. */
  readonly sender: Uint8Array;
  readonly body: Uint8Array;
}

export const MAX_RECIPIENTS = 16;
const CHUNK_OCTETS = 2 ** 15;
/** 1 MiB, in 32 chunks. */
const MAX_CONTENT_OCTETS = 2 ** 20;
const PREFIX_OCTETS = KEY_OCTETS + SIGNATURE_OCTETS + 4;
export const MAX_SEALED_BODY_OCTETS = MAX_CONTENT_OCTETS - PREFIX_OCTETS;
const MAX_CHUNKS = MAX_CONTENT_OCTETS / CHUNK_OCTETS;
const MIN_CONTENT_OCTETS = 256;
const SLOT_OCTETS = KEY_OCTETS + TAG_OCTETS;

const FORMAT = 1;
const HEAD = 'ringline sealed record 1';
const HEADER_BOUNDS = { octets: 1024, depth: 2, items: 5 + MAX_RECIPIENTS } as const;
/** Each slot's key is derived from an ephemeral one and used once. */
const ONLY_NONCE = new Uint8Array(NONCE_OCTETS);

/** @throws {CodedError} `TOO_LARGE_TO_SEAL`, `BAD_RECIPIENTS` */
export function seal({ body, sender, recipients, purpose, random }: SealOptions): Sealed {
  if (body.length > MAX_SEALED_BODY_OCTETS) {
    throw new CodedError(
      'TOO_LARGE_TO_SEAL',
      `expected at most ${MAX_SEALED_BODY_OCTETS} octets, found ${body.length}`,
      { remedy: 'Seal it in several records.' },
    );
  }
  const content = Buffer.alloc(paddedLength(PREFIX_OCTETS + body.length));
  const chunks = Math.ceil(content.length / CHUNK_OCTETS);
  const contentKey = random.bytes(KEY_OCTETS);
  const ephemeral = new X25519Key(random.bytes(KEY_OCTETS));
  const slots = slotsFor(recipients, purpose, ephemeral, contentKey);
  const header = encodeCbor([FORMAT, ephemeral.publicKey, slots, chunks]);
  content.set(sender.publicKey, 0);
  content.set(sender.sign(signedText(purpose, header, body)), KEY_OCTETS);
  content.writeUInt32BE(body.length, PREFIX_OCTETS - 4);
  content.set(body, PREFIX_OCTETS);
  const about = digest(header);
  return {
    header,
    chunks: Array.from({ length: chunks }, (_, index) => {
      const plain = content.subarray(index * CHUNK_OCTETS, (index + 1) * CHUNK_OCTETS);
      return encrypt({ key: contentKey, nonce: nonceOf(index), about }, plain);
    }),
  };
}

/** Refused with `TOO_LARGE`, `MALFORMED`, `UNDECIPHERABLE` (not for this key or purpose, or tampered with),
 * `BAD_SIGNATURE` or `WRONG_KEY` (of another sender). */
export function open(
  { header, chunks }: Sealed,
  { key, purpose, verifier, sender: expected }: OpenOptions,
): Outcome<Opened> {
  const fields = readHeader(header);
  if (!fields.ok) return fields;
  if (chunks.length !== fields.value.chunks) {
    const found = `expected ${fields.value.chunks} chunks, found ${chunks.length}`;
    return refuse('UNDECIPHERABLE', found);
  }
  const contentKey = contentKeyOf(fields.value, key, purpose);
  if (!contentKey)
    return refuse('UNDECIPHERABLE', 'it was not sealed to this key for this purpose');
  const content = decryptChunks(chunks, contentKey, digest(header));
  if (content instanceof Uint8Array)
    return readContent(content, header, purpose, verifier, expected);
  return content;
}

/**
 * One of few lengths, so that the length tells little: the upper bits stay, as many as the length's exponent has
 * (Padmé, "Reducing Metadata Leakage from Encrypted Files", PoPETs 2019 §4).
 */
export function paddedLength(length: number): number {
  if (length <= MIN_CONTENT_OCTETS) return MIN_CONTENT_OCTETS;
  const exponent = Math.floor(Math.log2(length));
  const kept = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - kept);
  return Math.ceil(length / step) * step;
}

interface Header {
  readonly ephemeral: Uint8Array;
  readonly slots: readonly Uint8Array[];
  readonly chunks: number;
}

function readHeader(octets: Uint8Array): Outcome<Header> {
  const decoded = decodeCbor(octets, HEADER_BOUNDS);
  if (!decoded.ok) return decoded;
  const [format, ephemeral, slotList, chunks, ...more] = itemsOf(decoded.value);
  const slots = itemsOf(slotList).filter((slot): slot is Uint8Array => isOctets(slot, SLOT_OCTETS));
  return format === FORMAT &&
    isOctets(ephemeral, KEY_OCTETS) &&
    slots.length === itemsOf(slotList).length &&
    slots.length > 0 &&
    slots.length <= MAX_RECIPIENTS &&
    isCount(chunks, MAX_CHUNKS) &&
    more.length === 0
    ? accept({ ephemeral, slots, chunks })
    : refuse('MALFORMED', 'expected the header of a sealed record');
}

function slotsFor(
  recipients: readonly Uint8Array[],
  purpose: SealedPurpose,
  ephemeral: SealingKey,
  contentKey: Uint8Array,
): Uint8Array[] {
  // The same one twice would have the same key encrypt twice under one nonce.
  const names = new Set(recipients.map(each => Buffer.from(each).toString('hex')));
  if (names.size < 1 || names.size > MAX_RECIPIENTS) {
    const expected = `expected 1 to ${MAX_RECIPIENTS} recipients`;
    throw new CodedError('BAD_RECIPIENTS', `${expected}, found ${names.size}`);
  }
  return [...names].map(name => {
    const recipient = Buffer.from(name, 'hex');
    const shared = ephemeral.agree(recipient);
    if (!shared) throw new CodedError('BAD_RECIPIENTS', `expected an X25519 key, found ${name}`);
    const key = slotKey(shared, ephemeral.publicKey, recipient, purpose);
    return encrypt({ key, nonce: ONLY_NONCE, about: new Uint8Array() }, contentKey);
  });
}

function contentKeyOf(
  { ephemeral, slots }: Header,
  own: SealingKey,
  purpose: SealedPurpose,
): Uint8Array | undefined {
  const shared = own.agree(ephemeral);
  if (!shared) return undefined;
  const key = slotKey(shared, ephemeral, own.publicKey, purpose);
  for (const slot of slots) {
    const found = decrypt({ key, nonce: ONLY_NONCE, about: new Uint8Array() }, slot);
    if (found) return found;
  }
  return undefined;
}

function decryptChunks(
  chunks: readonly Uint8Array[],
  key: Uint8Array,
  about: Uint8Array,
): Uint8Array | Refusal {
  const parts: Uint8Array[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const number = `chunk ${index + 1} of ${chunks.length}`;
    if (chunk.length > CHUNK_OCTETS + TAG_OCTETS) {
      return refuse('TOO_LARGE', `expected at most ${CHUNK_OCTETS} octets in ${number}`);
    }
    const plain = decrypt({ key, nonce: nonceOf(index), about }, chunk);
    if (!plain) return refuse('UNDECIPHERABLE', `${number} was tampered with or is another`);
    parts.push(plain);
  }
  return Buffer.concat(parts);
}

function readContent(
  content: Uint8Array,
  header: Uint8Array,
  purpose: SealedPurpose,
  verifier: Verifier,
  expected: Uint8Array | undefined,
): Outcome<Opened> {
  const octets = Buffer.from(content);
  const length = octets.length < PREFIX_OCTETS ? 0 : octets.readUInt32BE(PREFIX_OCTETS - 4);
  if (octets.length < PREFIX_OCTETS + length) {
    return refuse('MALFORMED', 'expected a sender, a signature and a body');
  }
  const sender = octets.subarray(0, KEY_OCTETS);
  const signature = octets.subarray(KEY_OCTETS, KEY_OCTETS + SIGNATURE_OCTETS);
  const body = octets.subarray(PREFIX_OCTETS, PREFIX_OCTETS + length);
  if (expected && !sameOctets(sender, expected)) {
    return refuse('WRONG_KEY', 'expected a record of another sender');
  }
  if (!verifier.verify(sender, signedText(purpose, header, body), signature)) {
    return refuse('BAD_SIGNATURE', 'it was not signed by the one it names as its sender');
  }
  return accept({ sender, body });
}

function slotKey(
  shared: Uint8Array,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
  purpose: SealedPurpose,
): Uint8Array {
  const about = Buffer.from(encodeCbor([HEAD, ...wordsOf(purpose)])).toString('latin1');
  return derivedKey(shared, Buffer.concat([ephemeral, recipient]), about);
}

function signedText(purpose: SealedPurpose, header: Uint8Array, body: Uint8Array): Uint8Array {
  return encodeCbor([HEAD, ...wordsOf(purpose), digest(header), digest(body)]);
}

function wordsOf({ kind, overlay, subject }: SealedPurpose): string[] {
  return [kind, overlay, subject];
}

function digest(octets: Uint8Array): Uint8Array {
  return createHash('sha256').update(octets).digest();
}

function nonceOf(index: number): Uint8Array {
  const nonce = Buffer.alloc(NONCE_OCTETS);
  nonce.writeUInt32BE(index, NONCE_OCTETS - 4);
  return nonce;
}
