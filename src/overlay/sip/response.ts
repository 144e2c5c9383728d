/** Answers of the ring as responses to its REGISTER requests (WIRE.md), and how a request is refused. */
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
import type { RingRequest } from '../messages.js';
import type { Peer } from '../peer.js';
import { BODY_TYPE } from './body.js';
import {
  answerContent,
  type Content,
  readAnswerContent,
  type WireAnswer,
  type WireMessage,
} from './content.js';
import { DhtLink, DhtMessage, DhtPart, DhtPeerId, type Link, writeLink } from './fields.js';
import { cutContent, type Part, type PartOrigin } from './parts.js';
import { readPeer } from './peer-uri.js';
import {
  type Decoded,
  isRefusalCode,
  shown,
  taken,
  Unreadable,
  WIRE_REFUSAL_STATUS,
  type WireRefusal,
  type WireRefusalCode,
} from './refusal.js';
import { bodyOf, numberOf, OPTION_TAG, readLinks, wordsOf } from './request.js';
import { type Expected, readSender, refusing, senderField } from './sender.js';

/** When who is busy may be asked again. */
const RETRY_AFTER: RetryAfterValue = { seconds: 1, comment: undefined, params: new Params() };
/** A part of a request is kept; the next is waited for. */
const CONTINUE = 'continue';
const REJECTED = 'rejected';

type AnswerMessage = Extract<WireMessage, { kind: 'answer' }>;

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
  return cutContent(answerContent(answer)).map(part =>
    response(status, from, number, part, overlay),
  );
}

export function encodeContinue(from: Peer, number: number, overlay: string): SipResponse {
  const content = { name: CONTINUE, words: {}, links: [], body: new Uint8Array(0) };
  return response(200, from, number, { content, place: undefined }, overlay);
}

/** The response that tells a refusal: readable without knowing the ring. */
export function encodeRefusal({ code, detail, unsupported }: WireRefusal): SipResponse {
  const sip = new SipResponse({ status: WIRE_REFUSAL_STATUS[code] });
  const params = Params.from({ code, text: detail.replace(/[^\x20-\x7e]/g, '?') });
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
  asked: RingRequest['type'] | 'more',
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
  const answer = readAnswerContent(content);
  if (!answer.ok) return answer;
  const { from, number } = origin;
  return taken({ kind: 'answer', from, number, answer: answer.value });
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
  if (name === 'closer') headers.set(Contact, ...links.slice(0, 1).map(contactOf));
  headers.set(DhtLink, ...links.map(writeLink));
  if (body.length > 0) headers.set(ContentType, { type: BODY_TYPE, params: new Params() });
  sip.body = body;
  return sip;
}

/** For who reads RFC 3261 §8.1.3.4 and no links. */
function contactOf(link: Link) {
  return { uri: writeLink(link).uri, params: new Params() };
}

/** The status beside each answer; where several share one, DHT-Message tells them apart. */
function statusOf(answer: WireAnswer): number {
  switch (answer.type) {
    case 'trying':
      return 100;
    case 'closer':
      return 302;
    case 'busy':
      return 480;
    case 'records':
      return answer.records.length > 0 ? 200 : 404;
    case 'refused':
      return refusedStatus(answer);
    case 'pong':
    case 'owner':
    case 'links':
    case 'notified':
    case 'stored':
    case 'wanted':
    case 'compared':
    case 'accepted':
      return 200;
  }
}

function refusedStatus({ reason }: Extract<WireAnswer, { type: 'refused' }>): number {
  switch (reason) {
    case 'not-owner':
      return 302;
    case 'too-large':
      return 413;
    case 'bad-signature':
      return 438;
    case 'outdated':
      return 403;
    case 'full':
    case 'no-table':
      return 480;
  }
}

/** What an answer of earlier work is, by its status and by what was asked; undefined for a refusal. */
function nameByStatus(status: number, asked: RingRequest['type'] | 'more'): string | undefined {
  if (status === 100) return 'trying';
  if (status === 480) return 'busy';
  if (status === 302) return asked === 'store' ? 'refused' : 'closer';
  // Responsible, and nothing is there: to who looks for the place that is the owner.
  if (status === 404 && asked === 'find') return 'owner';
  if (status === 404 && asked === 'fetch') return 'records';
  if (asked === 'store' && (status === 413 || status === 438 || status === 403)) return 'refused';
  if (status !== 200) return undefined;
  switch (asked) {
    case 'ping':
      return 'pong';
    case 'find':
      return 'owner';
    case 'join':
    case 'neighbours':
      return 'links';
    case 'notify':
      return 'notified';
    case 'store':
      return 'stored';
    case 'fetch':
      return 'records';
    case 'offer':
      return 'wanted';
    case 'compare':
      return 'compared';
    case 'leave':
    case 'membership':
    case 'merge':
      return 'accepted';
    case 'more':
      return undefined;
  }
}

function wordsByStatus(status: number): Record<string, string> {
  switch (status) {
    case 302:
      return { reason: 'not-owner' };
    case 413:
      return { reason: 'too-large' };
    case 438:
      return { reason: 'bad-signature' };
    case 403:
      return { reason: 'outdated' };
    default:
      return { copies: '1' };
  }
}

/** A 302 of earlier work names the member to ask in Contact. */
function contactLinks(sip: SipResponse): Link[] {
  return sip.headers.all(Contact).map((contact, index) => {
    if (contact === '*')
      throw new Unreadable('MALFORMED', `expected a member in Contact, found ${shown(contact)}`);
    return { letter: 'C', number: index + 1, peer: readPeer(contact, false) };
  });
}
