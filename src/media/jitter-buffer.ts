/**
 * The jitter buffer: packets in as they arrive, one frame out each tick. Pure: time is handed in.
 *
 * The first packet is played once it has waited long enough; from then on the playout follows the RTP
 * timestamps. When the next packet is not there and nothing later is either, it may only be late: the
 * gap is concealed but the playout does not advance, so nothing is lost and the delay grows by what was
 * needed. When a later packet is there, the missing one is lost: its time is concealed and passed.
 * Where the delay is not what the network asks for, sound is shortened or lengthened by a pitch period
 * at a time, in silence at once; where it is, every sample is played as it came.
 */
import { type Decoder, FOLLOW_SAMPLES } from './codecs/codec.js';
import { Concealment, historySamples } from './concealment.js';
import { DelayTarget } from './delay-target.js';
import { MAX_PAYLOAD_OCTETS, PacketStore, type Slot } from './packet-store.js';
import type { RtpPacket } from './rtp.js';
import { SampleTape } from './sample-tape.js';
import { TimeStretch } from './time-stretch.js';

/** The least that packets wait, so that a clock or a network that is a little late costs nothing. */
const FLOOR_MS = 20;
/** Beyond this a delay is worse than a gap. */
export const MAX_DELAY_MS = 300;
/** A gap in timestamps beyond this is a leap, not a pause: playout goes on at once. */
const MAX_GAP_MS = 200;
/** With nothing to play for this long the stream has stopped; the next packet begins anew. */
const STARVED_MS = 200;
/** Opus says that it is still silent each 400 ms, and its decoder makes comfort noise so long. */
const PAUSE_MS = 600;
/** Ticks are not exact: a packet due within this is due. */
const TICK_TOLERANCE_MS = 0.5;
/** The delay may be less than wanted by this: nearly the margin that the target has in hand. */
const SHORT_MS = 6.5;
/** It may be longer by a frame, for where ticks fall is chance, known as exactly as ticks are; */
const FRAME_TOLERANCE_MS = 0.25;
/** in silence by a little less, so that it need not be changed in what follows. */
const FRAME_TOLERANCE_IN_SILENCE_MS = 4;
/** Peak of a frame that is as good as silent: -48 dB of full scale. */
const SILENCE_PEAK = 128;
/** A splice in speech needs this much similarity at first, */
const FIRST_THRESHOLD = 0.9;
/** and this much after `PATIENCE_MS`. */
const LAST_THRESHOLD = 0.3;
const PATIENCE_MS = 300;
/** Between two splices in speech, */
const REST_MS = 80;
/** or where the delay is off by more than `FAR_MS`. */
const SHORT_REST_MS = 40;
const FAR_MS = 50;
/** Packets decoded for the decoder's state alone, before those that are heard again after a while. */
const PRE_ROLL_PACKETS = 3;
/** Ticks that are later than this are made up for: see `pacer.ts`. */
const BEHIND_MS = 10;
/** Of a lag, what is left of it after a tick that came in time. */
const CATCHING_UP = 0.97;
/** What the tape holds, history included: several of the longest packets. */
const TAPE_MS = 1000;
/** An Opus packet this short says that nothing is sent until something is to be heard: RFC 6716 §3.1. */
const SILENT_PAYLOAD_OCTETS = 2;

export interface JitterBufferOptions {
  /** Of the frames and of what every decoder put in writes, in Hz. */
  readonly sampleRate: number;
  /** RTP timestamp units per second. */
  readonly clockRate: number;
  /** Samples per tick. */
  readonly frameSamples: number;
  /** The longest that sound may wait, in ms; by default 300. */
  readonly maxDelayMs?: number;
}

/** What became of the packets, and of time. */
export interface JitterStatistics {
  /** How long the fastest packets wait, and shall wait. */
  depthMs: number;
  targetMs: number;
  /** Smoothed time from a packet's arrival to its playout. */
  waitMs: number;
  /** Packets played, or passed unheard by `skip`. */
  played: number;
  /** Packets that came after their time had passed. */
  late: number;
  duplicates: number;
  /** Packets that held nothing a decoder or this buffer could take. */
  broken: number;
  /** Times there was nothing to play amid a stream. */
  underruns: number;
  /** Packets dropped because the delay would have been too long. */
  overruns: number;
  /** Packets dropped with the stream they belonged to. */
  abandoned: number;
  /** Frames played wholly or partly from concealment. */
  concealedFrames: number;
  concealedMs: number;
  /** Of that, what a later packet repeated (in-band FEC). */
  recoveredMs: number;
  stretchedMs: number;
  compressedMs: number;
}

export class JitterBuffer {
  readonly #frameSamples: number;
  readonly #frameMs: number;
  readonly #samplesPerMs: number;
  readonly #sampleRate: number;
  readonly #maxDelayMs: number;
  /** Samples per RTP timestamp unit: 2 for G.722, 1/3 for Opus at 16 kHz. */
  #samplesPerUnit: number;

  readonly #store = new PacketStore();
  readonly #delay: DelayTarget;
  readonly #tape: SampleTape;
  readonly #concealment: Concealment;
  readonly #stretch: TimeStretch;
  readonly #statistics: JitterStatistics = {
    depthMs: 0,
    targetMs: 0,
    waitMs: 0,
    played: 0,
    late: 0,
    duplicates: 0,
    broken: 0,
    underruns: 0,
    overruns: 0,
    abandoned: 0,
    concealedFrames: 0,
    concealedMs: 0,
    recoveredMs: 0,
    stretchedMs: 0,
    compressedMs: 0,
  };

  #playing = false;
  /** When a packet that took no time would be played, on the scale of transit times. */
  #playoutMs = 0;
  #playoutEpoch = -1;
  /** RTP timestamp of what follows the last packet played. */
  #endTimestamp = 0;
  /** Samples made up or passed in silence since. */
  #filled = 0;
  /** Of these, since there is nothing more to play. */
  #starved = 0;
  /** Of these, at the end of the tape and open to what arrives after them. */
  #open = 0;
  /** The sender said that it pauses. */
  #pausing = false;
  /** The last packet could not be decoded. */
  #gapped = false;
  /** Packets were dropped: what follows does not continue what was heard. */
  #spliced = false;
  /** Something in this frame is made up. */
  #madeUp = false;
  /** The next packet's timestamp has nothing to do with the last one's. */
  #leapt = false;
  #dropped = 0;
  #decoder: Decoder | undefined;
  #level = -1;

  /** Samples of the last packet passed unheard that are still to come, -1 while everything is decoded. */
  #ahead = -1;
  #wantingSinceMs = Number.NaN;
  #restUntilMs = 0;

  /** How long before they are heard packets are needed: where they do not begin with a frame. */
  #leadMs = 0;
  #tickMs = Number.NaN;
  /** How far the ticks lag behind because this machine stood still. */
  #behindMs = 0;

  constructor(options: JitterBufferOptions) {
    const { sampleRate, clockRate, frameSamples, maxDelayMs = MAX_DELAY_MS } = options;
    this.#sampleRate = sampleRate;
    this.#frameSamples = frameSamples;
    this.#samplesPerMs = sampleRate / 1000;
    this.#samplesPerUnit = sampleRate / clockRate;
    this.#frameMs = frameSamples / this.#samplesPerMs;
    this.#maxDelayMs = maxDelayMs;
    const ceilingMs = Math.max(FLOOR_MS, maxDelayMs - 2 * this.#frameMs);
    this.#delay = new DelayTarget(FLOOR_MS, ceilingMs, clockRate);
    const history = historySamples(sampleRate);
    this.#tape = new SampleTape(history, history + TAPE_MS * this.#samplesPerMs);
    this.#concealment = new Concealment(sampleRate);
    this.#stretch = new TimeStretch(sampleRate);
  }

  /** The same object each time, brought up to date. */
  get statistics(): Readonly<JitterStatistics> {
    const statistics = this.#statistics;
    statistics.targetMs = this.#delay.targetMs;
    statistics.overruns = this.#dropped + this.#store.pushedOut;
    statistics.depthMs = this.#playing ? this.#depthMs() : 0;
    return statistics;
  }

  /** RTP timestamp, perhaps a fraction, of the first sample of the next frame. */
  get position(): number {
    const unread = this.#tape.unread + Math.max(0, this.#ahead);
    return (this.#endTimestamp + (this.#filled - unread) / this.#samplesPerUnit) % 2 ** 32;
  }

  /** Timestamps count in another unit from now on: the sender changed its codec. */
  useClockRate(clockRate: number): void {
    const samplesPerUnit = this.#sampleRate / clockRate;
    if (samplesPerUnit === this.#samplesPerUnit) return;
    this.#samplesPerUnit = samplesPerUnit;
    this.#delay.restart(clockRate);
  }

  /** Drops what is held; the next packet begins a stream. */
  reset(): void {
    this.#statistics.abandoned += this.#store.clear();
    this.#delay.restart();
    this.#tape.clear();
    this.#decoder = undefined;
    this.#ahead = -1;
    this.#playing = false;
  }

  /**
   * @param sequence extended sequence number (RtpSource), not negative
   * @param decoder of the packet's codec: the same for every packet of one codec, since decoders have state;
   *   undefined where the packet is no sound (comfort noise, an event): then its time passes in silence
   * @param level claimed by the sender, 0 to 127 -dBov (RFC 6464 §3)
   */
  put(
    sequence: number,
    packet: RtpPacket,
    decoder: Decoder | undefined,
    arrivalMs: number,
    level = -1,
  ): void {
    if (decoder && (packet.payloadLength === 0 || packet.payloadLength > MAX_PAYLOAD_OCTETS)) {
      this.#statistics.broken++;
      return;
    }
    const place = this.#store.place(sequence);
    if (place === 'duplicate') this.#statistics.duplicates++;
    else {
      const transit = decoder
        ? this.#delay.add(packet.timestamp, arrivalMs, this.#isInTime(arrivalMs))
        : 0;
      if (place === 'late') {
        this.#statistics.late++;
        return;
      }
      this.#store.keep(place, sequence, packet);
      place.decoder = decoder;
      place.arrivalMs = arrivalMs;
      place.transitMs = transit;
      place.epoch = this.#delay.epoch;
      place.level = level;
    }
  }

  /** Fills `frame`; silence while no stream is playing. */
  get(frame: Int16Array, nowMs: number): void {
    this.#tick(nowMs);
    if (!this.#playing && !this.#begin(nowMs)) {
      frame.fill(0);
      return;
    }
    if (this.#ahead >= 0) this.#preRoll();
    this.#madeUp = false;
    this.#cutBack();
    while (this.#tape.unread < this.#frameSamples) this.#advance(nowMs);
    this.#delay.update(nowMs);
    if (this.#madeUp) this.#statistics.concealedFrames++;
    else this.#adapt(nowMs);
    this.#tape.take(frame);
    this.#open = Math.min(this.#open, this.#tape.unread);
  }

  /** The level claimed by what is to be played in this tick, in dBov; undefined where there is nothing or no claim. */
  peek(nowMs: number): number | undefined {
    if (!this.#playing && !this.#begin(nowMs)) return undefined;
    const ready = this.#tape.unread + Math.max(0, this.#ahead);
    const level = ready > 0 ? this.#level : (this.#store.next()?.level ?? -1);
    return level < 0 ? undefined : -level;
  }

  /** As `get`, for nobody to hear: a frame's time passes, nothing is decoded. */
  skip(nowMs: number): void {
    this.#tick(nowMs);
    if (!this.#playing && !this.#begin(nowMs)) return;
    this.#delay.update(nowMs);
    this.#cutBack();
    const extra = Math.min(this.#frameSamples, this.#unheardChange());
    this.#playoutMs -= extra / this.#samplesPerMs;
    let left = this.#frameSamples + extra;
    const fromTape = Math.min(left, this.#tape.unread);
    this.#tape.read += fromTape;
    left -= fromTape;
    if (left > 0 && this.#ahead > 0) {
      const passed = Math.min(left, this.#ahead);
      this.#ahead -= passed;
      left -= passed;
    }
    while (left > 0) {
      const slot = this.#store.next();
      const gap = slot ? this.#gapBefore(slot) : left;
      if (slot && gap === 0) left -= this.#passUnheard(slot, left, nowMs);
      else {
        const passed = Math.min(left, gap);
        this.#filled += passed;
        if (!slot) this.#starve(passed);
        left -= passed;
      }
    }
  }

  #tick(nowMs: number): void {
    const late = nowMs - this.#tickMs - this.#frameMs;
    // Before the first tick there is no difference. What is not made up is forgotten by and by.
    if (!Number.isNaN(late)) this.#behindMs = Math.max(0, this.#behindMs * CATCHING_UP + late);
    this.#tickMs = nowMs;
  }

  /** Whether this machine keeps time: what arrives while it does not says nothing about the network. */
  #isInTime(nowMs: number): boolean {
    return this.#behindMs < BEHIND_MS && !(nowMs - this.#tickMs > this.#frameMs + BEHIND_MS);
  }

  #begin(nowMs: number): boolean {
    const slot = this.#store.next();
    if (!slot) return false;
    const late = slot.epoch === this.#delay.epoch ? this.#delay.relative(slot.transitMs) : 0;
    const depth = nowMs - slot.arrivalMs + (slot.decoder ? late : 0);
    if (depth < this.#delay.targetMs - TICK_TOLERANCE_MS) return false;
    this.#playing = true;
    this.#endTimestamp = slot.timestamp;
    this.#filled = 0;
    this.#starved = 0;
    this.#open = 0;
    this.#gapped = false;
    this.#leapt = false;
    this.#spliced = false;
    this.#pausing = false;
    this.#ahead = -1;
    this.#leadMs = 0;
    this.#tape.clear();
    this.#concealment.reset();
    this.#playoutMs = nowMs - slot.arrivalMs + slot.transitMs;
    this.#playoutEpoch = slot.epoch;
    this.#wantingSinceMs = Number.NaN;
    this.#delay.update(nowMs);
    return true;
  }

  /** Brings the next sound to the tape, whatever it is. */
  #advance(nowMs: number): void {
    const slot = this.#store.next();
    const gap = slot ? this.#gapBefore(slot) : 0;
    if (slot && gap === 0) {
      this.#learnLead(this.#tape.unread);
      this.#play(slot, nowMs);
    } else if (slot) this.#fillGap(slot, gap, nowMs);
    else {
      const wanted = this.#frameSamples - this.#tape.unread;
      this.#makeUp(wanted, false);
      this.#starve(wanted);
    }
  }

  /**
   * A packet is needed at the tick, however late within the frame it is heard.
   *
   * @param offset samples of the frame before it
   */
  #learnLead(offset: number): void {
    const lead = offset / this.#samplesPerMs;
    const known = this.#leadMs;
    this.#leadMs = this.#starved > 0 || lead > known ? lead : known + (lead - known) / 16;
  }

  /** Samples to pass before `slot` is due. What was made up already counts towards them. */
  #gapBefore(slot: Slot): number {
    if (!slot.decoder) return 0;
    // Where a part of a timestamp unit was played, it counts as played: `|` rounds towards zero.
    let gap = ((slot.timestamp - this.#endTimestamp) | 0) * this.#samplesPerUnit;
    const maxGap = MAX_GAP_MS * this.#samplesPerMs + this.#starved;
    // Backward too: the talker's timestamps began anew; by a little, a packet overlaps the one before.
    if (gap < -this.#frameSamples || gap > maxGap) {
      this.#leapt = true;
      return 0;
    }
    if (gap > 0 && this.#isPause(slot)) gap -= this.#unheardChange();
    return Math.max(0, Math.round(gap) - this.#filled);
  }

  /** Whether the time before `slot` was left out by the sender rather than lost. */
  #isPause(slot: Slot): boolean {
    if (this.#pausing || slot.marker) return true;
    return slot.sequence === this.#store.nextSequence && !this.#gapped;
  }

  /** Samples to be left out where nobody hears it, or inserted if negative: whole frames. */
  #unheardChange(): number {
    const excess = this.#excessMs();
    const frames = Math.trunc((excess + FRAME_TOLERANCE_IN_SILENCE_MS) / this.#frameMs);
    if (frames > 0) return frames * this.#frameSamples;
    return this.#isShort(excess) ? -this.#frameSamples : 0;
  }

  #isShort(excess: number): boolean {
    return excess < -SHORT_MS || this.#inHandMs() < this.#delay.neededMs - SHORT_MS;
  }

  #fillGap(slot: Slot, gap: number, nowMs: number): void {
    const wanted = this.#frameSamples - this.#tape.unread;
    if (this.#isPause(slot)) {
      this.#makeUp(Math.min(wanted, gap), true);
      return;
    }
    const decoder = this.#decoder;
    if (decoder?.recover && decoder === slot.decoder) {
      const known = decoder.samplesIn(slot.payload, 0, slot.octets);
      if (gap > known) this.#makeUp(Math.min(wanted, gap - known), false);
      else if (!this.#recover(slot, gap)) this.#makeUp(gap, false);
      return;
    }
    const now = gap > this.#frameSamples ? wanted : gap;
    this.#makeUp(now, false);
    if (decoder?.follow) this.#follow(decoder, now);
    // The last of the gap in one piece, with what follows: it is filled from both sides.
    if (now === gap) this.#play(slot, nowMs);
  }

  #recover(slot: Slot, gap: number): boolean {
    const tape = this.#tape;
    tape.makeRoom(gap);
    const decoder = this.#decoder!;
    if (!decoder.recover!(slot.payload, 0, slot.octets, tape.samples, tape.end, gap)) return false;
    tape.end += gap;
    this.#filled += gap;
    this.#madeUp = true;
    this.#statistics.concealedMs += gap / this.#samplesPerMs;
    this.#statistics.recoveredMs += gap / this.#samplesPerMs;
    return true;
  }

  /** @param paused nothing was lost: the sender is silent */
  #makeUp(count: number, paused: boolean): void {
    const tape = this.#tape;
    const decoder = this.#decoder;
    tape.makeRoom(count);
    this.#filled += count;
    if (decoder?.conceal && (!paused || this.#pausing)) {
      decoder.conceal(tape.samples, tape.end, count);
      tape.end += count;
    } else if (paused || this.#pausing) {
      tape.silence(count);
      this.#open = 0;
    } else {
      this.#concealment.extend(tape.samples, tape.end, count);
      tape.end += count;
      this.#open += count;
    }
    if (paused || this.#pausing) return;
    this.#madeUp = true;
    this.#statistics.concealedMs += count / this.#samplesPerMs;
  }

  /** The last `count` samples stand for what was lost, in the decoder's state too. */
  #follow(decoder: Decoder, count: number): void {
    const tape = this.#tape;
    tape.makeRoom(FOLLOW_SAMPLES);
    this.#concealment.lookAhead(tape.samples, tape.end, FOLLOW_SAMPLES);
    decoder.follow!(tape.samples, tape.end - count, count);
  }

  #starve(samples: number): void {
    if (this.#starved === 0 && !this.#pausing) this.#statistics.underruns++;
    this.#starved += samples;
    if (this.#decoder?.lasts) return;
    const most = this.#pausing ? PAUSE_MS : STARVED_MS;
    if (this.#starved >= most * this.#samplesPerMs) this.#playing = false;
  }

  #play(slot: Slot, nowMs: number): void {
    const { decoder } = slot;
    if (!decoder) {
      this.#passSoundless(slot);
      return;
    }
    const tape = this.#tape;
    tape.makeRoom(MAX_PAYLOAD_OCTETS * 2 + this.#frameSamples * 6);
    const at = tape.end;
    const samples = decoder.decode(slot.payload, 0, slot.octets, tape.samples, at);
    const due = nowMs + (at - tape.read) / this.#samplesPerMs;
    this.#pass(slot, samples, due);
    if (samples === 0) return;
    tape.end += samples;
    // A codec that conceals smooths what follows too.
    if (decoder.conceal) this.#concealment.reset();
    else if (this.#open > 0) {
      this.#concealment.bridge(tape.samples, at - this.#open, this.#open, samples);
    } else if (this.#spliced || this.#concealment.running) {
      this.#concealment.join(tape.samples, at, samples);
    }
    this.#open = 0;
    this.#spliced = false;
  }

  /** @returns samples of this frame's `left` that the packet's time takes up */
  #passUnheard(slot: Slot, left: number, nowMs: number): number {
    const { decoder } = slot;
    if (!decoder) {
      this.#passSoundless(slot);
      return 0;
    }
    const samples = decoder.samplesIn(slot.payload, 0, slot.octets);
    this.#learnLead(Math.max(0, this.#frameSamples - left));
    this.#pass(slot, samples, nowMs + (this.#frameSamples - left) / this.#samplesPerMs);
    const now = Math.min(samples, left);
    this.#ahead = samples - now;
    return now;
  }

  #passSoundless(slot: Slot): void {
    this.#store.pass(slot);
    this.#statistics.played++;
    this.#pausing = true;
  }

  /** @param dueMs when its first sample is to be heard */
  #pass(slot: Slot, samples: number, dueMs: number): void {
    const statistics = this.#statistics;
    this.#store.pass(slot);
    if (samples === 0) statistics.broken++;
    else statistics.played++;
    if (this.#leapt && slot.epoch === this.#delay.epoch) this.#delay.restart();
    else if (this.#starved > 0 && this.#isInTime(dueMs) && slot.epoch === this.#delay.epoch) {
      this.#delay.starved(slot.transitMs, dueMs);
    }
    const wait = dueMs - slot.arrivalMs;
    statistics.waitMs += (wait - statistics.waitMs) / 16;
    this.#playoutMs = wait + slot.transitMs;
    this.#playoutEpoch = slot.epoch;
    this.#endTimestamp = slot.timestamp + samples / this.#samplesPerUnit;
    this.#filled = 0;
    this.#starved = 0;
    this.#leapt = false;
    this.#gapped = samples === 0;
    this.#decoder = slot.decoder;
    this.#level = slot.level;
    const { decoder } = slot;
    const isSilent = slot.octets <= SILENT_PAYLOAD_OCTETS && decoder?.conceal !== undefined;
    this.#pausing = isSilent || decoder?.lasts === true;
  }

  /** Decodes the last packets that were passed unheard: for the decoder's state, and what is left of the last. */
  #preRoll(): void {
    const tape = this.#tape;
    const { nextSequence } = this.#store;
    const ahead = this.#ahead;
    this.#ahead = -1;
    tape.clear();
    this.#concealment.reset();
    this.#open = 0;
    this.#spliced = false;
    let first = nextSequence;
    while (first > nextSequence - PRE_ROLL_PACKETS) {
      if (this.#store.passed(first - 1)?.decoder !== this.#decoder) break;
      first--;
    }
    for (let sequence = first; sequence < nextSequence; sequence++) {
      const slot = this.#store.passed(sequence)!;
      tape.end += this.#decoder!.decode(slot.payload, 0, slot.octets, tape.samples, tape.end);
    }
    if (tape.unread < ahead) tape.silence(ahead - tape.unread);
    tape.read = tape.end - ahead;
  }

  /** Drops packets while the delay is longer than it may be. */
  #cutBack(): void {
    while (this.#store.held > 1 && this.#depthMs() > this.#maxDelayMs) {
      const slot = this.#store.next()!;
      const gap = this.#gapBefore(slot);
      if (!slot.decoder) {
        this.#passSoundless(slot);
        continue;
      }
      this.#store.pass(slot);
      const samples = slot.decoder.samplesIn(slot.payload, 0, slot.octets);
      this.#playoutMs -= (gap + samples) / this.#samplesPerMs;
      this.#endTimestamp = slot.timestamp + samples / this.#samplesPerUnit;
      this.#filled = 0;
      this.#spliced = true;
      this.#dropped++;
    }
  }

  #depthMs(): number {
    if (this.#playoutEpoch !== this.#delay.epoch) return this.#delay.targetMs;
    return this.#delay.relative(this.#playoutMs);
  }

  /** How long before they are needed the fastest packets are there. */
  #inHandMs(): number {
    return this.#depthMs() - this.#leadMs;
  }

  #excessMs(): number {
    if (this.#behindMs >= BEHIND_MS) return 0;
    return this.#depthMs() - this.#delay.targetMs;
  }

  /** Shortens or lengthens what is to be heard, where the delay is not as wanted. */
  #adapt(nowMs: number): void {
    const excess = this.#excessMs();
    const long = excess > this.#frameMs - FRAME_TOLERANCE_IN_SILENCE_MS;
    if (!long && (excess === 0 || !this.#isShort(excess))) {
      this.#wantingSinceMs = Number.NaN;
      return;
    }
    const tape = this.#tape;
    if (long) this.#decodeAhead(this.#frameSamples + this.#stretch.maxLag, nowMs);
    const ahead = long ? Math.min(tape.unread, 2 * this.#stretch.maxLag) : this.#frameSamples;
    const silent = tape.peak(ahead) < SILENCE_PEAK;
    if (!silent) {
      if (nowMs < this.#restUntilMs) return;
      if (long && excess <= this.#frameMs - FRAME_TOLERANCE_MS) return;
    }
    if (Number.isNaN(this.#wantingSinceMs)) this.#wantingSinceMs = nowMs;
    const threshold = this.#threshold(silent, nowMs);
    const changed = long ? this.#shorten(threshold) : this.#lengthen(threshold);
    if (!changed) return;
    this.#wantingSinceMs = Number.NaN;
    this.#restUntilMs = nowMs + (Math.abs(excess) > FAR_MS ? SHORT_REST_MS : REST_MS);
  }

  #shorten(threshold: number): boolean {
    // Beyond the lead, packets are needed a frame earlier.
    const spare = this.#inHandMs() - this.#delay.neededMs - this.#frameMs;
    const most = spare > -FRAME_TOLERANCE_IN_SILENCE_MS ? this.#frameMs : this.#leadMs;
    const samples = Math.floor(most * this.#samplesPerMs);
    const left = this.#stretch.shorten(this.#tape, this.#frameSamples, samples, threshold);
    const ms = left / this.#samplesPerMs;
    this.#statistics.compressedMs += ms;
    this.#playoutMs -= ms;
    this.#leadMs -= ms;
    if (this.#leadMs < 0) this.#leadMs += this.#frameMs;
    return left > 0;
  }

  #lengthen(threshold: number): boolean {
    const ms = this.#stretch.lengthen(this.#tape, threshold) / this.#samplesPerMs;
    this.#statistics.stretchedMs += ms;
    this.#playoutMs += ms;
    this.#leadMs += ms;
    if (this.#leadMs >= this.#frameMs) this.#leadMs -= this.#frameMs;
    return ms > 0;
  }

  #threshold(silent: boolean, nowMs: number): number {
    if (silent) return Number.NEGATIVE_INFINITY;
    const waited = Math.min(1, (nowMs - this.#wantingSinceMs) / PATIENCE_MS);
    return FIRST_THRESHOLD + (LAST_THRESHOLD - FIRST_THRESHOLD) * waited;
  }

  /** Has `samples` samples unread where packets that follow each other allow it. */
  #decodeAhead(samples: number, nowMs: number): void {
    while (this.#tape.unread < samples) {
      const slot = this.#store.next();
      if (!slot?.decoder || slot.sequence !== this.#store.nextSequence) return;
      if (this.#gapBefore(slot) > 0) return;
      this.#play(slot, nowMs);
    }
  }
}
