/** The header fields of a message: lines in order, each read into typed values when first asked for. */
import { Cursor } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { type HeaderField, inField } from './field.js';
import { type FieldId, type FieldName, fieldName } from './field-names.js';

const COMMA = 0x2c;

/** One line. Its value stands in [start, end) of `text`, unless typed `values` were read or set. */
export class HeaderLine {
  readonly fieldName: FieldName;
  /** That of `fieldName`, close at hand since lines are searched by it. */
  readonly id: number;
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** The field `values` were read as. */
  field: HeaderField<unknown> | undefined;
  values: readonly unknown[] | undefined;

  constructor(fieldName: FieldName, text: string, start: number, end: number) {
    this.fieldName = fieldName;
    this.id = fieldName.id;
    this.text = text;
    this.start = start;
    this.end = end;
    this.field = undefined;
    this.values = undefined;
  }

  isOf({ id, key }: FieldId): boolean {
    return this.id === id && (id !== 0 || this.fieldName.key === key);
  }

  /** Values may have been changed since they were read (`received`, `rport`), so they are written anew. */
  get raw(): string {
    const { field, values } = this;
    if (field === undefined || values === undefined) return this.text.slice(this.start, this.end);
    return checkLine(field.name, values.map(value => field.format(value)).join(', '));
  }

  read<T>(field: HeaderField<T>): readonly T[] {
    if (this.values !== undefined && this.field === field) return this.values as readonly T[];
    // A change made through another description of this field must not be lost.
    const raw = this.values && this.raw;
    const values =
      raw === undefined
        ? readValues(field, this.text, this.start, this.end)
        : readValues(field, raw, 0, raw.length);
    this.values = values;
    this.field = field;
    return values;
  }
}

export class Headers {
  private lines: HeaderLine[];

  /** @param lines as they came, for the parser */
  constructor(lines: HeaderLine[] = []) {
    this.lines = lines;
  }

  /** The first value; undefined when there is none. Throws SipSyntaxError when its line is malformed. */
  first<T>(field: HeaderField<T>): T | undefined {
    const lines = this.lines;
    const { id } = field;
    for (let index = 0; index < lines.length; index++) {
      const line = lines[index]!;
      if (line.id !== id || (id === 0 && !line.isOf(field))) continue;
      const values = line.read(field);
      if (values.length > 0) return values[0];
    }
    return undefined;
  }

  /** The first value. Throws SipSyntaxError, `MISSING_FIELD` when there is none. */
  require<T>(field: HeaderField<T>): T {
    const value = this.first(field);
    if (value === undefined) {
      throw new SipSyntaxError('MISSING_FIELD', 'expected this header field, found none', {
        field: field.name,
      });
    }
    return value;
  }

  /** All values, from all lines. Throws SipSyntaxError. */
  all<T>(field: HeaderField<T>): readonly T[] {
    const lines = this.lines;
    const { id } = field;
    let first: readonly T[] | undefined;
    let all: T[] | undefined;
    for (let index = 0; index < lines.length; index++) {
      const line = lines[index]!;
      if (line.id !== id || (id === 0 && !line.isOf(field))) continue;
      const values = line.read(field);
      if (first === undefined) first = values;
      else all = (all ?? first).concat(values);
    }
    return all ?? first ?? [];
  }

  /** Whether there is a line of this field, well formed or not. */
  has(field: HeaderField<unknown> | string): boolean {
    return this.indexOf(idOf(field)) >= 0;
  }

  /** The unfolded value of the first line of a field, by any of its names. */
  text(name: string): string | undefined {
    return this.lines[this.indexOf(fieldName(name))]?.raw;
  }

  /** The unfolded values of all lines of a field. */
  texts(name: string): readonly string[] {
    const id = fieldName(name);
    return this.lines.filter(line => line.isOf(id)).map(line => line.raw);
  }

  /** Replaces all values, where the first was; none removes the field. */
  set<T>(field: HeaderField<T>, ...values: T[]): this {
    return this.replace(field, linesOf(field, values));
  }

  /** Replaces all lines of a field. Throws SipSyntaxError for a value with a line end in it. */
  setText(name: string, ...values: string[]): this {
    const known = fieldName(name);
    const lines = values.map(value => {
      checkLine(known.name, value);
      return new HeaderLine(known, value, 0, value.length);
    });
    return this.replace(known, lines);
  }

  /** Puts a value before the others of its field. */
  prepend<T>(field: HeaderField<T>, value: T): this {
    const first = this.indexOf(field);
    this.lines.splice(Math.max(first, 0), 0, ...linesOf(field, [value]));
    return this;
  }

  /** Puts a value after the others of its field. */
  append<T>(field: HeaderField<T>, value: T): this {
    const last = this.lines.findLastIndex(line => line.isOf(field));
    this.lines.splice(last < 0 ? this.lines.length : last + 1, 0, ...linesOf(field, [value]));
    return this;
  }

  /** Removes the first value, wherever it stands. Throws SipSyntaxError when its line is malformed. */
  removeFirst(field: HeaderField<unknown>): this {
    const index = this.indexOf(field);
    const line = this.lines[index];
    if (line === undefined) return this;
    const values = line.read(field).slice(1);
    if (values.length === 0) this.lines.splice(index, 1);
    else line.values = values;
    return this;
  }

  delete(field: HeaderField<unknown> | string): this {
    return this.replace(idOf(field), []);
  }

  /** Names (compact ones written out) and unfolded values, in order. */
  *entries(): Generator<[name: string, rawValue: string], void> {
    for (const line of this.lines) yield [line.fieldName.name, line.raw];
  }

  /** An independent copy: changes to values of one are not seen in the other. */
  clone(): Headers {
    return new Headers(
      this.lines.map(line => {
        const name = line.fieldName;
        if (line.values === undefined) return new HeaderLine(name, line.text, line.start, line.end);
        const raw = line.raw;
        return new HeaderLine(name, raw, 0, raw.length);
      }),
    );
  }

  /** Of the first line of a field from `start` on, or -1. */
  private indexOf(field: FieldId, start = 0): number {
    const lines = this.lines;
    const { id } = field;
    for (let index = start; index < lines.length; index++) {
      const line = lines[index]!;
      if (line.id === id && (id !== 0 || line.isOf(field))) return index;
    }
    return -1;
  }

  private replace(id: FieldId, replacement: HeaderLine[]): this {
    const index = this.indexOf(id);
    if (index < 0) {
      this.lines.push(...replacement);
    } else {
      const others = this.lines.filter((line, at) => at < index || !line.isOf(id));
      others.splice(index, 0, ...replacement);
      this.lines = others;
    }
    return this;
  }
}

function idOf(field: HeaderField<unknown> | string): FieldId {
  return typeof field === 'string' ? fieldName(field) : field;
}

function linesOf<T>(field: HeaderField<T>, values: T[]): HeaderLine[] {
  if (values.length === 0) return [];
  return (field.inline ? [values] : values.map(value => [value])).map(onLine => {
    const line = new HeaderLine(field, '', 0, 0);
    line.field = field;
    line.values = [...onLine];
    return line;
  });
}

/** All values on one line. */
function readValues<T>(field: HeaderField<T>, text: string, start: number, end: number): T[] {
  const cursor = new Cursor(text, start, end);
  try {
    cursor.skipSpace();
    if (field.inline && cursor.pos === end) return [];
    const values = [field.read(cursor)];
    if (cursor.pos === end) return values;
    while (field.list && cursor.skipSeparator(COMMA)) values.push(field.read(cursor));
    cursor.expectEnd();
    return values;
  } catch (error) {
    throw inField(error, field.name, start);
  }
}

/** A line end inside a value would let its author write header fields of their own. */
function checkLine(name: string, value: string): string {
  if (value.includes('\r') || value.includes('\n')) {
    throw new SipSyntaxError('BAD_VALUE', 'expected a value on one line, found a line end in it', {
      field: name,
    });
  }
  return value;
}
