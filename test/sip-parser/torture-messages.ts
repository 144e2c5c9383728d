/** The 49 messages of RFC 4475: where each stands in it, what is odd about it and how it is met. */
import type { SipSyntaxErrorCode } from '@sip-stack/parser';

export interface Refusal {
  readonly code: SipSyntaxErrorCode;
  readonly status: number;
  readonly field?: string;
}

export interface TortureMessage {
  readonly name: string;
  readonly section: string;
  readonly what: string;
  /** Absent for a message that is read; what to do with it is then for higher floors. */
  readonly refusal?: Refusal;
}

function read(section: string, name: string, what: string): TortureMessage {
  return { name, section, what };
}

function refused(
  section: string,
  name: string,
  what: string,
  code: SipSyntaxErrorCode,
  field?: string,
  status = 400,
): TortureMessage {
  const refusal = field === undefined ? { code, status } : { code, status, field };
  return { name, section, what, refusal };
}

export const TORTURE_MESSAGES: readonly TortureMessage[] = [
  read('3.1.1.1', 'wsinv', 'folding, spaces and odd case wherever they may be'),
  read('3.1.1.2', 'intmeth', 'every character a token, user, quoted string or name may have'),
  read('3.1.1.3', 'esc01', 'escapes in URIs, one of them of a percent sign'),
  read('3.1.1.4', 'escnull', 'escaped NUL in a user'),
  read(
    '3.1.1.5',
    'esc02',
    'percent signs in method, display and field names, which escape nothing',
  ),
  read('3.1.1.6', 'lwsdisp', 'no space before the angle bracket'),
  read('3.1.1.7', 'longreq', 'long values, and thirty Vias and more'),
  read('3.1.1.8', 'dblreq', 'octets after the body are dropped'),
  read('3.1.1.9', 'semiuri', 'semicolons in the user part'),
  read('3.1.1.10', 'transports', 'transports nobody knows'),
  read('3.1.1.11', 'mpart01', 'a binary multipart body'),
  read('3.1.1.12', 'unreason', 'a reason phrase beyond ASCII'),
  read('3.1.1.13', 'noreason', 'an empty reason phrase'),
  refused('3.1.2.1', 'badinv01', 'separators with nothing between', 'BAD_VALUE', 'Via'),
  refused('3.1.2.2', 'clerr', 'more body promised than sent', 'TRUNCATED_BODY', 'Content-Length'),
  refused('3.1.2.3', 'ncl', 'a negative length', 'BAD_CONTENT_LENGTH', 'Content-Length'),
  refused('3.1.2.4', 'scalar02', 'numbers too large, in a request', 'BAD_VALUE', 'CSeq'),
  refused('3.1.2.5', 'scalarlg', 'numbers too large, in a response: dropped', 'BAD_VALUE', 'CSeq'),
  refused('3.1.2.6', 'quotbal', 'a quote that never closes', 'BAD_VALUE', 'To'),
  refused('3.1.2.7', 'ltgtruri', 'Request-URI in angle brackets', 'BAD_URI'),
  refused('3.1.2.8', 'lwsruri', 'a space in the Request-URI', 'BAD_START_LINE'),
  refused('3.1.2.9', 'lwsstart', 'two spaces in the start line', 'BAD_START_LINE'),
  refused('3.1.2.10', 'trws', 'spaces after the version', 'BAD_START_LINE'),
  refused('3.1.2.11', 'escruri', 'headers in the Request-URI', 'BAD_URI'),
  read('3.1.2.12', 'baddate', 'a Date not in GMT: only who reads Date minds'),
  refused('3.1.2.13', 'regbadct', 'a URI with headers, without brackets', 'BAD_VALUE', 'Contact'),
  refused('3.1.2.14', 'badaspec', 'spaces inside the angle brackets', 'BAD_URI', 'To'),
  refused('3.1.2.15', 'baddn', 'a display name that needs quotes', 'BAD_URI', 'From'),
  refused('3.1.2.16', 'badvers', 'a version to come', 'BAD_VERSION', undefined, 505),
  refused('3.1.2.17', 'mismatch01', 'CSeq of another method', 'METHOD_MISMATCH', 'CSeq'),
  refused('3.1.2.18', 'mismatch02', 'the same, the method unknown', 'METHOD_MISMATCH', 'CSeq'),
  refused('3.1.2.19', 'bigcode', 'a status of more than three digits: dropped', 'BAD_START_LINE'),
  refused('3.2.1', 'badbranch', 'a branch that is only the cookie', 'BAD_VALUE', 'Via'),
  refused('3.3.1', 'insuf', 'fields missing', 'MISSING_FIELD', 'From'),
  refused('3.3.2', 'unkscm', 'Request-URI of no known scheme', 'UNKNOWN_SCHEME', undefined, 416),
  refused('3.3.3', 'novelsc', 'a scheme not for SIP', 'UNKNOWN_SCHEME', undefined, 416),
  read('3.3.4', 'unksm2', 'unknown schemes in From, To and Contact: for the registrar'),
  read('3.3.5', 'bext01', 'unknown extensions required: 420 from who handles them'),
  read('3.3.6', 'invut', 'a body of unknown type: 415 from the user agent'),
  read('3.3.7', 'regaut01', 'an unknown authentication scheme: for who authenticates'),
  refused('3.3.8', 'multi01', 'single fields repeated', 'REPEATED_FIELD', 'From'),
  refused('3.3.9', 'mcl01', 'two lengths that disagree', 'BAD_CONTENT_LENGTH', 'Content-Length'),
  read('3.3.10', 'bcast', 'a second Via of a broadcast address: for the transaction layer'),
  read('3.3.11', 'zeromf', 'Max-Forwards of 0: 483 from a proxy, answered by a user agent'),
  read('3.3.12', 'cparam01', 'an unknown parameter of Contact'),
  read('3.3.13', 'cparam02', 'an unknown parameter of its URI'),
  read('3.3.14', 'regescrt', 'an escaped Route in a Contact'),
  read('3.3.15', 'sdp01', 'SDP not accepted in return: 406 from the user agent'),
  read('3.4.1', 'inv2543', 'RFC 2543: no branch, tag or Max-Forwards'),
];
