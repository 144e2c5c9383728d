/** The keys of a handset, and how they are written. */
import { CodedError } from '../core/errors.js';
import { parseDigits } from '../media/dtmf/digits.js';

export type HandsetKey =
  /** The other side waits. */
  | { readonly key: 'hold' }
  /** Who waits is heard again; who was heard waits. */
  | { readonly key: 'resume' }
  /** Calls somebody else while the other side waits. */
  | { readonly key: 'consult'; readonly who: string }
  /** Sends the other side to somebody; where nobody is named, to who was consulted. */
  | { readonly key: 'transfer'; readonly who?: string }
  | { readonly key: 'hangup' }
  /** The keys 0 to 9, *, #: to the other side. */
  | { readonly key: 'digits'; readonly digits: string };

export const HANDSET_KEYS = ['hold', 'resume', 'consult', 'transfer', 'hangup', 'digits'] as const;

/**
 * `hold`, `resume`, `consult WHO`, `transfer [WHO]`, `hangup`, `digits 123#`.
 *
 * @throws {CodedError} `BAD_KEY`, `BAD_DIGITS`
 */
export function parseHandsetKey(line: string): HandsetKey {
  const [word = '', ...rest] = line.trim().split(/\s+/);
  const who = rest.join(' ');
  if (word === 'transfer') return who === '' ? { key: word } : { key: word, who };
  if (word === 'digits') return { key: word, digits: parseDigits(who) };
  if (word === 'consult' && who !== '') return { key: word, who };
  if ((word === 'hold' || word === 'resume' || word === 'hangup') && who === '') {
    return { key: word };
  }
  throw new CodedError(
    'BAD_KEY',
    `expected hold, resume, consult WHO, transfer [WHO], hangup or digits 123#, found "${line.trim()}"`,
  );
}
