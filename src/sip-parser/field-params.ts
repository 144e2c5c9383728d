/** Parameters after a header field value: `*( SEMI token [ EQUAL gen-value ] )`, RFC 3261 §25.1. */
import { allIn, PARAM_VALUE } from './chars.js';
import { Cursor, quote } from './cursor.js';
import { Params, type ParamsDialect } from './params.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;

const fieldParams: ParamsDialect = {
  read(text, start, end) {
    const entries: string[] = [];
    scanParams(new Cursor(text, start, end), entries);
    return entries;
  },
  write(entries) {
    let written = '';
    for (let index = 0; index < entries.length; index += 2) {
      written += `;${entries[index]}${writeValue(entries[index + 1]!)}`;
    }
    return written;
  },
};

/** Reads all parameters from here on. */
export function readFieldParams(cursor: Cursor): Params {
  const start = cursor.pos;
  const entries: string[] = [];
  scanParams(cursor, entries);
  if (cursor.pos === start) return new Params();
  return new Params(cursor.text, start, cursor.pos, fieldParams, entries);
}

export function writeFieldParams(params: Params): string {
  return params.write(fieldParams);
}

/** Leaves the cursor after the last parameter, or where it was. */
function scanParams(cursor: Cursor, entries: string[]): void {
  let end = cursor.pos;
  while (cursor.skipSeparator(SEMICOLON)) {
    const name = cursor.pos;
    cursor.skipToken('a parameter name');
    entries.push(cursor.text.slice(name, cursor.pos));
    end = cursor.pos;
    if (cursor.skipSeparator(EQUALS)) {
      const value = cursor.pos;
      if (cursor.peek() === QUOTE) {
        entries.push(cursor.takeQuoted());
      } else {
        if (cursor.skipWhileIn(PARAM_VALUE) === 0) throw cursor.unexpected('a parameter value');
        entries.push(cursor.text.slice(value, cursor.pos));
      }
      end = cursor.pos;
    } else {
      entries.push('');
    }
  }
  cursor.pos = end;
}

function writeValue(value: string): string {
  if (value === '') return '';
  return allIn(PARAM_VALUE, value) ? `=${value}` : `=${quote(value)}`;
}
