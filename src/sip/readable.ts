/**
 * What a message says is read before anybody acts on it, so that nobody stops half-way: what is malformed
 * and not needed counts as absent (RFC 3261 §8.2.2).
 */
import {
  Accept,
  Allow,
  Contact,
  ContentType,
  Expires,
  type HeaderField,
  Join,
  MinExpires,
  MinSE,
  RAck,
  RecordRoute,
  Replaces,
  Require,
  RetryAfter,
  RSeq,
  SessionExpires,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  Supported,
} from '@sip-stack/parser';

/** A request is refused sooner than taken for one without these. */
const NEEDED: readonly HeaderField<unknown>[] = [
  Contact,
  ContentType,
  Join,
  RAck,
  RecordRoute,
  Replaces,
  Require,
];
const NEEDED_OF_NO_REQUEST = [Accept, Allow, MinSE, SessionExpires, Supported];
const NEEDED_OF_NO_RESPONSE = [
  ...[Allow, Contact, ContentType, Expires, MinExpires, MinSE, RecordRoute, Require, RetryAfter],
  ...[RSeq, SessionExpires],
];

/** @throws {SipSyntaxError} for a malformed field without which the request cannot be understood */
export function makeRequestReadable(request: SipRequest): void {
  for (const field of NEEDED) request.headers.all(field);
  for (const field of NEEDED_OF_NO_REQUEST) forgetMalformed(request, field);
}

/** A final response counts by its status, whatever else it says. */
export function makeResponseReadable(response: SipResponse): void {
  for (const field of NEEDED_OF_NO_RESPONSE) forgetMalformed(response, field);
}

function forgetMalformed({ headers }: SipMessage, field: HeaderField<unknown>): void {
  try {
    headers.all(field);
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    headers.delete(field);
  }
}
