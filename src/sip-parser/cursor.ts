/**
 * A place in a text, and the lexical elements that are read from there (RFC 3261 §25.1).
 * Header field values are read in place, out of the whole decoded message head.
 */
import { isDigit, isIn, isSpace, TOKEN } from './chars.js';
import { SipSyntaxError } from './errors.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export class Cursor {
  readonly text: string;
  readonly end: number;
  pos: number;

  constructor(text: string, start: number, end: number) {
    this.text = text;
    this.pos = start;
    this.end = end;
  }

  /** The UTF-16 unit here, or -1 at the end. */
  peek(): number {
    return this.pos < this.end ? this.text.charCodeAt(this.pos) : -1;
  }

  skipSpace(): void {
    const { text, end } = this;
    let pos = this.pos;
    while (pos < end && isSpace(text.charCodeAt(pos))) pos++;
    this.pos = pos;
  }

  /** Skips space, then `code` and the space after it if it is there; answers whether it was. */
  skipSeparator(code: number): boolean {
    const { text, end } = this;
    let pos = this.pos;
    while (pos < end && isSpace(text.charCodeAt(pos))) pos++;
    const found = pos < end && text.charCodeAt(pos) === code;
    if (found) {
      pos++;
      while (pos < end && isSpace(text.charCodeAt(pos))) pos++;
    }
    this.pos = pos;
    return found;
  }

  /** Passes over at least one space. */
  expectSpace(): void {
    const start = this.pos;
    this.skipSpace();
    if (this.pos === start) throw this.unexpected('a space');
  }

  expect(code: number): void {
    if (this.peek() !== code) throw this.unexpected(`"${String.fromCharCode(code)}"`);
    this.pos++;
  }

  /** Passes over the members of a character class; answers how many there were. */
  skipWhileIn(bit: number): number {
    const { text, end, pos: start } = this;
    let pos = start;
    while (pos < end && isIn(bit, text.charCodeAt(pos))) pos++;
    this.pos = pos;
    return pos - start;
  }

  takeToken(what = 'a token'): string {
    return this.takeWhileIn(TOKEN, what);
  }

  /** At least one member of a character class. */
  takeWhileIn(bit: number, what: string): string {
    const start = this.pos;
    this.passWhileIn(bit, what);
    return this.text.slice(start, this.pos);
  }

  /** Passes over at least one member of a character class. */
  passWhileIn(bit: number, what: string): void {
    const { text, end, pos: start } = this;
    let pos = start;
    while (pos < end && isIn(bit, text.charCodeAt(pos))) pos++;
    if (pos === start) throw this.unexpected(what);
    this.pos = pos;
  }

  /** 1*DIGIT up to `max`. */
  takeNumber(what: string, max: number): number {
    const { text, end, pos: start } = this;
    let pos = start;
    let value = 0;
    for (; pos < end; pos++) {
      const code = text.charCodeAt(pos);
      if (!isDigit(code)) break;
      value = value * 10 + (code - 0x30);
    }
    this.pos = pos;
    if (pos === start) throw this.unexpected(what);
    if (value > max) {
      const found = excerpt(this.text, start, this.pos);
      throw new SipSyntaxError('BAD_VALUE', `expected ${what} up to ${max}, found ${found}`, {
        position: start,
      });
    }
    return value;
  }

  /** Passes over a quoted-string, whose opening quote is here. */
  skipQuoted(): void {
    const { text, end } = this;
    for (let index = this.pos + 1; index < end; index++) {
      const code = text.charCodeAt(index);
      if (code === BACKSLASH) index++;
      else if (code === QUOTE) {
        this.pos = index + 1;
        return;
      }
    }
    throw new SipSyntaxError('BAD_VALUE', 'expected a closing quote, found the end of the line', {
      position: this.pos,
    });
  }

  /** A quoted-string, without its quotes and escapes. */
  takeQuoted(): string {
    const start = this.pos + 1;
    this.skipQuoted();
    return unescapeQuoted(this.text.slice(start, this.pos - 1));
  }

  /** What is left, without the space around it. */
  takeRest(): string {
    this.skipSpace();
    let end = this.end;
    while (end > this.pos && isSpace(this.text.charCodeAt(end - 1))) end--;
    const rest = this.text.slice(this.pos, end);
    this.pos = this.end;
    return rest;
  }

  expectEnd(): void {
    this.skipSpace();
    if (this.pos < this.end) throw this.unexpected('the end of the value');
  }

  /** The error for a parameter name that comes twice among those from `start` on. */
  repeated(name: string, start: number): SipSyntaxError {
    const found = excerpt(name, 0, name.length);
    return new SipSyntaxError('BAD_VALUE', `expected each parameter once, found ${found} again`, {
      position: start,
    });
  }

  unexpected(expected: string): SipSyntaxError {
    const found =
      this.pos < this.end ? excerpt(this.text, this.pos, this.end) : 'the end of the value';
    return new SipSyntaxError('BAD_VALUE', `expected ${expected}, found ${found}`, {
      position: this.pos,
    });
  }
}

/** Up to 24 units of hostile text, fit for a message. */
export function excerpt(text: string, start: number, end: number): string {
  const longest = 24;
  const cut = end - start > longest ? '…' : '';
  return JSON.stringify(text.slice(start, Math.min(end, start + longest)) + cut);
}

/** @param text a quoted-string without its quotes */
export function unescapeQuoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\s\S])/g, '$1') : text;
}

/** @returns a quoted-string, RFC 3261 §25.1 */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
