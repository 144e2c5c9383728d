/**
 * Who takes part in the session, as far as it decides how often we report: RFC 3550 §6.2.1, §6.3.5. Pure. Bounded, since
 * whoever can send us packets can make up SSRCs.
 */
import type { RtpPacket } from './rtp.js';

/** More than take part on any leg; beyond, all count as this many. */
const MAX_MEMBERS = 64;
/** RFC 3550 §6.3.5: intervals of silence before a member is taken for gone, and a sender for a listener. */
const MEMBER_INTERVALS = 5;
const SENDER_INTERVALS = 2;

interface Member {
  /** Signed: larger numbers cost garbage. */
  readonly ssrc: number;
  heardMs: number;
  /** When it last sent RTP. */
  sentMs: number;
}

export class RtcpMembers {
  /** A list, since a map makes an iterator for each who goes through it; most have one entry. */
  #members: Member[] = [];

  /** Others than us. */
  get count(): number {
    return this.#members.length;
  }

  /** @param ssrc signed or not */
  heard(ssrc: number, nowMs: number, sending: boolean): void {
    let member = this.#find(ssrc | 0);
    if (!member) {
      if (this.#members.length >= MAX_MEMBERS) return;
      member = { ssrc: ssrc | 0, heardMs: nowMs, sentMs: Number.NEGATIVE_INFINITY };
      this.#members.push(member);
    }
    member.heardMs = nowMs;
    if (sending) member.sentMs = nowMs;
  }

  /** A packet of RTP came from there: each 20 ms, so no number is handed on by itself. */
  sent(packet: RtpPacket): void {
    const member = this.#find(packet.ssrc | 0);
    if (!member) {
      this.heard(packet.ssrc, packet.arrivalMs, true);
      return;
    }
    member.heardMs = packet.arrivalMs;
    member.sentMs = packet.arrivalMs;
  }

  left(ssrc: number): void {
    this.#members = this.#members.filter(member => member.ssrc !== (ssrc | 0));
  }

  /** @param intervalMs the deterministic one, RFC 3550 §6.3.1 */
  senders(nowMs: number, intervalMs: number): number {
    let count = 0;
    for (let i = 0; i < this.#members.length; i++) {
      if (nowMs - this.#members[i]!.sentMs < SENDER_INTERVALS * intervalMs) count++;
    }
    return count;
  }

  forgetSilent(nowMs: number, intervalMs: number): void {
    for (let i = this.#members.length - 1; i >= 0; i--) {
      if (nowMs - this.#members[i]!.heardMs >= MEMBER_INTERVALS * intervalMs) {
        this.#members.splice(i, 1);
      }
    }
  }

  #find(ssrc: number): Member | undefined {
    for (let i = 0; i < this.#members.length; i++) {
      if (this.#members[i]!.ssrc === ssrc) return this.#members[i];
    }
    return undefined;
  }
}
