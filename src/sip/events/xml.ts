/**
 * The little of XML that SIP bodies need (RFC 4235, RFC 3863). What others send is bounded in size, depth and number, and
 * may have no DOCTYPE, so that no entity of theirs is ever expanded.
 */
import { CodedError } from '../../core/errors.js';

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** Empty for none. */
  readonly namespace: string;
  /** By name without prefix. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Its own character data, trimmed. */
  readonly text: string;
}

/** Octets of a document: one of a phone with its 100 calls has 30 KiB. */
export const MAX_XML_OCTETS = 64 * 1024;
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 2000;
const MAX_ATTRIBUTES = 32;

const NAME = /[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?/y;
const SPACE = /[ \t\r\n]*/y;
const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
};
/** XML 1.0 §2.2: these are in no document, or should not be. */
const CONTROL = /(?![\t\r\n])\p{Cc}|[\ufffe\uffff]/u;
const CONTROLS = new RegExp(CONTROL, 'gu');

/** @throws {CodedError} `BAD_XML` */
export function readXml(document: Uint8Array): XmlElement {
  if (document.length > MAX_XML_OCTETS) throw bad(`at most ${MAX_XML_OCTETS} octets`, 'more');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(document);
  } catch (cause) {
    throw new CodedError('BAD_XML', 'expected XML in UTF-8, found other octets', { cause });
  }
  if (CONTROL.test(text)) throw bad('XML', 'a control character');
  return new Reader(text).document();
}

/** An element as text; its attributes and its content are made safe here, `children` are XML already. */
export function xmlElement(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: readonly string[]
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${xmlText(String(value))}"`)
    .join('');
  const content = children.join('');
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** Character data. */
export function xmlText(text: string): string {
  return text
    .replace(CONTROLS, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

class Reader {
  readonly #text: string;
  #at = 0;
  #elements = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): XmlElement {
    this.#skipMisc();
    if (!this.#peek('<')) throw this.#unexpected('an element');
    const root = this.#element(1, new Map());
    this.#skipMisc();
    if (this.#at < this.#text.length) throw this.#unexpected('the end');
    return root;
  }

  #element(depth: number, outer: ReadonlyMap<string, string>): XmlElement {
    if (depth > MAX_DEPTH) throw bad(`at most ${MAX_DEPTH} elements in one another`, 'more');
    if (++this.#elements > MAX_ELEMENTS) throw bad(`at most ${MAX_ELEMENTS} elements`, 'more');
    this.#expect('<');
    const tag = this.#name();
    const written = this.#attributes();
    const namespaces = declared(written, outer);
    const [prefix, name] = splitName(tag);
    const namespace = namespaces.get(prefix);
    if (namespace === undefined && prefix !== '') throw bad('a prefix that is declared', prefix);
    const attributes = new Map<string, string>();
    for (const [key, value] of written) {
      if (key !== 'xmlns' && !key.startsWith('xmlns:')) attributes.set(splitName(key)[1], value);
    }
    const children: XmlElement[] = [];
    let text = '';
    if (!this.#take('/>')) {
      this.#expect('>');
      text = this.#content(tag, children, depth, namespaces);
    }
    return { name, namespace: namespace ?? '', attributes, children, text: text.trim() };
  }

  /** Up to the end tag, and that. */
  #content(
    tag: string,
    children: XmlElement[],
    depth: number,
    namespaces: ReadonlyMap<string, string>,
  ): string {
    const parts: string[] = [];
    for (;;) {
      if (this.#take('</')) {
        if (this.#name() !== tag) throw this.#unexpected(`</${tag}>`);
        this.#skipSpace();
        this.#expect('>');
        return parts.join('');
      }
      if (this.#take('<![CDATA[')) parts.push(this.#until(']]>'));
      else if (this.#skipCommentOrInstruction()) continue;
      else if (this.#peek('<')) children.push(this.#element(depth + 1, namespaces));
      else parts.push(this.#characters('<'));
    }
  }

  #attributes(): Map<string, string> {
    const attributes = new Map<string, string>();
    for (;;) {
      const before = this.#at;
      this.#skipSpace();
      if (this.#peek('>') || this.#peek('/>')) return attributes;
      if (this.#at === before) throw this.#unexpected('a blank before an attribute');
      const name = this.#name();
      this.#skipSpace();
      this.#expect('=');
      this.#skipSpace();
      const quote = this.#text[this.#at];
      if (quote !== '"' && quote !== "'") throw this.#unexpected('a quote');
      this.#at++;
      const value = this.#peek(quote) ? '' : this.#characters(quote);
      this.#expect(quote);
      if (attributes.has(name)) throw bad('each attribute once', `${name} twice`);
      attributes.set(name, value);
      if (attributes.size > MAX_ATTRIBUTES)
        throw bad(`at most ${MAX_ATTRIBUTES} attributes`, 'more');
    }
  }

  /** Text up to, not including, `end`, with what stands for other characters read. */
  #characters(end: string): string {
    const stop = this.#text.indexOf(end, this.#at);
    if (stop < 0) throw this.#unexpected(`"${end}"`);
    const raw = this.#text.slice(this.#at, stop);
    if (end !== '<' && raw.includes('<')) throw this.#unexpected('no "<" in an attribute');
    this.#at = stop;
    return raw.includes('&') ? raw.replace(/&([^;&]{0,10});?/g, expand) : raw;
  }

  #skipMisc(): void {
    // A byte order mark is no text.
    if (this.#at === 0) this.#take('\ufeff');
    do this.#skipSpace();
    while (this.#skipCommentOrInstruction());
  }

  #skipCommentOrInstruction(): boolean {
    if (this.#take('<!--')) {
      this.#until('-->');
      return true;
    }
    if (this.#take('<?')) {
      this.#until('?>');
      return true;
    }
    if (this.#peek('<!')) throw bad('XML without a DOCTYPE', 'a declaration');
    return false;
  }

  #until(end: string): string {
    const stop = this.#text.indexOf(end, this.#at);
    if (stop < 0) throw this.#unexpected(`"${end}"`);
    const found = this.#text.slice(this.#at, stop);
    this.#at = stop + end.length;
    return found;
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const found = NAME.exec(this.#text)?.[0];
    if (found === undefined) throw this.#unexpected('a name');
    this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  #peek(token: string): boolean {
    return this.#text.startsWith(token, this.#at);
  }

  #take(token: string): boolean {
    if (!this.#peek(token)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#unexpected(`"${token}"`);
  }

  #unexpected(expected: string): CodedError {
    const found = this.#text.slice(this.#at, this.#at + 10);
    return bad(expected, found === '' ? 'the end' : `${JSON.stringify(found)} at ${this.#at}`);
  }
}

function declared(
  attributes: ReadonlyMap<string, string>,
  outer: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const own = [...attributes].filter(([key]) => key === 'xmlns' || key.startsWith('xmlns:'));
  if (own.length === 0) return outer;
  return new Map([...outer, ...own.map(([key, uri]) => [key.slice(6), uri] as const)]);
}

function splitName(name: string): [prefix: string, local: string] {
  const colon = name.indexOf(':');
  return colon < 0 ? ['', name] : [name.slice(0, colon), name.slice(colon + 1)];
}

function expand(reference: string, name: string): string {
  const known = reference.endsWith(';') ? ENTITIES[name] : undefined;
  if (known !== undefined) return known;
  const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
  const code = number ? Number.parseInt(number[1] ?? number[2] ?? '', number[1] ? 16 : 10) : -1;
  const isText = code === 9 || code === 10 || code === 13 || (code >= 32 && code <= 0x10ffff);
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (!reference.endsWith(';') || !isText || isSurrogate) throw bad('a known entity', reference);
  return String.fromCodePoint(code);
}

function bad(expected: string, found: string): CodedError {
  return new CodedError('BAD_XML', `expected ${expected}, found ${found}`);
}
