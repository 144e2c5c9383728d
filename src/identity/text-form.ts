/** Records as one line of text, as people pass them on: `ringline-enrolment-1:` and base64url. */
import { CodedError } from '../core/errors.js';
import { KEY_OCTETS } from './signing.js';

export type TextKind = 'certificate' | 'devices' | 'enrolment' | 'expulsions';

export function recordToText(kind: TextKind, octets: Uint8Array): string {
  return `ringline-${kind}-1:${Buffer.from(octets).toString('base64url')}`;
}

/** @throws {CodedError} `BAD_RECORD_TEXT` */
export function recordFromText(kind: TextKind, text: string): Uint8Array {
  const head = `ringline-${kind}-1:`;
  const body = text.trim();
  if (body.startsWith(head) && /^[\w-]+$/.test(body.slice(head.length))) {
    return Buffer.from(body.slice(head.length), 'base64url');
  }
  throw new CodedError('BAD_RECORD_TEXT', `expected a line that begins with "${head}"`, {
    remedy: 'Give the whole line, as it was printed.',
  });
}

/** Hexadecimal: no letter of it is taken for an option of a command. */
export function keyToText(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

/** @throws {CodedError} `BAD_PUBLIC_KEY` */
export function keyFromText(text: string): Uint8Array {
  if (/^[0-9a-f]{64}$/i.test(text.trim())) return Buffer.from(text.trim(), 'hex');
  throw new CodedError(
    'BAD_PUBLIC_KEY',
    `expected a key of ${2 * KEY_OCTETS} hexadecimal digits, found "${text}"`,
    { remedy: '`ringline user show` prints it, on the phone whose key it is.' },
  );
}
