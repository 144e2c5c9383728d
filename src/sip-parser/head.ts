/** The head of a message: start line and header lines, split and unfolded but not yet interpreted. */
import { isDigit, isSpace } from './chars.js';
import { excerpt } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { type FieldName, fieldNameAt } from './field-names.js';
import { ContentLength } from './fields/scalar.js';
import { HeaderLine } from './headers.js';

/** Keeps a byte-order mark, so that text and octets stay in step. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Octets as text; what is not UTF-8 becomes U+FFFD. */
export function decodeOctets(octets: Uint8Array): string {
  return decoder.decode(octets);
}

/**
 * Reads header lines from `start` to `headEnd`, where every line ends in CRLF. Works on the whole
 * decoded text, since reading single units out of a slice of it is slower.
 *
 * @throws {SipSyntaxError} `BAD_HEADER_LINE`, `TOO_LARGE`
 */
export function readHeaderLines(
  head: string,
  start: number,
  headEnd: number,
  maxCount: number,
): HeaderLine[] {
  const lines: HeaderLine[] = [];
  let pos = start;
  while (pos < headEnd) {
    let end = endOfLine(head, pos);
    const colon = head.indexOf(':', pos);
    let nameEnd = colon;
    while (nameEnd > pos && isSpace(head.charCodeAt(nameEnd - 1))) nameEnd--;
    const name = colon >= 0 && colon < end ? fieldNameAt(head, pos, nameEnd) : undefined;
    if (name === undefined) {
      throw new SipSyntaxError(
        'BAD_HEADER_LINE',
        `expected a header field name and a colon, found ${excerpt(head, pos, end)}`,
        { position: pos },
      );
    }
    if (lines.length === maxCount) {
      throw new SipSyntaxError('TOO_LARGE', `expected up to ${maxCount} header lines, found more`, {
        status: 513,
      });
    }
    const valueStart = colon + 1;
    if (end + 2 < headEnd && isSpace(head.charCodeAt(end + 2))) {
      const pieces = [head.slice(valueStart, end)];
      while (end + 2 < headEnd && isSpace(head.charCodeAt(end + 2))) {
        const pieceStart = end + 2;
        end = endOfLine(head, pieceStart);
        pieces.push(head.slice(pieceStart, end));
      }
      // RFC 3261 §7.3.1: a line end and the space around it stand for one space.
      const value = pieces.map(trim).join(' ');
      lines.push(lineOf(name, value, 0, value.length));
    } else {
      lines.push(lineOf(name, head, valueStart, end));
    }
    pos = end + 2;
  }
  return lines;
}

/**
 * The value of Content-Length, undefined when there is none.
 *
 * @throws {SipSyntaxError} `BAD_CONTENT_LENGTH` where it is no number, or two lines disagree
 */
export function contentLengthOf(lines: readonly HeaderLine[]): number | undefined {
  let length: number | undefined;
  const { id } = ContentLength;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!;
    if (line.id !== id) continue;
    const value = readContentLength(line);
    if (length !== undefined && length !== value) throw badContentLength('one value', 'several');
    length = value;
  }
  return length;
}

/** Position of the CRLF that ends the line at `start`. Neither CR nor LF may stand alone. */
export function endOfLine(head: string, start: number): number {
  const end = head.indexOf('\r', start);
  if (end < 0 || head.indexOf('\n', start) !== end + 1) {
    throw new SipSyntaxError('BAD_HEADER_LINE', 'expected lines to end in CR LF, found one alone', {
      position: start,
    });
  }
  return end;
}

function lineOf(name: FieldName, text: string, from: number, to: number): HeaderLine {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return new HeaderLine(name, text, start, end);
}

function trim(text: string): string {
  return text.trim();
}

function readContentLength({ text, start, end }: HeaderLine): number {
  let value = 0;
  for (let pos = start; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    if (!isDigit(code)) throw badContentLength('a number', excerpt(text, start, end));
    value = value * 10 + (code - 0x30);
  }
  if (start === end || value > Number.MAX_SAFE_INTEGER) {
    throw badContentLength('a number', excerpt(text, start, end));
  }
  return value;
}

function badContentLength(expected: string, found: string): SipSyntaxError {
  return new SipSyntaxError('BAD_CONTENT_LENGTH', `expected ${expected}, found ${found}`, {
    field: ContentLength.name,
  });
}
