/** Who sent a message of the ring, in which overlay, and whether that may be believed. */
import {
  Contact,
  From,
  type NameAddr,
  Params,
  type SipMessage,
  SipSyntaxError,
} from '@sip-stack/parser';
import type { Id } from '../ring/ids.js';
import type { Peer } from '../ring/peer.js';
import { guarded } from './content.js';
import { DhtPeerId } from './fields.js';
import { ALGORITHM, checkAlgorithm, param, peerUri, readPeer } from './peer-uri.js';
import { type Decoded, shown, Unreadable } from './refusal.js';
import { checkSignature } from './signature.js';

/** How the routing is called in `dht=`; others may call theirs what they like, but not another algorithm. */
const DHT = 'chord';
/** What we speak, and the least that who reads us has to. */
export const VERSION = 1;
const LEAST_VERSION = 1;

/** What is known of who is at the other end, before anything is read. */
export interface Expected {
  readonly overlay: string;
  /** Ours: what names somebody else as its receiver was copied from another link. */
  readonly selfId?: Id;
  /** Asks for a signature, and whether that member gave it. */
  readonly verify?: (signer: Id, text: string, signature: string) => boolean;
}

/** The value of DHT-PeerID. */
export function senderField(from: Peer, overlay: string): NameAddr {
  return {
    uri: peerUri(from),
    params: Params.from({
      algorithm: ALGORITHM,
      dht: DHT,
      overlay,
      version: String(VERSION),
    }),
  };
}

/** @throws {Unreadable} `UNKNOWN_VERSION`, `WRONG_OVERLAY`, `WRONG_ALGORITHM`, `BAD_ID`, `UNSIGNED`, `BAD_SIGNATURE` */
export function readSender(message: SipMessage, expected: Expected): Peer {
  const field = message.headers.first(DhtPeerId) ?? nodeOf(message);
  const least = param(field, ['min-version']) ?? String(LEAST_VERSION);
  if (!(Number(least) <= VERSION)) {
    const detail = `expected a message that version ${VERSION} can read, found one for ${shown(least)}`;
    throw new Unreadable('UNKNOWN_VERSION', detail, ['dht']);
  }
  checkAlgorithm(param(field, ['algorithm', 'algorithm-param', 'alg']) ?? ALGORITHM);
  const dht = param(field, ['dht', 'dht-param']) ?? DHT;
  if (!dht.toLowerCase().startsWith(DHT)) {
    throw new Unreadable('WRONG_ALGORITHM', `expected a DHT such as ${DHT}, found ${shown(dht)}`);
  }
  const overlay = param(field, ['overlay', 'overlay-param']);
  if (overlay !== expected.overlay) {
    const found = overlay === undefined ? 'none' : shown(overlay);
    throw new Unreadable('WRONG_OVERLAY', `expected overlay "${expected.overlay}", found ${found}`);
  }
  const from = readPeer(field);
  if (expected.verify) checkSignature(message, from.id, expected.verify);
  return from;
}

/** The same for all that reads a message: what the parser throws is refused too. */
export function refusing<Value>(read: () => Value): Decoded<Value> {
  return guarded(() => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      throw new Unreadable(error.code === 'TOO_LARGE' ? 'TOO_LARGE' : 'MALFORMED', error.message);
    }
  });
}

/** The form of 2005 has no DHT-PeerID: a member stands in Contact, else in From, with `user=node`. */
function nodeOf({ headers }: SipMessage): NameAddr {
  const contact = headers.first(Contact);
  if (contact !== undefined && contact !== '*') return contact;
  const from = headers.first(From);
  if (from) return from;
  throw new Unreadable('BAD_ID', 'expected DHT-PeerID with the ID of the sender, found none');
}
