/** A dialog's state and the requests sent within it: RFC 3261 §12. */
import {
  CallId,
  Contact,
  CSeq,
  From,
  isSipUri,
  MaxForwards,
  type NameAddr,
  Params,
  RecordRoute,
  Route,
  SipRequest,
  type SipResponse,
  SipSyntaxError,
  To,
  type Uri,
} from '@sip-stack/parser';

export interface Dialog {
  readonly callId: string;
  readonly local: NameAddr;
  readonly remote: NameAddr;
  readonly localTag: string;
  /** Empty with RFC 2543 peers, which send none (§12.1.1). */
  readonly remoteTag: string;
  localSequence: number;
  /** Undefined until the other side has sent a request. */
  remoteSequence: number | undefined;
  remoteTarget: Uri;
  readonly routeSet: readonly NameAddr[];
}

/** The dialog a UAC has with whoever sent `response` to its `request`, §12.1.2. */
export function dialogOfCaller(request: SipRequest, response: SipResponse): Dialog {
  const local = request.headers.require(From);
  const remote = response.headers.require(To);
  return {
    callId: request.headers.require(CallId),
    local,
    remote,
    localTag: local.params.get('tag') ?? '',
    remoteTag: remote.params.get('tag') ?? '',
    localSequence: request.headers.require(CSeq).sequence,
    remoteSequence: undefined,
    remoteTarget: contactUri(response) ?? request.uri,
    routeSet: [...response.headers.all(RecordRoute)].reverse(),
  };
}

/**
 * The dialog a UAS has with whoever sent `request`, §12.1.1.
 *
 * @throws {SipSyntaxError} 400 where the request names no Contact.
 */
export function dialogOfCallee(request: SipRequest, localTag: string): Dialog {
  const remote = request.headers.require(From);
  // RFC 2543 callers, which have no tag either, may leave Contact out.
  const isOld = !remote.params.has('tag');
  const remoteTarget = contactUri(request) ?? (isOld ? remote.uri : undefined);
  if (!remoteTarget) {
    throw new SipSyntaxError('MISSING_FIELD', 'expected the address of the caller', {
      field: Contact.name,
    });
  }
  return {
    callId: request.headers.require(CallId),
    local: withTag(request.headers.require(To), localTag),
    remote,
    localTag,
    remoteTag: remote.params.get('tag') ?? '',
    localSequence: 0,
    remoteSequence: request.headers.require(CSeq).sequence,
    remoteTarget,
    routeSet: request.headers.all(RecordRoute),
  };
}

export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId} ${localTag} ${remoteTag}`;
}

/** A request within the dialog, without Via; ACK keeps the sequence number of its INVITE (§12.2.1.1). */
export function requestInDialog(dialog: Dialog, method: string, sequence?: number): SipRequest {
  if (sequence === undefined) dialog.localSequence++;
  const request = new SipRequest({ method, uri: dialog.remoteTarget });
  request.headers
    .set(MaxForwards, 70)
    .set(From, dialog.local)
    .set(To, dialog.remote)
    .set(CallId, dialog.callId)
    .set(CSeq, { sequence: sequence ?? dialog.localSequence, method });
  const [first, ...others] = dialog.routeSet;
  hops.set(request, first?.uri ?? dialog.remoteTarget);
  if (!first) return request;
  if (isSipUri(first.uri) && first.uri.params.has('lr')) {
    request.headers.set(Route, ...dialog.routeSet);
    return request;
  }
  // A strict router wants its own address as Request-URI and the target last (§12.2.1.1).
  request.uri = first.uri;
  request.headers.set(Route, ...others, { uri: dialog.remoteTarget, params: new Params() });
  return request;
}

/** Where requests within dialogs go: behind a strict router the request alone does not tell. */
const hops = new WeakMap<SipRequest, Uri>();

/** Whom a request is sent to: the first of its dialog's route set, else its Request-URI (§8.1.2, §12.2.1.1). */
export function nextHop(request: SipRequest): Uri {
  const known = hops.get(request);
  if (known) return known;
  const route = request.headers.first(Route);
  return route && isSipUri(route.uri) && route.uri.params.has('lr') ? route.uri : request.uri;
}

/**
 * Takes note of a request's sequence number (§12.2.2).
 *
 * @returns whether the request is in order; otherwise it deserves 500.
 */
export function admitSequence(dialog: Dialog, request: SipRequest): boolean {
  const { sequence } = request.headers.require(CSeq);
  if (dialog.remoteSequence !== undefined && sequence <= dialog.remoteSequence) return false;
  dialog.remoteSequence = sequence;
  return true;
}

/** A target refresh request or its 2xx moves the remote target (§12.2.1.2, §12.2.2). */
export function refreshTarget(dialog: Dialog, message: SipRequest | SipResponse): void {
  dialog.remoteTarget = contactUri(message) ?? dialog.remoteTarget;
}

export function withTag(address: NameAddr, tag: string): NameAddr {
  const params = Params.from(Object.fromEntries(address.params)).set('tag', tag);
  return { ...address, params };
}

export function contactUri(message: SipRequest | SipResponse): Uri | undefined {
  const contact = message.headers.first(Contact);
  return contact === '*' ? undefined : contact?.uri;
}
