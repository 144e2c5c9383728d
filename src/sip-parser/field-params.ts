/** Parameters after a header field value: `*( SEMI token [ EQUAL gen-value ] )`, RFC 3261 §25.1. */
import { allIn, PARAM_VALUE, TOKEN } from './chars.js';
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
  if (start === cursor.end) return new Params();
  let end = start;
  let spans: number[] | undefined;
  while (cursor.skipSeparator(SEMICOLON)) {
    spans = readParam(cursor, spans);
    end = cursor.pos;
  }
  cursor.pos = end;
  return spans === undefined ? new Params() : receivedParams(cursor, start, dialect, spans);
}

export function writeFieldParams(params: Params, dialect = plainParams): string {
  return params.write(dialect);
}

/**
 * Passes over `token [ EQUAL ( quoted-string / token / host ) ]`.
 *
 * @param spans places of those before it, if there are any
 * @param needed whether a value has to be there
 * @returns the same and the place of this one
 */
export function readParam(cursor: Cursor, spans: number[] | undefined, needed = false): number[] {
  const name = cursor.pos;
  cursor.passWhileIn(TOKEN, 'a parameter name');
  const nameEnd = cursor.pos;
  let value = nameEnd;
  if (cursor.skipSeparator(EQUALS)) {
    value = cursor.pos;
    if (cursor.peek() === QUOTE) cursor.skipQuoted();
    else cursor.passWhileIn(PARAM_VALUE, 'a parameter value');
  } else {
    if (needed) throw cursor.unexpected('"="');
    cursor.pos = nameEnd;
  }
  const end = cursor.pos;
  if (spans === undefined) return [name, nameEnd, value, end];
  spans.push(name, nameEnd, value, end);
  return spans;
}

/** Those at `spans`, which were read from `start` to here. */
export function receivedParams(
  cursor: Cursor,
  start: number,
  dialect: ParamsDialect,
  spans: number[],
): Params {
  const repeated = repeatedName(cursor.text, spans);
  if (repeated !== undefined) throw cursor.repeated(repeated, start);
  return new Params(null, dialect, cursor.text, start, cursor.pos, spans);
}

/** @param quoted whether quotes are asked for even where the grammar could do without */
export function writeParamValue(value: string, quoted: boolean): string {
  return !quoted && allIn(PARAM_VALUE, value) ? value : quote(value);
}
