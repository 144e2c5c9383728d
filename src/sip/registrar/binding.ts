/** A binding: an address-of-record, and one contact it can be reached by (RFC 3261 §10, RFC 5626 §6). */
import {
  Contact,
  formatUri,
  isSipUri,
  type NameAddr,
  Params,
  Path,
  type SipRequest,
  sameUri,
  sipUri,
  type Uri,
  Via,
} from '@sip-stack/parser';
import { DEFAULT_SIP_PORT } from '../resolver.js';
import type { ServerTransaction } from '../transaction/layer.js';

/** Where a request came from, and so where requests can go back by the same way. */
export type Flow = ServerTransaction['source'];

/** As it is stored: texts instead of parsed values, which take several times the memory. */
export interface Binding {
  /** `<uri>;params` as registered, without `expires`. */
  readonly contact: string;
  /** `+sip.instance`: the device, whatever its address. */
  readonly instance: string | undefined;
  /** 0 where the device keeps no numbered flows. */
  readonly regId: number;
  readonly callId: string;
  readonly sequence: number;
  /** 0 to 1. */
  readonly q: number;
  /** Values of Path, topmost first. */
  readonly path: readonly string[];
  readonly flow: Flow | undefined;
  /** Both in ms on the scale of `Clock.now`. */
  readonly refreshedAt: number;
  readonly expiresAt: number;
}

/** A binding as others see it. */
export interface RegisteredContact {
  readonly uri: Uri;
  /** Parameters of the Contact, among them the features of RFC 3840; without `expires`. */
  readonly params: Params;
  readonly q: number;
  /** Goes into Route of a request to this contact (RFC 3327 §5.4). */
  readonly path: readonly NameAddr[];
  /** The way back to the device, where it registered itself without a proxy between. */
  readonly flow: Flow | undefined;
  readonly expiresInMs: number;
  /** Other flows to the same device, for when this one fails (RFC 5626 §5.3). */
  readonly alternates: readonly RegisteredContact[];
}

/** RFC 5626 §4.2: a number from 1 to 2^31 - 1. */
const REG_ID = /^[1-9]\d{0,9}$/;
const HIGHEST_REG_ID = 2 ** 31 - 1;
/** RFC 3261 §25.1 */
const QVALUE = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/**
 * The key bindings are kept by: scheme and parameters do not matter, escapes are gone (§10.3 step 5).
 *
 * @returns undefined for what is no SIP address
 */
export function addressOfRecord(uri: Uri): string | undefined {
  if (!isSipUri(uri)) return undefined;
  const { user, port } = uri;
  return formatUri(sipUri({ user, host: uri.host.toLowerCase(), port }));
}

/** @param lifetimeMs granted */
export function newBinding(
  request: SipRequest,
  contact: NameAddr,
  details: { callId: string; sequence: number; flow: Flow; now: number; lifetimeMs: number },
): Binding {
  const { callId, sequence, flow, now, lifetimeMs } = details;
  const params = contact.params.clone();
  params.delete('expires');
  const direct = registersItself(request, contact);
  return {
    contact: ownCopy(Contact.format({ ...contact, params })),
    instance: mapDefined(params.get('+sip.instance'), ownCopy),
    regId: regIdOf(contact),
    callId: ownCopy(callId),
    sequence,
    q: qOf(params),
    path: request.headers.all(Path).map(value => ownCopy(Path.format(value))),
    flow: direct ? flow : undefined,
    refreshedAt: now,
    expiresAt: now + lifetimeMs,
  };
}

/**
 * Whether a registration replaces the binding: it is of the same device and flow, or names the same
 * URI. A device that came back with another address leaves no binding of its old one behind.
 */
export function isSameBinding(binding: Binding, contact: NameAddr): boolean {
  const instance = contact.params.get('+sip.instance');
  if (instance !== undefined && binding.instance !== undefined) {
    return binding.instance === instance && binding.regId === regIdOf(contact);
  }
  return sameUri(parseContact(binding.contact).uri, contact.uri);
}

/** 0 where there is none, or none that counts: it means something only beside `+sip.instance`. */
export function regIdOf({ params }: NameAddr): number {
  const text = params.get('reg-id') ?? '';
  if (!params.has('+sip.instance') || !REG_ID.test(text)) return 0;
  return Number(text) <= HIGHEST_REG_ID ? Number(text) : 0;
}

export function parseContact(text: string): NameAddr {
  const contact = Contact.parse(text);
  return contact === '*' ? { uri: sipUri({ host: 'invalid' }), params: new Params() } : contact;
}

/** How much memory its texts take, roughly. */
export function octetsOf({ contact, callId, path }: Binding): number {
  return path.reduce((sum, value) => sum + value.length, contact.length + callId.length);
}

export function describeBinding(binding: Binding, now: number): RegisteredContact {
  const { uri, params } = parseContact(binding.contact);
  return {
    uri,
    params,
    q: binding.q,
    path: binding.path.map(value => Path.parse(value)),
    flow: binding.flow,
    expiresInMs: binding.expiresAt - now,
    alternates: [],
  };
}

/**
 * Whether the request came straight from the socket it registers: then, NAT or not, the way it came is
 * the way back. Who registers for another names another place in its Contact than in its Via.
 */
function registersItself({ headers }: SipRequest, contact: NameAddr): boolean {
  const [via, ...others] = headers.all(Via);
  if (!via || others.length > 0 || headers.has(Path) || !isSipUri(contact.uri)) return false;
  const host = contact.uri.host.toLowerCase();
  // Browsers know no address of their own and name an invalid host (RFC 7118 §5).
  if (regIdOf(contact) > 0 || host.endsWith('.invalid')) return true;
  const port = contact.uri.port ?? DEFAULT_SIP_PORT;
  return host === via.host.toLowerCase() && port === (via.port ?? DEFAULT_SIP_PORT);
}

/** §10.2.1.2: 1 where there is none. */
function qOf(params: Params): number {
  const text = params.get('q');
  return text !== undefined && QVALUE.test(text) ? Number(text) : 1;
}

/** Parsed texts are views of the whole message, which would stay in memory with them. */
function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}

function mapDefined<T, U>(value: T | undefined, map: (value: T) => U): U | undefined {
  return value === undefined ? undefined : map(value);
}
