/** The header fields of the ring (README.md), by the parser's own tools. */
import {
  formatNameAddr,
  headerField,
  type NameAddr,
  Params,
  readFieldParams,
  readNameAddr,
  type TokenWithParams,
  writeFieldParams,
} from '@sip-stack/parser';
import type { Peer } from '../ring/peer.js';
import { param, peerUri, readPeer } from './peer-uri.js';
import { shown, Unreadable } from './refusal.js';

/** Who sent the message, and in which overlay. */
export const DhtPeerId = headerField<NameAddr>({
  name: 'DHT-PeerID',
  read: cursor => readNameAddr(cursor),
  format: value => formatNameAddr(value),
});

/** A member the sender knows of, and where it stands. */
export const DhtLink = headerField<NameAddr>({
  name: 'DHT-Link',
  list: true,
  read: cursor => readNameAddr(cursor),
  format: value => formatNameAddr(value),
});

/** What kind of message this is, and what it says in a few words. */
export const DhtMessage = headerField<TokenWithParams>({
  name: 'DHT-Message',
  read: cursor => ({ token: cursor.takeToken('a message name'), params: readFieldParams(cursor) }),
  format: ({ token, params }) => token + writeFieldParams(params),
});

export interface PartPlace {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Of the whole message. */
  readonly links: number;
  /** Of the whole body. */
  readonly octets: number;
  /** Where in the body this part begins. */
  readonly offset: number;
  /** SHA-256 of the whole body, base64url. */
  readonly digest: string;
}

/** Parts of one message, and what each may say about it. */
export const MAX_PARTS = 128;
export const MAX_LINKS = 1_024;
/** 1 MiB of values, and what stands beside them. */
export const MAX_BODY_OCTETS = 2 ** 20 + 2 ** 16;

/** Which part of a message that does not fit one. */
export const DhtPart = headerField<PartPlace>({
  name: 'DHT-Part',
  read(cursor) {
    const number = cursor.takeNumber('the number of a part', MAX_PARTS);
    if (!cursor.skipSeparator(0x2f)) throw cursor.unexpected('"/"');
    const count = cursor.takeNumber('how many parts there are', MAX_PARTS);
    const params = readFieldParams(cursor);
    const links = boundedCount(params, 'links', MAX_LINKS);
    const octets = boundedCount(params, 'octets', MAX_BODY_OCTETS);
    const offset = boundedCount(params, 'offset', MAX_BODY_OCTETS);
    const digest = params.get('sha-256') ?? '';
    if (number < 1 || number > count) throw cursor.unexpected('a part among its number of parts');
    if (!/^[\w-]{43}$/.test(digest)) throw cursor.unexpected('sha-256 of the body, in base64url');
    return { index: number - 1, count, links, octets, offset, digest };
  },
  format: ({ index, count, links, octets, offset, digest }) =>
    `${index + 1}/${count};links=${links};octets=${octets};offset=${offset};sha-256=${digest}`,
});

/** By the sender's device key (signature.ts). */
export const DhtSignature = headerField<string>({
  name: 'DHT-Signature',
  read: cursor => cursor.takeToken('a signature in base64url'),
  format: value => value,
});

/** P1 predecessor, P2 the one before it, S1… successors, C1… whom to ask instead, O1… owners, X1… silent. */
export type LinkLetter = 'P' | 'S' | 'C' | 'O' | 'X';

export interface Link {
  readonly letter: LinkLetter;
  /** From 1; for fingers the power of two. */
  readonly number: number;
  readonly peer: Peer;
}

/** Links are told anew with every message; so long may others believe them. */
const LINK_EXPIRES_S = 600;

export function writeLink({ letter, number, peer }: Link): NameAddr {
  const params = Params.from({ link: `${letter}${number}`, expires: String(LINK_EXPIRES_S) });
  return { uri: peerUri(peer), params };
}

/**
 * Undefined for what is not asked about here: fingers, and letters of others.
 * @throws {Unreadable}
 */
export function readLink(value: NameAddr): Link | undefined {
  const text = param(value, ['link', 'link-param', 'link-value']) ?? '';
  const [, letter, digits] = /^([A-Za-z][\w-]*?)(\d{1,5})$/.exec(text) ?? [];
  if (letter === undefined) {
    throw new Unreadable('MALFORMED', `expected a link such as P1, found ${shown(text)}`);
  }
  const known = letterOf(letter.toUpperCase());
  if (!known) return undefined;
  return { letter: known, number: Number(digits), peer: readPeer(value, known !== 'C') };
}

function letterOf(text: string): LinkLetter | undefined {
  switch (text) {
    case 'P':
    case 'S':
    case 'C':
    case 'O':
    case 'X':
      return text;
    default:
      return undefined;
  }
}

function boundedCount(params: Params, name: string, max: number): number {
  const text = params.get(name) ?? '';
  const value = /^\d{1,8}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new Unreadable(
    value > max ? 'TOO_LARGE' : 'MALFORMED',
    `expected ${name} up to ${max} in DHT-Part, found ${shown(text)}`,
  );
}
