/**
 * Digits as named events, RFC 4733 §2.5.1: what is to be reported in each frame's time. Pure; allocates nothing.
 * A report each frame with a growing duration, the same timestamp throughout, the marker on the first; the last
 * three times; then a gap. An event too long for one duration goes on in a segment with a timestamp of its own.
 */
import { DIGITS } from './digits.js';
import { EventReport, MAX_DURATION_UNITS } from './event-packet.js';

/** Times the end of an event is told: §2.5.1.4. */
const END_REPORTS = 3;
/** What phones play the digit as, where they do: the usual level of a key. */
const DEFAULT_VOLUME = 10;

export interface DigitTiming {
  /** How long a digit lasts, and the silence after it. */
  readonly toneMs: number;
  readonly gapMs: number;
}

export class EventSender {
  /** What to send in this frame's time, where `next` says so. */
  readonly report = new EventReport();
  marker = false;
  timestamp = 0;
  readonly #audioClock: number;
  readonly #eventClock: number;
  readonly #frameMs: number;

  #digits = '';
  #timing: DigitTiming = { toneMs: 0, gapMs: 0 };
  #at = 0;
  /** Since the digit began; undefined between digits. */
  #elapsedMs = Number.NaN;
  #startTimestamp = 0;
  /** Units of earlier segments of this event. */
  #segmented = 0;
  #endsLeft = 0;

  /**
   * @param audioClock of the stream's timestamps, in Hz
   * @param eventClock of durations, in Hz: the stream's (§2.1), but there are phones that know one of 8 kHz alone
   */
  constructor(audioClock: number, eventClock: number, frameMs: number) {
    this.#audioClock = audioClock;
    this.#eventClock = eventClock;
    this.#frameMs = frameMs;
  }

  get busy(): boolean {
    return this.#at < this.#digits.length;
  }

  /** Begins with the next frame; not while it is busy. */
  begin(digits: string, timing: DigitTiming): void {
    this.#digits = digits;
    this.#timing = timing;
    this.#at = 0;
    this.#elapsedMs = Number.NaN;
  }

  /**
   * For one frame's time, while busy.
   *
   * @param timestamp of the stream at the frame's beginning
   * @returns whether `report` is to be sent
   */
  next(timestamp: number): boolean {
    if (Number.isNaN(this.#elapsedMs)) this.#press(timestamp);
    this.#elapsedMs += this.#frameMs;
    const { toneMs, gapMs } = this.#timing;
    if (this.#elapsedMs >= toneMs + gapMs && this.#endsLeft === 0) {
      this.#at++;
      this.#elapsedMs = Number.NaN;
      return false;
    }
    return this.#endsLeft > 0 && this.#tell();
  }

  #press(timestamp: number): void {
    this.report.event = DIGITS.indexOf(this.#digits[this.#at]!);
    this.report.volume = DEFAULT_VOLUME;
    this.marker = true;
    this.#startTimestamp = timestamp;
    this.timestamp = timestamp;
    this.#elapsedMs = 0;
    this.#segmented = 0;
    this.#endsLeft = END_REPORTS;
  }

  #tell(): boolean {
    const { report } = this;
    const { toneMs } = this.#timing;
    const heldMs = Math.min(this.#elapsedMs, toneMs);
    const units = Math.round((heldMs * this.#eventClock) / 1000) - this.#segmented;
    if (this.#elapsedMs > this.#frameMs) this.marker = false;
    if (units > MAX_DURATION_UNITS) {
      // The segment is full: it is told without an end, and the rest is told from the next frame on.
      report.duration = MAX_DURATION_UNITS;
      report.end = false;
      this.timestamp = this.#timestampAt(this.#segmented);
      this.#segmented += MAX_DURATION_UNITS;
      return true;
    }
    this.timestamp = this.#timestampAt(this.#segmented);
    report.duration = units;
    report.end = this.#elapsedMs >= toneMs;
    if (report.end) this.#endsLeft--;
    return true;
  }

  #timestampAt(units: number): number {
    const offset = Math.round((units * this.#audioClock) / this.#eventClock);
    return (this.#startTimestamp + offset) >>> 0;
  }
}
