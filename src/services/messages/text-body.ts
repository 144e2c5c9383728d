/** Text as the body of a MESSAGE: RFC 3428 §6, RFC 2046 §4.1. */
import { ContentType, type SipRequest } from '@sip-stack/parser';

/** More is refused with 413: a message is read by a person, and kept. */
export const MAX_TEXT_OCTETS = 16 * 1024;
export const TEXT_TYPE = 'text/plain';
/** Both are UTF-8 as they stand. */
const CHARSETS = ['utf-8', 'us-ascii'];

export type ReadText =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'refused';
      readonly status: 400 | 413 | 415;
      /** What would be taken (RFC 3261 §21.4.13). */
      readonly headers: Readonly<Record<string, string>>;
    };

export function readText({ headers, body }: SipRequest): ReadText {
  const coding = headers.text('Content-Encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity') return refused(415, { 'Accept-Encoding': 'identity' });
  const { type = TEXT_TYPE, params } = headers.first(ContentType) ?? {};
  const charset = params?.get('charset')?.toLowerCase() ?? 'utf-8';
  if (type !== TEXT_TYPE || !CHARSETS.includes(charset)) return refused(415, { Accept: TEXT_TYPE });
  if (body.length > MAX_TEXT_OCTETS) return refused(413);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return text.trim() === '' ? refused(400) : { type: 'text', text };
  } catch {
    return refused(400);
  }
}

/** Header fields and body of a message with this text. */
export function writeText(text: string) {
  return {
    headers: { 'Content-Type': `${TEXT_TYPE};charset=UTF-8` },
    body: new TextEncoder().encode(text),
  };
}

function refused(
  status: 400 | 413 | 415,
  headers: Readonly<Record<string, string>> = {},
): Extract<ReadText, { type: 'refused' }> {
  return { type: 'refused', status, headers };
}
