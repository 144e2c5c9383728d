/** Parameters after a header field value: `*( SEMI token [ EQUAL gen-value ] )`, RFC 3261 §25.1. */
import { allIn, PARAM_VALUE } from './chars.js';
import { type Cursor, quote } from './cursor.js';
import { Params, type ParamsDialect, repeatedName } from './params.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;

/**
 * Parameters of which some are always written in quotes.
 *
 * @param isQuoted told the name in lower case
 */
export function fieldParamsDialect(isQuoted: (name: string) => boolean): ParamsDialect {
  return {
    write(entries) {
      let written = '';
      for (let index = 0; index < entries.length; index += 2) {
        const name = entries[index]!;
        const value = entries[index + 1]!;
        written += `;${name}`;
        if (value !== '') written += `=${writeParamValue(value, isQuoted(name.toLowerCase()))}`;
      }
      return written;
    },
  };
}

const plainParams = fieldParamsDialect(() => false);

/**
 * Reads all parameters from here on and leaves the cursor after the last, or where it was.
 *
 * @throws {SipSyntaxError} `BAD_VALUE`, also for a name that comes twice (RFC 3261 §7.3.1)
 */
export function readFieldParams(cursor: Cursor, dialect = plainParams): Params {
  const start = cursor.pos;
  const entries: string[] = [];
  let end = start;
  while (cursor.skipSeparator(SEMICOLON)) {
    readParam(cursor, entries);
    end = cursor.pos;
  }
  cursor.pos = end;
  if (end === start) return new Params();
  return receivedParams(cursor, start, dialect, entries);
}

export function writeFieldParams(params: Params, dialect = plainParams): string {
  return params.write(dialect);
}

/** Reads `token [ EQUAL ( quoted-string / token / host ) ]`. */
export function readParam(cursor: Cursor, entries: string[], valueNeeded = false): void {
  entries.push(cursor.takeToken('a parameter name'));
  const end = cursor.pos;
  if (!cursor.skipSeparator(EQUALS)) {
    if (valueNeeded) throw cursor.unexpected('"="');
    cursor.pos = end;
    entries.push('');
  } else if (cursor.peek() === QUOTE) {
    entries.push(cursor.takeQuoted());
  } else {
    const start = cursor.pos;
    if (cursor.skipWhileIn(PARAM_VALUE) === 0) throw cursor.unexpected('a parameter value');
    entries.push(cursor.text.slice(start, cursor.pos));
  }
}

/** Those that were read from `start` to here. */
export function receivedParams(
  cursor: Cursor,
  start: number,
  dialect: ParamsDialect,
  entries: string[],
): Params {
  const repeated = repeatedName(entries);
  if (repeated !== undefined) throw cursor.repeated(repeated, start);
  return Params.received(cursor.text, start, cursor.pos, dialect, entries);
}

/** @param quoted whether quotes are asked for even where the grammar could do without */
export function writeParamValue(value: string, quoted: boolean): string {
  return !quoted && allIn(PARAM_VALUE, value) ? value : quote(value);
}
