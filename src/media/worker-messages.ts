/** What crosses between the main thread and the media thread. */
import { asError, CodedError, errorCode } from '../core/errors.js';
import type { MediaCommand, MediaResult, NodeId } from './commands.js';
import type { HeardDigit } from './engine.js';

/** A command that nobody waits for: it is answered only where it fails. */
export const NO_REQUEST = 0;

/** What waits to be sent goes in one message a turn of the event loop: crossing costs more than most commands. */
export type ToWorker =
  | { readonly type: 'commands'; readonly commands: readonly Numbered[] }
  /** Close everything; `stopped` answers. */
  | { readonly type: 'stop' };

export interface Numbered {
  /** Named by the answer; `NO_REQUEST` where none is wanted. */
  readonly request: number;
  readonly command: MediaCommand;
}

export type FromWorker =
  | { readonly type: 'told'; readonly messages: readonly Told[] }
  | { readonly type: 'stopped' };

export type Told =
  | { readonly type: 'done'; readonly request: number; readonly result: MediaResult }
  | { readonly type: 'refused'; readonly request: number; readonly error: ErrorData }
  | { readonly type: 'ended'; readonly node: NodeId }
  | { readonly type: 'voice'; readonly node: NodeId; readonly speaking: boolean }
  | { readonly type: 'digit'; readonly node: NodeId; readonly heard: HeardDigit }
  | { readonly type: 'failed'; readonly node: NodeId; readonly error: ErrorData };

/** A coded error without its class, which does not survive the crossing. */
export interface ErrorData {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
  readonly cause: string | undefined;
}

export function errorData(thrown: unknown): ErrorData {
  const error = asError(thrown);
  return {
    code: errorCode(error) ?? 'MEDIA_FAILED',
    message: error.message,
    remedy: error instanceof CodedError ? error.remedy : undefined,
    cause: error.cause === undefined ? undefined : asError(error.cause).message,
  };
}

export function errorFrom({ code, message, remedy, cause }: ErrorData): CodedError {
  return new CodedError(code, message, {
    ...(remedy !== undefined && { remedy }),
    ...(cause !== undefined && { cause: new Error(cause) }),
  });
}
