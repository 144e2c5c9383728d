/**
 * One leg's side of RTCP: when to report and what, and what the far end's reports tell. Pure: time
 * and randomness are handed in.
 */
import {
  middleNtp,
  ntpTime,
  type ReportBlock,
  readRtcp,
  roundTripMs,
  rtcpIntervalMs,
  writeRtcp,
} from './rtcp.js';
import type { RtpSource } from './rtp-source.js';

/** G.711 at 20 ms with IP, UDP and RTP headers, in bits per second. */
const SESSION_BANDWIDTH = 80_000;
/** IP and UDP headers, which RFC 3550 §6.2 counts in. */
const UDP_IP_OCTETS = 28;
const INITIAL_MEAN_OCTETS = 104;
/** Us and the far end. */
const MEMBERS = 2;

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

export class RtcpSession {
  roundTripMs: number | undefined;
  readonly #cname: string;
  #nextMs: number;
  #initial = true;
  #meanOctets = INITIAL_MEAN_OCTETS;
  #lastSenderReport = 0;
  #lastSenderReportMs = 0;

  /** @param unit random in [0, 1), sets the time of the first report */
  constructor(cname: string, nowMs: number, unit: number) {
    this.#cname = cname;
    this.#nextMs = nowMs + this.#interval(true, unit);
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /** The report that is due. @param unit random in [0, 1), sets the time of the next */
  report(send: SendState, source: RtpSource, nowMs: number, unit: number): Uint8Array {
    const packet = this.#write(send, source, nowMs, false);
    this.#initial = false;
    this.#average(packet.length);
    this.#nextMs = nowMs + this.#interval(send.sending, unit);
    return packet;
  }

  /** The last packet. */
  goodbye(send: SendState, source: RtpSource, nowMs: number): Uint8Array {
    return this.#write(send, source, nowMs, true);
  }

  /**
   * @param ssrc our own
   * @returns the sources that said goodbye
   */
  receive(data: Uint8Array, ssrc: number, nowMs: number): readonly number[] {
    const compound = readRtcp(data);
    if (!compound) return [];
    this.#average(data.length);
    const now = middleNtp(ntpTime(nowMs));
    for (const { sender, blocks } of compound.reports) {
      if (sender) {
        this.#lastSenderReport = middleNtp(sender.ntp);
        this.#lastSenderReportMs = nowMs;
      }
      for (const block of blocks) {
        if (block.ssrc === ssrc) this.roundTripMs = roundTripMs(block, now) ?? this.roundTripMs;
      }
    }
    return compound.goodbyes;
  }

  #write(send: SendState, source: RtpSource, nowMs: number, goodbye: boolean): Uint8Array {
    const { ssrc, timestamp, packets, octets } = send;
    const reception = source.report();
    const blocks: ReportBlock[] = reception
      ? [
          {
            ...reception,
            lastSenderReport: this.#lastSenderReport,
            delaySinceLast:
              this.#lastSenderReport === 0
                ? 0
                : Math.round(((nowMs - this.#lastSenderReportMs) * 65536) / 1000),
          },
        ]
      : [];
    const sender = send.sending
      ? { ntp: ntpTime(nowMs), rtpTimestamp: timestamp, packets, octets }
      : undefined;
    return writeRtcp({ ssrc, sender, blocks }, this.#cname, goodbye);
  }

  /** RFC 3550 §6.3.3. */
  #average(octets: number): void {
    this.#meanOctets += (octets + UDP_IP_OCTETS - this.#meanOctets) / 16;
  }

  #interval(weSent: boolean, unit: number): number {
    return rtcpIntervalMs(
      {
        members: MEMBERS,
        senders: weSent ? MEMBERS : 1,
        weSent,
        initial: this.#initial,
        meanOctets: this.#meanOctets,
        bandwidth: SESSION_BANDWIDTH,
      },
      unit,
    );
  }
}
