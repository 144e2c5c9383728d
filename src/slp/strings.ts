/** Strings as SLP has them: escapes, lists, and when two are the same (RFC 2608 §5, §6.4, §9.4). */
import { SlpError } from './errors.js';
import { DEFAULT_LIMITS } from './limits.js';

/** Reserved in attribute values and search filters (§5); control characters are, too. */
const RESERVED = '(),\\!<=>~';
/** Reserved in scopes and SPIs besides (§6.4.1). */
const RESERVED_IN_SCOPES = `${RESERVED};*+`;

function isControl(character: string): boolean {
  const code = character.charCodeAt(0);
  return code < 0x20 || code === 0x7f;
}

export type EscapeSet = 'attribute' | 'scope';

/** Writes reserved characters as `\HH`. */
export function escapeText(text: string, set: EscapeSet = 'attribute'): string {
  const reserved = set === 'scope' ? RESERVED_IN_SCOPES : RESERVED;
  let out = '';
  for (const character of text) {
    const escaped = reserved.includes(character) || isControl(character);
    out += escaped ? hexEscape(character.charCodeAt(0)) : character;
  }
  return out;
}

export function hexEscape(octet: number): string {
  return `\\${octet.toString(16).padStart(2, '0')}`;
}

/**
 * Reads `\HH`; only reserved characters may be written so (§5), `*` too: filters have no other way to say it.
 *
 * @throws {SlpError} BAD_VALUE
 */
export function unescapeText(text: string, field: string, at = 0): string {
  if (!text.includes('\\')) return text;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      out += text[i];
      continue;
    }
    const hex = text.slice(i + 1, i + 3);
    const character = /^[0-9a-f]{2}$/i.test(hex)
      ? String.fromCharCode(Number.parseInt(hex, 16))
      : '';
    if (character === '' || !(RESERVED_IN_SCOPES.includes(character) || isControl(character))) {
      const message = `expected an escaped reserved character, found "\\${hex}"`;
      throw new SlpError('BAD_VALUE', field, at + i, message);
    }
    out += character;
    i += 2;
  }
  return out;
}

/** What stands between commas, trimmed; empty items are left out. Escaped commas are no commas. */
export function splitList(text: string, field: string, most = DEFAULT_LIMITS.listItems): string[] {
  const items = text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
  if (items.length > most) {
    const message = `expected up to ${most} items, found ${items.length}`;
    throw new SlpError('TOO_LARGE', field, 0, message);
  }
  return items;
}

/** Equal strings have equal folds: white space is one space, case is none (§6.4). */
export function fold(text: string): string {
  return text
    .replace(/[ \r\n\t]+/g, ' ')
    .replace(/^ | $/g, '')
    .toLowerCase();
}

export function sameText(a: string, b: string): boolean {
  return fold(a) === fold(b);
}

/** Whether two lists, of scopes say, have an item in common. */
export function intersects(a: readonly string[], b: readonly string[]): boolean {
  const folded = new Set(a.map(fold));
  return b.some(item => folded.has(fold(item)));
}

export function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [one, other] = [new Set(a.map(fold)), new Set(b.map(fold))];
  return one.size === other.size && [...one].every(item => other.has(item));
}

/**
 * Matches a text against pieces with anything between them: `['a', 'b']` is `a*b`, `['', 'b', '']` is `*b*`.
 * All are folded. Linear: leftmost is best for all but the last piece.
 */
export function matchesPieces(text: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? '';
  if (pieces.length < 2) return text === first;
  const last = pieces.at(-1) ?? '';
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let from = first.length;
  const until = text.length - last.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, from);
    if (found < 0 || found + piece.length > until) return false;
    from = found + piece.length;
  }
  return true;
}

/** The pieces of a pattern with wildcards, folded. A space beside a wildcard counts. */
export function wildcardPieces(pattern: string, field: string, at = 0): string[] {
  const pieces = pattern.split('*');
  if (pieces.length === 1) return [fold(unescapeText(pattern, field, at))];
  return pieces.map((piece, index) => {
    const text = unescapeText(piece, field, at)
      .replace(/[ \r\n\t]+/g, ' ')
      .toLowerCase();
    if (index === 0) return text.trimStart();
    return index === pieces.length - 1 ? text.trimEnd() : text;
  });
}
