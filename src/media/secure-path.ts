/**
 * SRTP (RFC 3711) over any other path: what is sent is protected, what arrives has to prove itself before it
 * is believed. Without keys, packets pass as they are. Where keys come from is no matter: SDP, or DTLS.
 */
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import type { LegKey, LegSecurity } from './engine.js';
import type { PacketGuard, PacketPath } from './packet-path.js';
import type { RtpPacket } from './rtp.js';
import { SrtpReceiver } from './srtp/receiver.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from './srtp/sender.js';
import { type SrtpKey, srtpSuite } from './srtp/suites.js';

/** After new keys were agreed on, packets under the old one are still on their way, or not yet the last. */
const OLD_KEY_MS = 5000;
/** More fits in no Ethernet frame. */
const MAX_PACKET_OCTETS = 1500;
/** A packet sent is left alone until the next event-loop turn: so many may go out in one. */
const BUFFERS = 8;

/** One key for each direction; each side chooses its own (RFC 4568 §7.1). */
export interface PathKeys {
  readonly send: SrtpKey;
  readonly receive: SrtpKey;
}

export class SecurePath implements PacketPath {
  /** Called once when a key has protected all it may: nothing is sent, or heard, until there are others. */
  onExhausted: () => void = () => undefined;
  readonly #clock: Clock;
  readonly #inner: PacketPath;
  readonly #guard: PacketGuard;
  readonly #buffers = Array.from({ length: BUFFERS }, () => new PacketBuffer());
  #turn = 0;
  /** The latest, also while packets pass plain: the same key must not begin anew. */
  #keys: PathKeys | undefined;
  #active = false;
  #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;
  #oldReceiver: SrtpReceiver | undefined;
  #oldUntilMs = 0;
  #toldExhausted = false;

  constructor(clock: Clock, inner: PacketPath) {
    this.#clock = clock;
    this.#inner = inner;
    this.#guard = {
      openRtp: (data, octets) => this.#openRtp(data, octets),
      openRtcp: (data, octets) => this.#openRtcp(data, octets),
    };
  }

  get port(): number {
    return this.#inner.port;
  }

  get sendErrors(): number {
    return this.#inner.sendErrors;
  }

  get refused(): number {
    return this.#inner.refused;
  }

  set onRtp(handler: (packet: RtpPacket) => void) {
    this.#inner.onRtp = handler;
  }

  set onRtcp(handler: (packet: Uint8Array) => void) {
    this.#inner.onRtcp = handler;
  }

  set onSourceChange(handler: () => void) {
    this.#inner.onSourceChange = handler;
  }

  get guard(): PacketGuard | undefined {
    return this.#inner.guard;
  }

  /** From now on packets are protected by these keys, without a gap; undefined: not at all. The same again change nothing. */
  secure(keys: PathKeys | undefined): void {
    this.#active = keys !== undefined;
    this.#inner.guard = keys && this.#guard;
    if (!keys) return;
    if (!this.#keys || !sameKey(keys.send, this.#keys.send)) {
      this.#sender = new SrtpSender(keys.send, this.#sender);
      this.#toldExhausted = false;
    }
    if (!this.#keys || !sameKey(keys.receive, this.#keys.receive)) {
      const previous = this.#receiver;
      this.#receiver = new SrtpReceiver(keys.receive, { ...(previous && { previous }) });
      this.#oldReceiver = previous;
      this.#oldUntilMs = this.#clock.now() + OLD_KEY_MS;
      this.#toldExhausted = false;
    }
    this.#keys = keys;
  }

  move(address: string): Promise<void> {
    return this.#inner.move(address);
  }

  setRemote(rtp: Endpoint, rtcp: Endpoint): void {
    this.#inner.setRemote(rtp, rtcp);
  }

  sendRtp(packet: Uint8Array): void {
    if (!this.#active || !this.#sender) {
      this.#inner.sendRtp(packet);
      return;
    }
    const buffer = this.#fill(packet);
    const octets = buffer ? this.#sender.protectRtp(buffer.data, packet.length) : 0;
    if (buffer && octets > 0) this.#inner.sendRtp(buffer.first(octets));
    else this.#checkExhausted();
  }

  sendRtcp(packet: Uint8Array): void {
    if (!this.#active || !this.#sender) {
      this.#inner.sendRtcp(packet);
      return;
    }
    const buffer = this.#fill(packet);
    const octets = buffer ? this.#sender.protectRtcp(buffer.data, packet.length) : 0;
    if (buffer && octets > 0) this.#inner.sendRtcp(buffer.first(octets));
    else this.#checkExhausted();
  }

  close(): void {
    this.#inner.close();
  }

  /** A copy in a buffer with room for the tag; undefined where it is no packet for a network. */
  #fill(packet: Uint8Array): PacketBuffer | undefined {
    if (packet.length > MAX_PACKET_OCTETS) return undefined;
    const buffer = this.#buffers[this.#turn]!;
    this.#turn = (this.#turn + 1) % BUFFERS;
    buffer.data.set(packet);
    return buffer;
  }

  #openRtp(data: Uint8Array, octets: number): number {
    const plain = this.#receiver?.unprotectRtp(data, octets) ?? 0;
    if (plain > 0) return plain;
    this.#checkExhausted();
    return this.#stillOld() ? (this.#oldReceiver?.unprotectRtp(data, octets) ?? 0) : 0;
  }

  #openRtcp(data: Uint8Array, octets: number): number {
    const plain = this.#receiver?.unprotectRtcp(data, octets) ?? 0;
    if (plain > 0) return plain;
    return this.#stillOld() ? (this.#oldReceiver?.unprotectRtcp(data, octets) ?? 0) : 0;
  }

  #stillOld(): boolean {
    if (!this.#oldReceiver) return false;
    if (this.#clock.now() < this.#oldUntilMs) return true;
    this.#oldReceiver = undefined;
    return false;
  }

  #checkExhausted(): void {
    if (this.#toldExhausted) return;
    if (!this.#sender?.exhausted && !this.#receiver?.exhausted) return;
    this.#toldExhausted = true;
    this.onExhausted();
  }
}

class PacketBuffer {
  readonly data = new Uint8Array(MAX_PACKET_OCTETS + MAX_OVERHEAD_OCTETS);
  /** By their length: those of Opus have many. */
  readonly #views: (Uint8Array | undefined)[] = [];

  /** The same view each time for packets of one length. */
  first(octets: number): Uint8Array {
    let view = this.#views[octets];
    if (!view) {
      view = this.data.subarray(0, octets);
      this.#views[octets] = view;
    }
    return view;
  }
}

/** @throws {CodedError} `BAD_SRTP_KEY` */
export function srtpKeys({ send, receive }: LegSecurity): PathKeys {
  return { send: srtpKey(send), receive: srtpKey(receive) };
}

function srtpKey({ suite: name, master, lifetime }: LegKey): SrtpKey {
  const suite = srtpSuite(name);
  const octets = suite && suite.keyOctets + suite.saltOctets;
  if (!suite || master.length !== octets) {
    throw new CodedError(
      'BAD_SRTP_KEY',
      `expected a key of ${octets ?? 'a suite we know'} octets for ${name}, found one of ${master.length}`,
    );
  }
  return { suite, master, ...(lifetime !== undefined && { lifetime }) };
}

function sameKey(a: SrtpKey, b: SrtpKey): boolean {
  return a.suite.name === b.suite.name && Buffer.compare(a.master, b.master) === 0;
}
