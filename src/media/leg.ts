/** One RTP stream each way: a source and a sink of the graph over a packet path. */
import type { Clock } from '../core/clock.js';
import { type Random, randomToken, randomUint32, randomUnit } from '../core/random.js';
import type { Codec, Decoder, Encoder } from './codecs/codec.js';
import { codecByName, codecByPayloadType } from './codecs/registry.js';
import type { LegSettings, LegStatistics } from './engine.js';
import type { NodeBehaviour } from './graph.js';
import { JitterBuffer } from './jitter-buffer.js';
import type { PacketPath } from './packet-path.js';
import { RtcpSession, type SendState } from './rtcp-session.js';
import { RTP_HEADER_OCTETS, type RtpPacket, writeRtpHeader } from './rtp.js';
import { RtpSource } from './rtp-source.js';

/** Random octets of the CNAME, RFC 7022 §4.2. */
const CNAME_OCTETS = 12;

export interface LegDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly path: PacketPath;
  /** In Hz; every codec's clock rate. */
  readonly sampleRate: number;
  readonly frameSamples: number;
}

export class Leg implements NodeBehaviour {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #path: PacketPath;
  readonly #sampleRate: number;
  readonly #frameSamples: number;
  readonly #source: RtpSource;
  readonly #buffer: JitterBuffer;
  readonly #rtcp: RtcpSession;
  readonly #openedMs: number;

  #settings: LegSettings | undefined;
  #encoder: Encoder | undefined;
  /** What the other side was told to send. */
  #codec: Codec | undefined;
  readonly #decoders = new Map<Codec, Decoder>();

  readonly #packet: Uint8Array;
  readonly #ssrc: number;
  #sequence: number;
  #timestamp: number;
  /** The next packet follows a pause, RFC 3551 §4.1. */
  #marker = true;
  #packetsSent = 0;
  #octetsSent = 0;
  #packetsAtReport = 0;

  constructor({ clock, random, path, sampleRate, frameSamples }: LegDeps) {
    this.#clock = clock;
    this.#random = random;
    this.#path = path;
    this.#sampleRate = sampleRate;
    this.#frameSamples = frameSamples;
    this.#source = new RtpSource(sampleRate);
    this.#buffer = new JitterBuffer({ sampleRate, clockRate: sampleRate, frameSamples });
    this.#ssrc = randomUint32(random);
    this.#sequence = randomUint32(random) & 0xffff;
    this.#timestamp = randomUint32(random);
    // G.711: one octet a sample.
    this.#packet = new Uint8Array(RTP_HEADER_OCTETS + frameSamples);
    this.#openedMs = clock.now();
    this.#rtcp = new RtcpSession(
      randomToken(random, CNAME_OCTETS),
      this.#openedMs,
      randomUnit(random),
    );
    path.onRtp = packet => this.#receive(packet);
    path.onRtcp = data => this.#receiveReport(data);
    path.onSourceChange = () => this.#source.forget();
  }

  configure(settings: LegSettings): void {
    const { remote, rtcp, format, receive } = settings;
    this.#settings = settings;
    this.#use(codecByName(format.name));
    this.#path.setRemote(remote, rtcp ?? { address: remote.address, port: remote.port + 1 });
    if (!receive) this.#buffer.reset();
  }

  produce(frame: Int16Array, nowMs: number): void {
    this.#buffer.get(frame, nowMs);
  }

  consume(frame: Int16Array, nowMs: number): void {
    const timestamp = this.#timestamp;
    this.#timestamp = (timestamp + this.#frameSamples) >>> 0;
    if (!this.#settings || !this.#encoder) return;
    if (this.#settings.send) {
      const { payloadType } = this.#settings.format;
      const sequence = this.#sequence;
      writeRtpHeader(this.#packet, payloadType, this.#marker, sequence, timestamp, this.#ssrc);
      const octets = this.#encoder.encode(frame, this.#packet, RTP_HEADER_OCTETS);
      this.#path.sendRtp(this.#packet);
      this.#sequence = (sequence + 1) & 0xffff;
      this.#packetsSent++;
      this.#octetsSent += octets;
    }
    this.#marker = !this.#settings.send;
    if (this.#rtcp.isDue(nowMs)) {
      const unit = randomUnit(this.#random);
      this.#path.sendRtcp(this.#rtcp.report(this.#sendState(), this.#source, nowMs, unit));
      this.#packetsAtReport = this.#packetsSent;
    }
  }

  /** The listener hears where the gap was: the timestamp counts it, the sequence number does not. */
  skip(frames: number): void {
    this.#timestamp = (this.#timestamp + frames * this.#frameSamples) >>> 0;
    this.#marker = true;
  }

  statistics(): LegStatistics {
    const { heardMs } = this.#source;
    const duplicates = this.#buffer.duplicates;
    return {
      packetsSent: this.#packetsSent,
      packetsReceived: this.#source.received,
      packetsLost: Math.max(0, this.#source.lost + duplicates),
      packetsLate: this.#buffer.late,
      packetsDuplicate: duplicates,
      packetsRefused: this.#source.refused + this.#path.refused,
      sendErrors: this.#path.sendErrors,
      concealedFrames: this.#buffer.concealedFrames,
      jitterMs: this.#source.jitterMs,
      bufferMs: this.#buffer.waitMs,
      roundTripMs: this.#rtcp.roundTripMs,
      silentForMs: heardMs === undefined ? undefined : this.#clock.now() - heardMs,
    };
  }

  /** Says goodbye to a far end that was talked to. */
  close(): void {
    if (this.#settings && (this.#packetsSent > 0 || this.#source.received > 0)) {
      const now = this.#clock.now();
      this.#path.sendRtcp(this.#rtcp.goodbye(this.#sendState(), this.#source, now));
    }
    this.#path.close();
    this.#encoder?.close?.();
    for (const decoder of this.#decoders.values()) decoder.close?.();
  }

  #receive(packet: RtpPacket): void {
    const now = this.#clock.now();
    const verdict = this.#source.accept(packet, now);
    if (verdict === 'refused') return;
    if (verdict === 'restarted') this.#buffer.reset();
    // Other payload types (events, comfort noise) count as received, and their time passes in silence.
    const decoder = this.#decoderOf(packet.payloadType);
    if (!decoder || !this.#settings?.receive) return;
    this.#buffer.put(this.#source.extendedSequence, packet, decoder, now);
  }

  #use(codec: Codec | undefined): void {
    if (codec === this.#codec) return;
    this.#encoder?.close?.();
    this.#codec = codec;
    this.#encoder = codec?.newEncoder({ sampleRate: this.#sampleRate });
  }

  #decoderOf(payloadType: number): Decoder | undefined {
    const codec =
      payloadType === this.#settings?.format.payloadType
        ? this.#codec
        : codecByPayloadType(payloadType);
    if (!codec) return undefined;
    let decoder = this.#decoders.get(codec);
    if (!decoder) {
      decoder = codec.newDecoder({ sampleRate: this.#sampleRate });
      this.#decoders.set(codec, decoder);
    }
    return decoder;
  }

  #receiveReport(data: Uint8Array): void {
    const goodbyes = this.#rtcp.receive(data, this.#ssrc, this.#clock.now());
    // Whoever talks next need not wait for this source's silence.
    if (this.#source.ssrc !== undefined && goodbyes.includes(this.#source.ssrc)) {
      this.#source.forget();
    }
  }

  #sendState(): SendState {
    return {
      ssrc: this.#ssrc,
      packets: this.#packetsSent,
      octets: this.#octetsSent,
      timestamp: this.#timestamp,
      sending: this.#packetsSent > this.#packetsAtReport,
    };
  }
}
