/** Keys: what a record is called, the same in every store. */
import { CodedError } from '../core/errors.js';

/** File names on Linux hold 255 octets; this leaves room for what a store appends. */
const SEGMENT = /^[a-z0-9][a-z0-9_-]{0,99}$/;

/** @throws {CodedError} `BAD_KEY` for anything but words like `identity/device`. */
export function checkKey(key: string): void {
  if (key.split('/').every(segment => SEGMENT.test(segment))) return;
  throw new CodedError(
    'BAD_KEY',
    `expected a key such as "history/2f41" (lower-case letters, digits, - and _), found ${JSON.stringify(key)}`,
  );
}
