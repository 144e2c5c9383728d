/** Who a request is from, as a person would call them. */
import { formatUri, isSipUri, type NameAddr } from '@sip-stack/parser';

export function nameOf({ displayName, uri }: NameAddr): string {
  return displayName || (isSipUri(uri) && uri.user) || formatUri(uri);
}
