/** What is wrong with a message, and which response it deserves. */

export type SipSyntaxErrorCode =
  /** Nothing but line ends: a keep-alive, not a message. */
  | 'EMPTY'
  | 'BAD_START_LINE'
  | 'BAD_VERSION'
  | 'BAD_HEADER_LINE'
  /** A header field value that does not follow its grammar. */
  | 'BAD_VALUE'
  | 'BAD_URI'
  | 'UNKNOWN_SCHEME'
  | 'MISSING_FIELD'
  | 'REPEATED_FIELD'
  /** CSeq names another method than the start line. */
  | 'METHOD_MISMATCH'
  | 'BAD_CONTENT_LENGTH'
  | 'TRUNCATED_BODY'
  | 'TOO_LARGE';

export interface SipSyntaxErrorOptions {
  field?: string | undefined;
  position?: number | undefined;
  status?: number;
}

export class SipSyntaxError extends Error {
  readonly code: SipSyntaxErrorCode;
  /** Header field the error is in, e.g. `Via`. */
  readonly field: string | undefined;
  /** Offset in UTF-16 units into the text that was parsed. */
  readonly position: number | undefined;
  /** Status code of the response such a request deserves. */
  readonly status: number;

  constructor(code: SipSyntaxErrorCode, message: string, options: SipSyntaxErrorOptions = {}) {
    super(options.field === undefined ? message : `${options.field}: ${message}`);
    this.name = 'SipSyntaxError';
    this.code = code;
    this.field = options.field;
    this.position = options.position;
    this.status = options.status ?? 400;
  }
}
