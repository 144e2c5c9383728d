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
import type { Decoder } from './codecs/codec.js';
import { historySamples } from './concealment.js';
import { DelayAdapter } from './delay-adapter.js';
import { SILENCE_DBOV } from './frame.js';
import { GapFiller } from './gap-filler.js';
import { type JitterStatistics, newJitterStatistics } from './jitter-statistics.js';
import { MAX_PAYLOAD_OCTETS, PacketStore, type Slot } from './packet-store.js';
import { PlayoutDepth } from './playout-depth.js';
import type { RtpPacket } from './rtp.js';
import { SampleTape } from './sample-tape.js';

/** Beyond this a delay is worse than a gap. */
export const MAX_DELAY_MS = 300;
/** A gap in timestamps beyond this is a leap, not a pause: playout goes on at once. */
const MAX_GAP_MS = 200;
/** With nothing to play for this long the stream has stopped; the next packet begins anew. */
const STARVED_MS = 200;
/** Opus says that it is still silent each 400 ms, and its decoder makes comfort noise so long. */
const PAUSE_MS = 600;
/** Packets decoded for the decoder's state alone, before those that are heard again after a while. */
const PRE_ROLL_PACKETS = 3;
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
  /** Where it tells what becomes of packets; its own by default. */
  readonly statistics?: JitterStatistics;
}

export class JitterBuffer {
  readonly #frameSamples: number;
  readonly #samplesPerMs: number;
  readonly #maxDelayMs: number;
  /** Samples per RTP timestamp unit: 2 for G.722, 1/3 for Opus at 16 kHz. */
  readonly #samplesPerUnit: number;

  readonly #store = new PacketStore();
  readonly #depth: PlayoutDepth;
  readonly #tape: SampleTape;
  readonly #filler: GapFiller;
  readonly #adapter: DelayAdapter;
  readonly #statistics: JitterStatistics;

  #playing = false;
  /** RTP timestamp of what follows the last packet played. */
  #endTimestamp = 0;
  /** Samples made up or passed in silence since. */
  #filled = 0;
  /** Of these, since there is nothing more to play. */
  #starved = 0;
  /** The sender said that it pauses. */
  #pausing = false;
  /** The last packet could not be decoded. */
  #gapped = false;
  /** The next packet's timestamp has nothing to do with the last one's. */
  #leapt = false;
  #dropped = 0;
  /** Of packets dropped, those that the statistics tell. */
  #told = 0;
  #decoder: Decoder | undefined;
  #level = -1;

  /** Samples of the last packet passed unheard that are still to come, -1 while everything is decoded. */
  #ahead = -1;

  constructor(options: JitterBufferOptions) {
    const { sampleRate, clockRate, frameSamples, maxDelayMs = MAX_DELAY_MS } = options;
    this.#statistics = options.statistics ?? newJitterStatistics();
    this.#frameSamples = frameSamples;
    this.#samplesPerMs = sampleRate / 1000;
    this.#samplesPerUnit = sampleRate / clockRate;
    this.#maxDelayMs = maxDelayMs;
    this.#depth = new PlayoutDepth({
      clockRate,
      frameMs: frameSamples / this.#samplesPerMs,
      maxDelayMs,
    });
    const history = historySamples(sampleRate);
    this.#tape = new SampleTape(history, history + TAPE_MS * this.#samplesPerMs);
    this.#filler = new GapFiller(sampleRate, this.#tape, this.#statistics);
    this.#adapter = new DelayAdapter(
      sampleRate,
      frameSamples,
      this.#depth,
      this.#tape,
      this.#statistics,
    );
  }

  /** The same object each time, brought up to date. */
  get statistics(): Readonly<JitterStatistics> {
    const statistics = this.#statistics;
    statistics.targetMs = this.#depth.targetMs;
    const dropped = this.#dropped + this.#store.pushedOut;
    statistics.overruns += dropped - this.#told;
    this.#told = dropped;
    statistics.depthMs = this.#playing ? this.#depth.depthMs : 0;
    return statistics;
  }

  /** RTP timestamp, perhaps a fraction, of the first sample of the next frame. */
  get position(): number {
    const unread = this.#tape.unread + Math.max(0, this.#ahead);
    return (this.#endTimestamp + (this.#filled - unread) / this.#samplesPerUnit) % 2 ** 32;
  }

  /** Whether a stream is being heard. */
  get playing(): boolean {
    return this.#playing;
  }

  /** Whether nothing is left to be heard but less than half a frame. */
  get isDrained(): boolean {
    const unread = this.#tape.unread + Math.max(0, this.#ahead);
    return this.#store.held === 0 && unread < this.#frameSamples / 2;
  }

  /** Drops what is held; the next packet begins a stream. */
  reset(): void {
    this.#statistics.abandoned += this.#store.clear();
    this.#depth.restart();
    this.#tape.clear();
    this.#decoder = undefined;
    this.#ahead = -1;
    this.#playing = false;
  }

  /**
   * @param sequence extended sequence number (RtpSource), not negative
   * @param decoder of the packet's codec: the same for every packet of one codec, since decoders have state;
   *   undefined where the packet is no sound (an event): then its time passes in silence
   * @param level claimed by the sender, 0 to 127 -dBov (RFC 6464 §3)
   */
  put(sequence: number, packet: RtpPacket, decoder: Decoder | undefined, level = -1): void {
    if (decoder && (packet.payloadLength === 0 || packet.payloadLength > MAX_PAYLOAD_OCTETS)) {
      this.#statistics.broken++;
      return;
    }
    const place = this.#store.place(sequence);
    if (place === 'duplicate') this.#statistics.duplicates++;
    else {
      const transit = decoder ? this.#depth.arrive(packet) : 0;
      if (place === 'late') {
        this.#statistics.late++;
        return;
      }
      this.#store.keep(place, sequence, packet);
      place.decoder = decoder;
      place.arrivalMs = packet.arrivalMs;
      place.transitMs = transit;
      place.epoch = this.#depth.epoch;
      place.level = level;
    }
  }

  /** Fills `frame`; silence while no stream is playing. */
  get(frame: Int16Array, nowMs: number): void {
    this.#depth.tick(nowMs);
    if (!this.#playing && !this.#begin(nowMs)) {
      frame.fill(0);
      return;
    }
    if (this.#ahead >= 0) this.#preRoll();
    this.#filler.madeUp = false;
    this.#cutBack();
    while (this.#tape.unread < this.#frameSamples) this.#advance(nowMs);
    this.#depth.update(nowMs);
    if (this.#filler.madeUp) this.#statistics.concealedFrames++;
    else this.#adapter.adapt(nowMs, this.#decodeAhead);
    this.#tape.take(frame);
    this.#filler.heard();
  }

  /**
   * The level claimed by what is to be played in this tick, in dBov: silence where nothing is there to be played,
   * undefined where it claims none.
   */
  peek(nowMs: number): number | undefined {
    if (!this.#playing && !this.#begin(nowMs)) return SILENCE_DBOV;
    const ready = this.#tape.unread + Math.max(0, this.#ahead);
    const next = this.#store.next();
    if (ready <= 0 && !next) return SILENCE_DBOV;
    const level = ready > 0 ? this.#level : next!.level;
    return level < 0 ? undefined : -level;
  }

  /** As `get`, for nobody to hear: a frame's time passes, nothing is decoded. */
  skip(nowMs: number): void {
    this.#depth.tick(nowMs);
    if (!this.#playing && !this.#begin(nowMs)) return;
    this.#depth.update(nowMs);
    this.#cutBack();
    // At most a frame at a time.
    const frames = Math.min(1, this.#depth.surplusFrames);
    this.#depth.shift(-frames);
    const extra = frames * this.#frameSamples;
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

  #begin(nowMs: number): boolean {
    const slot = this.#store.next();
    if (!slot) return false;
    if (!this.#depth.isDue(slot, nowMs)) return false;
    this.#playing = true;
    this.#endTimestamp = slot.timestamp;
    this.#filled = 0;
    this.#starved = 0;
    this.#gapped = false;
    this.#leapt = false;
    this.#pausing = false;
    this.#ahead = -1;
    this.#tape.clear();
    this.#filler.reset();
    this.#depth.begin(slot, nowMs);
    return true;
  }

  /** Brings the next sound to the tape, whatever it is. */
  #advance(nowMs: number): void {
    const slot = this.#store.next();
    const gap = slot ? this.#gapBefore(slot) : 0;
    if (slot && gap === 0) {
      this.#depth.learnLead(this.#tape.unread / this.#samplesPerMs, this.#starved > 0);
      this.#play(slot, nowMs);
    } else if (slot) this.#fillGap(slot, gap, nowMs);
    else {
      const wanted = this.#frameSamples - this.#tape.unread;
      // It may only be late.
      if (this.#pausing) this.#filler.pause(wanted, this.#decoder, true);
      else this.#filler.conceal(wanted, this.#decoder, false);
      this.#filled += wanted;
      this.#starve(wanted);
    }
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
    if (gap > 0 && this.#isPause(slot)) gap -= this.#depth.surplusFrames * this.#frameSamples;
    return Math.max(0, Math.round(gap) - this.#filled);
  }

  /** Whether the time before `slot` was left out by the sender rather than lost. */
  #isPause(slot: Slot): boolean {
    if (this.#pausing || slot.marker) return true;
    return slot.sequence === this.#store.nextSequence && !this.#gapped;
  }

  #fillGap(slot: Slot, gap: number, nowMs: number): void {
    const wanted = this.#frameSamples - this.#tape.unread;
    const decoder = this.#decoder;
    if (this.#isPause(slot)) {
      this.#passTime(Math.min(wanted, gap), true);
      return;
    }
    if (decoder?.recover && decoder === slot.decoder) {
      const known = decoder.samplesIn(slot.payload, 0, slot.octets);
      if (gap > known) this.#passTime(Math.min(wanted, gap - known), false);
      else if (this.#filler.recover(gap, decoder, slot)) this.#filled += gap;
      else this.#passTime(gap, false);
      return;
    }
    const now = gap > this.#frameSamples ? wanted : gap;
    this.#passTime(now, false);
    // The last of the gap in one piece, with what follows: it is filled from both sides.
    if (now === gap) this.#play(slot, nowMs);
  }

  /** So many samples pass before the next packet is due. @param paused nothing is lost: the sender is silent */
  #passTime(count: number, paused: boolean): void {
    if (paused) this.#filler.pause(count, this.#decoder, this.#pausing);
    else this.#filler.conceal(count, this.#decoder, true);
    this.#filled += count;
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
    this.#finish(slot, samples, due);
    if (samples === 0) return;
    tape.end += samples;
    this.#filler.join(samples, decoder);
  }

  /** @returns samples of this frame's `left` that the packet's time takes up */
  #passUnheard(slot: Slot, left: number, nowMs: number): number {
    const { decoder } = slot;
    if (!decoder) {
      this.#passSoundless(slot);
      return 0;
    }
    const samples = decoder.samplesIn(slot.payload, 0, slot.octets);
    const offsetMs = (this.#frameSamples - left) / this.#samplesPerMs;
    this.#depth.learnLead(Math.max(0, offsetMs), this.#starved > 0);
    this.#finish(slot, samples, nowMs + offsetMs);
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
  #finish(slot: Slot, samples: number, dueMs: number): void {
    const statistics = this.#statistics;
    this.#store.pass(slot);
    if (samples === 0) statistics.broken++;
    else statistics.played++;
    if (this.#leapt) this.#depth.leap(slot);
    else if (this.#starved > 0) this.#depth.starved(slot, dueMs);
    this.#depth.play(slot, dueMs);
    statistics.waitMs += (dueMs - slot.arrivalMs - statistics.waitMs) / 16;
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
    this.#filler.reset();
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
    while (this.#store.held > 1 && this.#depth.depthMs > this.#maxDelayMs) {
      const slot = this.#store.next()!;
      const gap = this.#gapBefore(slot);
      if (!slot.decoder) {
        this.#passSoundless(slot);
        continue;
      }
      this.#store.pass(slot);
      const samples = slot.decoder.samplesIn(slot.payload, 0, slot.octets);
      this.#depth.drop((gap + samples) / this.#samplesPerMs);
      this.#endTimestamp = slot.timestamp + samples / this.#samplesPerUnit;
      this.#filled = 0;
      this.#filler.splice();
      this.#dropped++;
    }
  }

  /** Has `samples` samples unread where packets that follow each other allow it. */
  readonly #decodeAhead = (samples: number, nowMs: number): void => {
    while (this.#tape.unread < samples) {
      const slot = this.#store.next();
      if (!slot?.decoder || slot.sequence !== this.#store.nextSequence) return;
      if (this.#gapBefore(slot) > 0) return;
      this.#play(slot, nowMs);
    }
  };
}
