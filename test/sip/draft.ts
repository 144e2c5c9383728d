/** A message as text in parts that one can put wrong things into, which the typed one would not let one. */
import type { SipMessage } from '@sip-stack/parser';
import { formatUri } from '@sip-stack/parser';

export interface Draft {
  start: string;
  /** Name and value of each line. */
  fields: [name: string, value: string][];
  body: string;
}

export function draftOf(message: SipMessage): Draft {
  const start =
    message.kind === 'request'
      ? `${message.method} ${formatUri(message.uri)} SIP/2.0`
      : `SIP/2.0 ${message.status} ${message.reason}`;
  const fields = Array.from(message.headers.entries(), ([name, value]): [string, string] => [
    name,
    value,
  ]).filter(([name]) => name !== 'Content-Length');
  return { start, fields, body: Buffer.from(message.body).toString('latin1') };
}

export function copyOf({ start, fields, body }: Draft): Draft {
  return { start, fields: fields.map(([name, value]) => [name, value]), body };
}

export function octetsOf({ start, fields, body }: Draft): Buffer {
  const lines = fields.map(([name, value]) => `${name}: ${value}`);
  const head = [start, ...lines, `Content-Length: ${body.length}`, '', ''].join('\r\n');
  return Buffer.from(head + body, 'latin1');
}

export function fieldOf(draft: Draft, name: string): string | undefined {
  return draft.fields.find(([known]) => known === name)?.[1];
}

/** In place of all of that name; none without a value. */
export function setField(draft: Draft, name: string, value: string | undefined): void {
  const at = draft.fields.findIndex(([known]) => known === name);
  draft.fields = draft.fields.filter(([known]) => known !== name);
  if (value !== undefined) draft.fields.splice(at < 0 ? draft.fields.length : at, 0, [name, value]);
}

/** Changes the first of that name, if there is one. */
export function changeField(draft: Draft, name: string, change: (value: string) => string): void {
  const field = draft.fields.find(([known]) => known === name);
  if (field) field[1] = change(field[1]);
}

export function methodOf({ start }: Draft): string {
  return start.startsWith('SIP/') ? '' : start.slice(0, start.indexOf(' '));
}
