/** Requests and responses (RFC 3261 §7). */
import { Headers } from './headers.js';
import { reasonPhrase } from './reasons.js';
import type { Uri } from './uri.js';

export interface SipRequestOptions {
  /** Case-sensitive. */
  method: string;
  uri: Uri;
  headers?: Headers | undefined;
  body?: Uint8Array | undefined;
}

export class SipRequest {
  readonly kind = 'request';
  method: string;
  uri: Uri;
  headers: Headers;
  body: Uint8Array;

  constructor(options: SipRequestOptions) {
    this.method = options.method;
    this.uri = options.uri;
    this.headers = options.headers ?? new Headers();
    this.body = options.body ?? new Uint8Array(0);
  }
}

export interface SipResponseOptions {
  /** 100 to 699. */
  status: number;
  /** By default the usual one for the status. */
  reason?: string | undefined;
  headers?: Headers | undefined;
  body?: Uint8Array | undefined;
}

export class SipResponse {
  readonly kind = 'response';
  status: number;
  reason: string;
  headers: Headers;
  body: Uint8Array;

  constructor(options: SipResponseOptions) {
    this.status = options.status;
    this.reason = options.reason ?? reasonPhrase(options.status);
    this.headers = options.headers ?? new Headers();
    this.body = options.body ?? new Uint8Array(0);
  }
}

export type SipMessage = SipRequest | SipResponse;
