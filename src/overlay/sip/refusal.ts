/** What becomes of a message of the ring that was read: taken, or refused with a code and the SIP status that tells it. */

export type WireRefusalCode =
  | 'WRONG_METHOD'
  | 'NOT_OVERLAY'
  | 'UNSUPPORTED_EXTENSION'
  | 'UNKNOWN_VERSION'
  | 'WRONG_OVERLAY'
  | 'WRONG_ALGORITHM'
  | 'BAD_ID'
  | 'UNSIGNED'
  | 'BAD_SIGNATURE'
  | 'REPLAYED'
  | 'UNKNOWN_MESSAGE'
  | 'UNKNOWN_CONTENT'
  | 'MALFORMED'
  | 'TOO_LARGE'
  | 'NOT_MEMBER'
  | 'OVERLOADED'
  | 'NO_SUCH_PART';

export interface WireRefusal {
  readonly ok: false;
  readonly code: WireRefusalCode;
  /** For people: what was expected, what was found. */
  readonly detail: string;
  /** Option tags for `Unsupported` of a 420 (RFC 3261 §20.40). */
  readonly unsupported?: readonly string[];
}

export type Decoded<Value> = { readonly ok: true; readonly value: Value } | WireRefusal;

export function taken<Value>(value: Value): { readonly ok: true; readonly value: Value } {
  return { ok: true, value };
}

export function refused(
  code: WireRefusalCode,
  detail: string,
  unsupported?: readonly string[],
): WireRefusal {
  return { ok: false, code, detail, ...(unsupported && { unsupported }) };
}

/** What somebody sent, for a message to people. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Thrown where a message is read, caught where it is refused: reading is a few levels deep. */
export class Unreadable extends Error {
  readonly refusal: WireRefusal;

  constructor(code: WireRefusalCode, detail: string, unsupported?: readonly string[]) {
    super(detail);
    this.refusal = refused(code, detail, unsupported);
  }
}
