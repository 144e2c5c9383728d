/** The digits of one leg, both ways and either kind: named events (RFC 4733), and tones within the voice. */
import { CodedError } from '../../core/errors.js';
import type { DigitWay, EventFormat, SentDigits } from '../engine.js';
import { FRAME_MS } from '../graph.js';
import type { RtpPacket } from '../rtp.js';
import { EVENT_OCTETS, writeEvent } from './event-packet.js';
import { EventReceiver } from './event-receiver.js';
import { type DigitTiming, EventSender } from './event-sender.js';
import { ToneDetector } from './tone-detector.js';
import { ToneSender } from './tone-sender.js';

/** Longer than the 40 ms that every receiver takes (ITU-T Q.24), so that a loss is survived. */
const TONE_MS = 100;
const GAP_MS = 80;

interface Waiting {
  readonly digits: string;
  readonly by: DigitWay;
  readonly timing: DigitTiming;
  readonly done: () => void;
}

export class LegDigits {
  /** Told of each digit twice: when it begins, and when it is over with its length. */
  onDigit: (digit: string, by: DigitWay, ms: number | undefined) => void = () => undefined;
  readonly payload = new Uint8Array(EVENT_OCTETS);
  #sampleRate: number;
  #clockRate: number;
  #format: EventFormat | undefined;
  #inBand = false;
  #sender: EventSender | undefined;
  #receiver: EventReceiver | undefined;
  #tones: ToneSender | undefined;
  #detector: ToneDetector | undefined;
  #toneFrame = new Int16Array(0);
  readonly #waiting: Waiting[] = [];
  #sending: Waiting | undefined;

  /** @param sampleRate of frames; `clockRate` of the stream's timestamps, both in Hz */
  constructor(sampleRate: number, clockRate: number) {
    this.#sampleRate = sampleRate;
    this.#clockRate = clockRate;
  }

  /** Digits that wait are sent in the new way of their kind. */
  configure(
    format: EventFormat | undefined,
    inBand: boolean,
    sampleRate: number,
    clockRate: number,
  ): void {
    const clocks = this.#clockRate !== clockRate || this.#format?.clockRate !== format?.clockRate;
    const rate = this.#sampleRate !== sampleRate;
    this.#format = format;
    this.#sampleRate = sampleRate;
    this.#clockRate = clockRate;
    if (clocks) {
      this.#receiver?.reset();
      const at = format?.clockRate;
      const told = (digit: string, ms: number | undefined) => this.onDigit(digit, 'events', ms);
      this.#receiver = at === undefined ? undefined : new EventReceiver(clockRate, at, told);
      this.#sender = at === undefined ? undefined : new EventSender(clockRate, at, FRAME_MS);
    }
    if (rate) this.#tones = undefined;
    if (rate || inBand !== this.#inBand) {
      const told = (digit: string, ms: number | undefined) => this.onDigit(digit, 'tones', ms);
      this.#detector = inBand ? new ToneDetector(sampleRate, told) : undefined;
    }
    this.#inBand = inBand;
    if (clocks || rate) this.#restart();
  }

  /** @throws {CodedError} `NO_EVENTS` where the other side does not take them */
  send({ digits, by, toneMs = TONE_MS, gapMs = GAP_MS }: SentDigits, done: () => void): void {
    if (by === 'events' && !this.#format) {
      throw new CodedError('NO_EVENTS', 'expected a stream with telephone-event, found none', {
        remedy: 'Send the digits as tones.',
      });
    }
    this.#waiting.push({ digits, by, timing: { toneMs, gapMs }, done });
    if (!this.#sending) this.#begin();
  }

  /** Whether the voice has to make room. */
  get busy(): boolean {
    return this.#sending !== undefined;
  }

  get payloadType(): number {
    return this.#format?.payloadType ?? 0;
  }

  /** Of the packet in `payload`. */
  get marker(): boolean {
    return this.#sender?.marker ?? false;
  }

  get timestamp(): number {
    return this.#sender?.timestamp ?? 0;
  }

  /**
   * While busy, once a frame: what goes out in place of the voice.
   *
   * @returns a frame of tones; `event` where `payload` is to be sent; `nothing` where nothing is
   */
  next(timestamp: number): Int16Array | 'event' | 'nothing' {
    const sender = this.#sender;
    const tones = this.#tones;
    if (this.#sending?.by === 'tones' && tones) {
      tones.fill(this.#toneFrame);
      if (!tones.busy) this.#end();
      return this.#toneFrame;
    }
    if (!sender) return 'nothing';
    const told = sender.next(timestamp);
    if (told) writeEvent(sender.report, this.payload);
    if (!sender.busy) this.#end();
    return told ? 'event' : 'nothing';
  }

  /** Whether a packet tells an event. */
  isEvent({ payloadType }: RtpPacket): boolean {
    return payloadType === this.#format?.payloadType;
  }

  receive(packet: RtpPacket, nowMs: number): void {
    const { data, payloadOffset, payloadLength, timestamp, marker } = packet;
    this.#receiver?.receive(data, payloadOffset, payloadLength, timestamp, marker, nowMs);
  }

  /** A frame that was received, each tick. */
  hear(frame: Int16Array, nowMs: number): void {
    this.#receiver?.expire(nowMs);
    this.#detector?.process(frame);
  }

  /** Another stream begins. */
  reset(): void {
    this.#receiver?.reset();
  }

  /** What was not sent will not be. */
  close(): void {
    this.#receiver?.reset();
    const sending = this.#sending ? [this.#sending] : [];
    this.#sending = undefined;
    for (const { done } of [...sending, ...this.#waiting.splice(0)]) done();
  }

  #begin(): void {
    const next = this.#waiting.shift();
    this.#sending = next;
    if (!next) return;
    if (next.by === 'events') {
      if (this.#sender) this.#sender.begin(next.digits, next.timing);
      else this.#end();
      return;
    }
    if (!this.#tones) {
      this.#tones = new ToneSender(this.#sampleRate);
      this.#toneFrame = new Int16Array((this.#sampleRate * FRAME_MS) / 1000);
    }
    this.#tones.begin(next.digits, next.timing);
  }

  #end(): void {
    this.#sending?.done();
    this.#begin();
  }

  /** What was being sent begins again in the new rates. */
  #restart(): void {
    if (!this.#sending) return;
    this.#waiting.unshift(this.#sending);
    this.#begin();
  }
}
