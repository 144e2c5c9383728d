/** What becomes of something another device sent: taken, or refused with a code and the SIP status that tells it. */
import { CodedError } from '../core/errors.js';

export type RefusalCode =
  | 'UNSIGNED'
  | 'BAD_SIGNATURE'
  | 'MALFORMED'
  | 'TOO_LARGE'
  | 'WRONG_KIND'
  | 'WRONG_OVERLAY'
  | 'WRONG_KEY'
  | 'STALE'
  | 'EXPIRED'
  | 'NOT_CERTIFIED'
  | 'REVOKED'
  | 'NAME_TAKEN'
  | 'UNDECIPHERABLE';

export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  /** For people: what was expected, what was found. */
  readonly detail: string;
}

export type Outcome<Value> = { readonly ok: true; readonly value: Value } | Refusal;

/**
 * 428, 436 to 438 and 403 as for signed requests (RFC 8224 §6.2.2), 493 (RFC 3261 §21.4.27) for an identifier that
 * does not belong to its key too, 488 for another overlay, as earlier DHTs of SIP messages have them.
 */
export const REFUSAL_STATUS: Readonly<Record<RefusalCode, { status: number; reason: string }>> = {
  UNSIGNED: { status: 428, reason: 'Use Identity Header' },
  BAD_SIGNATURE: { status: 438, reason: 'Invalid Identity Header' },
  MALFORMED: { status: 400, reason: 'Malformed Record' },
  TOO_LARGE: { status: 413, reason: 'Record Too Large' },
  WRONG_KIND: { status: 400, reason: 'Record of Another Kind' },
  WRONG_OVERLAY: { status: 488, reason: 'Another Overlay' },
  WRONG_KEY: { status: 493, reason: 'Key of Somebody Else' },
  STALE: { status: 403, reason: 'Stale Record' },
  EXPIRED: { status: 403, reason: 'Expired Record' },
  NOT_CERTIFIED: { status: 437, reason: 'Unsupported Credential' },
  REVOKED: { status: 403, reason: 'Revoked' },
  NAME_TAKEN: { status: 403, reason: 'Name Taken' },
  UNDECIPHERABLE: { status: 493, reason: 'Undecipherable' },
};

export function accept<Value>(value: Value): { readonly ok: true; readonly value: Value } {
  return { ok: true, value };
}

export function refuse(code: RefusalCode, detail: string): Refusal {
  return { ok: false, code, detail };
}

/** For a command, or wherever else nobody answers by SIP. */
export function refusalError({ code, detail }: Refusal, remedy?: string): CodedError {
  return new CodedError(code, detail, remedy === undefined ? {} : { remedy });
}
