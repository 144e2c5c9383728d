/**
 * Transfer: REFER within a call (RFC 3515, RFC 5589), its progress by NOTIFY with a fragment of SIP
 * (RFC 3420), and Replaces (RFC 3891) for a call that takes another's place.
 */
import {
  Event,
  formatUri,
  isSipUri,
  Join,
  Params,
  ReferredBy,
  ReferTo,
  Replaces,
  type SipRequest,
  type SipUri,
  SubscriptionState,
  sipUri,
} from '@sip-stack/parser';
import type { SipSession } from '../sip/session/session.js';
import type { DialogMessage } from '../sip/session/state.js';

/** How long a transfer may take, in seconds: the subscription's life (RFC 3515 §2.4.4). */
export const SUBSCRIPTION_S = 180;

/** Where a REFER asks us to call, and with which further header fields. */
export interface Referral {
  readonly uri: SipUri;
  /** Of the INVITE: Replaces, Join, Referred-By. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Undefined where a REFER names nobody who can be called. */
export function referralOf(refer: SipRequest): Referral | undefined {
  const target = refer.headers.first(ReferTo)?.uri;
  if (!target || !isSipUri(target)) return undefined;
  const method = target.params.get('method');
  if (method !== undefined && method.toUpperCase() !== 'INVITE') return undefined;
  const { uri, headers } = requestOf(target);
  // Who was called learns at whose wish (RFC 3892 §2.2).
  const by = refer.headers.text(ReferredBy.name);
  return { uri, headers: { ...headers, ...(by !== undefined && { [ReferredBy.name]: by }) } };
}

/** Header fields that a URI may put into the INVITE to it; what others say could mislead (RFC 3261 §19.1.5). */
const URI_HEADERS = [Replaces.name, Join.name];

/** The URI to call, and what its header part asks for. */
export function requestOf(target: SipUri): Referral {
  const { scheme, user, password, host, port } = target;
  const params = Object.fromEntries(target.params);
  delete params.method;
  const uri = sipUri({
    scheme,
    host,
    params,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(port !== undefined && { port }),
  });
  const headers = URI_HEADERS.flatMap(name => {
    const value = target.headers.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { uri, headers: Object.fromEntries(headers) };
}

/** Asks the other side to call `target`; in an attended transfer, in place of the call we have there. */
export function referTo(target: SipUri, consulted?: SipSession): DialogMessage {
  const uri = consulted ? withReplaces(target, consulted) : target;
  return {
    method: 'REFER',
    headers: { 'Refer-To': `<${formatUri(uri)}>`, Supported: 'replaces' },
  };
}

function withReplaces(target: SipUri, consulted: SipSession): SipUri {
  const { callId, localTag, remoteTag } = consulted.dialogId;
  // Of the other end's dialog, so our tags change sides (RFC 3891 §4).
  const params = new Params().set('to-tag', remoteTag).set('from-tag', localTag);
  const replaces = Replaces.format({ callId, params });
  return { ...target, headers: new Params().set('Replaces', replaces) };
}

/** Tells whoever referred us how the call goes: 100, 180, then its final status. */
export function progressOf(status: number, reason: string): DialogMessage {
  const over = status >= 200;
  const state = over ? 'terminated' : 'active';
  const params = over
    ? new Params().set('reason', 'noresource')
    : new Params().set('expires', String(SUBSCRIPTION_S));
  return {
    method: 'NOTIFY',
    headers: {
      Event: 'refer',
      'Subscription-State': SubscriptionState.format({ token: state, params }),
      'Content-Type': 'message/sipfrag;version=2.0',
    },
    body: fragmentOf(status, reason),
  };
}

/** The status a NOTIFY reports of the call we asked for; undefined where it is of something else. */
export function reportedStatus(notify: SipRequest): number | undefined {
  if (notify.headers.first(Event)?.token.toLowerCase() !== 'refer') return undefined;
  return statusOfFragment(notify.body);
}

/** A response as a fragment of SIP (RFC 3420): what a NOTIFY tells of a call. */
export function fragmentOf(status: number, reason: string): Uint8Array {
  return new TextEncoder().encode(`SIP/2.0 ${status} ${reason}\r\n`);
}

export function statusOfFragment(body: Uint8Array): number | undefined {
  const match = /^SIP\/2\.0 (\d{3})/.exec(new TextDecoder().decode(body));
  return match ? Number(match[1]) : undefined;
}
