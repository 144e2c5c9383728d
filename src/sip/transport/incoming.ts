/** What came over the wire, into a message that says where it came from. */
import {
  type ParseLimits,
  parseMessage,
  type SipMessage,
  type SipResponse,
  SipSyntaxError,
  Via,
} from '@sip-stack/parser';
import type { Logger } from '../../core/logger.js';
import type { Endpoint } from '../../core/network.js';
import { readableRequest } from '../malformed.js';
import { makeResponse } from '../response.js';
import type { TransportStatistics } from './transport.js';
import { markSource } from './via.js';

export interface IncomingContext {
  readonly statistics: TransportStatistics;
  readonly logger: Logger;
  /** Answers a request that cannot be read. */
  refuse(response: SipResponse): void;
}

/** Parses and counts; undefined for what is no SIP message, which is refused where it is meant as a request. */
export function readIncoming(
  data: Uint8Array,
  from: Endpoint,
  limits: Partial<ParseLimits>,
  { statistics, logger, refuse }: IncomingContext,
): SipMessage | undefined {
  try {
    const message = parseMessage(data, limits);
    if (message.kind === 'request') markSource(message, from);
    statistics.received++;
    return message;
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    statistics.malformed++;
    logger.debug({ from, reason: error.message }, 'not a SIP message');
    const request = readableRequest(data);
    if (request?.headers.has(Via)) refuse(makeResponse(request, error.status));
    return undefined;
  }
}
