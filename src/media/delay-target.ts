/**
 * How deep a jitter buffer has to be. Every packet's transit time, known up to a constant because the
 * two clocks were never compared, is kept for a few seconds: the shortest says what the network does at
 * its best, and how much longer the others take says what has to be waited for. Pure.
 */
import type { RtpPacket } from './rtp.js';

/** Transit times are remembered this long: a talker whose clock drifts by 200 ppm moves 0.6 ms meanwhile. */
const WINDOW_MS = 3000;
/** Packets remembered: a window of packets of 10 ms, and room. */
const REMEMBERED = 512;
const UPDATE_MS = 200;
/** So many of the packets may be late. */
const LATE_FRACTION = 0.015;
/** Kept in hand beside what the network asks for. */
const MARGIN_MS = 7;
/** A change of transit time beyond this is a new clock, not the network. */
const LEAP_MS = 1000;
/** How long a burst that emptied the buffer is provided for. */
const HOLD_MS = 1500;
/** Bursts that come again and again are provided for longer each time, up to this. */
const MAX_HOLD_MS = 12_000;
/** Bursts this far apart have nothing to do with each other. */
const RECURRENCE_MS = 10_000;
/** Resolution and reach of the distribution of delays. */
const BIN_MS = 0.5;
const BINS = 1024;

export class DelayTarget {
  /** How long before they are needed the fastest packets have to be there, so that hardly any comes too late. */
  neededMs = MARGIN_MS;
  /** Counts the sender's clocks: transit times of different epochs cannot be compared. */
  epoch = 0;

  readonly #floorMs: number;
  readonly #ceilingMs: number;
  readonly #unitsPerMs: number;

  readonly #transits = new Float64Array(REMEMBERED);
  readonly #arrivals = new Float64Array(REMEMBERED);
  readonly #bins = new Uint16Array(BINS);
  #first = 0;
  #count = 0;
  #shortest = 0;
  #updateMs = 0;
  /** The delay that all but `LATE_FRACTION` of the packets keep; kept, since a number that is returned may be boxed. */
  #keptMs = 0;

  #known = false;
  #lastTransit = 0;
  #lastTimestamp = 0;
  #lastArrivalMs = 0;

  #burstMs = 0;
  #burstAtMs = Number.NEGATIVE_INFINITY;
  #holdMs = HOLD_MS;

  /** @param clockRate RTP timestamp units per second */
  constructor(floorMs: number, ceilingMs: number, clockRate: number) {
    this.#floorMs = floorMs;
    this.#ceilingMs = ceilingMs;
    this.#unitsPerMs = clockRate / 1000;
  }

  /** How long the fastest packets shall wait. */
  get targetMs(): number {
    return Math.max(this.#floorMs, this.neededMs);
  }

  /** The sender's timestamps begin anew; what is known of the network stays. */
  restart(): void {
    this.#known = false;
    this.#count = 0;
    this.epoch++;
  }

  /**
   * @param counts whether the time of arrival tells something of the network
   * @returns transit time of the packet in ms, up to a constant of the epoch
   */
  add({ timestamp, arrivalMs }: RtpPacket, counts: boolean): number {
    if (this.#known) {
      const sent = ((timestamp - this.#lastTimestamp) | 0) / this.#unitsPerMs;
      const change = arrivalMs - this.#lastArrivalMs - sent;
      if (Math.abs(change) > LEAP_MS) this.restart();
      else this.#lastTransit += change;
    }
    if (!this.#known) this.#lastTransit = 0;
    const transit = this.#lastTransit;
    if (!this.#known || transit < this.#shortest) this.#shortest = transit;
    this.#known = true;
    this.#lastTimestamp = timestamp;
    this.#lastArrivalMs = arrivalMs;
    if (!counts) return transit;
    if (this.#count === REMEMBERED) this.#forgetFirst();
    // A burst like the one provided for: it was right to provide for it.
    if (this.relative(transit) * 2 > this.#burstMs && this.#burstMs > 0)
      this.#burstAtMs = arrivalMs;
    const index = (this.#first + this.#count++) & (REMEMBERED - 1);
    this.#transits[index] = transit;
    this.#arrivals[index] = arrivalMs;
    return transit;
  }

  /** How much longer a packet took than the fastest. */
  relative(transit: number): number {
    return transit - this.#shortest;
  }

  /** The buffer ran empty until the packet of this transit time came. */
  starved(transit: number, nowMs: number): void {
    const needed = this.relative(transit) + MARGIN_MS;
    if (needed <= this.targetMs) return;
    const recurs = nowMs - this.#burstAtMs < RECURRENCE_MS;
    // What comes right after belongs to the same burst.
    if (nowMs - this.#burstAtMs > HOLD_MS) {
      this.#holdMs = recurs ? Math.min(MAX_HOLD_MS, this.#holdMs * 2) : HOLD_MS;
    }
    this.#burstMs = needed;
    this.#burstAtMs = nowMs;
    this.neededMs = Math.min(this.#ceilingMs, needed);
  }

  /** Looks again, now and then, at what is needed. */
  update(nowMs: number): void {
    if (nowMs < this.#updateMs) return;
    this.#updateMs = nowMs + UPDATE_MS;
    while (this.#count > 0 && this.#arrivals[this.#first]! < nowMs - WINDOW_MS) this.#forgetFirst();
    if (nowMs - this.#burstAtMs > this.#holdMs) this.#burstMs = 0;
    // In a pause nothing is learnt.
    if (this.#count === 0) return;
    this.#measure();
    const needed = Math.max(this.#burstMs, this.#keptMs + MARGIN_MS);
    this.neededMs = Math.min(this.#ceilingMs, needed);
  }

  /** Sets the shortest transit time, and the delay that most packets keep. */
  #measure(): void {
    let shortest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) {
      const transit = this.#transits[(this.#first + i) & (REMEMBERED - 1)]!;
      if (transit < shortest) shortest = transit;
    }
    this.#shortest = shortest;
    this.#bins.fill(0);
    for (let i = 0; i < this.#count; i++) {
      const delay = this.#transits[(this.#first + i) & (REMEMBERED - 1)]! - shortest;
      const bin = Math.min(BINS - 1, Math.ceil(delay / BIN_MS));
      this.#bins[bin] = this.#bins[bin]! + 1;
    }
    let late = Math.floor(this.#count * LATE_FRACTION);
    let bin = BINS - 1;
    while (bin > 0 && this.#bins[bin]! <= late) late -= this.#bins[bin--]!;
    this.#keptMs = bin * BIN_MS;
  }

  #forgetFirst(): void {
    this.#first = (this.#first + 1) & (REMEMBERED - 1);
    this.#count--;
  }
}
