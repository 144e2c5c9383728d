/** RTCP compound packets, RFC 3550 §6: sender and receiver reports, CNAME, BYE; extended reports (RFC 3611). */

import type { NtpTime } from './ntp.js';
import { isRtcp, readUint32, writeUint32 } from './rtp.js';
import type { ReceptionReport } from './rtp-source.js';
import { type ExtendedReport, readBlocks, writeBlocks } from './xr.js';

/** Packet types, RFC 3550 §12.1. */
const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const GOODBYE = 203;
/** RFC 3611 §2. */
const EXTENDED_REPORT = 207;
/** SDES item, RFC 3550 §12.2. */
const CNAME = 1;

const HEADER_OCTETS = 4;
const SENDER_INFO_OCTETS = 20;
const BLOCK_OCTETS = 24;
const VERSION = 2;
const MAX_CNAME_OCTETS = 255;

/** RFC 3550 §6.2: least mean time between reports. */
const MIN_INTERVAL_MS = 5000;
/** RFC 4585 §3.4: before the first report with the feedback profile; then the bandwidth alone decides. */
const FEEDBACK_INITIAL_MS = 1000;
/** RFC 3550 §6.2: RTCP takes this share of the session's bandwidth. */
const BANDWIDTH_SHARE = 0.05;
/** RFC 3550 §6.3.1: makes up for timer reconsideration. */
const COMPENSATION = Math.E - 1.5;

export interface SenderInfo {
  readonly ntp: NtpTime;
  readonly rtpTimestamp: number;
  readonly packets: number;
  readonly octets: number;
}

export interface ReportBlock extends ReceptionReport {
  /** Middle 32 bits of the NTP time of the last sender report; 0: none. */
  lastSenderReport: number;
  /** Since it was received, in 1/65536 s. */
  delaySinceLast: number;
}

export interface RtcpReport {
  readonly ssrc: number;
  /** Present in a sender report. */
  readonly sender: SenderInfo | undefined;
  readonly blocks: readonly ReportBlock[];
}

export interface RtcpCompound {
  readonly reports: readonly RtcpReport[];
  readonly cname: string | undefined;
  /** Sources that left. */
  readonly goodbyes: readonly number[];
  readonly extended: readonly (ExtendedReport & { readonly ssrc: number })[];
}

/**
 * Round trip from a report block about ourselves, RFC 3550 §6.4.1.
 *
 * @param now middle NTP of its arrival
 * @returns ms; undefined if the far end had no report of ours, or its numbers cannot be
 */
export function roundTripMs(
  block: Pick<ReportBlock, 'lastSenderReport' | 'delaySinceLast'>,
  now: number,
): number | undefined {
  if (block.lastSenderReport === 0) return undefined;
  const units = (now - block.lastSenderReport - block.delaySinceLast) | 0;
  return units < 0 ? undefined : (units * 1000) / 65536;
}

export interface IntervalInput {
  readonly members: number;
  readonly senders: number;
  readonly weSent: boolean;
  /** No report was sent yet. */
  readonly initial: boolean;
  /** Mean compound packet with UDP and IP headers. */
  readonly meanOctets: number;
  /** Of the session, in bits per second. */
  readonly bandwidth: number;
  /** RTP/AVPF: reports may come sooner. */
  readonly feedback?: boolean;
}

/** Time to the next report, RFC 3550 §6.3.1. @param unit random in [0, 1) */
export function rtcpIntervalMs(input: IntervalInput, unit: number): number {
  const { members, senders, weSent, initial, meanOctets } = input;
  let share = (input.bandwidth / 8) * BANDWIDTH_SHARE;
  let sharers = members;
  if (senders <= members / 4) {
    share *= weSent ? 0.25 : 0.75;
    sharers = weSent ? senders : members - senders;
  }
  const least = leastInterval(initial, input.feedback ?? false);
  const deterministic = Math.max(least, (1000 * meanOctets * sharers) / share);
  return (deterministic * (0.5 + unit)) / COMPENSATION;
}

function leastInterval(initial: boolean, feedback: boolean): number {
  if (feedback) return initial ? FEEDBACK_INITIAL_MS : 0;
  return initial ? MIN_INTERVAL_MS / 2 : MIN_INTERVAL_MS;
}

/** A report, our CNAME, what there is of an extended report and, in the last packet, a BYE (RFC 3550 §6.1, §6.6). */
export function writeRtcp(
  report: RtcpReport,
  cname: string,
  goodbye: boolean,
  extended?: ExtendedReport,
): Uint8Array {
  const name = Buffer.from(cname).subarray(0, MAX_CNAME_OCTETS);
  const reportOctets =
    8 + (report.sender ? SENDER_INFO_OCTETS : 0) + report.blocks.length * BLOCK_OCTETS;
  // SSRC, item type, length, text, at least one null octet, to a multiple of four.
  const chunkOctets = (4 + 2 + name.length + 4) & ~3;
  const blocks = extended ? writeBlocks(extended) : undefined;
  const extendedOctets = blocks ? 8 + blocks.length : 0;
  const total = reportOctets + HEADER_OCTETS + chunkOctets + extendedOctets + (goodbye ? 8 : 0);
  const out = new Uint8Array(total);

  const type = report.sender ? SENDER_REPORT : RECEIVER_REPORT;
  writeHeader(out, 0, report.blocks.length, type, reportOctets);
  writeUint32(out, 4, report.ssrc);
  let at = 8;
  if (report.sender) {
    const { ntp, rtpTimestamp, packets, octets } = report.sender;
    for (const word of [ntp.seconds, ntp.fraction, rtpTimestamp, packets, octets]) {
      writeUint32(out, at, word);
      at += 4;
    }
  }
  for (const block of report.blocks) {
    writeBlock(out, at, block);
    at += BLOCK_OCTETS;
  }

  writeHeader(out, at, 1, SOURCE_DESCRIPTION, HEADER_OCTETS + chunkOctets);
  writeUint32(out, at + 4, report.ssrc);
  out[at + 8] = CNAME;
  out[at + 9] = name.length;
  out.set(name, at + 10);
  at += HEADER_OCTETS + chunkOctets;

  if (blocks) {
    writeHeader(out, at, 0, EXTENDED_REPORT, extendedOctets);
    writeUint32(out, at + 4, report.ssrc);
    out.set(blocks, at + 8);
    at += extendedOctets;
  }

  if (goodbye) {
    writeHeader(out, at, 1, GOODBYE, 8);
    writeUint32(out, at + 4, report.ssrc);
  }
  return out;
}

/**
 * Reads a compound packet; undefined if it fails the checks of RFC 3550 A.2. One of reduced size (RFC 5506) may begin
 * with anything.
 */
export function readRtcp(data: Uint8Array): RtcpCompound | undefined {
  const reports: RtcpReport[] = [];
  const goodbyes: number[] = [];
  const extended: (ExtendedReport & { ssrc: number })[] = [];
  let cname: string | undefined;
  let at = 0;
  while (at < data.length) {
    if (at + 8 > data.length || data[at]! >> 6 !== VERSION) return undefined;
    if (at === 0 && !isRtcp(data)) return undefined;
    const type = data[at + 1]!;
    const count = data[at]! & 0x1f;
    const end = at + 4 * (((data[at + 2]! << 8) | data[at + 3]!) + 1);
    if (end > data.length) return undefined;
    switch (type) {
      case SENDER_REPORT:
      case RECEIVER_REPORT: {
        const report = readReport(data, at, end, count, type === SENDER_REPORT);
        if (!report) return undefined;
        reports.push(report);
        break;
      }
      case SOURCE_DESCRIPTION:
        cname ??= readCname(data, at + 4, end);
        break;
      case GOODBYE:
        for (let i = 0; i < count && at + 8 + 4 * i <= end; i++) {
          goodbyes.push(readUint32(data, at + 4 + 4 * i));
        }
        break;
      case EXTENDED_REPORT:
        extended.push({ ssrc: readUint32(data, at + 4), ...readBlocks(data, at + 8, end) });
        break;
      default: // APP, and feedback of later RFCs: not for us.
    }
    at = end;
  }
  return at === 0 ? undefined : { reports, cname, goodbyes, extended };
}

function writeHeader(out: Uint8Array, at: number, count: number, type: number, octets: number) {
  out[at] = (VERSION << 6) | count;
  out[at + 1] = type;
  out[at + 2] = (octets / 4 - 1) >> 8;
  out[at + 3] = octets / 4 - 1;
}

function writeBlock(out: Uint8Array, at: number, block: ReportBlock): void {
  writeUint32(out, at, block.ssrc);
  const lost = Math.max(-0x800000, Math.min(0x7fffff, block.cumulativeLost)) & 0xffffff;
  writeUint32(out, at + 4, (Math.floor(block.fractionLost) << 24) | lost);
  writeUint32(out, at + 8, block.highestSequence);
  writeUint32(out, at + 12, Math.floor(block.jitter));
  writeUint32(out, at + 16, block.lastSenderReport);
  writeUint32(out, at + 20, block.delaySinceLast);
}

function readReport(
  data: Uint8Array,
  at: number,
  end: number,
  count: number,
  fromSender: boolean,
): RtcpReport | undefined {
  const blocksAt = at + 8 + (fromSender ? SENDER_INFO_OCTETS : 0);
  if (blocksAt + count * BLOCK_OCTETS > end) return undefined;
  const word = (index: number) => readUint32(data, at + 8 + 4 * index);
  const blocks: ReportBlock[] = [];
  for (let i = 0; i < count; i++) blocks.push(readBlock(data, blocksAt + i * BLOCK_OCTETS));
  return {
    ssrc: readUint32(data, at + 4),
    sender: fromSender
      ? {
          ntp: { seconds: word(0), fraction: word(1) },
          rtpTimestamp: word(2),
          packets: word(3),
          octets: word(4),
        }
      : undefined,
    blocks,
  };
}

function readBlock(data: Uint8Array, at: number): ReportBlock {
  const loss = readUint32(data, at + 4);
  return {
    ssrc: readUint32(data, at),
    fractionLost: loss >>> 24,
    cumulativeLost: (loss << 8) >> 8,
    highestSequence: readUint32(data, at + 8),
    jitter: readUint32(data, at + 12),
    lastSenderReport: readUint32(data, at + 16),
    delaySinceLast: readUint32(data, at + 20),
  };
}

/** The CNAME of the first chunk. */
function readCname(data: Uint8Array, chunkAt: number, end: number): string | undefined {
  let at = chunkAt + 4;
  while (at + 2 <= end && data[at] !== 0) {
    const length = data[at + 1]!;
    if (at + 2 + length > end) return undefined;
    if (data[at] === CNAME) return Buffer.from(data.subarray(at + 2, at + 2 + length)).toString();
    at += 2 + length;
  }
  return undefined;
}
