/** What a header field is: its names, and how one value of it is read and written. */
import { Cursor } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { type FieldName, fieldName } from './field-names.js';

export interface HeaderFieldOptions<T> {
  /** As it is written, e.g. `Via`. */
  readonly name: string;
  /** Whether it may have several values, on one line or many. */
  readonly list?: boolean;
  /** A list that may be empty and is written on one line. */
  readonly inline?: boolean;
  /** Reads one value and leaves the cursor after it; throws SipSyntaxError. */
  read(cursor: Cursor): T;
  format(value: T): string;
}

export interface HeaderField<T> extends FieldName {
  readonly list: boolean;
  readonly inline: boolean;
  read(cursor: Cursor): T;
  /** Reads a text that is one value; throws SipSyntaxError. */
  parse(text: string): T;
  format(value: T): string;
}

/** Describes a header field; other packages describe theirs with it too. */
export function headerField<T>(options: HeaderFieldOptions<T>): HeaderField<T> {
  const { key, id, compact } = fieldName(options.name);
  return {
    name: options.name,
    compact,
    list: options.list ?? false,
    inline: options.inline ?? false,
    id,
    key,
    read: options.read,
    parse(text) {
      const cursor = new Cursor(text, 0, text.length);
      try {
        cursor.skipSpace();
        const value = options.read(cursor);
        cursor.expectEnd();
        return value;
      } catch (error) {
        throw inField(error, options.name, 0);
      }
    },
    format: options.format,
  };
}

/** An error met in a value, told with its field and its position from `start`, where the value begins. */
export function inField(error: unknown, field: string, start: number): unknown {
  if (!(error instanceof SipSyntaxError)) return error;
  const { code, message, status } = error;
  const position = Math.max((error.position ?? start) - start, 0);
  return new SipSyntaxError(code, message, { field, position, status });
}
