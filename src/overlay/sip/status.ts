/**
 * What status a message of the ring is told by, in one place: of answers, of refusals, and what a status means from who
 * says no more than it. Where several answers share a status, DHT-Message tells them apart.
 */
import type { LinkAnswer, LinkRequest } from '../link-messages.js';
import type { RingAnswer } from '../ring/messages.js';
import type { WireRefusalCode } from './refusal.js';

type Refused = Extract<RingAnswer, { type: 'refused' }>;

/** The request was read; what it asks for is not done. 403 and 438 as for records in identity/refusal.ts. */
const REFUSED_STATUS: Readonly<Record<Refused['reason'], number>> = {
  'not-owner': 302,
  outdated: 403,
  'too-large': 413,
  'bad-signature': 438,
  full: 480,
  'no-table': 480,
};

/**
 * The message could not be taken. 420, 428, 438, 488 and 493 as in draft-bryan-p2psip-dsip-00; the others as RFC 3261
 * §21.4 and §21.5 mean them.
 */
export const WIRE_REFUSAL_STATUS: Readonly<Record<WireRefusalCode, number>> = {
  MALFORMED: 400,
  REPLAYED: 403,
  WRONG_METHOD: 405,
  TOO_LARGE: 413,
  UNKNOWN_CONTENT: 415,
  UNSUPPORTED_EXTENSION: 420,
  UNKNOWN_VERSION: 420,
  NOT_OVERLAY: 421,
  UNSIGNED: 428,
  BAD_SIGNATURE: 438,
  NOT_MEMBER: 480,
  NO_SUCH_PART: 481,
  WRONG_OVERLAY: 488,
  WRONG_ALGORITHM: 488,
  BAD_ID: 493,
  UNKNOWN_MESSAGE: 501,
  OVERLOADED: 503,
};

export function statusOf(answer: LinkAnswer): number {
  switch (answer.type) {
    case 'trying':
      return 100;
    case 'closer':
    case 'elsewhere':
      return 302;
    case 'busy':
      return 480;
    case 'records':
      return answer.records.length > 0 ? 200 : 404;
    case 'refused':
      return REFUSED_STATUS[answer.reason];
    case 'pong':
    case 'owner':
    case 'links':
    case 'notified':
    case 'stored':
    case 'wanted':
    case 'compared':
    case 'accepted':
    case 'attached':
      return 200;
  }
}

/** From the code as another member wrote it. */
export function isRefusalCode(text: string): text is WireRefusalCode {
  return Object.hasOwn(WIRE_REFUSAL_STATUS, text);
}

/** What is asked for, as far as an answer that does not say what it is may mean different things. */
export type AskedName = LinkRequest['type'] | 'more';

/** What an answer of earlier work is, by its status and by what was asked; undefined for a refusal. */
export function nameByStatus(status: number, asked: AskedName): RingAnswer['type'] | undefined {
  if (status === 100) return 'trying';
  if (status === 480) return 'busy';
  if (asked === 'store' && storeRefusal(status)) return 'refused';
  if (status === 302) return 'closer';
  // Responsible, and nothing is there: to who looks for the place that is the owner.
  if (status === 404 && asked === 'find') return 'owner';
  if (status === 404 && asked === 'fetch') return 'records';
  return status === 200 ? nameByRequest(asked) : undefined;
}

/** What DHT-Message would have said beside it. */
export function wordsByStatus(status: number): Record<string, string> {
  const reason = storeRefusal(status);
  return reason ? { reason } : { copies: '1' };
}

/** Undefined for 480 too, which is "busy" from who says no more. */
function storeRefusal(status: number): Refused['reason'] | undefined {
  switch (status) {
    case 302:
      return 'not-owner';
    case 403:
      return 'outdated';
    case 413:
      return 'too-large';
    case 438:
      return 'bad-signature';
    default:
      return undefined;
  }
}

function nameByRequest(asked: AskedName): RingAnswer['type'] | undefined {
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
    case 'attach':
    case 'detach':
    case 'query':
    case 'publish':
    case 'hand-over':
    case 'move':
      return undefined;
  }
}
