/**
 * The packets of a jitter buffer, by sequence number. A payload stays for a while after it was played,
 * until a later one needs its place. Memory is taken only for payloads larger than any before.
 */
import type { Decoder } from './codecs/codec.js';
import type { RtpPacket } from './rtp.js';

/** Packets held; a power of two. 1.28 s at 20 ms: more than the media clock ever catches up. */
const SLOTS = 64;
/** Largest payload taken; Ethernet carries no larger one. */
export const MAX_PAYLOAD_OCTETS = 1500;
const FIRST_PAYLOAD_OCTETS = 256;

export class Slot {
  /** Extended sequence number, -1 when nothing was ever here. */
  sequence = -1;
  /** Not yet played or passed. */
  held = false;
  timestamp = 0;
  marker = false;
  arrivalMs = 0;
  /** See `DelayTarget`. */
  transitMs = 0;
  epoch = 0;
  /** Undefined where the packet is no sound: an event. */
  decoder: Decoder | undefined;
  /** Audio level the sender claims, in -dBov (RFC 6464 §3); -1 where it claims none. */
  level = -1;
  payload = new Uint8Array(FIRST_PAYLOAD_OCTETS);
  octets = 0;
}

export class PacketStore {
  /** Packets not yet played. */
  held = 0;
  /** Packets below this have been played or passed. */
  nextSequence = Number.MAX_SAFE_INTEGER;
  /** Packets that were pushed out by later ones. */
  pushedOut = 0;
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  #highestSequence = -1;
  /** Nothing of this stream was played yet, so none of its packets is late. */
  #fresh = true;

  /** Forgets every packet: another stream begins. @returns the packets that had not been played */
  clear(): number {
    const { held } = this;
    for (let i = 0; i < SLOTS; i++) {
      this.#slots[i]!.sequence = -1;
      this.#slots[i]!.held = false;
    }
    this.held = 0;
    this.#fresh = true;
    this.nextSequence = Number.MAX_SAFE_INTEGER;
    this.#highestSequence = -1;
    return held;
  }

  /** Where a packet of this number belongs, made free for it; or why it is not wanted. */
  place(sequence: number): Slot | 'duplicate' | 'late' {
    const slot = this.#slots[sequence & (SLOTS - 1)]!;
    if (slot.sequence === sequence) return 'duplicate';
    if (sequence < slot.sequence || (!this.#fresh && sequence < this.nextSequence)) return 'late';
    if (slot.held || sequence - this.nextSequence >= SLOTS) this.#makeRoom(sequence);
    return slot;
  }

  /** Keeps a packet in the slot that `place` gave. */
  keep(slot: Slot, sequence: number, packet: RtpPacket): void {
    const { data, payloadOffset, payloadLength } = packet;
    if (slot.payload.length < payloadLength) slot.payload = new Uint8Array(payloadLength);
    for (let i = 0; i < payloadLength; i++) slot.payload[i] = data[payloadOffset + i]!;
    slot.octets = payloadLength;
    slot.sequence = sequence;
    slot.timestamp = packet.timestamp;
    slot.marker = packet.marker;
    slot.held = true;
    this.held++;
    if (this.#fresh && sequence < this.nextSequence) this.nextSequence = sequence;
    if (sequence > this.#highestSequence) this.#highestSequence = sequence;
  }

  /** The packet to be played next, whether or not its time has come. */
  next(): Slot | undefined {
    if (this.held === 0) return undefined;
    for (let sequence = this.nextSequence; sequence <= this.#highestSequence; sequence++) {
      const slot = this.#slots[sequence & (SLOTS - 1)]!;
      if (slot.held && slot.sequence === sequence) return slot;
    }
    return undefined;
  }

  /** The packet was played, or its time has passed; those before it are late from now on. */
  pass(slot: Slot): void {
    slot.held = false;
    this.held--;
    this.#fresh = false;
    this.nextSequence = slot.sequence + 1;
  }

  /** A packet that was passed and is still here. */
  passed(sequence: number): Slot | undefined {
    const slot = this.#slots[sequence & (SLOTS - 1)]!;
    return slot.sequence === sequence && !slot.held ? slot : undefined;
  }

  /** Passes every packet that `sequence` leaves no room for. */
  #makeRoom(sequence: number): void {
    const oldest = sequence - SLOTS + 1;
    this.#fresh = false;
    for (let i = 0; i < SLOTS; i++) {
      const slot = this.#slots[i]!;
      if (!slot.held || slot.sequence >= oldest) continue;
      slot.held = false;
      this.held--;
      this.pushedOut++;
    }
    this.nextSequence = Math.max(this.nextSequence, oldest);
  }
}
