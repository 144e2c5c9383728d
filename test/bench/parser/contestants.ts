/** What each parser is asked for: octets in, the same plain records out. */

/** What a proxy or transaction layer looks at. */
export interface RoutingFields {
  method: string;
  requestUser: string | undefined;
  requestHost: string;
  branch: string | undefined;
  sentByHost: string;
  sentByPort: number | undefined;
  fromTag: string | undefined;
  toTag: string | undefined;
  callId: string;
  sequence: number;
  routeHost: string;
  maxForwards: number;
}

/** Every header field of the message, typed. */
export interface AllFields {
  routing: RoutingFields;
  secondSentBy: string;
  secondBranch: string | undefined;
  recordRouteHost: string;
  fromName: string | undefined;
  fromUser: string | undefined;
  toName: string | undefined;
  toUser: string | undefined;
  sequenceMethod: string;
  contactUser: string | undefined;
  contactHost: string;
  contactExpires: number;
  allow: readonly string[];
  supported: readonly string[];
  userAgent: string;
  contentType: string;
  contentLength: number;
  bodyLength: number;
}

export interface Contestant {
  readonly name: string;
  routing(data: Uint8Array): RoutingFields;
  all(data: Uint8Array): AllFields;
}
