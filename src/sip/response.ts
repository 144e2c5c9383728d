/** Responses to requests, RFC 3261 §8.2.6. */
import { RecordRoute, type SipRequest, SipResponse, SipSyntaxError, To } from '@sip-stack/parser';

/**
 * A response with the header fields that every response copies from its request.
 * They are copied as text, so that a request with a malformed field gets its answer too.
 *
 * @param localTag goes into To where the request had no tag there; none for 100.
 */
export function makeResponse(request: SipRequest, status: number, localTag?: string): SipResponse {
  const response = new SipResponse({ status });
  const { headers } = request;
  for (const name of ['Via', 'From', 'Call-ID', 'CSeq']) {
    response.headers.setText(name, ...headers.texts(name));
  }
  const to = headers.text('To') ?? '';
  const tag = localTag !== undefined && lacksTag(request) ? `;tag=${localTag}` : '';
  response.headers.setText('To', to + tag);
  return response;
}

/** The same, with the route that responses which form a dialog carry (RFC 3261 §12.1.1). */
export function makeDialogResponse(
  request: SipRequest,
  status: number,
  localTag: string,
): SipResponse {
  const response = makeResponse(request, status, localTag);
  const routes = request.headers.texts(RecordRoute.name);
  if (routes.length > 0) response.headers.setText(RecordRoute.name, ...routes);
  return response;
}

function lacksTag(request: SipRequest): boolean {
  try {
    return !request.headers.require(To).params.has('tag');
  } catch (error) {
    if (error instanceof SipSyntaxError) return false;
    throw error;
  }
}
