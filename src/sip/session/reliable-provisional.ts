/** A callee's provisional responses that must arrive: RFC 3262 §3. */
import {
  CSeq,
  RAck,
  Require,
  RSeq,
  type SipRequest,
  type SipResponse,
  Supported,
} from '@sip-stack/parser';

export const RELIABLE = '100rel';

export interface ReliableProvisional {
  /** RSeq of the next response; the first is drawn by chance. */
  nextRSeq: number;
  /** Sent and not acknowledged; sent again, T1 doubling, until it is. */
  pending: { response: SipResponse; rseq: number; intervalMs: number; hasSdp: boolean } | undefined;
  /** Since the pending response was first sent, in ms. */
  waitedMs: number;
}

/** Whether the caller demands reliable provisional responses, bears them, or neither. */
export function reliability({ headers }: SipRequest): 'required' | 'supported' | 'none' {
  const names = (option: string) => option.toLowerCase() === RELIABLE;
  if (headers.all(Require).some(names)) return 'required';
  return headers.all(Supported).some(names) ? 'supported' : 'none';
}

/** @param chance in [0, 1) */
export function newReliable(chance: number): ReliableProvisional {
  return { nextRSeq: 1 + Math.floor(chance * 2 ** 30), pending: undefined, waitedMs: 0 };
}

/** Makes a response one that must be acknowledged. */
export function makeReliable(state: ReliableProvisional, response: SipResponse, t1: number): void {
  const rseq = state.nextRSeq++;
  response.headers.set(Require, RELIABLE).set(RSeq, rseq);
  state.pending = { response, rseq, intervalMs: t1, hasSdp: response.body.length > 0 };
  state.waitedMs = 0;
}

/** Whether this PRACK acknowledges the pending response (§3: RSeq, CSeq and method must match). */
export function acknowledges(
  state: ReliableProvisional,
  invite: SipRequest,
  prack: SipRequest,
): boolean {
  const rack = prack.headers.first(RAck);
  const { sequence, method } = invite.headers.require(CSeq);
  if (!rack || !state.pending) return false;
  return (
    rack.response === state.pending.rseq && rack.sequence === sequence && rack.method === method
  );
}
