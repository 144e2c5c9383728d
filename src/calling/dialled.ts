/** What a person types to call somebody, as a SIP URI. */
import { isIP } from 'node:net';
import { isSipUri, parseUri, SipSyntaxError, type SipUri, sipUri } from '@sip-stack/parser';
import { CodedError } from '../core/errors.js';

const HINT =
  'Give a name (`alice`), somebody or something at a phone (`room@alice`), an address (`192.0.2.7`), or a SIP URI (`sip:bob@192.0.2.7:5070`).';

/**
 * - `alice` is the phone of that name on this network: `sip:alice@local`;
 * - `room@alice` is something at that phone: `sip:room@alice.local`;
 * - `192.0.2.7`, `bob@192.0.2.7:5070`, `bob@example.net` and SIP URIs are taken as they are.
 *
 * @throws {CodedError} `BAD_TARGET`
 */
export function parseDialled(text: string): SipUri {
  const dialled = text.trim();
  try {
    return /^sips?:/i.test(dialled) ? fromUri(dialled) : fromShortForm(dialled);
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    throw badTarget(text, error.message);
  }
}

function fromUri(text: string): SipUri {
  const uri = parseUri(text);
  if (!isSipUri(uri)) throw badTarget(text, 'it is no sip: URI');
  return uri;
}

function fromShortForm(text: string): SipUri {
  if (text === '' || /[\s<>"]/.test(text))
    throw badTarget(text, 'it is empty or has a blank or quote in it');
  const at = text.lastIndexOf('@');
  if (at < 0 && !looksLikeHost(text)) return sipUri({ user: text, host: 'local' });
  const uri = fromUri(`sip:${bracketed(text, at)}`);
  // A single label after the @ names a phone here; anything with a dot in it, a host.
  const isLabel = at >= 0 && !uri.host.includes('.') && !isIP(uri.host) && uri.port === undefined;
  if (!isLabel || uri.host === 'local' || uri.host === 'localhost') return uri;
  return sipUri({ ...(uri.user !== undefined && { user: uri.user }), host: `${uri.host}.local` });
}

/** `192.0.2.7`, `192.0.2.7:5070`, `[2001:db8::7]`, `2001:db8::7`; a bare name is a phone's. */
function looksLikeHost(text: string): boolean {
  return isIP(text) !== 0 || text.startsWith('[') || /^[^:]+:\d+$/.test(text);
}

/** IPv6 addresses are typed without brackets too. */
function bracketed(text: string, at: number): string {
  const host = text.slice(at + 1);
  return isIP(host) === 6 ? `${text.slice(0, at + 1)}[${host}]` : text;
}

function badTarget(text: string, why: string): CodedError {
  return new CodedError('BAD_TARGET', `"${text}" cannot be called: ${why}`, { remedy: HINT });
}
