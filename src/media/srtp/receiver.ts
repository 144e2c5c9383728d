/**
 * Opens what the other side sends under one master key, in place: RFC 3711 §3.3, §3.4. Pure. A packet that does
 * not prove itself, or was there before, changes nothing.
 */
import { readInt32 } from '../rtp.js';
import { MAX_SRTCP_OCTETS, rtpClearOctets, SRTCP_CLEAR_OCTETS } from './packet-layout.js';
import { ReplayWindow } from './replay-window.js';
import { rollOverOf } from './roll-over.js';
import { deriveSessionKeys } from './session-keys.js';
import { MAX_RTP_PACKETS, MAX_SSRCS, type SrtpKey, type SrtpSuite } from './suites.js';
import { newTransform, type Transform } from './transform.js';

const INDEX_OCTETS = 4;

interface Stream {
  /** Signed, as are all words that should cost no garbage. */
  readonly ssrc: number;
  rollOver: number;
  /** The highest number under this roll-over counter. */
  sequence: number;
  readonly rtp: ReplayWindow;
  readonly rtcp: ReplayWindow;
}

export interface ReceiverOptions {
  /** Of the replay window, in packets: a power of two of at least 64. */
  readonly window?: number;
  /** Whose key this one follows: where roll-over counters may go on (RFC 3711 §3.3.1). */
  readonly previous?: SrtpReceiver;
}

export class SrtpReceiver {
  readonly #suite: SrtpSuite;
  readonly #rtp: Transform;
  readonly #rtcp: Transform;
  readonly #lifetime: number;
  readonly #window: number | undefined;
  readonly #streams: Stream[] = [];
  /** Of streams under the previous key: some senders go on from there, others begin at 0. */
  readonly #rollOvers: ReadonlyMap<number, Stream>;
  #packets = 0;

  constructor(
    { suite, master, lifetime = MAX_RTP_PACKETS }: SrtpKey,
    { window, previous }: ReceiverOptions = {},
  ) {
    const keys = (packets: 'rtp' | 'rtcp') => deriveSessionKeys(suite, master, packets);
    this.#suite = suite;
    this.#rtp = newTransform(suite, keys('rtp'), suite.rtpTagOctets);
    this.#rtcp = newTransform(suite, keys('rtcp'), suite.rtcpTagOctets);
    this.#lifetime = Math.min(lifetime, MAX_RTP_PACKETS);
    this.#window = window;
    const earlier = previous ? previous.#streams : [];
    this.#rollOvers = new Map(earlier.map(stream => [stream.ssrc, stream]));
  }

  /** SSRCs that proved themselves. */
  get streams(): number {
    return this.#streams.length;
  }

  /** The key has protected all it may: the other side has to bring another. */
  get exhausted(): boolean {
    return this.#packets >= this.#lifetime;
  }

  /**
   * The packet lies at the start of `data`.
   *
   * @returns octets of the plain packet; 0 where it is refused, and `data` untouched
   */
  unprotectRtp(data: Uint8Array, octets: number): number {
    const end = octets - this.#suite.rtpTagOctets;
    const clear = rtpClearOctets(data, end);
    if (clear < 0 || this.exhausted) return 0;
    const ssrc = readInt32(data, 8);
    const sequence = (data[2]! << 8) | data[3]!;
    let stream = this.#known(ssrc);
    let rollOver = 0;
    if (stream && stream.rtp.highest >= 0) {
      rollOver = rollOverOf(stream.rollOver, stream.sequence, sequence);
      if (!stream.rtp.isFresh(indexOf(rollOver, sequence))) return 0;
      if (!this.#rtp.verify(data, clear, end, ssrc, rollOver | 0, sequence, undefined)) return 0;
    } else {
      if (!stream && this.#streams.length >= MAX_SSRCS) return 0;
      rollOver = this.#firstRollOver(data, clear, end, ssrc, sequence);
      if (rollOver < 0) return 0;
      stream ??= this.#add(ssrc);
    }
    this.#rtp.crypt(data, clear, end, ssrc, rollOver | 0, sequence);
    stream.rtp.accept(indexOf(rollOver, sequence));
    this.#packets++;
    const ahead = sequence > stream.sequence;
    if (rollOver > stream.rollOver || (rollOver === stream.rollOver && ahead)) {
      stream.rollOver = rollOver;
      stream.sequence = sequence;
    }
    return end;
  }

  /** As `unprotectRtp`, for a compound RTCP packet. */
  unprotectRtcp(data: Uint8Array, octets: number): number {
    const { aead, rtcpTagOctets } = this.#suite;
    const end = octets - INDEX_OCTETS - rtcpTagOctets;
    if (end < SRTCP_CLEAR_OCTETS || octets > MAX_SRTCP_OCTETS || data[0]! >> 6 !== 2) return 0;
    const ssrc = readInt32(data, 4);
    const trailer = readInt32(data, aead ? octets - INDEX_OCTETS : end);
    const encrypted = trailer < 0;
    const index = trailer & 0x7fff_ffff;
    let stream = this.#known(ssrc);
    if (stream ? !stream.rtcp.isFresh(index) : this.#streams.length >= MAX_SSRCS) return 0;
    // What is not encrypted is authenticated as a whole (RFC 7714 §9.3).
    const clear = encrypted || !aead ? SRTCP_CLEAR_OCTETS : end;
    if (!this.#rtcp.verify(data, clear, end, ssrc, 0, index, trailer)) return 0;
    if (encrypted) this.#rtcp.crypt(data, SRTCP_CLEAR_OCTETS, end, ssrc, 0, index);
    stream ??= this.#add(ssrc);
    stream.rtcp.accept(index);
    return end;
  }

  /** With which roll-over counter the first packet of a stream proves itself; -1: with none. */
  #firstRollOver(data: Uint8Array, clear: number, end: number, ssrc: number, sequence: number) {
    if (this.#rtp.verify(data, clear, end, ssrc, 0, sequence, undefined)) return 0;
    const earlier = this.#rollOvers.get(ssrc);
    if (!earlier) return -1;
    const rollOver = rollOverOf(earlier.rollOver, earlier.sequence, sequence);
    return this.#rtp.verify(data, clear, end, ssrc, rollOver | 0, sequence, undefined)
      ? rollOver
      : -1;
  }

  #known(ssrc: number): Stream | undefined {
    for (let i = 0; i < this.#streams.length; i++) {
      if (this.#streams[i]!.ssrc === ssrc) return this.#streams[i]!;
    }
    return undefined;
  }

  #add(ssrc: number): Stream {
    const window = this.#window;
    const [rtp, rtcp] = [new ReplayWindow(window), new ReplayWindow(window)];
    const stream = { ssrc, rollOver: 0, sequence: 0, rtp, rtcp };
    this.#streams.push(stream);
    return stream;
  }
}

function indexOf(rollOver: number, sequence: number): number {
  return rollOver * 0x1_0000 + sequence;
}
