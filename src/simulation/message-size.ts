/** What messages between members weigh on the wire, as SIP over their links. */
import type { RingAnswer, RingMessage, RingRequest } from '../overlay/ring/messages.js';
import type { RingRecord } from '../overlay/ring/records.js';

/** A REGISTER, and its answer; unsigned, since links authenticate both ends. */
const REQUEST_BYTES = 630;
const ANSWER_BYTES = 540;
/** What a member adds that speaks of itself: Contact and Expires. */
const CONTACT_BYTES = 110;
/** A DHT-Link. */
const LINK_BYTES = 110;
/** Of somebody silent, whose address does not matter. */
const SILENT_BYTES = 98;
/** Content-Type. */
const BODY_BYTES = 41;
/** Key, publisher and sequence in hexadecimal and base64. */
const VERSION_BYTES = 100;
/** With its signature, without its value. */
const RECORD_BYTES = 210;
/** Of a member, with its signature and key. */
const ENTRY_BYTES = 220;
const DIGEST_BYTES = 9;

export function messageBytes(message: RingMessage): number {
  return message.kind === 'request'
    ? REQUEST_BYTES + bodyBytes(message.request)
    : ANSWER_BYTES + bodyBytes(message.answer);
}

function bodyBytes(body: RingRequest | RingAnswer): number {
  switch (body.type) {
    case 'find':
      return SILENT_BYTES * body.avoid.length;
    case 'leave':
      return CONTACT_BYTES + neighboursBytes(body);
    case 'owner':
    case 'links':
      return neighboursBytes(body);
    case 'closer':
      return LINK_BYTES * (body.closer.length + body.owners.length + (body.predecessor ? 1 : 0));
    case 'notified':
      return LINK_BYTES * [body.predecessor, body.previous, body.beyond].filter(Boolean).length;
    case 'store':
    case 'records':
      return body.records.reduce((sum, record) => sum + recordBytes(record), BODY_BYTES);
    case 'offer':
    case 'wanted':
      return BODY_BYTES + VERSION_BYTES * body.versions.length;
    case 'membership':
    case 'compared':
      return BODY_BYTES + ENTRY_BYTES * body.entries.length;
    case 'compare':
      return BODY_BYTES + DIGEST_BYTES * body.digests.length;
    case 'notify':
      return CONTACT_BYTES + LINK_BYTES;
    case 'merge':
      return LINK_BYTES;
    case 'join':
      return CONTACT_BYTES;
    case 'neighbours':
    case 'ping':
    case 'pong':
    case 'fetch':
    case 'busy':
    case 'stored':
    case 'refused':
    case 'accepted':
    case 'trying':
      return 0;
  }
}

function neighboursBytes(
  of: Pick<Extract<RingAnswer, { type: 'links' }>, 'predecessor' | 'successors'>,
): number {
  return LINK_BYTES * (of.successors.length + (of.predecessor ? 1 : 0));
}

/** The value as it is. */
function recordBytes({ value }: RingRecord): number {
  return RECORD_BYTES + (value?.length ?? 0);
}
