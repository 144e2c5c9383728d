/** What a registrar says in its answer to a REGISTER: RFC 3261 §10.2.4, RFC 5626 §4.2, RFC 5627 §4, RFC 3608 §6. */
import {
  Contact,
  Expires,
  FlowTimer,
  isSipUri,
  MinExpires,
  type NameAddr,
  parseUri,
  Require,
  RetryAfter,
  ServiceRoute,
  type SipResponse,
  SipSyntaxError,
  type SipUri,
  Via,
} from '@sip-stack/parser';
import { withoutZone } from '../core/endpoint.js';
import type { Endpoint } from '../core/network.js';
import type { RegistrationAnswer } from './registration-machine.js';

/** What a 2xx grants beside the time. */
export interface Grant {
  /** For requests of ours, next hop first. */
  readonly route: readonly NameAddr[];
  /** Calls come by the flow we registered on, and the server answers keep-alives. */
  readonly outbound: boolean;
  /** How often it wants a sign of life, in ms. */
  readonly keepAliveMs: number | undefined;
  /** An address of this phone that is good anywhere (RFC 5627). */
  readonly gruu: SipUri | undefined;
  /** Where the server saw the request come from; undefined where it does not say. */
  readonly seenAt: Endpoint | undefined;
}

/** @param instance the `+sip.instance` of our contact, where it has one */
export function readAnswer(
  { status, reason, headers }: SipResponse,
  user: string,
  instance: string | undefined,
): RegistrationAnswer {
  const ours = ownContact(headers.all(Contact), user, instance);
  const granted = ours?.params.get('expires');
  const expiresS = granted === undefined ? headers.first(Expires) : Number(granted);
  const minExpiresS = headers.first(MinExpires);
  const retryAfterS = headers.first(RetryAfter)?.seconds;
  return {
    status,
    reason,
    ...(expiresS !== undefined && Number.isFinite(expiresS) && { expiresS }),
    ...(minExpiresS !== undefined && { minExpiresS }),
    ...(retryAfterS !== undefined && { retryAfterS }),
  };
}

export function readGrant(
  { headers }: SipResponse,
  user: string,
  instance: string | undefined,
): Grant {
  const required = headers.all(Require).map(option => option.toLowerCase());
  const seconds = readable(() => headers.first(FlowTimer));
  const gruu = ownContact(headers.all(Contact), user, instance)?.params.get('pub-gruu');
  return {
    route: readable(() => headers.all(ServiceRoute)) ?? [],
    outbound: required.includes('outbound'),
    keepAliveMs: seconds === undefined || seconds === 0 ? undefined : seconds * 1000,
    gruu: gruu === undefined ? undefined : readable(() => sipUriOf(gruu)),
    seenAt: readable(() => seenAt(headers.first(Via)?.params)),
  };
}

/** The contact that is this phone: by its instance where the registrar keeps that, else by its user. */
function ownContact(
  contacts: readonly (NameAddr | '*')[],
  user: string,
  instance: string | undefined,
): NameAddr | undefined {
  const named = contacts.filter(contact => contact !== '*');
  const same = named.find(({ params }) => instance && params.get('+sip.instance') === instance);
  return same ?? named.find(({ uri }) => isSipUri(uri) && (uri.user ?? '') === user);
}

function seenAt(via: { get(name: string): string | undefined } | undefined): Endpoint | undefined {
  const address = via?.get('received');
  const port = Number(via?.get('rport'));
  if (!address || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { address: withoutZone(address), port };
}

function sipUriOf(text: string): SipUri | undefined {
  const uri = parseUri(text);
  return isSipUri(uri) ? uri : undefined;
}

/** What is malformed and was not asked for counts as absent. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SipSyntaxError) return undefined;
    throw error;
  }
}
