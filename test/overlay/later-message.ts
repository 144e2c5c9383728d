/**
 * The ring's messages as a later version might have them: version 2. To each message it adds all that the section Versions
 * of src/overlay/sip/README.md leaves to it; and two things it says in a new way, which version 1 has to refuse:
 *
 *   seek                 a message of a new name, in place of `find`
 *   DHT-Coding: deflate  a body that is packed, which nobody could pass over: `min-version=2`
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import {
  Contact,
  type ContactValue,
  From,
  isSipUri,
  type NameAddr,
  Params,
  ReferTo,
  type SipMessage,
  SipRequest,
  SipResponse,
  Supported,
  To,
  type Uri,
} from '@sip-stack/parser';
import { BODY_TYPE } from '../../src/overlay/sip/body.js';
import { DhtLink, DhtMessage, DhtPeerId, MAX_BODY_OCTETS } from '../../src/overlay/sip/fields.js';
import { BODY_IN_PART, LINKS_IN_PART } from '../../src/overlay/sip/parts.js';
import type { WireRefusalCode } from '../../src/overlay/sip/refusal.js';

export const LATER_VERSION = 2;

const [OLD_NAME, NEW_NAME] = ['find', 'seek'];
const CODING = 'DHT-Coding';
const PACKED = 'deflate';

/** Links of letters that version 1 does not have; who only looks at the letter needs no ID. */
const MORE_LINKS = [
  '<sip:P@[2001:db8::77]:5061;zone=north>;link=L1;expires=600;seen=12',
  `<sip:P@192.0.2.99:5061;peer-ID=${'f'.repeat(40)}>;link=F152;expires=600`,
  '<sip:P@192.0.2.98>;link=Power-of7;expires=9;note="a \\"b\\", c"',
];
/** Octets that look like lines version 1 knows. */
const OCTETS = 'record nonsense\r\nmember x +9\r\n';
const MORE_LINES = [
  `power mains 100 +${OCTETS.length}\r\n${OCTETS}\r\n`,
  'mood very%20good\r\n',
  'empty +0\r\n\r\n',
];
const MORE_WORDS = ['at%20home', 'x:1'];
/** Lines that may have more words at their end, but before a length or `-`. */
const KINDS_WITH_MORE_WORDS: readonly string[] = ['record', 'version', 'member', 'node'];

export function copyOf<Message extends SipMessage>(sip: Message): Message;
export function copyOf(sip: SipMessage): SipMessage {
  const { body } = sip;
  const headers = sip.headers.clone();
  return sip.kind === 'request'
    ? new SipRequest({ method: sip.method, uri: sip.uri, headers, body })
    : new SipResponse({ status: sip.status, reason: sip.reason, headers, body });
}

/** Adds to a message of version 1 what version 1 passes over. */
export function addLater(sip: SipMessage): void {
  const { headers } = sip;
  headers.setText('DHT-Power', 'mains;battery=100').setText('X-Later', 'whatever, "it" <is>');
  headers.set(Supported, ...headers.all(Supported), 'dht-seek');
  const sender = headers.first(DhtPeerId);
  if (sender) {
    const params = sender.params.clone().set('version', String(LATER_VERSION)).set('since', '4711');
    headers.set(DhtPeerId, { uri: withZone(sender.uri), params });
  }
  const said = headers.first(DhtMessage);
  if (said) {
    const params = said.params.clone().set('mood', 'very good').set('calm');
    if (params.has('version')) params.set('version', String(LATER_VERSION));
    headers.set(DhtMessage, { token: said.token, params });
  }
  if (sip.kind === 'request') {
    headers.set(From, zoned(headers.require(From))).set(To, zoned(headers.require(To)));
    headers.set(ReferTo, ...headers.all(ReferTo).map(zoned));
  }
  headers.set(Contact, ...headers.all(Contact).map(zonedContact));
  headers.set(DhtLink, ...headers.all(DhtLink).map(zoned));
  const part = headers.text('DHT-Part');
  if (part !== undefined) headers.setText('DHT-Part', `${part};kept=8`);
  else if (sender) addContent(sip);
}

/** How who does not know a new way refuses it. */
export type NewWayRefusal = Extract<WireRefusalCode, 'UNKNOWN_MESSAGE' | 'UNKNOWN_VERSION'>;

/**
 * What version 1 has no way to say, in place of what it says; undefined where there is nothing of that kind.
 *
 * @param refused by whom it is for: these ways are not gone
 */
export function inLaterWay<Message extends SipMessage>(
  sip: Message,
  refused: ReadonlySet<NewWayRefusal> = new Set(),
): Message | undefined {
  const later = copyOf(sip);
  const said = later.headers.first(DhtMessage);
  const renamed = said?.token === OLD_NAME && !refused.has('UNKNOWN_MESSAGE');
  if (renamed) later.headers.set(DhtMessage, { ...said, token: NEW_NAME });
  const whole = sip.body.length > 0 && !sip.headers.has('DHT-Part');
  const packed = whole && !refused.has('UNKNOWN_VERSION');
  if (packed) {
    later.body = deflateRawSync(sip.body);
    later.headers.setText(CODING, PACKED);
    setLeastVersion(later, String(LATER_VERSION));
  }
  return renamed || packed ? later : undefined;
}

/** Undoes `inLaterWay`; undefined where there is nothing to undo. */
export function inFirstWay<Message extends SipMessage>(sip: Message): Message | undefined {
  const first = copyOf(sip);
  const said = first.headers.first(DhtMessage);
  const renamed = said?.token === NEW_NAME;
  if (renamed) first.headers.set(DhtMessage, { ...said, token: OLD_NAME });
  const packed = sip.headers.text(CODING) === PACKED;
  if (packed) {
    first.body = inflateRawSync(sip.body, { maxOutputLength: MAX_BODY_OCTETS });
    first.headers.delete(CODING);
    setLeastVersion(first, undefined);
  }
  return renamed || packed ? first : undefined;
}

/** What its sender speaks; undefined where it does not say. */
export function versionOf({ headers }: SipMessage): number | undefined {
  const text = headers.first(DhtPeerId)?.params.get('version');
  return text === undefined ? undefined : Number(text);
}

function setLeastVersion({ headers }: SipMessage, version: string | undefined): void {
  const sender = headers.require(DhtPeerId);
  const params = sender.params.clone();
  if (version === undefined) params.delete('min-version');
  else params.set('min-version', version);
  headers.set(DhtPeerId, { ...sender, params });
}

function addContent(sip: SipMessage): void {
  const { headers } = sip;
  const links = headers.texts('DHT-Link');
  if (links.length + MORE_LINKS.length <= LINKS_IN_PART) {
    headers.setText('DHT-Link', ...links, ...MORE_LINKS);
  }
  const body = withMoreLines(sip.body);
  if (body.length > BODY_IN_PART) return;
  sip.body = body;
  headers.setText('Content-Type', BODY_TYPE);
}

/** More lines before, between and after those that are there, and more words in these. */
function withMoreLines(body: Uint8Array): Uint8Array {
  const octets = Buffer.from(body);
  const pieces = [Buffer.from(MORE_LINES.join(''))];
  for (let at = 0, n = 0; at < octets.length; n++) {
    const end = octets.indexOf('\r\n', at);
    const words = octets.toString('utf8', at, end).split(' ');
    const last = words.at(-1) ?? '';
    const length = /^\+(\d+)$/.exec(last)?.[1];
    const next = end + 2 + (length === undefined ? 0 : Number(length) + 2);
    if (KINDS_WITH_MORE_WORDS.includes(words[0] ?? '')) {
      const place = length !== undefined || last === '-' ? words.length - 1 : words.length;
      words.splice(place, 0, ...MORE_WORDS);
    }
    pieces.push(Buffer.from(words.join(' ')), octets.subarray(end, next));
    pieces.push(Buffer.from(MORE_LINES[n % MORE_LINES.length] ?? ''));
    at = next;
  }
  return Buffer.concat(pieces);
}

function zoned({ displayName, uri, params }: NameAddr): NameAddr {
  return { displayName, uri: withZone(uri), params: params.clone().set('pace', '7') };
}

function zonedContact(contact: ContactValue): ContactValue {
  return contact === '*' ? contact : zoned(contact);
}

function withZone(uri: Uri): Uri {
  if (!isSipUri(uri)) return uri;
  const params = Params.from({ ...Object.fromEntries(uri.params), zone: 'north' });
  return { ...uri, params };
}
