/** Why a message was not taken, in the words of calls: a code for programs, a sentence for people. */
import { type CallEnd, endOfStatus } from '../../calling/call-end.js';

/** What a final status of 300 or more says (RFC 3428 §7, RFC 3261 §21). */
export function endOfMessage(target: string, status: number, reason: string): CallEnd {
  switch (status) {
    case 405:
    case 501:
      return {
        code: 'REFUSED',
        message: `${target} takes no messages (${status} ${reason})`,
        remedy: 'Call instead.',
        status,
      };
    case 413:
    case 513:
      return {
        code: 'REFUSED',
        message: `the message is too long for ${target} (${status} ${reason})`,
        remedy: 'Send it in parts.',
        status,
      };
    case 415:
      return {
        code: 'REFUSED',
        message: `${target} takes no plain text (${status} ${reason})`,
        remedy: 'Call instead.',
        status,
      };
    case 480:
      return {
        code: 'NO_ANSWER',
        message: `${target} cannot take the message now (${status} ${reason})`,
        remedy: 'Try again later.',
        status,
      };
    case 403:
    case 603:
      return {
        code: 'REFUSED',
        message: `${target} refused the message (${status} ${reason})`,
        remedy: 'Ask them to allow messages from you.',
        status,
      };
    default:
      return endOfStatus(target, 'remote', status, reason, false);
  }
}
