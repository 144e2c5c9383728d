/** What a NOTIFY says: RFC 6665 §4.1.3, §8.2.3. */
import { ContentType, type SipRequest, SubscriptionState } from '@sip-stack/parser';
import type { Content } from './package.js';
import type { NotifiedState } from './subscriber-machine.js';

/** Undefined where a NOTIFY does not say it. Throws SipSyntaxError where it says it wrongly. */
export function statedIn({ headers }: SipRequest): NotifiedState | undefined {
  const stated = headers.first(SubscriptionState);
  if (!stated) return undefined;
  const { token, params } = stated;
  const lower = token.toLowerCase();
  const expiresS = secondsOf(params.get('expires'));
  const retryAfterS = secondsOf(params.get('retry-after'));
  const reason = params.get('reason')?.toLowerCase();
  return {
    state: lower === 'pending' || lower === 'terminated' ? lower : 'active',
    ...(expiresS !== undefined && { expiresS }),
    ...(retryAfterS !== undefined && { retryAfterS }),
    ...(reason !== undefined && { reason }),
  };
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

export function contentOf({ headers, body }: SipRequest): Content | undefined {
  const type = headers.first(ContentType)?.type.toLowerCase();
  return type === undefined || body.length === 0 ? undefined : { type, body };
}
