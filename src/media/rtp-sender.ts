/** Our side of an RTP stream: numbers, timestamps, markers and levels of the packets that are sent. */
import { type Random, randomUint32 } from '../core/random.js';
import type { OwnSsrc } from './own-ssrc.js';
import { PacketBuffers } from './packet-buffers.js';
import type { PacketPath } from './packet-path.js';
import { RTP_HEADER_OCTETS, writeRtpHeader } from './rtp.js';
import { AUDIO_LEVEL_OCTETS, writeAudioLevel } from './rtp-extensions.js';

export class RtpSender {
  packets = 0;
  /** Of payload. */
  octets = 0;
  /** Under which number packets carry their level (RFC 6464); undefined: not at all. */
  levelExtension: number | undefined;
  /** Of what is sent next, in dBov. */
  levelDbov = 0;
  readonly #ssrc: OwnSsrc;
  readonly #path: PacketPath;
  #buffers = new PacketBuffers(RTP_HEADER_OCTETS);
  #sequence: number;
  #timestamp: number;
  /** The next packet follows a pause, RFC 3551 §4.1. */
  #marker = true;

  constructor(random: Random, ssrc: OwnSsrc, path: PacketPath) {
    this.#ssrc = ssrc;
    this.#path = path;
    // The lower half: the first wrap is far, which a receiver of SRTP has to count (RFC 3711 §3.3.1).
    this.#sequence = randomUint32(random) & 0x7fff;
    // Below 2^31 for the first days: larger numbers are boxed.
    this.#timestamp = randomUint32(random) >>> 2;
  }

  /** Of what is sent next. */
  get timestamp(): number {
    return this.#timestamp;
  }

  /** Payloads are so long at most. */
  useLength(maxPayloadOctets: number): void {
    this.#buffers = new PacketBuffers(RTP_HEADER_OCTETS + AUDIO_LEVEL_OCTETS + maxPayloadOctets);
  }

  /** The next packet begins something. */
  mark(): void {
    this.#marker = true;
  }

  /** So much time passes with nothing sent: the timestamp counts it, the sequence number does not. */
  pause(timestampUnits: number): void {
    this.#timestamp = (this.#timestamp + timestampUnits) >>> 0;
    this.#marker = true;
  }

  /** @param octets of the payload; with 0 nothing is sent, and time passes */
  sendSpeech(
    payloadType: number,
    payload: Uint8Array,
    octets: number,
    timestampUnits: number,
  ): void {
    if (octets === 0) {
      this.pause(timestampUnits);
      return;
    }
    this.send(payloadType, this.#marker, this.#timestamp, payload, octets);
    this.#timestamp = (this.#timestamp + timestampUnits) >>> 0;
    this.#marker = false;
  }

  /** What is no speech, and takes no time of its own. */
  send(
    payloadType: number,
    marker: boolean,
    timestamp: number,
    payload: Uint8Array,
    octets: number,
  ): void {
    const { levelExtension } = this;
    const header = RTP_HEADER_OCTETS + (levelExtension === undefined ? 0 : AUDIO_LEVEL_OCTETS);
    const packet = this.#buffers.next(header + octets);
    writeRtpHeader(packet, payloadType, marker, this.#sequence, timestamp, this.#ssrc.current);
    if (levelExtension !== undefined) writeAudioLevel(packet, levelExtension, this.levelDbov);
    for (let i = 0; i < octets; i++) packet[header + i] = payload[i]!;
    this.#path.sendRtp(packet);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.packets++;
    this.octets += octets;
  }
}
