/** Parameters of a header field value or URI: ordered, names compared without regard to case. */
import { sameIgnoringCase } from './chars.js';

/** How parameters are written in one place: after a header field value, in a URI, after its `?`. */
export interface ParamsDialect {
  /** Reads text that is known to be well formed into name, value, name, value, … */
  read(text: string, start: number, end: number): string[];
  write(entries: readonly string[]): string;
}

export class Params implements Iterable<[name: string, value: string]> {
  /** name, value, name, value, … decoded; undefined until someone looks at received ones. */
  #entries: string[] | undefined;
  /**
   * How and where received parameters stand in [start, end) of `text`. The dialect is dropped by the
   * first change: until then the parameters are written exactly as they came.
   */
  #dialect: ParamsDialect | undefined;
  readonly #text: string;
  readonly #start: number;
  readonly #end: number;

  /** Without arguments empty; with them, as received: for parsers, which checked the text. */
  constructor(
    text = '',
    start = 0,
    end = 0,
    dialect?: ParamsDialect,
    entries: string[] | undefined = dialect === undefined ? [] : undefined,
  ) {
    this.#text = text;
    this.#start = start;
    this.#end = end;
    this.#dialect = dialect;
    this.#entries = entries;
  }

  static from(entries: Readonly<Record<string, string>>): Params {
    const params = new Params();
    for (const [name, value] of Object.entries(entries)) params.set(name, value);
    return params;
  }

  /** The value, `''` for a flag; of the first where a name is repeated. */
  get(name: string): string | undefined {
    const entries = this.#load();
    const index = indexOfName(entries, name);
    return index < 0 ? undefined : entries[index + 1];
  }

  has(name: string): boolean {
    return indexOfName(this.#load(), name) >= 0;
  }

  /** @param value absent or `''` for a flag */
  set(name: string, value = ''): this {
    const entries = this.#change();
    const index = indexOfName(entries, name);
    if (index < 0) entries.push(name, value);
    else entries[index + 1] = value;
    return this;
  }

  /** Answers whether it was there. */
  delete(name: string): boolean {
    if (!this.has(name)) return false;
    const entries = this.#change();
    let index = indexOfName(entries, name);
    while (index >= 0) {
      entries.splice(index, 2);
      index = indexOfName(entries, name);
    }
    return true;
  }

  get size(): number {
    return this.#load().length / 2;
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    const entries = this.#load();
    for (let index = 0; index < entries.length; index += 2) {
      yield [entries[index]!, entries[index + 1]!];
    }
  }

  clone(): Params {
    const entries = this.#entries?.slice();
    return new Params(this.#text, this.#start, this.#end, this.#dialect, entries);
  }

  /** As written in `dialect`, with the leading `;` or `?`; `''` when there are none. */
  write(dialect: ParamsDialect): string {
    if (this.#dialect === dialect) return this.#text.slice(this.#start, this.#end);
    return dialect.write(this.#load());
  }

  /** For people: `;tag=1;lr`. */
  toString(): string {
    return [...this]
      .map(([name, value]) => (value === '' ? `;${name}` : `;${name}=${value}`))
      .join('');
  }

  #load(): string[] {
    this.#entries ??= this.#dialect?.read(this.#text, this.#start, this.#end) ?? [];
    return this.#entries;
  }

  #change(): string[] {
    const entries = this.#load();
    this.#dialect = undefined;
    return entries;
  }
}

function indexOfName(entries: readonly string[], name: string): number {
  for (let index = 0; index < entries.length; index += 2) {
    if (sameIgnoringCase(entries[index]!, name)) return index;
  }
  return -1;
}
