/** How calls end: a code for programs, a sentence for people, and what to do about it. */
import { formatEndpoint } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';

export type CallEndCode =
  | 'HUNG_UP'
  | 'REMOTE_HUNG_UP'
  | 'NO_SUCH_NAME'
  | 'NO_ROUTE'
  | 'UNREACHABLE'
  | 'NO_ANSWER'
  | 'BUSY'
  | 'REFUSED'
  | 'NO_COMMON_CODEC'
  | 'MEDIA_LOST'
  | 'FAILED';

export interface CallEnd {
  readonly code: CallEndCode;
  readonly message: string;
  readonly remedy?: string;
  /** The SIP status that ended it, where one did. */
  readonly status?: number;
}

/** Ends that are no failure: somebody hung up. */
export function isOrdinaryEnd({ code }: CallEnd): boolean {
  return code === 'HUNG_UP' || code === 'REMOTE_HUNG_UP';
}

export function endedLocally(): CallEnd {
  return { code: 'HUNG_UP', message: 'we hung up' };
}

export function noSuchName(target: string): CallEnd {
  if (target.includes('.')) {
    return {
      code: 'NO_SUCH_NAME',
      message: `nobody was found at "${target}": neither this network nor the DNS knows the name`,
      remedy: 'Check the spelling, or call by address.',
    };
  }
  return {
    code: 'NO_SUCH_NAME',
    message: `no phone called "${target}" was found`,
    remedy: '`ringline who` lists the phones on this network.',
  };
}

export function unreachable(target: string, { address, port }: Endpoint): CallEnd {
  return {
    code: 'UNREACHABLE',
    message: `${target} does not respond at ${formatEndpoint({ address, port })}`,
    remedy: 'Check that the other phone is switched on and that no firewall stops UDP to it.',
  };
}

export function noAnswer(target: string): CallEnd {
  return {
    code: 'NO_ANSWER',
    message: `${target} does not answer`,
    remedy: 'Try again later.',
  };
}

/** Of a call that came in: its caller sent CANCEL, which ends it with 487. */
export function callerGaveUp(target: string): CallEnd {
  return { code: 'REMOTE_HUNG_UP', message: `${target} gave up`, status: 487 };
}

export function mediaLost(): CallEnd {
  return {
    code: 'MEDIA_LOST',
    message: 'nothing has been heard from the other side for a minute',
    remedy: 'Check the network between the two phones, and call again.',
  };
}

/** Amid a call: what was asked of the other side was never answered. */
function gone(target: string): CallEnd {
  return {
    code: 'UNREACHABLE',
    message: `${target} does not respond any more`,
    remedy: 'Check the network between the two phones, and call again.',
  };
}

/** What a SIP status says to a person (RFC 3261 §21). */
export function endOfStatus(
  target: string,
  by: 'local' | 'remote',
  status: number,
  reason: string,
  wasConnected: boolean,
): CallEnd {
  if (by === 'local') return { ...endedLocally(), status };
  if (wasConnected && status === 408) return { ...gone(target), status };
  if (wasConnected || status < 300) {
    return { code: 'REMOTE_HUNG_UP', message: 'the other side hung up', status };
  }
  switch (status) {
    case 486:
    case 600:
      return { code: 'BUSY', message: `${target} is busy`, remedy: 'Try again later.', status };
    case 404:
    case 484:
    case 604:
      return {
        code: 'NO_SUCH_NAME',
        message: `the phone was reached, but nobody there is called "${target}" (${status} ${reason})`,
        remedy: 'Check the part before the @.',
        status,
      };
    case 415:
    case 488:
    case 606:
      return {
        code: 'NO_COMMON_CODEC',
        message: `${target} and this phone have no codec in common (${status} ${reason})`,
        remedy:
          'Switch on PCMU or PCMA (G.711) at the other phone, and SRTP where one of both requires it.',
        status,
      };
    case 480:
    case 487:
      return { ...noAnswer(target), status };
    case 408:
      return {
        code: 'UNREACHABLE',
        message: `${target} does not respond`,
        remedy: 'Check that the other phone is switched on and that no firewall stops UDP to it.',
        status,
      };
    case 503:
      return {
        code: 'NO_ROUTE',
        message: `${target} cannot be reached (${reason})`,
        remedy: 'Check that both machines are on the same network.',
        status,
      };
    case 401:
    case 407:
      return {
        code: 'REFUSED',
        message: `the server on the way to ${target} asks for credentials that this phone does not have (${status} ${reason})`,
        remedy: 'Check address, user and password of the account in the configuration.',
        status,
      };
    case 403:
    case 603:
      return {
        code: 'REFUSED',
        message: `${target} refused the call (${status} ${reason})`,
        remedy: 'Ask them to allow calls from you.',
        status,
      };
    default:
      return {
        code: status >= 400 && status < 500 ? 'REFUSED' : 'FAILED',
        message: `${target} refused the call: ${status} ${reason}`,
        remedy: 'See what the other phone or its provider says of this status.',
        status,
      };
  }
}

/** The SIP status that tells others of an end before anybody talked. */
export function statusOfEnd({ code, status }: CallEnd): number {
  if (status !== undefined && status >= 300) return status;
  switch (code) {
    case 'NO_SUCH_NAME':
      return 404;
    case 'UNREACHABLE':
    case 'NO_ANSWER':
      return 408;
    case 'HUNG_UP':
    case 'REMOTE_HUNG_UP':
      return 487;
    case 'BUSY':
    case 'REFUSED':
    case 'NO_COMMON_CODEC':
    case 'NO_ROUTE':
    case 'MEDIA_LOST':
    case 'FAILED':
      return 503;
  }
}

/** An error met while setting a call up, as an end. */
export function endOfError(error: unknown): CallEnd {
  if (!(error instanceof CodedError)) {
    return { code: 'FAILED', message: error instanceof Error ? error.message : String(error) };
  }
  const remedy = error.remedy === undefined ? {} : { remedy: error.remedy };
  return { code: codeOf(error.code), message: error.message, ...remedy };
}

function codeOf(code: string): CallEndCode {
  switch (code) {
    case 'NO_ROUTE':
      return 'NO_ROUTE';
    case 'NO_COMMON_CODEC':
    case 'NOT_ENCRYPTED':
    case 'BAD_SDP':
      return 'NO_COMMON_CODEC';
    case 'NO_SUCH_HOST':
    case 'NO_SUCH_NAME':
      return 'NO_SUCH_NAME';
    default:
      return 'FAILED';
  }
}
