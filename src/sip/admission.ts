/** What a request has to pass before anyone looks at it: RFC 3261 §8.2.1 to §8.2.3. */
import {
  Accept,
  Allow,
  ContentType,
  isSipUri,
  MinSE,
  Params,
  Require,
  type SipRequest,
  type SipResponse,
  Unsupported,
} from '@sip-stack/parser';
import { makeResponse } from './response.js';
import { SESSION_OPTIONS } from './session/requests.js';
import { interval, intervalTooSmall, MIN_INTERVAL_S } from './session/session-timer.js';

/** The methods of calls, and of asking whether one is possible. */
export const SESSION_METHODS: readonly string[] = [
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  'OPTIONS',
  'PRACK',
  'UPDATE',
  'REFER',
  'NOTIFY',
  'INFO',
];

export interface Admission {
  readonly localTag: string;
  /** Methods that somebody here handles. */
  readonly allowed: readonly string[];
}

/** The refusal a request deserves; undefined where it may pass. */
export function refusalOf(
  request: SipRequest,
  { localTag, allowed }: Admission,
): SipResponse | undefined {
  const { headers, method, body } = request;
  if (!allowed.includes(method)) {
    const response = makeResponse(request, 405, localTag);
    response.headers.set(Allow, ...allowed);
    return response;
  }
  if (!isSipUri(request.uri)) return makeResponse(request, 416, localTag);
  const required = method === 'CANCEL' ? [] : headers.all(Require);
  const unknown = required.filter(option => !SESSION_OPTIONS.includes(option.toLowerCase()));
  if (unknown.length > 0) {
    const response = makeResponse(request, 420, localTag);
    response.headers.set(Unsupported, ...unknown);
    return response;
  }
  if ((method === 'INVITE' || method === 'UPDATE') && intervalTooSmall(request)) {
    const response = makeResponse(request, 422, localTag);
    response.headers.set(MinSE, interval(MIN_INTERVAL_S));
    return response;
  }
  if (method !== 'INVITE') return undefined;
  if (!takesSdp(request)) return makeResponse(request, 406, localTag);
  if (body.length === 0) return undefined;
  if (headers.first(ContentType)?.type.toLowerCase() === 'application/sdp') return undefined;
  const response = makeResponse(request, 415, localTag);
  response.headers.set(Accept, { type: 'application/sdp', params: new Params() });
  return response;
}

/** Our answer can only be a session description: the caller must be able to read one (§20.1). */
function takesSdp({ headers }: SipRequest): boolean {
  const accepted = headers.all(Accept).map(({ type }) => type.toLowerCase());
  const readable = ['application/sdp', 'application/*', '*/*'];
  return !headers.has(Accept) || accepted.some(type => readable.includes(type));
}
