/**
 * Digits from named events, RFC 4733 §2.5.2: each once, whatever is lost, repeated or reordered. Pure: time is
 * handed in. What makes an event is its timestamp: markers get lost, and there are senders that set none.
 */
import { DIGITS } from './digits.js';
import { EVENT_OCTETS, EventReport, MAX_DURATION_UNITS, readEvent } from './event-packet.js';

/** Unheard of for this long, an event is over: several reports, which may come each 50 ms (§2.6.3), were lost. */
const LOST_AFTER_MS = 250;
/** A timestamp further back than this is not late: the sender's timestamps began anew. */
const LATE_MS = 10_000;

/** @param ms how long it was pressed; undefined when it begins */
export type DigitListener = (digit: string, ms: number | undefined) => void;

export class EventReceiver {
  readonly #listener: DigitListener;
  readonly #audioClock: number;
  readonly #eventClock: number;
  readonly #segmentUnits: number;
  readonly #report = new EventReport();
  /** There was an event. */
  #known = false;
  #open = false;
  #event = 0;
  /** Of the event, or of its segment. */
  #timestamp = 0;
  #duration = 0;
  #segmented = 0;
  #heardMs = 0;

  /** @param audioClock of the stream's timestamps; `eventClock` of durations, both in Hz */
  constructor(audioClock: number, eventClock: number, listener: DigitListener) {
    this.#audioClock = audioClock;
    this.#eventClock = eventClock;
    this.#listener = listener;
    this.#segmentUnits = Math.round((MAX_DURATION_UNITS * audioClock) / eventClock);
  }

  /** A payload of telephone-event; it may tell several events, one after the other (§2.5.1.5). */
  receive(
    data: Uint8Array,
    from: number,
    octets: number,
    timestamp: number,
    marker: boolean,
    nowMs: number,
  ): void {
    let at = timestamp;
    for (let read = 0; read + EVENT_OCTETS <= octets; read += EVENT_OCTETS) {
      readEvent(data, from + read, this.#report);
      this.#take(at >>> 0, marker, nowMs);
      at += Math.round((this.#report.duration * this.#audioClock) / this.#eventClock);
    }
  }

  /** Time has come to `nowMs`: an event whose end was lost is over. */
  expire(nowMs: number): void {
    if (this.#open && nowMs - this.#heardMs >= LOST_AFTER_MS) this.#close();
  }

  /** Another stream begins: its timestamps have nothing to do with those before. */
  reset(): void {
    if (this.#open) this.#close();
    this.#known = false;
  }

  #take(timestamp: number, marker: boolean, nowMs: number): void {
    const { event, end, duration } = this.#report;
    if (event >= DIGITS.length) return;
    const step = this.#known ? (timestamp - this.#timestamp) | 0 : 1;
    if (step < 0 && step > (-LATE_MS * this.#audioClock) / 1000) return;
    if (step === 0) {
      if (!this.#open || event !== this.#event) return;
      this.#duration = Math.max(this.#duration, duration);
    } else if (this.#open && event === this.#event && !marker && step === this.#segmentUnits) {
      this.#segmented += MAX_DURATION_UNITS;
      this.#timestamp = timestamp;
      this.#duration = duration;
    } else {
      if (this.#open) this.#close();
      this.#begin(event, timestamp, duration);
    }
    this.#heardMs = nowMs;
    if (end) this.#close();
  }

  #begin(event: number, timestamp: number, duration: number): void {
    this.#known = true;
    this.#open = true;
    this.#event = event;
    this.#timestamp = timestamp;
    this.#duration = duration;
    this.#segmented = 0;
    this.#listener(DIGITS[event]!, undefined);
  }

  #close(): void {
    this.#open = false;
    const units = this.#segmented + this.#duration;
    this.#listener(DIGITS[this.#event]!, Math.round((units * 1000) / this.#eventClock));
  }
}
