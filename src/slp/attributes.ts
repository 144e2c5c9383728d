/** Attribute lists (RFC 2608 §5): `(color=red,blue),(ppm=12),duplex`. */
import { ErrorCode } from './constants.js';
import { SlpError } from './errors.js';
import { DEFAULT_LIMITS } from './limits.js';
import {
  escapeText,
  fold,
  hexEscape,
  matchesPieces,
  unescapeText,
  wildcardPieces,
} from './strings.js';

/** Opaque values are octets. */
export type AttributeValue = string | number | boolean | Uint8Array;

/** One attribute: tag as it was written, and its values, which are of one type; none: a keyword. */
export interface Attribute {
  readonly tag: string;
  readonly values: readonly AttributeValue[];
}

/** By folded tag, in the order they were written. */
export type Attributes = ReadonlyMap<string, Attribute>;

const FIELD = 'attr-list';
const INTEGER = /^-?\d+$/;
const OPAQUE = /^\\ff((?:\\[0-9a-f]{2})*)$/i;
const [INTEGER_LEAST, INTEGER_MOST] = [-2_147_483_648, 2_147_483_647]; // §5

/** From tags and values to what `formatAttributes` takes: `{ id: 'a1', tls: true, duplex: [] }`. */
export function attributesOf(
  entries: Readonly<Record<string, AttributeValue | readonly AttributeValue[]>>,
): Attributes {
  const attributes = new Map<string, Attribute>();
  for (const [tag, value] of Object.entries(entries)) {
    const isList = Array.isArray(value);
    const values: readonly AttributeValue[] = isList ? value : [value as AttributeValue];
    attributes.set(fold(tag), { tag, values });
  }
  return attributes;
}

/** @throws {SlpError} BAD_VALUE */
export function parseAttributes(text: string): Attributes {
  const attributes = new Map<string, Attribute>();
  let at = 0;
  const fail = (message: string): never => {
    throw new SlpError('BAD_VALUE', FIELD, at, message);
  };
  const skipSpace = () => {
    while (/\s/.test(text[at] ?? '')) at++;
  };
  skipSpace();
  while (at < text.length) {
    const attribute = text[at] === '(' ? parenthesised() : keyword();
    add(attributes, attribute, at);
    skipSpace();
    if (at === text.length) break;
    if (text[at] !== ',') fail(`expected "," or the end, found "${text[at]}"`);
    at++;
    skipSpace();
    if (at === text.length) fail('expected an attribute, found the end');
  }
  return attributes;

  function parenthesised(): Attribute {
    const close = text.indexOf(')', at);
    if (close < 0) fail('expected ")", found none');
    const equals = text.indexOf('=', at);
    if (equals < 0 || equals > close) fail('expected "=" in parentheses, found none');
    const tag = readTag(text.slice(at + 1, equals), at + 1);
    const from = equals + 1;
    const values: AttributeValue[] = [];
    let valueAt = from;
    for (const part of text.slice(from, close).split(',')) {
      values.push(parseValue(part, valueAt));
      valueAt += part.length + 1;
    }
    at = close + 1;
    return { tag, values };
  }

  function keyword(): Attribute {
    const comma = text.indexOf(',', at);
    const end = comma < 0 ? text.length : comma;
    const tag = readTag(text.slice(at, end), at);
    at = end;
    return { tag, values: [] };
  }
}

function add(into: Map<string, Attribute>, attribute: Attribute, at: number): void {
  const key = fold(attribute.tag);
  const [first] = attribute.values;
  if (!attribute.values.every(value => kindOf(value) === kindOf(first!))) {
    // §5: such a registration is refused as an INVALID_REGISTRATION.
    const message = `expected values of one type for ${attribute.tag}, found several`;
    const status = ErrorCode.INVALID_REGISTRATION;
    throw new SlpError('BAD_VALUE', FIELD, at, message, status);
  }
  const known = into.get(key);
  if (known) {
    const message = `expected each tag once, found ${attribute.tag} twice`;
    throw new SlpError('BAD_VALUE', FIELD, at, message);
  }
  if (into.size === DEFAULT_LIMITS.listItems) {
    const message = `expected up to ${DEFAULT_LIMITS.listItems} attributes, found more`;
    throw new SlpError('TOO_LARGE', FIELD, at, message);
  }
  into.set(key, attribute);
}

function readTag(raw: string, at: number): string {
  const bad = /[()!<>=~*_\r\n\t]/.exec(raw);
  if (bad) {
    const message = `expected a tag without reserved characters, found "${raw}"`;
    throw new SlpError('BAD_VALUE', FIELD, at + bad.index, message);
  }
  const tag = unescapeText(raw, FIELD, at).trim();
  if (tag === '') throw new SlpError('BAD_VALUE', FIELD, at, 'expected a tag, found none');
  return tag;
}

/**
 * A value with the type its form gives it.
 *
 * @throws {SlpError} BAD_VALUE
 */
export function parseValue(raw: string, at = 0, field = FIELD): AttributeValue {
  const bad = /[()!<>=~]/.exec(raw);
  if (bad) {
    const message = `expected reserved characters as \\HH, found "${bad[0]}"`;
    throw new SlpError('BAD_VALUE', field, at + bad.index, message);
  }
  const trimmed = raw.trim();
  const opaque = OPAQUE.exec(trimmed);
  if (opaque) {
    const digits = opaque[1]!.replaceAll('\\', '');
    return Uint8Array.from(digits.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
  }
  const folded = trimmed.toLowerCase();
  if (folded === 'true' || folded === 'false') return folded === 'true';
  if (INTEGER.test(trimmed)) {
    const number = Number(trimmed);
    if (number >= INTEGER_LEAST && number <= INTEGER_MOST) return number;
  }
  return unescapeText(raw, field, at);
}

export function formatAttributes(attributes: Attributes): string {
  return [...attributes.values()]
    .map(({ tag, values }) => {
      const name = escapeText(tag);
      return values.length === 0 ? name : `(${name}=${values.map(formatValue).join(',')})`;
    })
    .join(',');
}

export function formatValue(value: AttributeValue): string {
  if (typeof value === 'string') return escapeText(value);
  if (value instanceof Uint8Array) return `\\ff${[...value].map(hexEscape).join('')}`;
  return String(value);
}

export type ValueKind = 'string' | 'number' | 'boolean' | 'opaque';

export function kindOf(value: AttributeValue): ValueKind {
  if (value instanceof Uint8Array) return 'opaque';
  return typeof value as 'string' | 'number' | 'boolean';
}

/** Equal values have equal keys, others never. */
export function valueKey(value: AttributeValue): string {
  return `${kindOf(value)} ${typeof value === 'string' ? fold(value) : formatValue(value)}`;
}

/** Later ones replace earlier ones of the same tag (§9.3). */
export function updateAttributes(before: Attributes, update: Attributes): Attributes {
  return new Map([...before, ...update]);
}

/** All tags and values of several services, each once (§10.4). */
export function mergeAttributes(lists: Iterable<Attributes>): Attributes {
  const merged = new Map<string, { tag: string; values: Map<string, AttributeValue> }>();
  for (const attributes of lists) {
    for (const [key, { tag, values }] of attributes) {
      const entry = merged.get(key) ?? { tag, values: new Map<string, AttributeValue>() };
      merged.set(key, entry);
      for (const value of values)
        if (!entry.values.has(valueKey(value))) entry.values.set(valueKey(value), value);
    }
  }
  const flat = [...merged].map(
    ([key, { tag, values }]) => [key, { tag, values: [...values.values()] }] as const,
  );
  return new Map(flat);
}

/** Those whose tags are on the list, which may hold wildcards (§9.4); an empty list is on none. */
export function tagMatcher(tags: readonly string[]): (tag: string) => boolean {
  const patterns = tags.map(tag => wildcardPieces(tag, 'tag-list'));
  return tag => {
    const folded = fold(tag);
    return patterns.some(pieces => matchesPieces(folded, pieces));
  };
}

/** All of them where no tags are given. */
export function selectAttributes(attributes: Attributes, tags: readonly string[]): Attributes {
  if (tags.length === 0) return attributes;
  const matches = tagMatcher(tags);
  return new Map([...attributes].filter(([tag]) => matches(tag)));
}

export function dropAttributes(attributes: Attributes, tags: readonly string[]): Attributes {
  const matches = tagMatcher(tags);
  return new Map([...attributes].filter(([tag]) => !matches(tag)));
}
