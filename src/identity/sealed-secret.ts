/**
 * A secret sealed by a passphrase, as one line of text that a file or a QR code holds (about 150 characters):
 * `ringline-KIND-1:` and base64url of
 *
 *   [salt: bytes .size 16, cost: uint, name: text, counter: uint, nonce: bytes .size 12, sealed: bytes .size 48]
 *
 * by scrypt (RFC 7914) and ChaCha20-Poly1305. The counter is where the key's records had got to (freshness.ts).
 */
import { scrypt } from 'node:crypto';
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { decrypt, encrypt, NONCE_OCTETS, TAG_OCTETS } from './aead.js';
import { decodeCbor, encodeCbor } from './cbor.js';
import { isCount, isOctets, isText, itemsOf } from './fields.js';
import { FRESHNESS_BOUNDS } from './freshness.js';
import { KEY_OCTETS } from './signing.js';

export type SecretKind = 'user' | 'overlay';

export interface NamedSecret {
  readonly kind: SecretKind;
  /** Of the user or the overlay; told without the passphrase. */
  readonly name: string;
  /** The next sequence number of what the key signs. */
  readonly counter: number;
  /** 32 octets. */
  readonly secret: Uint8Array;
}

/** Binary logarithm of the rounds: 32 MiB and some 0.1 s on x86, 0.5 s on a Raspberry Pi 4's cores. */
const COST = 15;
/** 256 MiB: what a text of others may ask of us. */
const MAX_COST = 18;
const BLOCKS = 8;
const SALT_OCTETS = 16;
const MAX_NAME_OCTETS = 64;
/** Less is guessed, by whoever has the text. */
export const MIN_PASSPHRASE_CHARACTERS = 8;

const TEXT = /^ringline-(user|overlay)-1:([\w-]{1,512})$/;
const BOUNDS = { octets: 384, depth: 1, items: 7 } as const;

/** @throws {CodedError} `BAD_PASSPHRASE` for one that is too short */
export async function sealSecret(
  { kind, name, counter, secret }: NamedSecret,
  passphrase: string,
  random: Random,
): Promise<string> {
  if ([...passphrase].length < MIN_PASSPHRASE_CHARACTERS) {
    const expected = `expected a passphrase of at least ${MIN_PASSPHRASE_CHARACTERS} characters`;
    throw new CodedError('BAD_PASSPHRASE', `${expected}, found a shorter one`, {
      remedy: 'Take several words that nobody would put together.',
    });
  }
  const [salt, nonce] = [random.bytes(SALT_OCTETS), random.bytes(NONCE_OCTETS)];
  const key = await keyOf(passphrase, salt, COST);
  const about = aboutOf(kind, name, COST, counter);
  const sealed = encrypt({ key, nonce, about }, secret);
  const body = encodeCbor([salt, COST, name, counter, nonce, sealed]);
  return `ringline-${kind}-1:${Buffer.from(body).toString('base64url')}`;
}

/** @throws {CodedError} `BAD_KEY_TEXT`, `WRONG_PASSPHRASE` */
export async function openSecret(
  text: string,
  kind: SecretKind,
  passphrase: string,
): Promise<NamedSecret> {
  const [, found, body = ''] = TEXT.exec(text.trim()) ?? [];
  if (found !== kind) throw badText(kind, found ? `one of kind ${found}` : 'other text');
  const decoded = decodeCbor(Buffer.from(body, 'base64url'), BOUNDS);
  const [salt, cost, name, counter, nonce, sealed] = decoded.ok ? itemsOf(decoded.value) : [];
  if (
    !isOctets(salt, SALT_OCTETS) ||
    !isCount(cost, MAX_COST) ||
    cost === 0 ||
    !isText(name, MAX_NAME_OCTETS) ||
    !isCount(counter, FRESHNESS_BOUNDS.sequences - 1) ||
    !isOctets(nonce, NONCE_OCTETS) ||
    !isOctets(sealed, KEY_OCTETS + TAG_OCTETS)
  ) {
    throw badText(kind, 'a damaged one');
  }
  const key = await keyOf(passphrase, salt, cost);
  const about = aboutOf(kind, name, cost, counter);
  const secret = decrypt({ key, nonce, about }, sealed);
  if (secret) return { kind, name, counter, secret };
  throw new CodedError(
    'WRONG_PASSPHRASE',
    `the key of "${name}" is not opened by this passphrase`,
    {
      remedy:
        'Type the one it was sealed with; a text that was changed is not told from a wrong one.',
    },
  );
}

function keyOf(passphrase: string, salt: Uint8Array, cost: number): Promise<Buffer> {
  const N = 2 ** cost;
  // 128·N·r octets are its table (RFC 7914 §2); Node refuses above 32 MiB unless told otherwise.
  const options = { N, r: BLOCKS, p: 1, maxmem: 129 * N * BLOCKS + 2 ** 20 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), salt, KEY_OCTETS, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

function aboutOf(kind: SecretKind, name: string, cost: number, counter: number): Uint8Array {
  return encodeCbor([`ringline-${kind}-1`, name, cost, counter]);
}

function badText(kind: SecretKind, found: string): CodedError {
  return new CodedError('BAD_KEY_TEXT', `expected a sealed ${kind} key, found ${found}`, {
    remedy: `Give the whole line: it begins with "ringline-${kind}-1:".`,
  });
}
