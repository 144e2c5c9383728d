/** Parameters of a header field value or URI: ordered, names compared without regard to case. */
import { sameIgnoringCase } from './chars.js';

/** How parameters are written in one place: after a header field value, in a URI, after its `?`. */
export interface ParamsDialect {
  /** @param entries name, value, name, value, … with at least one name */
  write(entries: readonly string[]): string;
}

const NONE: readonly string[] = [];

/** Private by declaration only: a message makes dozens of these, and `#` fields are slower to make. */
export class Params implements Iterable<[name: string, value: string]> {
  /** name, value, name, value, … decoded. */
  private entries: readonly string[];
  /**
   * Received parameters stand in [start, end) of `text`, in a dialect that is dropped by the first
   * change: until then they are written exactly as they came.
   */
  private dialect: ParamsDialect | undefined;
  private readonly text: string;
  private readonly start: number;
  private readonly end: number;

  /** Without arguments empty; with them, for parsers, `entries` as they stand in [start, end) of `text`. */
  constructor(
    entries: readonly string[] = NONE,
    dialect?: ParamsDialect,
    text = '',
    start = 0,
    end = 0,
  ) {
    this.entries = entries;
    this.dialect = dialect;
    this.text = text;
    this.start = start;
    this.end = end;
  }

  static from(entries: Readonly<Record<string, string>>): Params {
    const params = new Params();
    for (const [name, value] of Object.entries(entries)) params.set(name, value);
    return params;
  }

  /** The value, `''` for a flag. */
  get(name: string): string | undefined {
    const index = indexOfName(this.entries, name);
    return index < 0 ? undefined : this.entries[index + 1];
  }

  has(name: string): boolean {
    return indexOfName(this.entries, name) >= 0;
  }

  /** @param value absent or `''` for a flag */
  set(name: string, value = ''): this {
    const index = indexOfName(this.entries, name);
    if (index < 0) return this.replace([...this.entries, name, value]);
    return this.replace(this.entries.with(index + 1, value));
  }

  /** Answers whether it was there. */
  delete(name: string): boolean {
    const index = indexOfName(this.entries, name);
    if (index < 0) return false;
    this.replace(this.entries.toSpliced(index, 2));
    return true;
  }

  get size(): number {
    return this.entries.length / 2;
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    const entries = this.entries;
    for (let index = 0; index < entries.length; index += 2) {
      yield [entries[index]!, entries[index + 1]!];
    }
  }

  clone(): Params {
    return new Params(this.entries, this.dialect, this.text, this.start, this.end);
  }

  /** As written in `dialect`, with the leading `;` or `?`; `''` when there are none. */
  write(dialect: ParamsDialect): string {
    if (this.dialect === dialect) return this.text.slice(this.start, this.end);
    return this.entries.length === 0 ? '' : dialect.write(this.entries);
  }

  /** For people: `;tag=1;lr`. */
  toString(): string {
    return [...this]
      .map(([name, value]) => (value === '' ? `;${name}` : `;${name}=${value}`))
      .join('');
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
const FEW_ENTRIES = 16;

/** A name that comes twice among name, value, name, value, …, without regard to case. */
export function repeatedName(entries: readonly string[]): string | undefined {
  if (entries.length <= FEW_ENTRIES) {
    for (let index = 2; index < entries.length; index += 2) {
      const name = entries[index]!;
      if (indexOfName(entries, name) < index) return name;
    }
    return undefined;
  }
  const seen = new Set<string>();
  for (let index = 0; index < entries.length; index += 2) {
    const name = entries[index]!;
    if (seen.size === seen.add(name.toLowerCase()).size) return name;
  }
  return undefined;
}
