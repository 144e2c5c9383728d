/** Character classes of RFC 3261 §25.1, as bit sets over US-ASCII. */

/** token */
export const TOKEN = 1;
/** unreserved and user-unreserved: what a user part carries unescaped */
export const USER = 2;
/** unreserved and param-unreserved */
export const URI_PARAM = 4;
/** unreserved and hnv-unreserved */
export const URI_HEADER = 8;
/** Letters, digits, `-`, `.` and, outside the grammar but met on LANs, `_` */
export const HOST = 16;
/** word, and the `@` that may join two of them: a Call-ID */
export const WORD = 32;
/** token, and what a host or address adds to it: an unquoted parameter value */
export const PARAM_VALUE = 64;
/** What may stand in an unescaped password */
export const PASSWORD = 128;
/** What an escape makes no difference to (RFC 3261 §19.1.4) */
export const UNRESERVED = 256;

export const SPACE_CODE = 0x20;
export const TAB_CODE = 0x09;

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const UNRESERVED_CHARS = `${ALPHANUMERIC}-_.!~*'()`;
const TOKEN_CHARS = `${ALPHANUMERIC}-.!%*_+\`'~`;

const classes: readonly [bit: number, members: string][] = [
  [TOKEN, TOKEN_CHARS],
  [USER, `${UNRESERVED_CHARS}&=+$,;?/`],
  [URI_PARAM, `${UNRESERVED_CHARS}[]/:&+$`],
  [URI_HEADER, `${UNRESERVED_CHARS}[]/?:+$`],
  [HOST, `${ALPHANUMERIC}-._`],
  [WORD, `${TOKEN_CHARS}()<>:\\"/[]?{}@`],
  [PARAM_VALUE, `${TOKEN_CHARS}[]:`],
  [PASSWORD, `${UNRESERVED_CHARS}&=+$,`],
  [UNRESERVED, UNRESERVED_CHARS],
];

const bits = new Uint16Array(128);
for (const [bit, members] of classes) {
  for (const member of members) {
    const code = member.charCodeAt(0);
    bits[code] = bits[code]! | bit;
  }
}

/** Whether the UTF-16 unit `code` is a member of the class `bit`. */
export function isIn(bit: number, code: number): boolean {
  return code < 128 && (bits[code]! & bit) !== 0;
}

export function isSpace(code: number): boolean {
  return code === SPACE_CODE || code === TAB_CODE;
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

export function isHexDigit(code: number): boolean {
  const lower = code | 0x20;
  return isDigit(code) || (lower >= 0x61 && lower <= 0x66);
}

/** Whether all of `text` (and at least one unit) is in the class `bit`. */
export function allIn(bit: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (!isIn(bit, text.charCodeAt(index))) return false;
  }
  return text.length > 0;
}

/** In lower case; nearly all are already. */
export function lowerCase(text: string): string {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x80 || (code >= 0x41 && code <= 0x5a)) return text.toLowerCase();
  }
  return text;
}

export function sameIgnoringCase(a: string, b: string): boolean {
  return a === b || (a.length === b.length && a.toLowerCase() === b.toLowerCase());
}

/** Whether `length` units at `at` of `a` and at `from` of `b` are the same but for the case of ASCII letters. */
export function sameUnitsIgnoringCase(
  a: string,
  at: number,
  b: string,
  from: number,
  length: number,
): boolean {
  for (let index = 0; index < length; index++) {
    const one = a.charCodeAt(at + index);
    const other = b.charCodeAt(from + index);
    if (one === other) continue;
    const lower = one | 0x20;
    if (lower !== (other | 0x20) || lower < 0x61 || lower > 0x7a) return false;
  }
  return true;
}
