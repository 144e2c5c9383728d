/** What is wrong with a message or a text, and which SLP error a reply to it deserves. */
import { ErrorCode } from './constants.js';

export type SlpErrorCode =
  /** The octets end before the field does. */
  | 'TRUNCATED'
  | 'BAD_VERSION'
  | 'UNKNOWN_FUNCTION'
  | 'BAD_LENGTH'
  /** A field that may not be empty, or does not follow its grammar. */
  | 'BAD_VALUE'
  /** No UTF-8. */
  | 'BAD_TEXT'
  | 'BAD_EXTENSION'
  | 'TOO_LARGE';

export class SlpError extends Error {
  readonly code: SlpErrorCode;
  /** The field as the RFC calls it, e.g. `scope-list`. */
  readonly field: string;
  /** Octets into the message, or UTF-16 units into the text that was parsed. */
  readonly offset: number;
  /** Error code of the reply such a request deserves (RFC 2608 §7). */
  readonly status: number;

  constructor(
    code: SlpErrorCode,
    field: string,
    offset: number,
    message: string,
    status: number = ErrorCode.PARSE_ERROR,
  ) {
    super(`${field} at ${offset}: ${message}`);
    this.name = 'SlpError';
    this.code = code;
    this.field = field;
    this.offset = offset;
    this.status = status;
  }
}

export type SlpRequestErrorCode =
  /** Nobody at that address, or nobody who speaks SLP. */
  | 'NO_ANSWER'
  /** A directory agent that has said so for as long as it was asked. */
  | 'BUSY'
  /** What was to go by TCP could not. */
  | 'NO_STREAM'
  /** The answer is an error: `status`. */
  | 'ERROR_REPLY';

/** A request that came to nothing. */
export class SlpRequestError extends Error {
  readonly code: SlpRequestErrorCode;
  /** Error code of the reply (RFC 2608 §7), or 0. */
  readonly status: number;

  constructor(code: SlpRequestErrorCode, message: string, status: number = ErrorCode.NONE) {
    super(message);
    this.name = 'SlpRequestError';
    this.code = code;
    this.status = status;
  }
}
