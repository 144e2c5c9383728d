/** The response context of RFC 3261 §16.7: one request a proxy received, and its branches. */
import {
  CallId,
  CSeq,
  From,
  type SipRequest,
  type SipResponse,
  type SipUri,
  type Uri,
  Via,
} from '@sip-stack/parser';
import type { TransactionTimers } from '../transaction/machine.js';
import { copyRequest, type OwnAddress } from './route.js';
import type { NextHop, Target } from './target.js';

export interface ProxySettings {
  readonly timers: TransactionTimers;
  /** Timer C in ms, `TIMER_C_MS` by default. */
  readonly timerC: number;
  /** Known only to this proxy; its branches are told by it. */
  readonly secret: string;
  /** Option tags of Proxy-Require that are understood. */
  readonly extensions: readonly string[];
  /** Whether the URI names this proxy: host, port and transport. */
  isSelf(uri: SipUri): boolean;
  /** Whether the location service knows where this URI is: it is of a domain of ours. */
  isResponsible(uri: Uri): boolean;
  /** How this proxy is reached from there. */
  addressFor(hop: NextHop): OwnAddress;
  /** Whether later requests of the dialog have to come by here; for REGISTER, those to the contact. */
  recordRoute(request: SipRequest): boolean;
}

/** RFC 3261 §16.6 step 11: larger than three minutes. */
export const TIMER_C_MS = 181_000;

export interface Branch {
  readonly id: number;
  /**
   * - `resolving`: its next hops are looked up; - `calling`: sent, nothing heard;
   * - `proceeding`: a provisional response came; - `done`: it counts no more, though a 2xx still may come.
   */
  state: 'resolving' | 'calling' | 'proceeding' | 'done';
  target: Target;
  /** Of its target, not tried yet. */
  hops: readonly NextHop[];
  /** `wanted` until a provisional response allows it (§9.1). */
  cancel: 'no' | 'wanted' | 'sent';
  /** We gave up on it ourselves: whatever it answers to the CANCEL, it counts as 408. */
  timedOut: boolean;
  /** How many branches it may have further on (RFC 5393 §5). */
  readonly breadth: number;
}

export interface ProxyContext {
  /**
   * - `admitting`, `locating`: nothing was sent on yet; - `forwarding`: no final response yet;
   * - `answered`: a 2xx of a branch went back; - `refused`: another final response did;
   * - `released`: nothing more will come of it.
   */
  phase: 'admitting' | 'locating' | 'forwarding' | 'answered' | 'refused' | 'released';
  /** As received, but for the route, which loses the entries that name this proxy. */
  readonly request: SipRequest;
  readonly source: NextHop;
  readonly settings: ProxySettings;
  /** For the To of responses of our own. */
  readonly tag: string;
  readonly branches: Branch[];
  /** Targets whose turn it is and that wait for breadth only. */
  group: Target[];
  /** Groups whose turn comes when nothing is under way any more. */
  waiting: Target[][];
  /** Final responses that were not sent yet, without our Via. */
  readonly finals: SipResponse[];
  /** Branches that may be under way at the same time, with all of theirs. */
  breadth: number;
  /** What of the request decides its way (RFC 5393 §4.2.1), known from `locating` on. */
  loop: string;
  /** Whether a 2xx of one branch ends the others (RFC 3841 §9.1). */
  cancelsOthers: boolean;
  cancelled: boolean;
}

export type ProxyTimer =
  | { readonly name: 'C' | 'no-answer' | 'cancel'; readonly branch: number }
  /** The answer to a request other than INVITE would come too late (RFC 4320 §4.2). */
  | { readonly name: 'late' }
  /** What an INVITE context waits for when all is said: 2xx of late branches, ACKs to refusals. */
  | { readonly name: 'linger' };

export type ProxyEvent =
  | { readonly type: 'admitted' }
  /** Policy, or something that went wrong on our side. */
  | { readonly type: 'refused'; readonly response: SipResponse }
  /** From the location service: targets, or the status of the refusal. */
  | { readonly type: 'located'; readonly found: readonly Target[] | number }
  | { readonly type: 'resolved'; readonly branch: number; readonly hops: readonly NextHop[] }
  | { readonly type: 'response'; readonly branch: number; readonly response: SipResponse }
  /** No final response: none came in time, or the request could not be sent. */
  | { readonly type: 'failed'; readonly branch: number; readonly reason: 'timeout' | 'transport' }
  | { readonly type: 'cancelled' }
  | { readonly type: 'timer'; readonly timer: ProxyTimer };

export type ProxyAction =
  | { readonly type: 'respond'; readonly response: SipResponse }
  /** End the server transaction without an answer (RFC 4320 §4.2). */
  | { readonly type: 'abandon' }
  /** Ask the location service for the targets of the request. */
  | { readonly type: 'locate'; readonly request: SipRequest }
  | { readonly type: 'resolve'; readonly branch: number; readonly uri: Uri }
  /** Send by a client transaction of its own; `loop` goes into the branch of its Via. */
  | {
      readonly type: 'send';
      readonly branch: number;
      readonly request: SipRequest;
      readonly hop: NextHop;
      readonly loop: string;
    }
  /** Send the CANCEL to the request of this branch. */
  | { readonly type: 'cancel'; readonly branch: number; readonly reason: string | undefined }
  /** Forget the transaction of this branch: no answer will come (§9.1). */
  | { readonly type: 'forget'; readonly branch: number }
  | { readonly type: 'set-timer'; readonly timer: ProxyTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: ProxyTimer }
  /** Nothing more will come of this context. */
  | { readonly type: 'release' };

export function proxyContext(
  received: SipRequest,
  options: Pick<ProxyContext, 'source' | 'settings' | 'tag'>,
): ProxyContext {
  return {
    ...options,
    phase: 'admitting',
    request: copyRequest(received),
    branches: [],
    group: [],
    waiting: [],
    finals: [],
    breadth: 0,
    loop: '',
    cancelsOthers: true,
    cancelled: false,
  };
}

/** What an INVITE has in common with its CANCEL and with the ACK to a refusal of it (§9.1, §17.1.1.3). */
export function inviteKey({ headers }: SipRequest): string {
  const via = headers.require(Via);
  return [
    via.params.get('branch') ?? '',
    `${via.host.toLowerCase()}:${via.port ?? ''}`,
    headers.require(CallId),
    headers.require(From).params.get('tag') ?? '',
    headers.require(CSeq).sequence,
  ].join(' ');
}
