/**
 * A signature over a message of the ring, by the sender's device key. It is asked for unless the link a message comes by
 * authenticates both ends by those keys; that of phones, TLS with a certificate for everybody, does not.
 */
import { createHash } from 'node:crypto';
import { CallId, CSeq, type SipMessage } from '@sip-stack/parser';
import type { Id } from '../ring/ids.js';
import { DhtSignature } from './fields.js';
import { Unreadable } from './refusal.js';

/** Fields that say something about the ring; what SIP elements may change on the way is not signed. */
const SIGNED = [
  'To',
  'Contact',
  'Expires',
  'Refer-To',
  'DHT-PeerID',
  'DHT-Message',
  'DHT-Part',
  'DHT-Link',
];

/** What is signed: what kind of message, its place in time, the fields in this order, and SHA-256 of the body. */
export function signedText(message: SipMessage): string {
  const { headers, body } = message;
  const lines = [
    'ringline ring message 1',
    message.kind === 'request' ? message.method : String(message.status),
    `${headers.require(CallId)} ${CSeq.format(headers.require(CSeq))}`,
  ];
  for (const name of SIGNED) {
    for (const text of headers.texts(name)) lines.push(`${name}: ${text}`);
  }
  lines.push(createHash('sha256').update(body).digest('base64url'));
  return lines.join('\n');
}

/** @param sign gives base64url, as `signAsId` does */
export function signMessage(message: SipMessage, sign: (text: string) => string): void {
  message.headers.set(DhtSignature, sign(signedText(message)));
}

/** @throws {Unreadable} `UNSIGNED`, `BAD_SIGNATURE` */
export function checkSignature(
  message: SipMessage,
  signer: Id,
  verify: (signer: Id, text: string, signature: string) => boolean,
): void {
  const signature = message.headers.first(DhtSignature);
  if (signature === undefined) {
    throw new Unreadable('UNSIGNED', 'expected DHT-Signature by the sender, found none');
  }
  if (!verify(signer, signedText(message), signature)) {
    throw new Unreadable('BAD_SIGNATURE', `this was not signed by ${signer}`);
  }
}
