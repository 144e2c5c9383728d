/**
 * Percent escapes of URIs (RFC 3261 §19.1.2). Octets that are not UTF-8 survive a round trip: they
 * become lone surrogates U+DC80..U+DCFF, which no valid text contains, and are written back as octets.
 */
import { isHexDigit, isIn, UNRESERVED } from './chars.js';

const PERCENT = 0x25;
const ESCAPE_LENGTH = 3;
const SURROGATE_ESCAPE = 0xdc00;

/** Position after the members of the class and proper escapes that stand from `start` on. */
export function endOfEscaped(bit: number, text: string, start: number, end: number): number {
  let pos = start;
  for (;;) {
    while (pos < end && isIn(bit, text.charCodeAt(pos))) pos++;
    if (!isEscape(text, pos, end)) return pos;
    pos += ESCAPE_LENGTH;
  }
}

function isEscape(text: string, pos: number, end: number): boolean {
  return (
    pos + ESCAPE_LENGTH <= end &&
    text.charCodeAt(pos) === PERCENT &&
    isHexDigit(text.charCodeAt(pos + 1)) &&
    isHexDigit(text.charCodeAt(pos + 2))
  );
}

/** @param text whose escapes are known to be well formed */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text.replace(/%(..)/g, (_, hex: string) => {
      const octet = Number.parseInt(hex, 16);
      return String.fromCharCode(octet < 0x80 ? octet : SURROGATE_ESCAPE + octet);
    });
  }
}

/** Escapes written in one way only: none where it makes no difference, others in upper case. */
export function normalizeEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([\dA-Fa-f]{2})/g, (escaped, hex: string) => {
    const octet = Number.parseInt(hex, 16);
    return isIn(UNRESERVED, octet) ? String.fromCharCode(octet) : escaped.toUpperCase();
  });
}

/** Escapes what is not in the character class `bit`. */
export function percentEncode(bit: number, text: string): string {
  let clean = true;
  for (let index = 0; clean && index < text.length; index++) {
    clean = isIn(bit, text.charCodeAt(index));
  }
  if (clean) return text;
  let escaped = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (isIn(bit, code)) escaped += character;
    else escaped += escapeOne(character, code);
  }
  return escaped;
}

function escapeOne(character: string, code: number): string {
  if (code < 0x80) return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
  if (code >= 0xdc80 && code <= 0xdcff) {
    return `%${(code - SURROGATE_ESCAPE).toString(16).toUpperCase()}`;
  }
  return isSurrogate(code) ? '%EF%BF%BD' : encodeURIComponent(character);
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}
