/** Where a redirection leads. */
import { Contact, isSipUri, type NameAddr, type SipResponse, type SipUri } from '@sip-stack/parser';
import { literalLocation } from '../discovery/address-locator.js';
import type { Location } from '../discovery/locator.js';

/** Where a 3xx says to try instead, best first (RFC 3261 §8.1.3.4); literal addresses for now. */
export function redirections(response: SipResponse, called: SipUri | undefined): Location[] {
  if (response.status < 300 || response.status >= 400) return [];
  const contacts = response.headers.all(Contact).filter(contact => contact !== '*');
  const q = ({ params }: NameAddr) => Number(params.get('q') ?? 1);
  return contacts
    .sort((a, b) => q(b) - q(a))
    .flatMap(({ uri }) => {
      // Who called `sips:` is not led to where others can listen.
      if (!isSipUri(uri) || (called?.scheme === 'sips' && uri.scheme !== 'sips')) return [];
      return redirection(uri) ?? [];
    });
}

/** Undefined for a name, and for a transport that nobody here speaks. */
function redirection(uri: SipUri): Location | undefined {
  try {
    return literalLocation(uri, 'redirect');
  } catch {
    return undefined;
  }
}
