/**
 * What lies under RTP: two-way transport of RTP and RTCP packets for one leg. Plain UDP is the first
 * kind, SRTP wraps any other (`secure-path.ts`), and ICE with DTLS (RFC 8445, RFC 5763) fits in too:
 * neither legs nor codecs know which is in use.
 */
import type { Endpoint } from '../core/network.js';
import type { RtpPacket } from './rtp.js';

/** Opens, in place, what arrives protected. Answers the octets of the plain packet; 0: it is not the far end's. */
export interface PacketGuard {
  openRtp(data: Uint8Array, octets: number): number;
  openRtcp(data: Uint8Array, octets: number): number;
}

export interface PacketPath {
  /** The local RTP port. */
  readonly port: number;
  /** Packets that could not be sent. */
  readonly sendErrors: number;
  /** Packets that were not RTP or came from elsewhere than the far end. */
  readonly refused: number;
  /** Called for each packet of the far end; `packet` is valid only during the call. Set it once. */
  onRtp: (packet: RtpPacket) => void;
  /** Called for each compound RTCP packet of the far end; valid only during the call. Set it once. */
  onRtcp: (packet: Uint8Array) => void;
  /** Called when packets begin to come from another place: the stream may be another too. */
  onSourceChange: () => void;
  /** Asked of every packet before anything else believes it; undefined: packets arrive plain. */
  guard: PacketGuard | undefined;
  /**
   * Goes on at another address of ours: by the same ports where they are free. What is sent and heard stays one
   * stream. Throws as `Network.bindDatagram` does, and leaves everything as it was then.
   */
  move(address: string): Promise<void>;
  /** Where packets go, as signalled; the same place twice: RTCP shares RTP's port (RFC 5761). */
  setRemote(rtp: Endpoint, rtcp: Endpoint): void;
  /** The caller leaves `packet` alone until the next event-loop turn. Nothing is sent before `setRemote`. */
  sendRtp(packet: Uint8Array): void;
  sendRtcp(packet: Uint8Array): void;
  close(): void;
}
