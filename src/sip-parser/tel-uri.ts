/** Telephone numbers as URIs (RFC 3966). */
import { isDigit, isHexDigit } from './chars.js';
import type { Params } from './params.js';
import { badUri, passUriParams, uriParams, uriParamsAt } from './uri-params.js';

export interface TelUri {
  readonly scheme: 'tel';
  /** As written, separators and all: `+1-201-555-0123`, or a local number such as `7042` or `*43#`. */
  readonly number: string;
  /** `phone-context`, `ext`, `isub`, … */
  readonly params: Params;
}

const PLUS = 0x2b;
const LOCAL_SIGNS = '*#';
const SEPARATORS = '-.()';

/**
 * Reads what follows the scheme and fills [start, end). A local number should name its
 * `phone-context` (§5.1.5); many phones forget it, so one without is read too.
 */
export function readTelUri(text: string, start: number, end: number): TelUri {
  const isGlobal = text.charCodeAt(start) === PLUS;
  let pos = isGlobal ? start + 1 : start;
  let digits = 0;
  for (; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    const character = text[pos]!;
    if (isDigit(code)) digits++;
    else if (!isGlobal && (isHexDigit(code) || LOCAL_SIGNS.includes(character))) digits++;
    else if (!SEPARATORS.includes(character)) break;
  }
  if (digits === 0) throw badUri('a telephone number', text, start, end);
  const number = text.slice(start, pos);
  const spans = passUriParams(text, pos, end);
  const paramsEnd = spans.at(-1) ?? pos;
  const params = uriParamsAt(text, pos, paramsEnd, spans);
  if (paramsEnd < end) throw badUri('";" or the end of the URI', text, paramsEnd, end);
  return { scheme: 'tel', number, params };
}

export function writeTelUri({ number, params }: TelUri): string {
  return `tel:${number}${params.write(uriParams)}`;
}

/** RFC 3966 §4: the same digits and the same parameters, without regard to separators, order and case. */
export function sameTelUri(a: TelUri, b: TelUri): boolean {
  if (comparableNumber(a.number) !== comparableNumber(b.number)) return false;
  const others = new Map([...b.params].map(([name, value]) => [name.toLowerCase(), value]));
  if (others.size !== a.params.size) return false;
  for (const [name, value] of a.params) {
    const other = others.get(name.toLowerCase());
    if (other === undefined || comparableValue(name, value) !== comparableValue(name, other)) {
      return false;
    }
  }
  return true;
}

function comparableValue(name: string, value: string): string {
  const isNumber = name.toLowerCase() === 'ext' || value.startsWith('+');
  return isNumber ? comparableNumber(value) : value.toLowerCase();
}

function comparableNumber(number: string): string {
  return number.replace(/[-.()]/g, '').toLowerCase();
}
