/**
 * The jitter buffer: packets in as they arrive, one frame out each tick. Pure: time is handed in.
 *
 * The first packet is played once it has waited the target depth; from then on the playout follows
 * the RTP timestamps. When the next packet is not there and nothing later is either, it may only be
 * late: the gap is concealed but the playout does not advance, so nothing is lost and the delay
 * grows by what was needed. When a later packet is there, the missing one is lost: its time is
 * concealed and passed. Frames are dropped or inserted by choice only where the talker is silent.
 */
import type { Decoder } from './codecs/codec.js';
import { Concealment } from './concealment.js';
import type { RtpPacket } from './rtp.js';

/** Packets held; a power of two. 1.28 s at 20 ms: more than the media clock ever catches up. */
const SLOTS = 64;
/** Largest payload taken; Ethernet carries no larger one. */
const MAX_PAYLOAD_OCTETS = 1500;
/** 120 ms of Opus at 48 kHz, RFC 6716 §3.2.5; more than the largest payload of G.711 or G.722 holds. */
const MAX_PACKET_SAMPLES = 5760;
const FIRST_TARGET_MS = 20;
/** Beyond this a delay is worse than a gap. */
const MAX_TARGET_MS = 200;
/** A gap in timestamps beyond this is a leap, not a pause: playout goes on at once. */
const MAX_GAP_MS = 200;
/** With nothing to play for this long the stream has stopped; the next packet begins anew. */
const STARVED_MS = 200;
/** How long waits are watched before the depth is changed by choice. */
const WINDOW_MS = 2000;
/** A target that was not needed for this long becomes one frame less. */
const TARGET_DECAY_MS = 10_000;
/** Packets that come within this of their deadline ask for more depth. */
const TIGHT_MS = 2;
/** Peak below which a frame may be dropped or repeated unheard: -48 dB of full scale. */
const SILENCE_PEAK = 128;
/** Ticks are not exact: a packet due within this is due. */
const TICK_TOLERANCE_MS = 0.5;

class Slot {
  /** Extended sequence number, -1 when empty. */
  sequence = -1;
  timestamp = 0;
  arrivalMs = 0;
  decoder: Decoder | undefined;
  payload = new Uint8Array(0);
}

export interface JitterBufferOptions {
  /** Of the frames and of what every decoder put in writes, in Hz. */
  readonly sampleRate: number;
  /** RTP timestamp units per second. */
  readonly clockRate: number;
  /** Samples per tick. */
  readonly frameSamples: number;
}

export class JitterBuffer {
  /** Packets that came after their time had passed. */
  late = 0;
  duplicates = 0;
  /** Frames played wholly or partly from concealment. */
  concealedFrames = 0;
  /** Smoothed time from a packet's arrival to its playout. */
  waitMs = 0;

  readonly #frameSamples: number;
  readonly #frameMs: number;
  readonly #samplesPerMs: number;
  /** Samples per RTP timestamp unit: 2 for G.722, 1/3 for Opus at 16 kHz. */
  readonly #samplesPerUnit: number;
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  readonly #concealment: Concealment;

  /** Decoded and not yet played. */
  readonly #pcm = new Int16Array(MAX_PACKET_SAMPLES);
  #pcmRead = 0;
  #pcmEnd = 0;

  #held = 0;
  #playing = false;
  /** Nothing of this stream was played yet, so none of its packets is late. */
  #fresh = true;
  #firstArrivalMs = 0;
  /** Packets below this have been played or passed. */
  #nextSequence = Number.MAX_SAFE_INTEGER;
  #highestSequence = -1;
  /** RTP timestamp of the sample after those decoded. */
  #playTimestamp = 0;
  /** Samples concealed since the buffer ran empty, without advancing. */
  #starved = 0;

  #targetMs = FIRST_TARGET_MS;
  #targetNeededMs = 0;
  #windowEndMs = 0;
  #shortestWaitMs = Number.POSITIVE_INFINITY;
  #framesToDrop = 0;
  #dropAtOnce = false;
  #insertFrame = false;

  constructor({ sampleRate, clockRate, frameSamples }: JitterBufferOptions) {
    this.#frameSamples = frameSamples;
    this.#samplesPerMs = sampleRate / 1000;
    this.#samplesPerUnit = sampleRate / clockRate;
    this.#frameMs = frameSamples / this.#samplesPerMs;
    this.#concealment = new Concealment(sampleRate, frameSamples);
  }

  /** How long the next stream's first packet will wait. */
  get targetMs(): number {
    return this.#targetMs;
  }

  /** Drops what is held; the next packet begins a stream. */
  reset(): void {
    for (let i = 0; i < SLOTS; i++) this.#slots[i]!.sequence = -1;
    this.#held = 0;
    this.#pcmRead = 0;
    this.#pcmEnd = 0;
    this.#fresh = true;
    this.#nextSequence = Number.MAX_SAFE_INTEGER;
    this.#highestSequence = -1;
    this.#stopPlaying();
  }

  /**
   * @param sequence extended sequence number (RtpSource), not negative
   * @param decoder of the packet's codec: the same for every packet of one codec, since decoders have state
   */
  put(sequence: number, packet: RtpPacket, decoder: Decoder, arrivalMs: number): void {
    if (packet.payloadLength === 0 || packet.payloadLength > MAX_PAYLOAD_OCTETS) return;
    const slot = this.#slots[sequence & (SLOTS - 1)]!;
    if (slot.sequence === sequence) {
      this.duplicates++;
      return;
    }
    if (sequence < slot.sequence || (!this.#fresh && sequence < this.#nextSequence)) {
      this.late++;
      this.#shortestWaitMs = Math.min(this.#shortestWaitMs, 0);
      return;
    }
    if (slot.sequence !== -1) this.#makeRoom(sequence);
    if (!this.#playing && this.#held === 0) this.#firstArrivalMs = arrivalMs;
    if (this.#fresh) this.#nextSequence = Math.min(this.#nextSequence, sequence);
    this.#highestSequence = Math.max(this.#highestSequence, sequence);
    this.#fill(slot, sequence, packet, decoder, arrivalMs);
  }

  /** Fills `frame`; silence while no stream is playing. */
  get(frame: Int16Array, nowMs: number): void {
    if (!this.#playing && !this.#begin(nowMs)) {
      frame.fill(0);
      return;
    }
    if (this.#insertFrame) {
      this.#insertFrame = false;
      frame.fill(0);
      return;
    }
    this.#adapt(nowMs);
    let peak = this.#assemble(frame, nowMs);
    if (peak === undefined) return;
    while (this.#framesToDrop > 0 && (this.#dropAtOnce || peak < SILENCE_PEAK)) {
      if (!this.#frameAvailable()) break;
      this.#framesToDrop--;
      peak = this.#assemble(frame, nowMs) ?? 0;
      if (!this.#dropAtOnce) break;
    }
    if (this.#shortestWaitMs < TIGHT_MS && peak < SILENCE_PEAK) {
      this.#insertFrame = true;
      this.#restartWindow(nowMs);
    }
  }

  /** @returns the peak of a frame that was wholly played, undefined if some was concealed */
  #assemble(frame: Int16Array, nowMs: number): number | undefined {
    let filled = 0;
    let concealed = false;
    let peak = 0;
    while (filled < this.#frameSamples) {
      while (this.#pcmRead < this.#pcmEnd && filled < this.#frameSamples) {
        const sample = this.#pcm[this.#pcmRead++]!;
        frame[filled++] = sample;
        const magnitude = sample < 0 ? -sample : sample;
        if (magnitude > peak) peak = magnitude;
      }
      const wanted = this.#frameSamples - filled;
      if (wanted === 0) break;
      const slot = this.#nextSlot();
      const missing = slot === undefined ? wanted : Math.min(wanted, this.#gapBefore(slot));
      if (slot !== undefined && missing === 0) {
        this.#decode(slot, nowMs);
        continue;
      }
      this.#concealment.conceal(frame, filled, missing);
      filled += missing;
      concealed = true;
      if (slot === undefined) this.#starve(missing);
      else this.#playTimestamp = this.#timestampAfter(this.#playTimestamp, missing);
    }
    if (concealed) {
      this.concealedFrames++;
      return undefined;
    }
    this.#concealment.remember(frame);
    return peak;
  }

  #begin(nowMs: number): boolean {
    if (this.#held === 0) return false;
    if (nowMs - this.#firstArrivalMs < this.#targetMs - TICK_TOLERANCE_MS) return false;
    this.#playing = true;
    this.#fresh = false;
    this.#starved = 0;
    this.#playTimestamp = this.#nextSlot()!.timestamp;
    this.#concealment.clear();
    this.#restartWindow(nowMs);
    this.#targetNeededMs = nowMs;
    return true;
  }

  #stopPlaying(): void {
    this.#playing = false;
    this.#starved = 0;
    this.#framesToDrop = 0;
    this.#insertFrame = false;
  }

  /** The packet to be played next, whether or not its time has come. */
  #nextSlot(): Slot | undefined {
    if (this.#held === 0) return undefined;
    for (let sequence = this.#nextSequence; sequence <= this.#highestSequence; sequence++) {
      const slot = this.#slots[sequence & (SLOTS - 1)]!;
      if (slot.sequence === sequence) return slot;
    }
    return undefined;
  }

  /** Samples to pass before `slot` is due. What was concealed while starved counts towards them. */
  #gapBefore(slot: Slot): number {
    const maxGap = MAX_GAP_MS * this.#samplesPerMs;
    let gap = ((slot.timestamp - this.#playTimestamp) | 0) * this.#samplesPerUnit;
    // Backward too: the talker's timestamps began anew, or a packet overlaps the one before.
    if (gap < 0 || gap > maxGap + this.#starved) gap = 0;
    const passed = Math.min(gap, this.#starved);
    this.#playTimestamp = this.#timestampAfter(slot.timestamp, passed - gap);
    if (this.#starved > passed) this.#learn((this.#starved - passed) / this.#samplesPerMs);
    this.#starved = 0;
    return gap - passed;
  }

  #timestampAfter(timestamp: number, samples: number): number {
    return (timestamp + Math.round(samples / this.#samplesPerUnit)) >>> 0;
  }

  #decode(slot: Slot, nowMs: number): void {
    this.#pcmRead = 0;
    const { payload } = slot;
    this.#pcmEnd = slot.decoder!.decode(payload, 0, payload.length, this.#pcm, 0);
    this.#nextSequence = slot.sequence + 1;
    this.#playTimestamp = this.#timestampAfter(slot.timestamp, this.#pcmEnd);
    this.#empty(slot);
    const wait = nowMs - slot.arrivalMs;
    this.waitMs += (wait - this.waitMs) / 16;
    if (wait < this.#shortestWaitMs) this.#shortestWaitMs = wait;
  }

  #starve(samples: number): void {
    this.#starved += samples;
    if (this.#starved >= STARVED_MS * this.#samplesPerMs) this.#stopPlaying();
  }

  /** A packet came later than the depth allowed for, by `ms`. */
  #learn(ms: number): void {
    const frames = Math.ceil(ms / this.#frameMs);
    this.#targetMs = Math.min(MAX_TARGET_MS, this.#targetMs + frames * this.#frameMs);
  }

  /** Once a window: is the depth more than needed? */
  #adapt(nowMs: number): void {
    if (nowMs < this.#windowEndMs) return;
    const shortest = this.#shortestWaitMs;
    this.#restartWindow(nowMs);
    if (shortest === Number.POSITIVE_INFINITY) return;
    if (shortest <= FIRST_TARGET_MS) this.#targetNeededMs = nowMs;
    else if (nowMs - this.#targetNeededMs >= TARGET_DECAY_MS) {
      this.#targetMs = Math.max(FIRST_TARGET_MS, this.#targetMs - this.#frameMs);
      this.#targetNeededMs = nowMs;
    }
    const surplus = Math.floor((shortest - this.#targetMs) / this.#frameMs);
    this.#dropAtOnce = shortest > MAX_TARGET_MS;
    this.#framesToDrop = this.#dropAtOnce ? surplus : Math.min(1, Math.max(0, surplus));
  }

  #restartWindow(nowMs: number): void {
    this.#windowEndMs = nowMs + WINDOW_MS;
    this.#shortestWaitMs = Number.POSITIVE_INFINITY;
    this.#framesToDrop = 0;
    this.#dropAtOnce = false;
  }

  #frameAvailable(): boolean {
    return this.#pcmEnd - this.#pcmRead >= this.#frameSamples || this.#held > 0;
  }

  #fill(
    slot: Slot,
    sequence: number,
    packet: RtpPacket,
    decoder: Decoder,
    arrivalMs: number,
  ): void {
    const { data, payloadOffset, payloadLength } = packet;
    slot.sequence = sequence;
    slot.timestamp = packet.timestamp;
    slot.arrivalMs = arrivalMs;
    slot.decoder = decoder;
    if (slot.payload.length !== payloadLength) slot.payload = new Uint8Array(payloadLength);
    for (let i = 0; i < payloadLength; i++) slot.payload[i] = data[payloadOffset + i]!;
    this.#held++;
  }

  #empty(slot: Slot): void {
    slot.sequence = -1;
    this.#held--;
  }

  /** Passes every packet that `sequence` leaves no room for. */
  #makeRoom(sequence: number): void {
    const oldest = sequence - SLOTS + 1;
    this.#fresh = false;
    for (let i = 0; i < SLOTS; i++) {
      const slot = this.#slots[i]!;
      if (slot.sequence !== -1 && slot.sequence < oldest) this.#empty(slot);
    }
    this.#nextSequence = Math.max(this.#nextSequence, oldest);
  }
}
