/** Protects what one side sends under one master key: RTP and RTCP of its SSRCs, in place. Pure. */
import { readInt32 } from '../rtp.js';
import { rtpClearOctets, SRTCP_CLEAR_OCTETS } from './packet-layout.js';
import { rollOverOf } from './roll-over.js';
import { deriveSessionKeys } from './session-keys.js';
import { MAX_RTCP_PACKETS, MAX_RTP_PACKETS, MAX_SSRCS, type SrtpKey } from './suites.js';
import { newTransform, type Transform } from './transform.js';

/** Octets by which a protected packet is longer at most: tag, index. */
export const MAX_OVERHEAD_OCTETS = 20;
const ENCRYPTED_FLAG = 0x8000_0000;

interface Stream {
  /** Signed, as are all words that should cost no garbage. */
  readonly ssrc: number;
  rollOver: number;
  sequence: number;
  rtcpIndex: number;
}

export class SrtpSender {
  readonly #rtp: Transform;
  readonly #rtcp: Transform;
  readonly #lifetime: number;
  readonly #streams: Stream[];
  #packets = 0;
  #rtcpPackets = 0;

  /** @param previous whose key this one follows: its roll-over counters go on (RFC 3711 §3.3.1) */
  constructor({ suite, master, lifetime = MAX_RTP_PACKETS }: SrtpKey, previous?: SrtpSender) {
    const keys = (packets: 'rtp' | 'rtcp') => deriveSessionKeys(suite, master, packets);
    this.#rtp = newTransform(suite, keys('rtp'), suite.rtpTagOctets);
    this.#rtcp = newTransform(suite, keys('rtcp'), suite.rtcpTagOctets);
    this.#lifetime = Math.min(lifetime, MAX_RTP_PACKETS);
    this.#streams = previous ? previous.#streams.map(stream => ({ ...stream })) : [];
  }

  /** The key has protected all it may: nothing more is sent until there is another. */
  get exhausted(): boolean {
    return this.#packets >= this.#lifetime || this.#rtcpPackets >= MAX_RTCP_PACKETS;
  }

  /**
   * @param data has room for `MAX_OVERHEAD_OCTETS` more
   * @returns octets of the protected packet; 0 where it is no RTP, or the key is exhausted
   */
  protectRtp(data: Uint8Array, octets: number): number {
    const clear = rtpClearOctets(data, octets);
    if (clear < 0 || this.exhausted) return 0;
    const ssrc = readInt32(data, 8);
    const sequence = (data[2]! << 8) | data[3]!;
    const stream = this.#stream(ssrc, sequence);
    if (!stream) return 0;
    const rollOver = rollOverOf(stream.rollOver, stream.sequence, sequence);
    const ahead = sequence > stream.sequence;
    if (rollOver > stream.rollOver || (rollOver === stream.rollOver && ahead)) {
      stream.rollOver = rollOver;
      stream.sequence = sequence;
    }
    this.#packets++;
    return this.#rtp.seal(data, clear, octets, ssrc, rollOver | 0, sequence, undefined);
  }

  /** As `protectRtp`, for a compound RTCP packet (RFC 3711 §3.4). */
  protectRtcp(data: Uint8Array, octets: number): number {
    if (octets < SRTCP_CLEAR_OCTETS || this.exhausted) return 0;
    const ssrc = readInt32(data, 4);
    const stream = this.#stream(ssrc, 0);
    if (!stream) return 0;
    const index = stream.rtcpIndex++;
    this.#rtcpPackets++;
    const trailer = ENCRYPTED_FLAG | index;
    return this.#rtcp.seal(data, SRTCP_CLEAR_OCTETS, octets, ssrc, 0, index, trailer);
  }

  /** Undefined where there are too many: to forget one would let its key stream be used twice. */
  #stream(ssrc: number, sequence: number): Stream | undefined {
    for (let i = 0; i < this.#streams.length; i++) {
      if (this.#streams[i]!.ssrc === ssrc) return this.#streams[i]!;
    }
    if (this.#streams.length >= MAX_SSRCS) return undefined;
    const stream = { ssrc, rollOver: 0, sequence, rtcpIndex: 0 };
    this.#streams.push(stream);
    return stream;
  }
}
