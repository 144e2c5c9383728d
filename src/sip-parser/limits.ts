/** How much a peer may make us hold. */
import { SipSyntaxError } from './errors.js';

export interface ParseLimits {
  /** Octets from the start line to the empty line. */
  readonly headerBytes: number;
  /** Octets of the body. */
  readonly bodyBytes: number;
  /** Header field lines. */
  readonly headerCount: number;
}

/** The head fills at most the largest datagram; the body may be a voicemail. */
export const DEFAULT_LIMITS: ParseLimits = {
  headerBytes: 65_536,
  bodyBytes: 2 * 1024 * 1024,
  headerCount: 256,
};

export function tooLarge(part: 'head' | 'body', limit: number): SipSyntaxError {
  const message = `expected a ${part} of up to ${limit} octets, found a longer one`;
  return new SipSyntaxError('TOO_LARGE', message, { status: part === 'head' ? 513 : 413 });
}
