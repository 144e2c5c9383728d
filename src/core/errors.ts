/**
 * What can go wrong is a coded error: `message` says what was expected and what was found,
 * `remedy` what to do about it. Programs test `code`, people read the rest.
 */
export interface CodedErrorOptions {
  remedy?: string;
  cause?: unknown;
}

export class CodedError extends Error {
  /** Upper-case, stable, e.g. `ADDRESS_IN_USE`. */
  readonly code: string;
  /** One sentence, or absent where there is nothing to be done. */
  readonly remedy: string | undefined;

  constructor(code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** The `code` of an error of ours or of the operating system (`ENETUNREACH`), if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Something thrown, as an `Error`. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
