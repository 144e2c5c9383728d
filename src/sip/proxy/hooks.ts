/** What a proxy asks of those who run it. */
import type { SipRequest, SipResponse, Uri } from '@sip-stack/parser';
import type { ProxySettings } from './context.js';
import type { NextHop, Target } from './target.js';

export interface ProxyHooks
  extends Pick<ProxySettings, 'isSelf' | 'isResponsible' | 'addressFor' | 'recordRoute'> {
  /**
   * Policy, authentication above all, asked before anything else about every request but CANCEL and ACK.
   *
   * @param request as it will go on: what is meant for this proxy alone may be taken from it
   * @returns the response that refuses the request, or undefined
   */
  admit(request: SipRequest, source: NextHop): Promise<SipResponse | undefined>;
  /**
   * The location service, asked about addresses `isResponsible` says yes to.
   *
   * @returns targets in any order (none: 480), or the status of the refusal, e.g. 404
   */
  targets(request: SipRequest): Promise<readonly Target[] | number>;
  /** Where requests to a URI go, best first (RFC 3263); empty or rejected where that cannot be found out. */
  resolve(uri: Uri): Promise<readonly NextHop[]>;
}
