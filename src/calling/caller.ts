/** Who a call or a message is from, as a person would call them, and who sent the call on to us. */
import {
  Diversion,
  From,
  formatUri,
  type HeaderField,
  isSipUri,
  type NameAddr,
  PAssertedIdentity,
  type SipRequest,
  SipSyntaxError,
} from '@sip-stack/parser';

/** Somebody who was called first, and whose phone sent the call on (RFC 5806). */
export interface DivertedBy {
  readonly name: string;
  readonly uri: string;
  /** `no-answer`, `user-busy`, `unconditional`, …; `unknown` where it is not said. */
  readonly reason: string;
}

/** More are not listed: who adds them without end wants no one to read them. */
const MAX_DIVERSIONS = 10;

export function nameOf({ displayName, uri }: NameAddr): string {
  return displayName || (isSipUri(uri) && uri.user) || formatUri(uri);
}

/**
 * Who a request is from.
 *
 * @param trusted it comes from a server that vouches for its users (RFC 3325 §5); others may assert anything
 */
export function callerOf({ headers }: SipRequest, trusted: boolean): NameAddr {
  const [asserted] = trusted ? readable({ headers }, PAssertedIdentity) : [];
  return asserted ?? headers.require(From);
}

/** The latest first, as the call came. Nobody has proved it. */
export function diversionsOf(invite: SipRequest): DivertedBy[] {
  return readable(invite, Diversion)
    .slice(0, MAX_DIVERSIONS)
    .map(diversion => ({
      name: nameOf(diversion),
      uri: formatUri(diversion.uri),
      reason: diversion.params.get('reason')?.toLowerCase() ?? 'unknown',
    }));
}

/** Nothing depends on these: what is malformed counts as absent. */
function readable<T>(
  { headers }: Pick<SipRequest, 'headers'>,
  field: HeaderField<T>,
): readonly T[] {
  try {
    return headers.all(field);
  } catch (error) {
    if (error instanceof SipSyntaxError) return [];
    throw error;
  }
}
