/** Requests of the ring as REGISTER (README.md): written in one form, read in all that earlier work used. */
import {
  CallId,
  Contact,
  ContentType,
  CSeq,
  Expires,
  From,
  formatUri,
  isSipUri,
  MaxForwards,
  type NameAddr,
  Params,
  ReferTo,
  RequestDisposition,
  Require,
  SipRequest,
  type SipUri,
  Supported,
  To,
} from '@sip-stack/parser';
import type { RequestMessage } from '../link-messages.js';
import type { Peer } from '../ring/peer.js';
import { BODY_TYPE } from './body.js';
import { type Content, guarded, readRequestContent, requestContent } from './content.js';
import {
  DhtLink,
  DhtMessage,
  DhtPart,
  DhtPeerId,
  type Link,
  MAX_BODY_OCTETS,
  MAX_LINKS,
  readLink,
  writeLink,
} from './fields.js';
import { isNodeRequest, nodeRequestContent, nodeRequestOf } from './node-content.js';
import { cutContent, type Part, type PartOrigin } from './parts.js';
import { contactUri, isPeerUri, nodeUri, peerUri, placeUri, readPlace } from './peer-uri.js';
import { type Decoded, refused, shown, taken, Unreadable } from './refusal.js';
import { type Expected, readSender, refusing, senderField } from './sender.js';

export const OPTION_TAG = 'dht';
const METHOD = 'REGISTER';
/** Sends a node to another super-node. */
const MOVE_METHOD = 'REFER';
/** RFC 3261 §8.1.1.6 */
const HOPS = 70;
/** How long a member says that it stays, unless it says so again. */
const MEMBER_EXPIRES_S = 600;
/** Asks for a part of an answer. */
const MORE = 'more';

/** What SIP needs to know of a request; Via is left to who sends it. */
export interface RequestFrame {
  readonly overlay: string;
  readonly to: Peer;
  readonly callId: string;
  /** Of the first part; each that follows counts on. */
  readonly sequence: number;
  readonly tag: string;
}

export type WireRequest =
  | { readonly type: 'part'; readonly origin: PartOrigin; readonly part: Part }
  /** The part of that index, of our answer to that request. */
  | { readonly type: 'more'; readonly from: Peer; readonly number: number; readonly index: number };

/**
 * One REGISTER, or as many as the message has parts. Each waits for the answer to the one before it.
 * @throws {CodedError} `UNWRITABLE`
 */
export function encodeRequest(
  { from, number, request }: RequestMessage,
  frame: RequestFrame,
): SipRequest[] {
  const content = isNodeRequest(request) ? nodeRequestContent(request) : requestContent(request);
  return cutContent(content).map((part, index) =>
    register(from, number, part, { ...frame, sequence: frame.sequence + index }),
  );
}

/** Asks for another part of an answer. */
export function encodeMore(
  from: Peer,
  number: number,
  index: number,
  frame: RequestFrame,
): SipRequest {
  const content = {
    name: MORE,
    words: { part: String(index + 1) },
    links: [],
    body: new Uint8Array(0),
  };
  return register(from, number, { content, place: undefined }, frame);
}

/**
 * Refused with any code of `WireRefusalCode`; throws nothing. What is whole goes on to `readRequest`, parts to a
 * `PartAssembler`.
 */
export function decodeRequest(sip: SipRequest, expected: Expected): Decoded<WireRequest> {
  if (sip.method !== METHOD && sip.method !== MOVE_METHOD)
    return refused('WRONG_METHOD', `expected REGISTER, found ${shown(sip.method)}`);
  return refusing(() => {
    checkOptions(sip);
    const from = readSender(sip, expected);
    const said = sip.headers.first(DhtMessage);
    const name = said?.token.toLowerCase() ?? nameByShape(sip);
    if (sip.method !== methodOf(name)) {
      throw new Unreadable('WRONG_METHOD', `expected ${methodOf(name)}, found ${sip.method}`);
    }
    const words = said ? wordsOf(said.params) : {};
    if (words.to !== undefined && words.to !== (expected.selfId ?? words.to)) {
      throw new Unreadable(
        'BAD_ID',
        `expected a message for ${expected.selfId}, found one for ${shown(words.to)}`,
      );
    }
    const number = numberOf(words, sip);
    if (name === MORE) return { type: 'more', from, number, index: partAsked(words) };
    const place = placeOf(sip.headers.require(To), name);
    const recursive = sip.headers
      .all(RequestDisposition)
      .some(text => text.toLowerCase() === 'proxy');
    const content: Content = {
      name,
      words: recursive ? { within: '', ...words } : words,
      ...(place && { key: place.key }),
      ...(name === 'attach' && registered(sip)),
      links: readLinks(sip),
      body: bodyOf(sip),
    };
    const part = { content, place: sip.headers.first(DhtPart) };
    return { type: 'part', origin: { kind: 'request', from, number }, part };
  });
}

/** What an ordinary registration says too. */
function registered({ headers }: SipRequest): { contact: string; expiresS: number } {
  const contact = headers.first(Contact);
  if (contact === undefined || contact === '*') {
    throw new Unreadable(
      'MALFORMED',
      'expected Contact with where the node is reached, found none',
    );
  }
  return {
    contact: formatUri(contact.uri),
    expiresS: headers.first(Expires) ?? MEMBER_EXPIRES_S,
  };
}

/** The message of a whole content. */
export function readRequest(origin: PartOrigin, content: Content): Decoded<RequestMessage> {
  const { from, number } = origin;
  const node = guarded(() => nodeRequestOf(content));
  if (!node.ok) return node;
  if (node.value) return taken({ kind: 'request', from, number, request: node.value });
  const ring = readRequestContent(content);
  return ring.ok ? taken({ kind: 'request', from, number, request: ring.value }) : ring;
}

/** Name and value of the parameters of DHT-Message. */
export function wordsOf(params: Params): Record<string, string> {
  return Object.fromEntries([...params].map(([name, value]) => [name.toLowerCase(), value]));
}

/** @throws {Unreadable} */
export function readLinks({ headers }: Pick<SipRequest, 'headers'>): Link[] {
  const values = headers.all(DhtLink);
  if (values.length > MAX_LINKS) {
    throw new Unreadable('TOO_LARGE', `expected up to ${MAX_LINKS} links, found ${values.length}`);
  }
  return values.map(readLink).filter(link => link !== undefined);
}

/** @throws {Unreadable} `TOO_LARGE`, `UNKNOWN_CONTENT` */
export function bodyOf({ headers, body }: Pick<SipRequest, 'headers' | 'body'>): Uint8Array {
  if (body.length > MAX_BODY_OCTETS) {
    throw new Unreadable(
      'TOO_LARGE',
      `expected a body of up to ${MAX_BODY_OCTETS} octets, found ${body.length}`,
    );
  }
  const type = headers.first(ContentType)?.type;
  if (body.length === 0 || type === BODY_TYPE) return body;
  throw new Unreadable(
    'UNKNOWN_CONTENT',
    `expected ${BODY_TYPE}, found ${shown(type ?? 'no Content-Type')}`,
  );
}

/** @throws {Unreadable} */
export function numberOf(
  words: Readonly<Record<string, string>>,
  sip: Pick<SipRequest, 'headers'>,
): number {
  const text = words.number;
  if (text === undefined) return sip.headers.require(CSeq).sequence;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new Unreadable('MALFORMED', `expected the number of a request, found ${shown(text)}`);
}

function register(
  from: Peer,
  number: number,
  { content, place }: Part,
  frame: RequestFrame,
): SipRequest {
  const { name, words, links, body, contact } = content;
  const { overlay, to, callId, sequence, tag } = frame;
  const method = methodOf(name);
  const sip = new SipRequest({ method, uri: peerUri({ ...to, id: '' }), body });
  const { headers } = sip;
  headers
    .set(MaxForwards, HOPS)
    .set(From, { uri: nodeUri(from), params: Params.from({ tag }) })
    .set(To, { uri: toward(content, from, to), params: new Params() })
    .set(CallId, callId)
    .set(CSeq, { sequence, method });
  if (contact !== undefined) {
    headers
      .set(Contact, { uri: contactUri(contact), params: new Params() })
      .set(Expires, content.expiresS ?? MEMBER_EXPIRES_S);
  } else if (saysOfItself(name)) {
    headers
      .set(Contact, { uri: peerUri(from), params: new Params() })
      .set(Expires, name === 'leave' || name === 'detach' ? 0 : MEMBER_EXPIRES_S);
  }
  headers.set(Require, OPTION_TAG).set(Supported, OPTION_TAG);
  if (name === 'find') {
    headers.set(RequestDisposition, words.within === undefined ? 'redirect' : 'proxy');
  }
  if (name === 'move' && links[0]) {
    headers.set(ReferTo, { uri: peerUri(links[0].peer), params: new Params() });
  }
  const params = Params.from({ number: String(number), ...(to.id && { to: to.id }), ...words });
  headers.set(DhtPeerId, senderField(from, overlay)).set(DhtMessage, { token: name, params });
  if (place) headers.set(DhtPart, place);
  headers.set(DhtLink, ...links.map(writeLink));
  if (body.length > 0) headers.set(ContentType, { type: BODY_TYPE, params: new Params() });
  return sip;
}

function methodOf(name: string): string {
  return name === 'move' ? MOVE_METHOD : METHOD;
}

/** To: the sender itself, what is looked for or handed over (a third-party registration), or whom we talk to. */
function toward({ name, key }: Content, from: Peer, to: Peer): SipUri {
  if (saysOfItself(name)) return nodeUri(from);
  if (key === undefined) return peerUri({ id: to.id, address: to.address });
  return placeUri(key, name === 'find' ? 'peer-ID' : 'resource-ID');
}

function saysOfItself(name: string): boolean {
  return (
    name === 'join' ||
    name === 'notify' ||
    name === 'leave' ||
    name === 'attach' ||
    name === 'detach'
  );
}

/** RFC 3261 §8.2.2.3 */
function checkOptions({ headers }: SipRequest): void {
  const required = headers.all(Require).map(tag => tag.toLowerCase());
  const unknown = required.filter(tag => tag !== OPTION_TAG);
  if (unknown.length > 0) {
    throw new Unreadable(
      'UNSUPPORTED_EXTENSION',
      `expected to need no more than ${OPTION_TAG}, found ${shown(unknown.join(', '))}`,
      unknown,
    );
  }
  if (required.length === 0) {
    throw new Unreadable(
      'NOT_OVERLAY',
      `expected "Require: ${OPTION_TAG}", found an ordinary registration`,
    );
  }
}

/** What earlier work left to the shape of the message. */
function nameByShape({ headers }: SipRequest): string {
  const to = headers.require(To);
  const contact = headers.first(Contact);
  const aboutMember = isSipUri(to.uri) && isPeerUri(to.uri);
  if (contact === undefined) return readPlace(to).what === 'peer' ? 'find' : 'fetch';
  if (aboutMember) return headers.first(Expires) === 0 ? 'leave' : 'join';
  throw new Unreadable(
    'UNSIGNED',
    'expected a binding as a signed record in the body, found a Contact',
  );
}

function placeOf(to: NameAddr, name: string) {
  return name === 'find' || name === 'fetch' || name === 'query' ? readPlace(to) : undefined;
}

function partAsked(words: Readonly<Record<string, string>>): number {
  const text = words.part ?? '';
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text) - 1;
  throw new Unreadable('MALFORMED', `expected the number of a part, found ${shown(text)}`);
}
