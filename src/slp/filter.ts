/** Search filters: the predicates of SrvRqst (RFC 2608 §8.1, a part of RFC 4515). */
import {
  type Attribute,
  type Attributes,
  type AttributeValue,
  kindOf,
  parseValue,
  valueKey,
} from './attributes.js';
import { SlpError } from './errors.js';
import { DEFAULT_LIMITS } from './limits.js';
import { fold, matchesPieces, unescapeText, wildcardPieces } from './strings.js';

export type Comparison = '=' | '~=' | '>=' | '<=';

export type Filter =
  | { readonly type: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly type: 'not'; readonly part: Filter }
  | { readonly type: 'present'; readonly tag: string }
  | {
      readonly type: 'compare';
      readonly tag: string;
      readonly comparison: Comparison;
      readonly value: AttributeValue;
    }
  /** `sip*lin*`: what stands between the wildcards, folded. */
  | { readonly type: 'substring'; readonly tag: string; readonly pieces: readonly string[] };

const FIELD = 'predicate';

/**
 * `(&(speed>=1000)(!(color=*blue*)))`; undefined for an empty text, which everything satisfies.
 *
 * @throws {SlpError} BAD_VALUE or TOO_LARGE
 */
export function parseFilter(text: string, depth = DEFAULT_LIMITS.filterDepth): Filter | undefined {
  if (text.trim() === '') return undefined;
  let at = 0;
  const filter = read(0);
  if (at < text.length) fail(`expected the end, found "${text.slice(at)}"`);
  return filter;

  function fail(message: string, code: 'BAD_VALUE' | 'TOO_LARGE' = 'BAD_VALUE'): never {
    throw new SlpError(code, FIELD, at, message);
  }

  function skipSpace(): void {
    while (/\s/.test(text[at] ?? '')) at++;
  }

  function take(expected: string): void {
    skipSpace();
    if (text[at] !== expected) fail(`expected "${expected}", found "${text[at] ?? 'the end'}"`);
    at++;
  }

  function read(level: number): Filter {
    if (level === depth) fail(`expected up to ${depth} filters in one another`, 'TOO_LARGE');
    take('(');
    skipSpace();
    const filter = readInside(level);
    take(')');
    skipSpace();
    return filter;
  }

  function readInside(level: number): Filter {
    switch (text[at]) {
      case '&':
        at++;
        return { type: 'and', parts: readParts(level) };
      case '|':
        at++;
        return { type: 'or', parts: readParts(level) };
      case '!':
        at++;
        return { type: 'not', part: read(level + 1) };
      default:
        return readItem();
    }
  }

  function readParts(level: number): Filter[] {
    const parts: Filter[] = [];
    skipSpace();
    while (text[at] === '(') parts.push(read(level + 1));
    if (parts.length === 0) fail(`expected "(", found "${text[at] ?? 'the end'}"`);
    return parts;
  }

  function readItem(): Filter {
    const found = /^([^()=<>~!&|*]+)(>=|<=|~=|=)([^()]*)/.exec(text.slice(at));
    if (!found) fail(`expected TAG=VALUE, found "${text.slice(at, at + 20)}"`);
    const [whole, rawTag = '', comparison, raw = ''] = found;
    const valueAt = at + whole.length - raw.length;
    const tag = fold(unescapeText(rawTag, FIELD, at));
    if (tag === '') fail('expected a tag, found none');
    if (raw.includes('*')) {
      if (comparison !== '=') fail(`expected no wildcard with ${comparison}, found "${raw}"`);
      at += whole.length;
      if (raw.trim() === '*') return { type: 'present', tag };
      return { type: 'substring', tag, pieces: wildcardPieces(raw, FIELD, valueAt) };
    }
    const value = parseValue(raw, valueAt, FIELD);
    at += whole.length;
    return { type: 'compare', tag, comparison: comparison as Comparison, value };
  }
}

/**
 * Several values of an attribute are compared one by one, and any of them will do, under a negation too:
 * `(!(y=0))` matches `(y=0,1)` (§8.1). What an attribute that is not there is compared with is false.
 */
export function filterMatches(filter: Filter | undefined, attributes: Attributes): boolean {
  return filter === undefined || matches(filter, attributes, true);
}

/** @param sense false: whether the filter's negation matches */
function matches(filter: Filter, attributes: Attributes, sense: boolean): boolean {
  switch (filter.type) {
    case 'and':
    case 'or': {
      const one = (part: Filter) => matches(part, attributes, sense);
      // De Morgan, so that negations reach the single values.
      return (filter.type === 'and') === sense ? filter.parts.every(one) : filter.parts.some(one);
    }
    case 'not':
      return matches(filter.part, attributes, !sense);
    case 'present':
      return attributes.has(filter.tag) === sense;
    case 'compare':
    case 'substring': {
      const values = valuesOf(attributes.get(filter.tag));
      if (values.length === 0) return !sense;
      return values.some(value => satisfies(filter, value) === sense);
    }
  }
}

function valuesOf(attribute: Attribute | undefined): readonly AttributeValue[] {
  return attribute?.values ?? [];
}

function satisfies(
  filter: Extract<Filter, { type: 'compare' | 'substring' }>,
  value: AttributeValue,
): boolean {
  if (filter.type === 'substring') {
    return typeof value === 'string' && matchesPieces(fold(value), filter.pieces);
  }
  const { comparison, value: wanted } = filter;
  if (kindOf(value) !== kindOf(wanted)) return false;
  if (comparison === '=' || comparison === '~=') return valueKey(value) === valueKey(wanted);
  const order = compare(value, wanted);
  if (order === undefined) return false;
  return comparison === '>=' ? order >= 0 : order <= 0;
}

/** Integers by size, strings by their characters; booleans and octets have no order (§5). */
function compare(a: AttributeValue, b: AttributeValue): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== 'string' || typeof b !== 'string') return undefined;
  const [one, other] = [Array.from(fold(a)), Array.from(fold(b))];
  for (let i = 0; i < Math.min(one.length, other.length); i++) {
    const difference = one[i]!.codePointAt(0)! - other[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}
