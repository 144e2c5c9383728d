/** Our parser as a contestant. */
import {
  Allow,
  CallId,
  Contact,
  ContentLength,
  ContentType,
  CSeq,
  From,
  isSipUri,
  MaxForwards,
  type NameAddr,
  parseMessage,
  RecordRoute,
  Route,
  type SipUri,
  Supported,
  To,
  type Uri,
  UserAgent,
  Via,
} from '@sip-stack/parser';
import type { Contestant, RoutingFields } from './contestants.js';

function asSip(uri: Uri): SipUri {
  if (!isSipUri(uri)) throw new Error(`expected a SIP URI, found ${uri.scheme}`);
  return uri;
}

export const ours: Contestant = {
  name: '@sip-stack/parser',
  routing: data => ourRouting(parseRequest(data)),
  all(data) {
    const request = parseRequest(data);
    const { headers } = request;
    const second = headers.all(Via)[1]!;
    const from = headers.require(From);
    const to = headers.require(To);
    const contact = headers.require(Contact) as NameAddr;
    return {
      routing: ourRouting(request),
      secondSentBy: second.host,
      secondBranch: second.params.get('branch'),
      recordRouteHost: asSip(headers.require(RecordRoute).uri).host,
      fromName: from.displayName,
      fromUser: asSip(from.uri).user,
      toName: to.displayName,
      toUser: asSip(to.uri).user,
      sequenceMethod: headers.require(CSeq).method,
      contactUser: asSip(contact.uri).user,
      contactHost: asSip(contact.uri).host,
      contactExpires: Number(contact.params.get('expires')),
      allow: headers.all(Allow),
      supported: headers.all(Supported),
      userAgent: headers.require(UserAgent),
      contentType: headers.require(ContentType).type,
      contentLength: headers.require(ContentLength),
      bodyLength: request.body.length,
    };
  },
};

function parseRequest(data: Uint8Array) {
  const message = parseMessage(data);
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

function ourRouting({ method, uri, headers }: ReturnType<typeof parseRequest>): RoutingFields {
  const requestUri = asSip(uri);
  const via = headers.require(Via);
  return {
    method,
    requestUser: requestUri.user,
    requestHost: requestUri.host,
    branch: via.params.get('branch'),
    sentByHost: via.host,
    sentByPort: via.port,
    fromTag: headers.require(From).params.get('tag'),
    toTag: headers.require(To).params.get('tag'),
    callId: headers.require(CallId),
    sequence: headers.require(CSeq).sequence,
    routeHost: asSip(headers.require(Route).uri).host,
    maxForwards: headers.require(MaxForwards),
  };
}
