/**
 * Which source a leg listens to, and how well it arrives: sequence numbers, loss and interarrival
 * jitter, RFC 3550 §6.4.1, §8.2 and appendices A.1, A.3, A.8. Pure: arrival times are handed in.
 */
import { LossPattern } from './loss-pattern.js';
import type { RtpPacket } from './rtp.js';
import type { Summary } from './xr.js';

/** A leap forward up to this is loss, RFC 3550 A.1. */
const MAX_DROPOUT = 3000;
/** A step back up to this is reordering, RFC 3550 A.1. */
const MAX_MISORDER = 100;
/** Sequential packets a new source must show before it is believed, RFC 3550 A.1. */
const MIN_SEQUENTIAL = 2;
/** The source in use must have been silent this long before another may take its place. */
const SILENT_BEFORE_CHANGE_MS = 100;

export type Verdict =
  /** Of the source in use; `extendedSequence` holds its number. */
  | 'accepted'
  /** As `accepted`, but a stream began here: what is buffered belongs to an earlier one. */
  | 'restarted'
  | 'refused';

/** What goes into an RTCP reception report block. */
export interface ReceptionReport {
  ssrc: number;
  /** In 1/256, since the last report. */
  fractionLost: number;
  cumulativeLost: number;
  highestSequence: number;
  /** In timestamp units. */
  jitter: number;
}

export class RtpSource {
  /** Of the packet accepted last: the 16-bit number continued over its wraps. */
  extendedSequence = 0;
  /** Packets accepted, of all sources. */
  received = 0;
  refused = 0;
  readonly losses = new LossPattern();
  #clockRate: number;

  #ssrc: number | undefined;
  /** What comes next need not go on where this was. */
  #forgotten = false;
  #heardMs = 0;
  #base = 0;
  #highest = 0;
  #receivedHere = 0;
  /** Where a restarted sender would go on, RFC 3550 A.1 `bad_seq`. */
  #restartSequence: number | undefined;
  #candidateSsrc: number | undefined;
  #candidateNext = 0;
  #candidateRun = 0;

  /** Of the packet before; NaN: there was none, or nothing can be said of it. Never undefined: numbers would be boxed. */
  #transit = Number.NaN;
  #jitter = 0;
  #lostEarlier = 0;
  #expectedPrior = 0;
  #summedTo = 0;
  #summedLost = 0;
  #receivedPrior = 0;

  /** @param clockRate RTP timestamp units per second */
  constructor(clockRate: number) {
    this.#clockRate = clockRate;
  }

  /** Timestamps count in another unit from now on: the sender changed its codec. */
  useClockRate(clockRate: number): void {
    if (clockRate === this.#clockRate) return;
    this.#jitter *= clockRate / this.#clockRate;
    this.#clockRate = clockRate;
    this.#transit = Number.NaN;
  }

  /** Undefined before the first packet. */
  get ssrc(): number | undefined {
    return this.#ssrc;
  }

  /** When the source was heard last, in the time of `RtpPacket.arrivalMs`. */
  get heardMs(): number | undefined {
    return this.#ssrc === undefined ? undefined : this.#heardMs;
  }

  get jitterMs(): number {
    return (this.#jitter * 1000) / this.#clockRate;
  }

  /** Expected less arrived, of all sources; duplicates count as arrived (RFC 3550 A.3). */
  get lost(): number {
    return this.#lostEarlier + this.#expected() - this.#receivedHere;
  }

  /** @param timed whether the timestamp tells when the packet was sent */
  accept(packet: RtpPacket, timed = true): Verdict {
    const verdict = this.#judge(packet);
    if (verdict === 'refused') {
      this.refused++;
      return verdict;
    }
    this.received++;
    this.#receivedHere++;
    this.#heardMs = packet.arrivalMs;
    if (timed) this.#measureJitter(packet);
    return verdict;
  }

  /** The next packet's source is believed at once; that of the last one goes on where it was. */
  forget(): void {
    this.#forgotten = true;
  }

  /** For the next RTCP report; undefined before the first packet. */
  report(): ReceptionReport | undefined {
    if (this.#ssrc === undefined) return undefined;
    const expected = this.#expected();
    const expectedSince = expected - this.#expectedPrior;
    const lostSince = expectedSince - (this.#receivedHere - this.#receivedPrior);
    this.#expectedPrior = expected;
    this.#receivedPrior = this.#receivedHere;
    return {
      ssrc: this.#ssrc,
      fractionLost:
        expectedSince > 0 && lostSince > 0 ? Math.min(255, (lostSince << 8) / expectedSince) : 0,
      cumulativeLost: expected - this.#receivedHere,
      highestSequence: this.#highest,
      jitter: this.#jitter,
    };
  }

  /** What arrived since the last call, RFC 3611 §4.6; undefined before the first packet. */
  summary(): Summary | undefined {
    if (this.#ssrc === undefined) return undefined;
    const [first, last] = [Math.max(this.#base, this.#summedTo + 1), this.#highest];
    const [lost, expected] = [this.lost - this.#summedLost, last - first + 1];
    this.#summedTo = last;
    this.#summedLost = this.lost;
    return {
      ssrc: this.#ssrc,
      firstSequence: first & 0xffff,
      lastSequence: last & 0xffff,
      // Duplicates count as arrived: where there are more than losses, those are hidden by them.
      lost: Math.max(0, Math.min(lost, expected)),
      duplicates: Math.max(0, -lost),
    };
  }

  #judge(packet: RtpPacket): Verdict {
    if (!this.#forgotten) {
      return packet.ssrc === this.#ssrc ? this.#follow(packet) : this.#consider(packet);
    }
    this.#forgotten = false;
    const goesOn = packet.ssrc === this.#ssrc && this.#follow(packet) === 'accepted';
    return goesOn ? 'accepted' : this.#adopt(packet);
  }

  #follow(packet: RtpPacket): Verdict {
    const step = ((packet.sequence - this.#highest) << 16) >> 16;
    if (step > -MAX_MISORDER && step < MAX_DROPOUT) {
      this.extendedSequence = this.#highest + step;
      if (step > 0) {
        this.#highest = this.extendedSequence;
        this.losses.arrived(step - 1);
      }
      this.#restartSequence = undefined;
      return 'accepted';
    }
    if (packet.sequence !== this.#restartSequence) {
      this.#restartSequence = (packet.sequence + 1) & 0xffff;
      return 'refused';
    }
    return this.#adopt(packet);
  }

  #consider(packet: RtpPacket): Verdict {
    if (this.#ssrc === undefined) return this.#adopt(packet);
    const continues =
      packet.ssrc === this.#candidateSsrc && packet.sequence === this.#candidateNext;
    this.#candidateRun = continues ? this.#candidateRun + 1 : 1;
    this.#candidateSsrc = packet.ssrc;
    this.#candidateNext = (packet.sequence + 1) & 0xffff;
    const vacant = packet.arrivalMs - this.#heardMs >= SILENT_BEFORE_CHANGE_MS;
    return vacant && this.#candidateRun >= MIN_SEQUENTIAL ? this.#adopt(packet) : 'refused';
  }

  #adopt(packet: RtpPacket): Verdict {
    this.#lostEarlier = this.lost;
    this.#ssrc = packet.ssrc;
    // One cycle up, so that packets from before the first have positive numbers too.
    this.#base = packet.sequence + 0x10000;
    this.#highest = this.#base;
    this.extendedSequence = this.#base;
    this.#receivedHere = 0;
    this.#expectedPrior = 0;
    this.#receivedPrior = 0;
    this.#summedTo = 0;
    this.#restartSequence = undefined;
    this.#candidateSsrc = undefined;
    this.#transit = Number.NaN;
    return 'restarted';
  }

  #expected(): number {
    return this.#receivedHere === 0 ? 0 : this.#highest - this.#base + 1;
  }

  /** RFC 3550 A.8. */
  #measureJitter({ timestamp, arrivalMs }: RtpPacket): void {
    const transit = (arrivalMs * this.#clockRate) / 1000 - timestamp;
    const change = Math.abs(transit - this.#transit);
    // A wrapped or newly begun timestamp says nothing about the network; nor does NaN, which is less than nothing.
    if (change < this.#clockRate) this.#jitter += (change - this.#jitter) / 16;
    this.#transit = transit;
  }
}
