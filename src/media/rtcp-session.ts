/**
 * One leg's side of RTCP: when to report and what, and what the far end's reports tell. Pure: time
 * and randomness are handed in.
 */
import { middleNtp, ntpTime } from './ntp.js';
import { type ReportBlock, readRtcp, roundTripMs, rtcpIntervalMs, writeRtcp } from './rtcp.js';
import { RtcpMembers } from './rtcp-members.js';
import type { RtpPacket } from './rtp.js';
import type { RtpSource } from './rtp-source.js';
import type { ExtendedReport, ReceiverDelay, VoipMetrics } from './xr.js';

/** G.711 at 20 ms with IP, UDP and RTP headers, in bits per second. */
const SESSION_BANDWIDTH = 80_000;
/** IP and UDP headers, which RFC 3550 §6.2 counts in. */
const UDP_IP_OCTETS = 28;
const INITIAL_MEAN_OCTETS = 104;
/** Us and the far end, before anybody was heard. */
const FEWEST_MEMBERS = 2;
/** Members go unheard for this long at least before they are forgotten: RFC 3550 §6.2.1 says five intervals, of 5 s or more. */
const LEAST_TIMEOUT_INTERVAL_MS = 5000;

/** What this side has sent. */
export interface SendState {
  readonly ssrc: number;
  readonly packets: number;
  readonly octets: number;
  /** Of the frame that would be sent now. */
  readonly timestamp: number;
  /** Whether RTP was sent since the last report, which makes the next a sender report (RFC 3550 §6.4). */
  readonly sending: boolean;
}

/** What the far end says of how we arrive there. */
export interface FarEnd {
  /** Since its report before, 0 to 1. */
  readonly lossFraction: number;
  readonly packetsLost: number;
  readonly jitterMs: number;
  /** By its VoIP metrics (RFC 3611 §4.7), where it sends them. */
  readonly rFactor: number | undefined;
  readonly mosListening: number | undefined;
}

export class RtcpSession {
  roundTripMs: number | undefined;
  /** Undefined until it has reported on us. */
  farEnd: FarEnd | undefined;
  /** RTP/AVPF: reports may come sooner (RFC 4585 §3.4). */
  feedback = false;
  /** The far end asked for extended reports (RFC 3611 §5). */
  extended = false;
  /** RTP timestamp units per second of what we send. */
  clockRate = 8000;
  readonly #cname: string;
  readonly #members = new RtcpMembers();
  #sentMs: number;
  #nextMs: number;
  #initial = true;
  #meanOctets = INITIAL_MEAN_OCTETS;
  #lastSenderReport = 0;
  #lastSenderReportMs = 0;
  /** Of receivers that told their time (RFC 3611 §4.4): one, since a leg has one far end. */
  #reference: { readonly ssrc: number; readonly middle: number; readonly ms: number } | undefined;

  /** @param unit random in [0, 1), sets the time of the first report */
  constructor(cname: string, nowMs: number, unit: number) {
    this.#cname = cname;
    this.#sentMs = nowMs;
    this.#nextMs = nowMs + this.#interval(true, nowMs, unit);
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /**
   * The report that is due; undefined where the interval has grown meanwhile, and it is not (RFC 3550 §6.3.6).
   *
   * @param unit random in [0, 1)
   * @param voice how the far end sounds here
   */
  report(
    send: SendState,
    source: RtpSource,
    nowMs: number,
    unit: number,
    voice?: VoipMetrics,
  ): Uint8Array | undefined {
    const least = Math.max(this.#deterministic(send.sending, nowMs), LEAST_TIMEOUT_INTERVAL_MS);
    this.#members.forgetSilent(nowMs, least);
    const interval = this.#interval(send.sending, nowMs, unit);
    if (this.#sentMs + interval > nowMs) {
      this.#nextMs = this.#sentMs + interval;
      return undefined;
    }
    const packet = this.#write(send, source, nowMs, false, voice);
    this.#initial = false;
    this.#average(packet.length);
    this.#sentMs = nowMs;
    // Drawn anew when it is due.
    this.#nextMs = nowMs + this.#interval(send.sending, nowMs, unit);
    return packet;
  }

  /** The last packet under our SSRC. */
  goodbye(send: SendState, source: RtpSource, nowMs: number): Uint8Array {
    return this.#write(send, source, nowMs, true, undefined);
  }

  /** RTP came from there. */
  heard(packet: RtpPacket): void {
    this.#members.sent(packet);
  }

  /**
   * @param ssrc our own
   * @returns the sources that said goodbye, and whether somebody reports under our own SSRC
   */
  receive(data: Uint8Array, ssrc: number, nowMs: number): RtcpNews {
    const compound = readRtcp(data);
    if (!compound) return NOTHING;
    this.#average(data.length);
    const now = middleNtp(ntpTime(nowMs));
    let conflict = false;
    for (const { ssrc: from, sender, blocks } of compound.reports) {
      if (from === ssrc) {
        conflict = true;
        continue;
      }
      this.#members.heard(from, nowMs, sender !== undefined);
      if (sender) {
        this.#lastSenderReport = middleNtp(sender.ntp);
        this.#lastSenderReportMs = nowMs;
      }
      for (const block of blocks) if (block.ssrc === ssrc) this.#readBlock(block, now);
    }
    for (const extended of compound.extended) {
      if (extended.ssrc !== ssrc) this.#readExtended(extended, ssrc, now, nowMs);
    }
    for (const left of compound.goodbyes) this.#leave(left, nowMs);
    return { goodbyes: compound.goodbyes, conflict };
  }

  #readBlock(block: ReportBlock, now: number): void {
    this.roundTripMs = roundTripMs(block, now) ?? this.roundTripMs;
    const { rFactor, mosListening } = this.farEnd ?? {};
    this.farEnd = {
      lossFraction: block.fractionLost / 256,
      packetsLost: block.cumulativeLost,
      jitterMs: (block.jitter * 1000) / this.clockRate,
      rFactor,
      mosListening,
    };
  }

  #readExtended(
    { ssrc: from, referenceTime, receiverDelays, voip }: ExtendedReport & { ssrc: number },
    ssrc: number,
    now: number,
    nowMs: number,
  ): void {
    if (referenceTime)
      this.#reference = { ssrc: from, middle: middleNtp(referenceTime), ms: nowMs };
    for (const { ssrc: about, lastReference, delay } of receiverDelays) {
      if (about !== ssrc) continue;
      const block = { lastSenderReport: lastReference, delaySinceLast: delay };
      this.roundTripMs = roundTripMs(block, now) ?? this.roundTripMs;
    }
    if (voip?.ssrc !== ssrc) return;
    const { rFactor, mosListening, lossRate } = voip;
    const known = this.farEnd ?? { lossFraction: lossRate, packetsLost: 0, jitterMs: 0 };
    this.farEnd = { ...known, rFactor, mosListening };
  }

  /** Who is left reports sooner, RFC 3550 §6.3.4. */
  #leave(ssrc: number, nowMs: number): void {
    const before = 1 + this.#members.count;
    this.#members.left(ssrc);
    const share = (1 + this.#members.count) / before;
    this.#nextMs = nowMs + (this.#nextMs - nowMs) * share;
    this.#sentMs = nowMs - (nowMs - this.#sentMs) * share;
  }

  #write(
    send: SendState,
    source: RtpSource,
    nowMs: number,
    goodbye: boolean,
    voice: VoipMetrics | undefined,
  ): Uint8Array {
    const { ssrc, timestamp, packets, octets } = send;
    const reception = source.report();
    const blocks: ReportBlock[] = reception
      ? [
          {
            ...reception,
            lastSenderReport: this.#lastSenderReport,
            delaySinceLast:
              this.#lastSenderReport === 0 ? 0 : sinceUnits(this.#lastSenderReportMs, nowMs),
          },
        ]
      : [];
    const sender = send.sending
      ? { ntp: ntpTime(nowMs), rtpTimestamp: timestamp, packets, octets }
      : undefined;
    const extended =
      this.extended && !goodbye
        ? this.#extendedReport(send.sending, source, nowMs, voice)
        : undefined;
    return writeRtcp({ ssrc, sender, blocks }, this.#cname, goodbye, extended);
  }

  /** Who does not send has to tell its time otherwise: RFC 3611 §4.4. */
  #extendedReport(
    sending: boolean,
    source: RtpSource,
    nowMs: number,
    voip: VoipMetrics | undefined,
  ): ExtendedReport | undefined {
    const reference = this.#reference;
    const receiverDelays: ReceiverDelay[] = reference
      ? [
          {
            ssrc: reference.ssrc,
            lastReference: reference.middle,
            delay: sinceUnits(reference.ms, nowMs),
          },
        ]
      : [];
    const referenceTime = sending ? undefined : ntpTime(nowMs);
    const summary = voip && source.summary();
    if (!referenceTime && receiverDelays.length === 0 && !voip) return undefined;
    return { referenceTime, receiverDelays, summary, voip };
  }

  /** RFC 3550 §6.3.3. */
  #average(octets: number): void {
    this.#meanOctets += (octets + UDP_IP_OCTETS - this.#meanOctets) / 16;
  }

  /** Without chance. */
  #deterministic(weSent: boolean, nowMs: number): number {
    return this.#interval(weSent, nowMs, 0.5) * (Math.E - 1.5);
  }

  #interval(weSent: boolean, nowMs: number, unit: number): number {
    const senders = this.#members.senders(nowMs, LEAST_TIMEOUT_INTERVAL_MS) + (weSent ? 1 : 0);
    return rtcpIntervalMs(
      {
        members: Math.max(FEWEST_MEMBERS, 1 + this.#members.count),
        senders,
        weSent,
        initial: this.#initial,
        meanOctets: this.#meanOctets,
        bandwidth: SESSION_BANDWIDTH,
        feedback: this.feedback,
      },
      unit,
    );
  }
}

export interface RtcpNews {
  readonly goodbyes: readonly number[];
  readonly conflict: boolean;
}

const NOTHING: RtcpNews = { goodbyes: [], conflict: false };

/** In 1/65536 s. */
function sinceUnits(ms: number, nowMs: number): number {
  return Math.round(((nowMs - ms) * 65536) / 1000);
}
