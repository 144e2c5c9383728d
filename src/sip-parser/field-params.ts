/** Parameters after a header field value: `*( SEMI token [ EQUAL gen-value ] )`, RFC 3261 §25.1. */
import { allIn, PARAM_VALUE } from './chars.js';
import { type Cursor, quote } from './cursor.js';
import { Params, type ParamsDialect, repeatedName } from './params.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const NAME = 'a parameter name';

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
  if (!cursor.skipSeparator(SEMICOLON)) {
    cursor.pos = start;
    return new Params();
  }
  const entries = [cursor.takeToken(NAME), readParamValue(cursor)];
  let end = cursor.pos;
  while (cursor.skipSeparator(SEMICOLON)) {
    entries.push(cursor.takeToken(NAME), readParamValue(cursor));
    end = cursor.pos;
  }
  cursor.pos = end;
  return receivedParams(cursor, start, dialect, entries);
}

export function writeFieldParams(params: Params, dialect = plainParams): string {
  return params.write(dialect);
}

/** Reads `[ EQUAL ( quoted-string / token / host ) ]`; `''` where there is none. */
export function readParamValue(cursor: Cursor, needed = false): string {
  const end = cursor.pos;
  if (!cursor.skipSeparator(EQUALS)) {
    if (needed) throw cursor.unexpected('"="');
    cursor.pos = end;
    return '';
  }
  if (cursor.peek() === QUOTE) return cursor.takeQuoted();
  return cursor.takeWhileIn(PARAM_VALUE, 'a parameter value');
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
  return new Params(entries, dialect, cursor.text, start, cursor.pos);
}

/** @param quoted whether quotes are asked for even where the grammar could do without */
export function writeParamValue(value: string, quoted: boolean): string {
  return !quoted && allIn(PARAM_VALUE, value) ? value : quote(value);
}
