/** Answers of the ring as responses to its REGISTER requests (README.md), and how a request is refused. */
import {
  Contact,
  ContentType,
  Params,
  RetryAfter,
  type RetryAfterValue,
  type SipRequest,
  SipResponse,
  Supported,
  To,
  Unsupported,
} from '@sip-stack/parser';
import type { AnswerMessage } from '../link-messages.js';
import type { Peer } from '../ring/peer.js';
import { BODY_TYPE } from './body.js';
import { answerContent, type Content, guarded, readAnswerContent } from './content.js';
import { DhtLink, DhtMessage, DhtPart, DhtPeerId, type Link, writeLink } from './fields.js';
import { isNodeAnswer, nodeAnswerContent, nodeAnswerOf } from './node-content.js';
import { cutContent, type Part, type PartOrigin } from './parts.js';
import { readPeer } from './peer-uri.js';
import {
  type Decoded,
  shown,
  taken,
  Unreadable,
  type WireRefusal,
  type WireRefusalCode,
} from './refusal.js';
import { bodyOf, numberOf, OPTION_TAG, readLinks, wordsOf } from './request.js';
import { type Expected, readSender, refusing, senderField, VERSION } from './sender.js';
import {
  type AskedName,
  isRefusalCode,
  nameByStatus,
  statusOf,
  WIRE_REFUSAL_STATUS,
  wordsByStatus,
} from './status.js';

/** When who is busy may be asked again. */
const RETRY_AFTER: RetryAfterValue = { seconds: 1, comment: undefined, params: new Params() };
/** A part of a request is kept; the next is waited for. */
const CONTINUE = 'continue';
const REJECTED = 'rejected';

export type WireResponse =
  | { readonly type: 'part'; readonly origin: PartOrigin; readonly part: Part }
  /** Send the next part. */
  | { readonly type: 'continue'; readonly from: Peer; readonly number: number }
  /** The request was not taken; a code where it tells one. */
  | {
      readonly type: 'rejected';
      readonly status: number;
      readonly code: WireRefusalCode | undefined;
      readonly detail: string;
    };

/**
 * One response, or one for each part: the first answers the request itself, each other a request for `more`.
 * @throws {CodedError} `UNWRITABLE`
 */
export function encodeAnswer(
  { from, number, answer }: AnswerMessage,
  overlay: string,
): SipResponse[] {
  const status = statusOf(answer);
  const content = isNodeAnswer(answer) ? nodeAnswerContent(answer) : answerContent(answer);
  return cutContent(content).map(part => response(status, from, number, part, overlay));
}

export function encodeContinue(from: Peer, number: number, overlay: string): SipResponse {
  const content = { name: CONTINUE, words: {}, links: [], body: new Uint8Array(0) };
  return response(200, from, number, { content, place: undefined }, overlay);
}

/** The response that tells a refusal: readable without knowing the ring. */
export function encodeRefusal({ code, detail, unsupported }: WireRefusal): SipResponse {
  const sip = new SipResponse({ status: WIRE_REFUSAL_STATUS[code] });
  const version = String(VERSION);
  const params = Params.from({ code, version, text: detail.replace(/[^\x20-\x7e]/g, '?') });
  sip.headers.set(DhtMessage, { token: REJECTED, params }).set(Supported, OPTION_TAG);
  if (unsupported) sip.headers.set(Unsupported, ...unsupported);
  return sip;
}

/** Gives a response what ties it to its request (RFC 3261 §8.2.6.2). `tag`: ours, in To. */
export function answering(sip: SipResponse, request: SipRequest, tag: string): SipResponse {
  const { headers } = request;
  const to = headers.require(To);
  const params = to.params.has('tag') ? to.params : to.params.clone().set('tag', tag);
  const { headers: own } = sip;
  sip.headers = headers.clone();
  for (const [name] of headers.entries()) {
    if (!['Via', 'From', 'To', 'Call-ID', 'CSeq'].includes(name)) sip.headers.delete(name);
  }
  sip.headers.set(To, { ...to, params });
  for (const [name] of own.entries()) sip.headers.setText(name, ...own.texts(name));
  return sip;
}

/**
 * @param asked what was asked, for answers that do not say what they are
 * Refused as requests are; then the answer is to be taken for none.
 */
export function decodeResponse(
  sip: SipResponse,
  asked: AskedName,
  expected: Expected,
): Decoded<WireResponse> {
  return refusing(() => {
    const said = sip.headers.first(DhtMessage);
    const name = said?.token.toLowerCase() ?? nameByStatus(sip.status, asked);
    const words = said ? wordsOf(said.params) : {};
    if (name === undefined || name === REJECTED) {
      const code = words.code ?? '';
      return {
        type: 'rejected',
        status: sip.status,
        code: isRefusalCode(code) ? code : undefined,
        detail: words.text ?? sip.reason,
      };
    }
    const from = readSender(sip, expected);
    const number = numberOf(words, sip);
    if (name === CONTINUE) return { type: 'continue', from, number };
    const links = readLinks(sip);
    const content: Content = {
      name,
      words: said ? words : wordsByStatus(sip.status),
      links: said || name !== 'closer' ? links : [...links, ...contactLinks(sip)],
      body: bodyOf(sip),
    };
    const part = { content, place: sip.headers.first(DhtPart) };
    return { type: 'part', origin: { kind: 'answer', from, number }, part };
  });
}

/** The message of a whole content. */
export function readAnswer(origin: PartOrigin, content: Content): Decoded<AnswerMessage> {
  const { from, number } = origin;
  const node = guarded(() => nodeAnswerOf(content));
  if (!node.ok) return node;
  if (node.value) return taken({ kind: 'answer', from, number, answer: node.value });
  const ring = readAnswerContent(content);
  return ring.ok ? taken({ kind: 'answer', from, number, answer: ring.value }) : ring;
}

function response(
  status: number,
  from: Peer,
  number: number,
  { content, place }: Part,
  overlay: string,
): SipResponse {
  const { name, words, links, body } = content;
  const sip = new SipResponse({ status });
  const { headers } = sip;
  const params = Params.from({ number: String(number), ...words });
  if (name === 'busy') headers.set(RetryAfter, RETRY_AFTER);
  headers
    .set(Supported, OPTION_TAG)
    .set(DhtPeerId, senderField(from, overlay))
    .set(DhtMessage, { token: name, params });
  if (place) headers.set(DhtPart, place);
  if (name === 'closer' || name === 'elsewhere')
    headers.set(Contact, ...links.slice(0, 1).map(contactOf));
  headers.set(DhtLink, ...links.map(writeLink));
  if (body.length > 0) headers.set(ContentType, { type: BODY_TYPE, params: new Params() });
  sip.body = body;
  return sip;
}

/** For who reads RFC 3261 §8.1.3.4 and no links. */
function contactOf(link: Link) {
  return { uri: writeLink(link).uri, params: new Params() };
}

/** A 302 of earlier work names the member to ask in Contact. */
function contactLinks(sip: SipResponse): Link[] {
  return sip.headers.all(Contact).map((contact, index) => {
    if (contact === '*')
      throw new Unreadable('MALFORMED', `expected a member in Contact, found ${shown(contact)}`);
    return { letter: 'C', number: index + 1, peer: readPeer(contact, false) };
  });
}
