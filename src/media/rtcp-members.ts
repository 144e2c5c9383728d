/**
 * Who takes part in the session, as far as it decides how often we report: RFC 3550 §6.2.1, §6.3.5. Pure. Bounded, since
 * whoever can send us packets can make up SSRCs.
 */

/** More than take part on any leg; beyond, all count as this many. */
const MAX_MEMBERS = 64;
/** RFC 3550 §6.3.5: intervals of silence before a member is taken for gone, and a sender for a listener. */
const MEMBER_INTERVALS = 5;
const SENDER_INTERVALS = 2;

interface Member {
  heardMs: number;
  /** When it last sent RTP. */
  sentMs: number;
}

export class RtcpMembers {
  /** By SSRC as a signed number, which costs no garbage. */
  readonly #members = new Map<number, Member>();

  /** Others than us. */
  get count(): number {
    return this.#members.size;
  }

  /** @param ssrc signed or not */
  heard(ssrc: number, nowMs: number, sending: boolean): void {
    let member = this.#members.get(ssrc | 0);
    if (!member) {
      if (this.#members.size >= MAX_MEMBERS) return;
      member = { heardMs: nowMs, sentMs: Number.NEGATIVE_INFINITY };
      this.#members.set(ssrc | 0, member);
    }
    member.heardMs = nowMs;
    if (sending) member.sentMs = nowMs;
  }

  left(ssrc: number): void {
    this.#members.delete(ssrc | 0);
  }

  /** @param intervalMs the deterministic one, RFC 3550 §6.3.1 */
  senders(nowMs: number, intervalMs: number): number {
    let count = 0;
    for (const { sentMs } of this.#members.values()) {
      if (nowMs - sentMs < SENDER_INTERVALS * intervalMs) count++;
    }
    return count;
  }

  forgetSilent(nowMs: number, intervalMs: number): void {
    for (const [ssrc, { heardMs }] of this.#members) {
      if (nowMs - heardMs >= MEMBER_INTERVALS * intervalMs) this.#members.delete(ssrc);
    }
  }
}
