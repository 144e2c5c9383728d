/** All header fields of the package, and what a message says in them. */
import * as parser from '@sip-stack/parser';
import {
  formatUri,
  type HeaderField,
  Params,
  type SipMessage,
  SipSyntaxError,
} from '@sip-stack/parser';

export const FIELDS: readonly HeaderField<unknown>[] =
  Object.values<unknown>(parser).filter(isField);

function isField(exported: unknown): exported is HeaderField<unknown> {
  return typeof exported === 'object' && exported !== null && 'inline' in exported;
}

const byKey = new Map(FIELDS.map(field => [field.key, field]));

/** The described field of a line, by its canonical name. */
export function fieldOf(name: string): HeaderField<unknown> | undefined {
  return byKey.get(name.toLowerCase());
}

/** The values of a field; undefined where a line of it is refused. Throws what is no SipSyntaxError. */
export function valuesOf(
  { headers }: SipMessage,
  field: HeaderField<unknown>,
): readonly unknown[] | undefined {
  try {
    return headers.all(field);
  } catch (error) {
    if (error instanceof SipSyntaxError) return undefined;
    throw error;
  }
}

/** Everything a message says, as one text: start line, typed values, lines that have none, body. */
export function meaning(message: SipMessage): string {
  const said: string[] =
    message.kind === 'request'
      ? [message.method, formatUri(message.uri)]
      : [String(message.status), message.reason];
  const { headers, body } = message;
  const names = new Set(Array.from(headers.entries(), ([name]) => name));
  names.delete('Content-Length');
  for (const name of names) {
    const field = fieldOf(name);
    const values = field && valuesOf(message, field);
    said.push(name, ...(values ? values.map(value => field.format(value)) : headers.texts(name)));
  }
  said.push(Buffer.from(body).toString('latin1'));
  return said.join('\n');
}

/** The same value, whose parameters do not remember how they were written. */
export function anew(value: unknown): unknown {
  if (value instanceof Params) return new Params([...value].flat());
  const hasParams = typeof value === 'object' && value !== null && 'params' in value;
  return hasParams ? { ...value, params: anew(value.params) } : value;
}

/** The same value in plain records, for comparing. */
export function plain(value: unknown): unknown {
  if (value instanceof Params) return [...value];
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}
