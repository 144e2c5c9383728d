/** Where a name is reached, as URIs: written for all ways there are to a phone, and read by who calls. */
import { isIPv6 } from 'node:net';
import { formatUri, isSipUri, parseUri, type SipUri, sipUri } from '@sip-stack/parser';
import { isLinkLocal, withoutZone } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';
import { literalLocation } from '../../discovery/address-locator.js';
import type { Location } from '../../discovery/locator.js';
import { MAX_CONTACTS } from '../../identity/binding.js';
import { directPlan, PROTOCOLS, type SipProtocol } from '../../sip/resolution/plan.js';
import { idOf } from '../ring/ids.js';

/** `Location.source` of what the ring says. */
export const RING_SOURCE = 'ring';

/** Where a phone takes calls, by one protocol. */
export interface Way {
  readonly protocol: SipProtocol;
  readonly endpoint: Endpoint;
}

/** Those that are told, the best first. WebSocket is for browsers, which are in no ring. */
const TOLD: readonly SipProtocol[] = ['UDP', 'TLS', 'TCP'];

/**
 * SIP URIs, best first; address by address, so that where there are more than a binding holds each has one way at
 * least. A link-local address of IPv6 says nothing beyond its link, so it is told, last, by who has no other of IPv6:
 * who has IPv6 alone may be on that link.
 */
export function contactsAt(user: string, ways: readonly Way[]): string[] {
  const routed = ways.filter(({ endpoint }) => !isLinkLocal(endpoint.address));
  const hasOther = routed.some(({ endpoint }) => isIPv6(endpoint.address));
  const told = hasOther
    ? routed
    : [...routed, ...ways.filter(({ endpoint }) => isLinkLocal(endpoint.address))];
  const addresses = [...new Set(told.map(({ endpoint }) => endpoint.address))];
  const contacts = addresses.map(address =>
    TOLD.flatMap(protocol =>
      told
        .filter(way => way.protocol === protocol && way.endpoint.address === address)
        .map(way => contactAt(user, way)),
    ),
  );
  const first = contacts.flatMap(([each]) => each ?? []);
  const kept = new Set(
    [...first, ...contacts.flatMap(([, ...more]) => more)].slice(0, MAX_CONTACTS),
  );
  return contacts.flat().filter(contact => kept.has(contact));
}

function contactAt(user: string, { protocol, endpoint }: Way): string {
  const { address, port } = endpoint;
  // A zone means something on this host only (RFC 6874 §1).
  const uri = sipUri({ user, host: withoutZone(address), port });
  if (protocol !== 'UDP') uri.params.set('transport', protocol.toLowerCase());
  return formatUri(uri);
}

/** In a binding that vouches for ordinary phones: by which of them the name is reached there. */
const PHONES = 'phones';
/** 32 bits of a hash: enough to tell phones of one person apart. */
const PHONE_DIGITS = 8;
/** Beyond, it is not told. */
const MAX_PHONES = 8;

/** Adds which phones are behind the contacts, as somebody names them that has them registered too. */
export function withPhones(contacts: readonly string[], phones: readonly string[]): string[] {
  const [first, ...others] = contacts;
  if (first === undefined || phones.length === 0 || phones.length > MAX_PHONES)
    return [...contacts];
  const marks = phones.map(phone => idOf(phone).slice(0, PHONE_DIGITS));
  return [`${first};${PHONES}=${[...new Set(marks)].sort().join('.')}`, ...others];
}

/** Which phones are behind the contacts; empty where they do not say. */
export function phonesOf(contacts: readonly string[]): ReadonlySet<string> {
  const uri = sipUriOf(contacts[0] ?? '');
  return new Set(uri?.params.get(PHONES)?.split('.'));
}

/**
 * Where a call to `target` may be sent, of the contacts of one device: to each address by the first way that fits.
 * Whoever does not answer there by one protocol will not by another, and others wait for their turn. Literal addresses
 * only: a record makes nobody here ask the DNS.
 */
export function placesOf(contacts: readonly string[], target: SipUri): Location[] {
  const places = new Map<string, Location>();
  for (const contact of contacts) {
    const location = locationOf(contact, target);
    if (!location) continue;
    const { address } = location.endpoint;
    if (!places.has(address)) places.set(address, location);
  }
  return [...places.values()];
}

function locationOf(contact: string, target: SipUri): Location | undefined {
  const uri = sipUriOf(contact);
  uri?.params.delete(PHONES);
  try {
    const fitting = uri && fitted(uri, target);
    return fitting && literalLocation(fitting, RING_SOURCE);
  } catch {
    // It goes by what nobody here speaks.
    return undefined;
  }
}

/** Written by others: what cannot be read is passed over. */
function sipUriOf(text: string): SipUri | undefined {
  try {
    const uri = parseUri(text);
    return isSipUri(uri) ? uri : undefined;
  } catch {
    return undefined;
  }
}

/** Who calls `sips:` is led only where all the way is secure; that is said in the URI. */
function fitted(uri: SipUri, target: SipUri): SipUri | undefined {
  const { protocol } = directPlan(uri);
  if (target.params.has('transport') && directPlan(target).protocol !== protocol) return undefined;
  if (target.scheme === 'sip') return uri;
  if (!PROTOCOLS[protocol].secure) return undefined;
  const { user, host, port } = uri;
  return sipUri({ scheme: 'sips', user, host, port });
}
