/**
 * A session set up by INVITE, as one of its two sides holds it: its state, what happens to it, and what
 * it asks to be done (RFC 3261 §13 to §15). SDP is text here; what it says is the user's business.
 */
import type { NameAddr, SipRequest, SipResponse } from '@sip-stack/parser';
import type { Endpoint } from '../../core/network.js';
import type { Dialog } from '../dialog.js';
import type { TransactionTimers } from '../transaction/machine.js';
import type { ReliableProvisional } from './reliable-provisional.js';
import type { SessionTimerState } from './session-timer.js';

/**
 * - `inviting`: caller, no final response yet; - `cancelling`: caller, gave up, final response awaited;
 * - `alerting`: callee, no final response sent; - `established`: 2xx sent or received;
 * - `ended`: nothing but the driver's clean-up is left.
 */
export type SessionPhase = 'inviting' | 'cancelling' | 'alerting' | 'established' | 'ended';

/** An offer of ours, or a refresh without one, that awaits its final response. */
export interface OwnRequest {
  readonly method: 'INVITE' | 'UPDATE';
  readonly sequence: number;
  /** Undefined for a refresh that changes nothing. */
  readonly offer: string | undefined;
  /** A refresh of the session timer, which the user did not ask for. */
  readonly refresh: boolean;
  /** It tells where we are now: said again until the other side has heard it. */
  readonly moves: boolean;
}

export interface Session {
  phase: SessionPhase;
  readonly role: 'caller' | 'callee';
  /** The INVITE that began it; the caller's is replaced when it is sent again with credentials. */
  invite: SipRequest;
  /** Another after our address has changed. */
  contact: NameAddr;
  readonly localTag: string;
  readonly timers: TransactionTimers;
  /** A number in [0, 1), for the pause after glare (§14.1). */
  readonly chance: () => number;
  dialog: Dialog | undefined;
  /** Caller: a provisional response has come, so that CANCEL is allowed (§9.1). */
  provisional: boolean;
  /** Caller: dialogs that provisional responses have begun, by their remote tag (§12.1). */
  readonly early: Map<string, EarlyDialog>;
  /** ACKs to 2xx, by the CSeq of their INVITE, sent again whenever that 2xx is (§13.2.2.4). */
  readonly acks: Map<number, SipRequest>;
  /** A 2xx of ours whose ACK has not come; sent again until then (§13.3.1.4). */
  unacknowledged: { invite: SipRequest; response: SipResponse; intervalMs: number } | undefined;
  /** Hang-up waits for the ACK: a callee sends no BYE before it (§15). */
  byeWanted: boolean;
  /** What we last said of our media. */
  localSdp: string | undefined;
  /** A re-INVITE or UPDATE of the other side that the user has not answered yet. */
  theirs: SipRequest | undefined;
  ours: OwnRequest | undefined;
  /** An offer that met the other side's on its way and waits to be made again (§14.1). */
  postponed: OwnRequest | undefined;
  /** The pause after glare, or a move that did not get through, is not over: nothing postponed has its turn before. */
  paused: boolean;
  /** How often in a row it did not get through where we are. */
  movesFailed: number;
  /** Callee: provisional responses that must arrive (RFC 3262). */
  reliable: ReliableProvisional | undefined;
  /** Callee: the 2xx that waits until the reliable provisional response is acknowledged. */
  acceptWith: string | undefined;
  /** The peer's Allow names UPDATE (RFC 3311 §4). */
  peerUpdates: boolean;
  readonly timer: SessionTimerState;
}

export interface EarlyDialog {
  readonly dialog: Dialog;
  /** Its Allow names UPDATE (RFC 3311 §4). */
  readonly updates: boolean;
  /** RSeq of the last reliable provisional response of this dialog (RFC 3262 §4). */
  lastRSeq: number | undefined;
  /** What the other side said of its media reliably: its answer to our offer, or later an offer of its own. */
  answer: string | undefined;
  /** It offered and we answered since then: what its 2xx repeats is old. */
  renegotiated: boolean;
}

export interface EndReason {
  readonly by: 'local' | 'remote';
  /** Final response that ended it; 487 for a cancelled call, 408 for no answer, 200 after BYE. */
  readonly status: number;
  readonly reason: string;
  /** The final response itself, where one came: a redirection names its contacts there. */
  readonly response?: SipResponse;
}

export type SessionTimer =
  | 'retransmit'
  | 'acknowledge'
  | 'cancel'
  | 'reliable'
  | 'glare'
  /** Session timer: refresh, or give up (RFC 4028 §10). */
  | 'refresh'
  | 'expire';

export type SessionEvent =
  | { readonly type: 'start' }
  /** A request of ours was challenged and goes out again, with credentials and a CSeq of its own (§22.2). */
  | { readonly type: 'reissued'; readonly challenged: SipRequest; readonly request: SipRequest }
  /** A response to the INVITE that began the session. */
  | { readonly type: 'response'; readonly response: SipResponse }
  /** The INVITE got no final response: `status` says why, 408 or 503 (§8.1.3.1). */
  | { readonly type: 'invite-failed'; readonly status: number; readonly reason: string }
  /** A request of ours within the dialog got its final response; 408 where none came. */
  | {
      readonly type: 'dialog-response';
      readonly request: SipRequest;
      readonly status: number;
      readonly response?: SipResponse;
    }
  | { readonly type: 'ring' }
  /** 183, with our answer as early media where `sdp` is given. */
  | { readonly type: 'progress'; readonly sdp: string | undefined }
  | { readonly type: 'accept'; readonly sdp: string }
  | { readonly type: 'reject'; readonly status: number }
  | { readonly type: 'cancelled' }
  /** Our address has changed; `sdp` describes our media there, where there is any yet. */
  | { readonly type: 'move'; readonly contact: NameAddr; readonly sdp: string | undefined }
  /** The other side was found at another place, while it cannot hear where we are now. */
  | { readonly type: 'relocated'; readonly to: Endpoint }
  /** Offer the other side other media. */
  | { readonly type: 'offer'; readonly sdp: string }
  /** Send a request of the user's own within the dialog (INFO, REFER, NOTIFY, MESSAGE). */
  | { readonly type: 'send'; readonly message: DialogMessage }
  /** The user answers such a request of the other side. */
  | {
      readonly type: 'respond';
      readonly request: SipRequest;
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** A request within the dialog. */
  | { readonly type: 'request'; readonly request: SipRequest }
  | { readonly type: 'hang-up' }
  | { readonly type: 'timer'; readonly timer: SessionTimer };

/** A request within the dialog, less what the dialog itself says. */
export interface DialogMessage {
  readonly method: string;
  /** Header fields as text, by name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export type SessionNotice =
  /** The first provisional response: somebody is there and at work. */
  | { readonly type: 'proceeding' }
  | { readonly type: 'ringing' }
  /** The other side's answer, before it takes the call. */
  | { readonly type: 'early-media'; readonly sdp: string }
  | { readonly type: 'answered'; readonly sdp: string | undefined }
  /** The ACK came; with SDP where our 2xx carried the offer. */
  | { readonly type: 'confirmed'; readonly sdp: string | undefined }
  /** The other side wants other media; answer with `accept` or `reject`. */
  | { readonly type: 'reoffer'; readonly sdp: string | undefined }
  /** A request that is the user's business; answer it with `respond`. */
  | { readonly type: 'request'; readonly request: SipRequest }
  /** The final response to a request of the user's own; 408 where none came. */
  | { readonly type: 'response'; readonly request: SipRequest; readonly status: number }
  /** Our offer was answered so. */
  | { readonly type: 'reanswered'; readonly sdp: string | undefined }
  /** The other side's answer to where we are now. */
  | { readonly type: 'moved'; readonly sdp: string | undefined }
  /** Our offer was refused; everything stays as it was. */
  | { readonly type: 'offer-refused'; readonly status: number }
  | { readonly type: 'ended'; readonly reason: EndReason };

export type SessionAction =
  /** Send by a client transaction of its own. A CANCEL carries its Via already. */
  | { readonly type: 'send'; readonly request: SipRequest }
  /** Send outside any transaction. */
  | { readonly type: 'acknowledge'; readonly ack: SipRequest }
  | { readonly type: 'respond'; readonly request: SipRequest; readonly response: SipResponse }
  | { readonly type: 'set-timer'; readonly timer: SessionTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: SessionTimer }
  | { readonly type: 'notify'; readonly notice: SessionNotice }
  /** The dialog exists from now on: requests that match it belong to this session. */
  | { readonly type: 'dialog'; readonly dialog: Dialog }
  /** It is over, and the session is not. */
  | { readonly type: 'dialog-over'; readonly dialog: Dialog }
  /** Nothing more will come of this session. */
  | { readonly type: 'release' };

export function notify(notice: SessionNotice): SessionAction {
  return { type: 'notify', notice };
}
