/**
 * Adds up voices of different rates so that each can hear all the others: N-1. For each rate there is a bus with the sum
 * of the voices of that rate; what a listener hears is its rate's sum, the other sums converted to it, and less its own
 * voice, which is taken away as exactly as it was added. So a mix converts once for each pair of rates, however many
 * members it has. Nothing is allocated per tick.
 */
import type { Conditions, Encoder } from './codecs/codec.js';
import { isSilent, levelOf, SILENCE_DBOV } from './frame.js';
import { Limiter } from './limiter.js';
import { RateConverter } from './rate-converter.js';
import { Candidate, SpeakerChoice } from './speaker-choice.js';

/** How a voice that begins or ends in the middle of a wave is faded. */
const FADE_MS = 5;
/** A voice that begins below this begins as it is. */
const AUDIBLE_STEP = 256;
/** An encoder nobody listened to for this long is given back. */
const IDLE_TICKS = 50;
/** How often a shared encoder is told how its streams fare: as often as reports come (5 s, RFC 3550 §6.2). */
const ADAPT_TICKS = 250;
/** One listener behind a broken link is no reason to make the voice worse for all the others. */
const MOST_SHARED_LOSS = 0.25;

/** What a mix sees of a member. */
export interface Voice {
  readonly frame: Int16Array;
  readonly rate: number;
  /** The level that the next frame claims, in dBov; undefined where it claims none. */
  claimedLevel(nowMs: number): number | undefined;
}

/** How a stream is coded: those who hear the same and have the same object of this kind get the same payload. */
export interface Coding {
  readonly maxPayloadOctets: number;
  newEncoder(): Encoder;
}

/** One of those that a mix adds up. */
export class MixInput {
  readonly mix: Mix;
  readonly voice: Voice;
  readonly candidate = new Candidate();
  readonly gain: number;
  /** Whether it is part of the sum of this tick. */
  contributing = false;
  /** What was added, where that is not the voice's frame untouched. */
  altered: Int32Array | undefined;
  lastSample = 0;
  /** The level of this tick's frame before it was decoded, in dBov. */
  claimed = SILENCE_DBOV;
  #alteredFrame = new Int32Array(0);

  constructor(mix: Mix, voice: Voice, gain: number) {
    this.mix = mix;
    this.voice = voice;
    this.gain = gain;
  }

  /** Looks at this tick's frame: what of it is added? */
  update(heard: boolean): void {
    const { frame } = this.voice;
    const began = !this.contributing;
    this.contributing = heard && !isSilent(frame);
    this.altered = undefined;
    if (!this.contributing) return;
    if (this.gain !== 1) this.#alter(this.gain);
    if (began && Math.abs(frame[0]! * this.gain) > AUDIBLE_STEP) this.#fadeIn();
    const last = frame.length - 1;
    this.lastSample = this.altered ? this.altered[last]! : frame[last]!;
  }

  #alter(gain: number): void {
    const { frame } = this.voice;
    if (this.#alteredFrame.length !== frame.length) {
      this.#alteredFrame = new Int32Array(frame.length);
    }
    const samples = this.#alteredFrame;
    for (let i = 0; i < frame.length; i++) samples[i] = Math.round(frame[i]! * gain);
    this.altered = samples;
  }

  #fadeIn(): void {
    if (!this.altered) this.#alter(1);
    const samples = this.altered!;
    const ramp = (FADE_MS * this.voice.rate) / 1000;
    for (let i = 0; i < ramp; i++) samples[i] = Math.round((samples[i]! * i) / ramp);
  }
}

export interface CodedFrame {
  readonly coding: Coding;
  readonly encoder: Encoder;
  readonly payload: Uint8Array;
  octets: number;
  /** In which it was made. */
  tick: number;
  /** When the encoder was told last how its streams fare, and the worst of what was heard of them since. */
  adaptedTick: number;
  readonly worst: { lossFraction: number; load: number };
}

/** All voices of one rate, and what is heard at that rate. */
class Bus {
  readonly rate: number;
  readonly sum: Int32Array;
  /** Whether anything is in the sum, and whether anything was in the tick before: a filter still rings then. */
  filled = false;
  rang = false;
  /** Steps to be smoothed where voices ended. */
  tail = 0;
  readonly coded: CodedFrame[] = [];
  readonly #frameMs: number;
  readonly #total: Int32Array;
  readonly #converted: Int32Array;
  readonly #mixed: Int16Array;
  readonly #limiter = new Limiter();
  readonly #converters = new Map<Bus, RateConverter>();
  #totalTick = -1;
  #mixedTick = -1;

  constructor(rate: number, frameMs: number) {
    const samples = (rate * frameMs) / 1000;
    this.rate = rate;
    this.#frameMs = frameMs;
    this.sum = new Int32Array(samples);
    this.#total = new Int32Array(samples);
    this.#converted = new Int32Array(samples);
    this.#mixed = new Int16Array(samples);
  }

  clear(): void {
    this.rang = this.filled;
    this.filled = false;
    this.sum.fill(0);
  }

  /** Voices of all rates. */
  total(buses: readonly Bus[], tick: number): Int32Array {
    if (this.#totalTick === tick) return this.#total;
    this.#totalTick = tick;
    this.#total.set(this.sum);
    for (let i = 0; i < buses.length; i++) {
      const other = buses[i]!;
      if (other !== this && (other.filled || other.rang)) this.#addFrom(other);
    }
    return this.#total;
  }

  /** What those hear who are not heard. */
  mixed(buses: readonly Bus[], tick: number): Int16Array {
    const total = this.total(buses, tick);
    if (this.#mixedTick !== tick) {
      this.#mixedTick = tick;
      this.#limiter.limit(total, this.#mixed);
    }
    return this.#mixed;
  }

  #addFrom(other: Bus): void {
    let converter = this.#converters.get(other);
    if (!converter) {
      converter = new RateConverter(other.rate, this.rate, this.#frameMs);
      this.#converters.set(other, converter);
    }
    converter.process(other.sum, this.#converted);
    addWide(this.#total, this.#converted);
  }
}

export class Mix {
  readonly #frameMs: number;
  readonly #choice: SpeakerChoice | undefined;
  readonly #inputs: MixInput[] = [];
  readonly #buses: Bus[] = [];
  readonly #scratch = new Map<number, { sum: Int32Array; out: Int16Array }>();
  #tick = 0;

  /** @param speakers how many are heard at a time, the loudest; all, by default */
  constructor(frameMs: number, speakers?: number) {
    this.#frameMs = frameMs;
    this.#choice = speakers === undefined ? undefined : new SpeakerChoice(speakers);
  }

  /** Whether it chooses who is heard, so that others need not be decoded. */
  get chooses(): boolean {
    return this.#choice !== undefined;
  }

  /** The highest rate among those who are heard, in Hz. */
  get rate(): number {
    return this.#inputs.reduce((highest, { voice }) => Math.max(highest, voice.rate), 8000);
  }

  add(voice: Voice, gain: number): MixInput {
    const input = new MixInput(this, voice, gain);
    this.#inputs.push(input);
    return input;
  }

  remove(input: MixInput): void {
    const index = this.#inputs.indexOf(input);
    if (index < 0) return;
    this.#inputs.splice(index, 1);
    if (input.contributing) this.#busOf(input.voice.rate).tail += input.lastSample;
  }

  /** A voice is about to have another rate. */
  rateChanges({ voice, contributing, lastSample }: MixInput): void {
    if (contributing) this.#busOf(voice.rate).tail += lastSample;
  }

  /** Chooses who is heard in this tick, before anybody is decoded. */
  choose(nowMs: number): void {
    if (!this.#choice) return;
    for (let i = 0; i < this.#inputs.length; i++) {
      const input = this.#inputs[i]!;
      const { voice, candidate } = input;
      const claimed = voice.claimedLevel(nowMs);
      input.claimed = claimed ?? SILENCE_DBOV;
      candidate.hear(claimed ?? levelOf(voice.frame), claimed !== undefined);
    }
    this.#choice.choose(this.#inputs);
  }

  /** Adds up what was produced in this tick. */
  addUp(): void {
    this.#tick++;
    for (let i = 0; i < this.#buses.length; i++) {
      this.#buses[i]!.clear();
      this.#forgetIdle(this.#buses[i]!);
    }
    for (let i = 0; i < this.#inputs.length; i++) this.#addInput(this.#inputs[i]!);
    for (let i = 0; i < this.#buses.length; i++) this.#smooth(this.#buses[i]!);
  }

  /** What a listener of this rate hears that is not heard itself. Valid until the next tick. */
  mixed(rate: number): Int16Array {
    return this.#busOf(rate).mixed(this.#buses, this.#tick);
  }

  /** What a member hears: everybody else. Valid until the next call. */
  withoutSelf(self: MixInput, limiter: Limiter): Int16Array {
    const { frame, rate } = self.voice;
    if (!self.contributing) return this.mixed(rate);
    const total = this.#busOf(rate).total(this.#buses, this.#tick);
    const { sum, out } = this.#scratchFor(rate, frame.length);
    if (self.altered) subtractWide(total, self.altered, sum);
    else subtract(total, frame, sum);
    limiter.limit(sum, out);
    return out;
  }

  /**
   * `mixed`, coded once for all who ask for the same coding.
   *
   * @param conditions of who asks; the encoder suits the worst of them
   */
  coded(rate: number, coding: Coding, conditions?: Conditions): CodedFrame {
    const frame = this.#codedFrame(this.#busOf(rate), coding);
    if (conditions) this.#learn(frame, conditions);
    if (frame.tick !== this.#tick) {
      frame.octets = frame.encoder.encode(this.mixed(rate), frame.payload, 0);
      frame.tick = this.#tick;
    }
    return frame;
  }

  close(): void {
    for (const { coded } of this.#buses) {
      for (const { encoder } of coded) encoder.close?.();
    }
  }

  #addInput(input: MixInput): void {
    const { voice, candidate } = input;
    const was = input.contributing;
    const heard = !this.#choice || candidate.chosen;
    if (this.#choice && (heard || candidate.auditioned)) {
      candidate.audit(input.claimed, levelOf(voice.frame));
    }
    input.update(heard);
    if (!was && !input.contributing) return;
    const bus = this.#busOf(voice.rate);
    if (!input.contributing) {
      bus.tail += input.lastSample;
      return;
    }
    bus.filled = true;
    if (input.altered) addWide(bus.sum, input.altered);
    else add(bus.sum, voice.frame);
  }

  /** Voices that ended in the middle of a wave. */
  #smooth(bus: Bus): void {
    if (bus.tail === 0) return;
    const ramp = (FADE_MS * bus.rate) / 1000;
    for (let i = 0; i < ramp; i++) {
      const fading = 0.5 + 0.5 * Math.cos((Math.PI * (i + 1)) / (ramp + 1));
      bus.sum[i] = bus.sum[i]! + Math.round(bus.tail * fading);
    }
    bus.tail = 0;
    bus.filled = true;
  }

  /** Every listener asks in every tick: so the worst is known when it is time. */
  #learn(frame: CodedFrame, { lossFraction, load }: Conditions): void {
    const { worst } = frame;
    worst.lossFraction = Math.max(worst.lossFraction, Math.min(lossFraction, MOST_SHARED_LOSS));
    worst.load = Math.max(worst.load, load);
    if (this.#tick - frame.adaptedTick < ADAPT_TICKS) return;
    frame.encoder.adapt?.(worst);
    frame.adaptedTick = this.#tick;
    worst.lossFraction = 0;
    worst.load = 0;
  }

  #forgetIdle({ coded }: Bus): void {
    for (let i = coded.length - 1; i >= 0; i--) {
      if (this.#tick - coded[i]!.tick < IDLE_TICKS) continue;
      coded[i]!.encoder.close?.();
      coded.splice(i, 1);
    }
  }

  #codedFrame({ coded }: Bus, coding: Coding): CodedFrame {
    for (let i = 0; i < coded.length; i++) if (coded[i]!.coding === coding) return coded[i]!;
    const payload = new Uint8Array(coding.maxPayloadOctets);
    const frame: CodedFrame = {
      coding,
      encoder: coding.newEncoder(),
      payload,
      octets: 0,
      tick: -1,
      // As soon as everybody has asked once.
      adaptedTick: this.#tick - ADAPT_TICKS + 1,
      worst: { lossFraction: 0, load: 0 },
    };
    coded.push(frame);
    return frame;
  }

  #busOf(rate: number): Bus {
    for (let i = 0; i < this.#buses.length; i++) {
      if (this.#buses[i]!.rate === rate) return this.#buses[i]!;
    }
    const bus = new Bus(rate, this.#frameMs);
    this.#buses.push(bus);
    return bus;
  }

  #scratchFor(rate: number, samples: number): { sum: Int32Array; out: Int16Array } {
    let scratch = this.#scratch.get(rate);
    if (!scratch) {
      scratch = { sum: new Int32Array(samples), out: new Int16Array(samples) };
      this.#scratch.set(rate, scratch);
    }
    return scratch;
  }
}

// One function for each kind of array, so that each stays fast.

function add(sum: Int32Array, samples: Int16Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + samples[i]!;
}

function addWide(sum: Int32Array, samples: Int32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + samples[i]!;
}

function subtract(sum: Int32Array, samples: Int16Array, out: Int32Array): void {
  for (let i = 0; i < sum.length; i++) out[i] = sum[i]! - samples[i]!;
}

function subtractWide(sum: Int32Array, samples: Int32Array, out: Int32Array): void {
  for (let i = 0; i < sum.length; i++) out[i] = sum[i]! - samples[i]!;
}
