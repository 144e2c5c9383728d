/** What messages between members weigh on the wire, as SIP over their links. */
import type { RingAnswer, RingMessage, RingRequest } from '../overlay/messages.js';
import type { RingRecord } from '../overlay/records.js';

/** A signed REGISTER, or its answer. */
const MESSAGE_BYTES = 830;
/** A DHT-Link. */
const LINK_BYTES = 113;
/** Key, publisher and sequence in hexadecimal and base64. */
const VERSION_BYTES = 100;
/** With its signature, without its value. */
const RECORD_BYTES = 220;
const DIGEST_BYTES = 9;

export function messageBytes(message: RingMessage): number {
  const body = message.kind === 'request' ? message.request : message.answer;
  return MESSAGE_BYTES + bodyBytes(body);
}

function bodyBytes(body: RingRequest | RingAnswer): number {
  switch (body.type) {
    case 'find':
      return 41 * body.avoid.length;
    case 'leave':
    case 'owner':
    case 'links':
      return LINK_BYTES * (body.successors.length + (body.predecessor ? 1 : 0));
    case 'closer':
      return LINK_BYTES * (body.closer.length + body.owners.length + (body.predecessor ? 1 : 0));
    case 'notified':
      return LINK_BYTES * 2;
    case 'store':
    case 'records':
      return body.records.reduce((sum, record) => sum + recordBytes(record), 0);
    case 'offer':
    case 'wanted':
      return VERSION_BYTES * body.versions.length;
    case 'membership':
    case 'compared':
      return LINK_BYTES * body.entries.length;
    case 'compare':
      return DIGEST_BYTES * body.digests.length;
    case 'merge':
    case 'notify':
      return LINK_BYTES;
    case 'neighbours':
    case 'ping':
    case 'pong':
    case 'join':
    case 'fetch':
    case 'busy':
    case 'stored':
    case 'refused':
    case 'accepted':
    case 'trying':
      return 0;
  }
}

/** The value in base64. */
function recordBytes({ value }: RingRecord): number {
  return RECORD_BYTES + Math.ceil(((value?.length ?? 0) * 4) / 3);
}
