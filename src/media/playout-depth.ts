/**
 * How deep a jitter buffer is against how deep it has to be. Depth is how long the fastest packet would wait; it
 * changes only where time is inserted or left out, whatever the single packets do. Pure.
 */
import { DelayTarget } from './delay-target.js';
import type { Slot } from './packet-store.js';
import type { RtpPacket } from './rtp.js';

/** The least that packets wait, so that a clock or a network that is a little late costs nothing. */
const FLOOR_MS = 20;
/** Ticks are not exact: a packet due within this is due. */
const TICK_TOLERANCE_MS = 0.5;
/** The depth may be less than wanted by this: nearly the margin that the target has in hand. */
const SHORT_MS = 6.5;
/** It may be more by a frame, for where ticks fall is chance, known as exactly as ticks are; */
const FRAME_TOLERANCE_MS = 0.25;
/** in silence by a little less, so that it need not be changed in what follows. */
const FRAME_TOLERANCE_IN_SILENCE_MS = 4;
/** With ticks later than this the machine does not keep time. */
const BEHIND_MS = 5;
/** Of a lag that is not made up, what is left after each tick. */
const FORGOTTEN = 0.995;
/** Later than this, ticks are left out rather than made up: see `pacer.ts`. */
const LEFT_OUT_MS = 1000;

/** What is kept of a weighing: above the target; how long before they are needed the fastest packets are there. */
const EXCESS = 0;
const IN_HAND = 1;

export interface PlayoutDepthOptions {
  /** RTP timestamp units per second. */
  readonly clockRate: number;
  readonly frameMs: number;
  readonly maxDelayMs: number;
}

export class PlayoutDepth {
  readonly #frameMs: number;
  readonly #target: DelayTarget;
  /** When a packet that took no time would be played, on the scale of transit times. */
  #playoutMs = 0;
  #playoutEpoch = -1;
  /** How long before they are heard packets are needed: where they do not begin with a frame. */
  #leadMs = 0;
  #tickMs = Number.NaN;
  /** How far the ticks lag behind because this machine stood still. */
  #behindMs = 0;
  /** What `#weigh` found; in an array, since a number that is returned may be made on the heap. */
  readonly #weighed = new Float64Array(2);

  constructor({ clockRate, frameMs, maxDelayMs }: PlayoutDepthOptions) {
    this.#frameMs = frameMs;
    const ceilingMs = Math.max(FLOOR_MS, maxDelayMs - 2 * frameMs);
    this.#target = new DelayTarget(FLOOR_MS, ceilingMs, clockRate);
  }

  /** Transit times of different epochs cannot be compared. */
  get epoch(): number {
    return this.#target.epoch;
  }

  get targetMs(): number {
    return this.#target.targetMs;
  }

  get depthMs(): number {
    if (this.#playoutEpoch !== this.#target.epoch) return this.#target.targetMs;
    return this.#target.relative(this.#playoutMs);
  }

  /** Above the target; 0 while nothing can be said of it. */
  get excessMs(): number {
    this.#weigh();
    return this.#weighed[EXCESS]!;
  }

  /** Packets are about to be late. */
  get isShort(): boolean {
    if (this.#behindMs >= BEHIND_MS) return false;
    this.#weigh();
    const { neededMs } = this.#target;
    return this.#weighed[EXCESS]! < -SHORT_MS || this.#weighed[IN_HAND]! < neededMs - SHORT_MS;
  }

  /** Whether packets wait longer than they need to. */
  isLong(silent: boolean): boolean {
    this.#weigh();
    const tolerance = silent ? FRAME_TOLERANCE_IN_SILENCE_MS : FRAME_TOLERANCE_MS;
    return this.#weighed[EXCESS]! > this.#frameMs - tolerance;
  }

  /** Of what can be left out. Beyond the lead, packets are needed a frame earlier than before. */
  get mostSpareMs(): number {
    this.#weigh();
    const spare = this.#weighed[IN_HAND]! - this.#target.neededMs - this.#frameMs;
    return spare > -FRAME_TOLERANCE_IN_SILENCE_MS ? this.#frameMs : this.#leadMs;
  }

  /** Frames to be left out where nobody hears it, or inserted if negative: packets go on beginning with a frame. */
  get surplusFrames(): number {
    const frames = Math.trunc((this.excessMs + FRAME_TOLERANCE_IN_SILENCE_MS) / this.#frameMs);
    if (frames > 0) return frames;
    return this.isShort ? -1 : 0;
  }

  /** The sender's timestamps begin anew. */
  restart(): void {
    this.#target.restart();
  }

  tick(nowMs: number): void {
    const late = nowMs - this.#tickMs - this.#frameMs;
    if (late > LEFT_OUT_MS) this.#behindMs = 0;
    // Before the first tick there is no difference.
    else if (!Number.isNaN(late)) this.#behindMs = Math.max(0, this.#behindMs * FORGOTTEN + late);
    this.#tickMs = nowMs;
  }

  update(nowMs: number): void {
    this.#target.update(nowMs);
  }

  /** @returns the packet's transit time */
  arrive(packet: RtpPacket): number {
    return this.#target.add(packet, this.#isInTime(packet.arrivalMs));
  }

  /** Whether the first packet of a stream has waited long enough. */
  isDue(slot: Slot, nowMs: number): boolean {
    const comparable = slot.decoder && slot.epoch === this.#target.epoch;
    const late = comparable ? this.#target.relative(slot.transitMs) : 0;
    return nowMs - slot.arrivalMs + late >= this.#target.targetMs - TICK_TOLERANCE_MS;
  }

  begin(slot: Slot, nowMs: number): void {
    this.#leadMs = 0;
    this.play(slot, nowMs);
    this.#target.update(nowMs);
  }

  /** The packet's first sample is to be heard at `dueMs`. */
  play(slot: Slot, dueMs: number): void {
    this.#playoutMs = dueMs - slot.arrivalMs + slot.transitMs;
    this.#playoutEpoch = slot.epoch;
  }

  /** The buffer was empty until the packet came. */
  starved(slot: Slot, nowMs: number): void {
    if (slot.epoch !== this.#target.epoch || !this.#isInTime(nowMs)) return;
    this.#target.starved(slot.transitMs, nowMs);
  }

  /** The packet's timestamp has nothing to do with those before. */
  leap(slot: Slot): void {
    if (slot.epoch === this.#target.epoch) this.#target.restart();
  }

  /** Packets of so long were dropped. */
  drop(ms: number): void {
    this.#playoutMs -= ms;
  }

  /** Whole frames were inserted, or left out if negative. */
  shift(frames: number): void {
    this.#playoutMs += frames * this.#frameMs;
  }

  /** A part of a frame was inserted, or left out if negative. */
  splice(ms: number): void {
    this.#playoutMs += ms;
    this.#leadMs += ms;
    if (this.#leadMs < 0) this.#leadMs += this.#frameMs;
    if (this.#leadMs >= this.#frameMs) this.#leadMs -= this.#frameMs;
  }

  /**
   * A packet is needed at the tick, however late within the frame it is heard.
   *
   * @param offsetMs of the packet in the frame
   * @param anew earlier offsets have nothing to do with it
   */
  learnLead(offsetMs: number, anew: boolean): void {
    const known = this.#leadMs;
    this.#leadMs = anew || offsetMs > known ? offsetMs : known + (offsetMs - known) / 16;
  }

  #weigh(): void {
    const target = this.#target;
    const depth =
      this.#playoutEpoch === target.epoch ? target.relative(this.#playoutMs) : target.targetMs;
    this.#weighed[EXCESS] = this.#behindMs < BEHIND_MS ? depth - target.targetMs : 0;
    this.#weighed[IN_HAND] = depth - this.#leadMs;
  }

  /** Whether this machine keeps time: what arrives while it does not says nothing about the network. */
  #isInTime(nowMs: number): boolean {
    return this.#behindMs < BEHIND_MS && !(nowMs - this.#tickMs > this.#frameMs + BEHIND_MS);
  }
}
