/** What every request and response must have before anything is done with it. */
import { SipSyntaxError } from './errors.js';
import type { HeaderField } from './field.js';
import { Contact, From, RecordRoute, Route, To } from './fields/address.js';
import { ContentType } from './fields/content.js';
import { CallId, CSeq, Expires, MaxForwards } from './fields/scalar.js';
import { ProxyRequire, Require } from './fields/tokens.js';
import { Via } from './fields/via.js';
import type { SipMessage, SipRequest, SipResponse } from './message.js';
import { isSipUri } from './uri.js';

const REQUIRED: readonly HeaderField<unknown>[] = [Via, From, To, CallId, CSeq];
/** Read by every element that handles the request, so malformed ones are refused at the door. */
const READ_BY_ALL: readonly HeaderField<unknown>[] = [
  MaxForwards,
  Contact,
  Route,
  RecordRoute,
  Require,
  ProxyRequire,
  ContentType,
  Expires,
];
const UNDERSTOOD_SCHEMES: readonly string[] = ['tel'];
/** RFC 3261 §8.1.1.7 */
const BRANCH_COOKIE = 'z9hG4bK';

/**
 * Checks a request as RFC 3261 §8.2 and §16.3 ask: the fields of §8.1.1 are there, once, and read
 * well; CSeq names the method. A request without Max-Forwards comes from an RFC 2543 element and is
 * let through (§16.6 step 3).
 *
 * @throws {SipSyntaxError} with the status of the response it deserves
 */
export function checkRequest(request: SipRequest): void {
  checkCommonFields(request);
  for (const field of READ_BY_ALL) checkField(request, field);
  const { method } = request.headers.require(CSeq);
  if (method !== request.method) {
    throw new SipSyntaxError('METHOD_MISMATCH', `expected ${request.method}, found ${method}`, {
      field: CSeq.name,
    });
  }
  if (request.headers.require(Via).params.get('branch') === BRANCH_COOKIE) {
    throw new SipSyntaxError('BAD_VALUE', 'expected a branch after the cookie, found none', {
      field: Via.name,
    });
  }
  checkRequestUri(request);
}

/** @throws {SipSyntaxError} for a response that must be dropped */
export function checkResponse(response: SipResponse): void {
  checkCommonFields(response);
}

function checkCommonFields(message: SipMessage): void {
  for (const field of REQUIRED) {
    checkField(message, field);
    message.headers.require(field);
  }
}

/** Every value reads well, and a field of one value is there at most once. */
function checkField({ headers }: SipMessage, field: HeaderField<unknown>): void {
  if (headers.all(field).length > 1 && !field.list) {
    throw new SipSyntaxError('REPEATED_FIELD', 'expected one value, found several', {
      field: field.name,
    });
  }
}

/** §19.1.1: no header components in a Request-URI; §8.2.2.1: 416 for an unknown scheme. */
function checkRequestUri({ uri }: SipRequest): void {
  if (isSipUri(uri)) {
    if (uri.headers.size === 0) return;
    throw new SipSyntaxError('BAD_URI', 'expected a Request-URI without headers, found some');
  }
  if (!UNDERSTOOD_SCHEMES.includes(uri.scheme)) {
    throw new SipSyntaxError('UNKNOWN_SCHEME', `expected sip, sips or tel, found ${uri.scheme}`, {
      status: 416,
    });
  }
}
