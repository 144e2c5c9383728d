/** URIs of any kind: SIP and telephone ones taken apart, others as they come. */
import { isDigit } from './chars.js';
import { readSipUri, type SipUri, writeSipUri } from './sip-uri.js';
import { readTelUri, type TelUri, writeTelUri } from './tel-uri.js';
import { badUri } from './uri-params.js';

/** `http:`, `urn:`, … */
export interface OtherUri {
  /** Lower case. */
  readonly scheme: string;
  /** Everything after the colon, untouched. */
  readonly opaque: string;
}

export type Uri = SipUri | TelUri | OtherUri;

const COLON = 0x3a;

export function isSipUri(uri: Uri): uri is SipUri {
  return 'host' in uri;
}

export function isTelUri(uri: Uri): uri is TelUri {
  return 'number' in uri;
}

/** @throws {SipSyntaxError} `BAD_URI` */
export function parseUri(text: string): Uri {
  return readUri(text, 0, text.length);
}

export function formatUri(uri: Uri): string {
  if (isSipUri(uri)) return writeSipUri(uri);
  return isTelUri(uri) ? writeTelUri(uri) : `${uri.scheme}:${uri.opaque}`;
}

/**
 * Reads the URI that fills [start, end) of `text`.
 *
 * @throws {SipSyntaxError} `BAD_URI`
 */
export function readUri(text: string, start: number, end: number): Uri {
  // Nearly all begin like this; the long way reads them too.
  if (startsWithSip(text, start)) return readSipUri('sip', text, start + 4, end);
  let colon = start;
  while (colon < end && isSchemeChar(text.charCodeAt(colon))) colon++;
  if (colon === start || colon === end || text.charCodeAt(colon) !== COLON) {
    throw badUri('a scheme and a colon', text, start, end);
  }
  const scheme = text.slice(start, colon).toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return readSipUri(scheme, text, colon + 1, end);
  if (scheme === 'tel') return readTelUri(text, colon + 1, end);
  const stop = findNotPrintable(text, colon + 1, end);
  if (stop >= 0 || colon + 1 === end) throw badUri('a URI', text, stop < 0 ? colon : stop, end);
  return { scheme, opaque: text.slice(colon + 1, end) };
}

/** Unit by unit: a call of `startsWith` costs several times as much. */
function startsWithSip(text: string, start: number): boolean {
  return (
    text.charCodeAt(start + 3) === COLON &&
    text.charCodeAt(start) === 0x73 &&
    text.charCodeAt(start + 1) === 0x69 &&
    text.charCodeAt(start + 2) === 0x70
  );
}

function findNotPrintable(text: string, start: number, end: number): number {
  for (let pos = start; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    if (code <= 0x20 || code >= 0x7f || code === 0x3c || code === 0x3e || code === 0x22) return pos;
  }
  return -1;
}

function isSchemeChar(code: number): boolean {
  const lower = code | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    isDigit(code) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e
  );
}
