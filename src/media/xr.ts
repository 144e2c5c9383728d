/** Extended reports, RFC 3611: times of receivers, sums, and how a voice sounded at its listener. */
import type { NtpTime } from './ntp.js';
import { readUint32, writeUint32 } from './rtp.js';

/** Block types, RFC 3611 §4. */
const RECEIVER_REFERENCE_TIME = 4;
const DLRR = 5;
const STATISTICS_SUMMARY = 6;
const VOIP_METRICS = 7;

const SUMMARY_WORDS = 9;
const VOIP_WORDS = 8;
/** What the summary has of us: losses and duplicates (§4.6). */
const LOSS_AND_DUPLICATES = 0xc0;
/** "Not available" in octets, §4.7.4, §4.7.5. */
const UNAVAILABLE = 127;
/** Standard concealment, an adaptive buffer (§4.7.6). */
const RECEIVER_CONFIGURATION = 0b1011_0000;
const MAX_UINT16 = 0xffff;
/** Of one packet that are looked at; what comes after would be of nobody here. */
const MAX_BLOCKS = 31;

/** Since we heard the reference time of a receiver, §4.5. */
export interface ReceiverDelay {
  readonly ssrc: number;
  /** Middle 32 bits of its NTP time. */
  readonly lastReference: number;
  /** In 1/65536 s. */
  readonly delay: number;
}

export interface Summary {
  readonly ssrc: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lost: number;
  readonly duplicates: number;
}

/** §4.7; undefined is what the other side does not know. */
export interface VoipMetrics {
  readonly ssrc: number;
  /** Fractions of packets, 0 to 1: lost, and discarded since too late. */
  readonly lossRate: number;
  readonly discardRate: number;
  readonly burstDensity: number;
  readonly gapDensity: number;
  readonly burstMs: number;
  readonly gapMs: number;
  readonly roundTripMs: number;
  readonly endSystemDelayMs: number;
  readonly rFactor: number | undefined;
  readonly mosListening: number | undefined;
  readonly mosConversational: number | undefined;
  /** Of the jitter buffer: as it is, at most so far, and at most ever. */
  readonly bufferMs: number;
  readonly bufferMaximumMs: number;
  readonly bufferLimitMs: number;
}

export interface ExtendedReport {
  readonly referenceTime?: NtpTime | undefined;
  readonly receiverDelays: readonly ReceiverDelay[];
  readonly summary?: Summary | undefined;
  readonly voip?: VoipMetrics | undefined;
}

/** The packet after its header and SSRC. */
export function writeBlocks(report: ExtendedReport): Uint8Array {
  const { referenceTime, receiverDelays, summary, voip } = report;
  const words =
    (referenceTime ? 3 : 0) +
    (receiverDelays.length > 0 ? 1 + 3 * receiverDelays.length : 0) +
    (summary ? 1 + SUMMARY_WORDS : 0) +
    (voip ? 1 + VOIP_WORDS : 0);
  const out = new Uint8Array(4 * words);
  let at = 0;
  const begin = (type: number, specific: number, length: number) => {
    writeUint32(out, at, (type << 24) | (specific << 16) | length);
    at += 4;
  };
  const word = (value: number) => {
    writeUint32(out, at, value);
    at += 4;
  };
  if (referenceTime) {
    begin(RECEIVER_REFERENCE_TIME, 0, 2);
    word(referenceTime.seconds);
    word(referenceTime.fraction);
  }
  if (receiverDelays.length > 0) {
    begin(DLRR, 0, 3 * receiverDelays.length);
    for (const { ssrc, lastReference, delay } of receiverDelays) {
      word(ssrc);
      word(lastReference);
      word(delay);
    }
  }
  if (summary) {
    begin(STATISTICS_SUMMARY, LOSS_AND_DUPLICATES, SUMMARY_WORDS);
    word(summary.ssrc);
    // The end is the one after the last, §4.6.
    word(((summary.firstSequence & 0xffff) << 16) | ((summary.lastSequence + 1) & 0xffff));
    word(summary.lost);
    word(summary.duplicates);
    at += 4 * (SUMMARY_WORDS - 4);
  }
  if (voip) {
    begin(VOIP_METRICS, 0, VOIP_WORDS);
    word(voip.ssrc);
    const { lossRate, discardRate, burstDensity, gapDensity } = voip;
    word(
      octets(
        fraction(lossRate),
        fraction(discardRate),
        fraction(burstDensity),
        fraction(gapDensity),
      ),
    );
    word(halves(voip.burstMs, voip.gapMs));
    word(halves(voip.roundTripMs, voip.endSystemDelayMs));
    word(octets(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, 16));
    word(
      octets(
        Math.round(voip.rFactor ?? UNAVAILABLE),
        UNAVAILABLE,
        tenths(voip.mosListening),
        tenths(voip.mosConversational),
      ),
    );
    word((RECEIVER_CONFIGURATION << 24) | half(voip.bufferMs));
    word(halves(voip.bufferMaximumMs, voip.bufferLimitMs));
  }
  return out;
}

/** Reads what lies between `at` and `end`, after header and SSRC; blocks that are cut or unknown are passed over. */
export function readBlocks(data: Uint8Array, from: number, end: number): ExtendedReport {
  let referenceTime: NtpTime | undefined;
  const receiverDelays: ReceiverDelay[] = [];
  let summary: Summary | undefined;
  let voip: VoipMetrics | undefined;
  let at = from;
  for (let blocks = 0; at + 4 <= end && blocks < MAX_BLOCKS; blocks++) {
    const length = (data[at + 2]! << 8) | data[at + 3]!;
    const next = at + 4 + 4 * length;
    if (next > end) break;
    const word = (index: number) => readUint32(data, at + 4 + 4 * index);
    switch (data[at]) {
      case RECEIVER_REFERENCE_TIME:
        if (length === 2) referenceTime = { seconds: word(0), fraction: word(1) };
        break;
      case DLRR:
        for (let i = 0; i + 3 <= length && receiverDelays.length < MAX_BLOCKS; i += 3) {
          receiverDelays.push({ ssrc: word(i), lastReference: word(i + 1), delay: word(i + 2) });
        }
        break;
      case STATISTICS_SUMMARY:
        if (length === SUMMARY_WORDS) {
          summary = {
            ssrc: word(0),
            firstSequence: word(1) >>> 16,
            lastSequence: (word(1) - 1) & 0xffff,
            lost: word(2),
            duplicates: word(3),
          };
        }
        break;
      case VOIP_METRICS:
        if (length === VOIP_WORDS) voip = readVoip(data, at + 4);
        break;
      default: // Blocks of later RFCs.
    }
    at = next;
  }
  return { referenceTime, receiverDelays, summary, voip };
}

function readVoip(data: Uint8Array, at: number): VoipMetrics {
  const octet = (index: number) => data[at + index]!;
  const short = (index: number) => (octet(index) << 8) | octet(index + 1);
  const known = (value: number) => (value === UNAVAILABLE ? undefined : value);
  const score = (value: number) => (value < 10 || value > 50 ? undefined : value / 10);
  return {
    ssrc: readUint32(data, at),
    lossRate: octet(4) / 256,
    discardRate: octet(5) / 256,
    burstDensity: octet(6) / 256,
    gapDensity: octet(7) / 256,
    burstMs: short(8),
    gapMs: short(10),
    roundTripMs: short(12),
    endSystemDelayMs: short(14),
    rFactor: known(octet(20)),
    mosListening: score(octet(22)),
    mosConversational: score(octet(23)),
    bufferMs: short(26),
    bufferMaximumMs: short(28),
    bufferLimitMs: short(30),
  };
}

function octets(a: number, b: number, c: number, d: number): number {
  return (a << 24) | (b << 16) | (c << 8) | d;
}

function halves(a: number, b: number): number {
  return (half(a) << 16) | half(b);
}

function half(value: number): number {
  return Math.min(MAX_UINT16, Math.max(0, Math.round(value)));
}

function fraction(value: number): number {
  return Math.min(255, Math.max(0, Math.floor(value * 256)));
}

function tenths(score: number | undefined): number {
  return score === undefined ? UNAVAILABLE : Math.round(score * 10);
}
