/** Parameters of a header field value or URI: ordered, names compared without regard to case. */
import { sameIgnoringCase, sameUnitsIgnoringCase } from './chars.js';
import { unescapeQuoted } from './cursor.js';

/** How parameters are written in one place: after a header field value, in a URI, after its `?`. */
export interface ParamsDialect {
  /** @param entries name, value, name, value, … with at least one name */
  write(entries: readonly string[]): string;
}

const NONE: readonly string[] = [];
const NOWHERE: readonly number[] = [];
const QUOTE = 0x22;
/** Numbers that tell where a parameter stands: its name from and to, its value from and to. */
export const SPAN = 4;

/**
 * Received parameters stay in the message until they are asked for: of most, nobody asks. Private by
 * declaration only: a message makes dozens of these, and `#` fields are slower to make.
 */
export class Params implements Iterable<[name: string, value: string]> {
  /** name, value, name, value, … decoded; null while they are only known by `spans`. */
  private entries: readonly string[] | null;
  /**
   * Received parameters stand in [start, end) of `text`, in a dialect that is dropped by the first
   * change: until then they are written exactly as they came.
   */
  private dialect: ParamsDialect | undefined;
  private readonly text: string;
  private readonly start: number;
  private readonly end: number;
  /** Places in `text`, `SPAN` numbers for each parameter. */
  private readonly spans: readonly number[];

  /**
   * Without arguments empty. Parsers give what they read in [start, end) of `text`: `entries`
   * decoded, or null and `spans` where nothing but quotes has to be taken off.
   */
  constructor(
    entries: readonly string[] | null = NONE,
    dialect?: ParamsDialect,
    text = '',
    start = 0,
    end = 0,
    spans = NOWHERE,
  ) {
    this.entries = entries;
    this.dialect = dialect;
    this.text = text;
    this.start = start;
    this.end = end;
    this.spans = spans;
  }

  static from(entries: Readonly<Record<string, string>>): Params {
    const params = new Params();
    for (const [name, value] of Object.entries(entries)) params.set(name, value);
    return params;
  }

  /** The value, `''` for a flag. */
  get(name: string): string | undefined {
    const { entries } = this;
    if (entries === null) {
      const at = this.spanOf(name);
      return at < 0 ? undefined : this.valueAt(at);
    }
    const index = indexOfName(entries, name);
    return index < 0 ? undefined : entries[index + 1];
  }

  has(name: string): boolean {
    if (this.entries === null) return this.spanOf(name) >= 0;
    return indexOfName(this.entries, name) >= 0;
  }

  /** @param value absent or `''` for a flag */
  set(name: string, value = ''): this {
    const entries = this.decoded();
    const index = indexOfName(entries, name);
    if (index < 0) return this.replace([...entries, name, value]);
    return this.replace(entries.with(index + 1, value));
  }

  /** Answers whether it was there. */
  delete(name: string): boolean {
    const entries = this.decoded();
    const index = indexOfName(entries, name);
    if (index < 0) return false;
    this.replace(entries.toSpliced(index, 2));
    return true;
  }

  get size(): number {
    return this.entries === null ? this.spans.length / SPAN : this.entries.length / 2;
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    const entries = this.decoded();
    for (let index = 0; index < entries.length; index += 2) {
      yield [entries[index]!, entries[index + 1]!];
    }
  }

  clone(): Params {
    return new Params(this.entries, this.dialect, this.text, this.start, this.end, this.spans);
  }

  /** As written in `dialect`, with the leading `;` or `?`; `''` when there are none. */
  write(dialect: ParamsDialect): string {
    if (this.dialect === dialect) return this.text.slice(this.start, this.end);
    const entries = this.decoded();
    return entries.length === 0 ? '' : dialect.write(entries);
  }

  /** For people: `;tag=1;lr`. */
  toString(): string {
    return [...this]
      .map(([name, value]) => (value === '' ? `;${name}` : `;${name}=${value}`))
      .join('');
  }

  /** Name, value, name, value, … */
  private decoded(): readonly string[] {
    if (this.entries !== null) return this.entries;
    const entries: string[] = [];
    for (let at = 0; at < this.spans.length; at += SPAN) {
      entries.push(this.text.slice(this.spans[at]!, this.spans[at + 1]!), this.valueAt(at));
    }
    this.entries = entries;
    return entries;
  }

  /** Index in `spans` of the parameter of this name, or -1. */
  private spanOf(name: string): number {
    const { text, spans } = this;
    for (let at = 0; at < spans.length; at += SPAN) {
      const start = spans[at]!;
      if (spans[at + 1]! - start !== name.length) continue;
      if (sameUnitsIgnoringCase(text, start, name, 0, name.length)) return at;
    }
    return -1;
  }

  private valueAt(at: number): string {
    const { text, spans } = this;
    const start = spans[at + 2]!;
    const end = spans[at + 3]!;
    if (start === end) return '';
    if (text.charCodeAt(start) !== QUOTE) return text.slice(start, end);
    return unescapeQuoted(text.slice(start + 1, end - 1));
  }

  private replace(entries: readonly string[]): this {
    this.entries = entries;
    this.dialect = undefined;
    return this;
  }
}

function indexOfName(entries: readonly string[], name: string): number {
  for (let index = 0; index < entries.length; index += 2) {
    if (sameIgnoringCase(entries[index]!, name)) return index;
  }
  return -1;
}

/** Up to here, comparing each with each costs less than a set. */
const FEW = 8;

/** A name that comes twice among those at `spans` of `text`, without regard to case. */
export function repeatedName(text: string, spans: readonly number[]): string | undefined {
  if (spans.length <= FEW * SPAN) {
    for (let at = SPAN; at < spans.length; at += SPAN) {
      const start = spans[at]!;
      const length = spans[at + 1]! - start;
      for (let before = 0; before < at; before += SPAN) {
        const other = spans[before]!;
        if (spans[before + 1]! - other !== length) continue;
        if (sameUnitsIgnoringCase(text, start, text, other, length)) {
          return text.slice(start, start + length);
        }
      }
    }
    return undefined;
  }
  const seen = new Set<string>();
  for (let at = 0; at < spans.length; at += SPAN) {
    const name = text.slice(spans[at]!, spans[at + 1]!);
    if (seen.size === seen.add(name.toLowerCase()).size) return name;
  }
  return undefined;
}
