/** What `ringline doctor` found. */
import { asError, CodedError } from '../core/errors.js';

export interface Finding {
  readonly check: string;
  /** `fail`: no phone can run so; `warn`: it runs, but worse. */
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly remedy?: string;
}

export function explain(error: unknown): Pick<Finding, 'detail' | 'remedy'> {
  const { message } = asError(error);
  const remedy = error instanceof CodedError ? error.remedy : undefined;
  return { detail: message, ...(remedy !== undefined && { remedy }) };
}
