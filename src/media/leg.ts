/** One RTP stream each way: a source and a sink of the graph over a packet path. */
import type { Clock } from '../core/clock.js';
import { type Random, randomToken, randomUnit } from '../core/random.js';
import type { Codec, CodingOptions, Conditions, Encoder } from './codecs/codec.js';
import { comfortNoise } from './codecs/comfort-noise.js';
import { codecByName, codecByPayloadType } from './codecs/registry.js';
import type { Codings } from './codings.js';
import { LegDigits } from './dtmf/leg-digits.js';
import type {
  HeardDigit,
  LegSettings,
  LegStatistics,
  PayloadFormat,
  SentDigits,
} from './engine.js';
import { levelOf, SILENCE_DBOV } from './frame.js';
import { BASE_RATE, FRAME_MS, type NodeBehaviour } from './graph.js';
import { MAX_DELAY_MS } from './jitter-buffer.js';
import { LegReceiver } from './leg-receiver.js';
import type { Coding } from './mix.js';
import { OwnSsrc } from './own-ssrc.js';
import type { PacketPath } from './packet-path.js';
import { Packetiser } from './packetiser.js';
import { RtcpSession, type SendState } from './rtcp-session.js';
import type { RtpPacket } from './rtp.js';
import { audioLevelOf } from './rtp-extensions.js';
import { RtpSender } from './rtp-sender.js';
import { RtpSource } from './rtp-source.js';
import type { SilenceSuppressor } from './voice/silence-suppressor.js';
import { type VoiceQuality, voiceQuality } from './voice-quality.js';
import type { VoipMetrics } from './xr.js';

/** Random octets of the CNAME, RFC 7022 §4.2. */
const CNAME_OCTETS = 12;
/** What was told of losses holds no longer: three intervals of reports, RFC 3550 §6.2. */
const CONDITIONS_MS = 15_000;

export interface LegDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly path: PacketPath;
  readonly codings: Codings;
  /** Of the time there is for all coding, how much is used: 0 to 1; by default none. */
  readonly load?: () => number;
}

export class Leg implements NodeBehaviour {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #path: PacketPath;
  readonly #codings: Codings;
  readonly #load: () => number;
  readonly #rtcp: RtcpSession;
  readonly #openedMs: number;

  #settings: LegSettings | undefined;
  #sampleRate = BASE_RATE;
  #clockRate = BASE_RATE;
  readonly #source = new RtpSource(BASE_RATE);
  readonly #receiver = new LegReceiver(BASE_RATE, BASE_RATE);
  /** What payload types stood for since the leg was opened: that does not change (RFC 3264 §8.3.2). */
  readonly #agreed = new Map<number, Codec>();

  /** What the other side was told to send, and is sent. */
  #codec: Codec | undefined;
  #coding: Coding | undefined;
  #packetiser: Packetiser | undefined;
  /** By whose payload the last packet was, where others had the same. */
  #sharedEncoder: Encoder | undefined;

  readonly #digits = new LegDigits(BASE_RATE, BASE_RATE);
  #silence: SilenceSuppressor | undefined;
  readonly #ssrc: OwnSsrc;
  readonly #sender: RtpSender;
  #packetsAtReport = 0;
  /** As the far end told of late. */
  readonly #conditions = { lossFraction: 0, load: 0 };
  #conditionsMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, random, path, codings, load = () => 0 }: LegDeps) {
    this.#clock = clock;
    this.#random = random;
    this.#path = path;
    this.#codings = codings;
    this.#load = load;
    this.#ssrc = new OwnSsrc(random);
    this.#sender = new RtpSender(random, this.#ssrc, path);
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

  /** Of its frames, in Hz: `configure` may change it. */
  get sampleRate(): number {
    return this.#sampleRate;
  }

  set onDigit(listener: (heard: HeardDigit) => void) {
    this.#digits.onDigit = (digit, by, ms) => listener({ digit, by, ms });
  }

  /** Its payloads may be made by others, unless its packets have a length of their own, or tell digits. */
  get coding(): Coding | undefined {
    if (this.#digits.busy || !this.#settings?.send) return undefined;
    return this.#packetiser?.isPlain ? this.#coding : undefined;
  }

  /** For whoever codes in its place. */
  get conditions(): Conditions | undefined {
    const fresh = this.#clock.now() - this.#conditionsMs < CONDITIONS_MS;
    return fresh ? this.#conditions : undefined;
  }

  /** The codec has to be loaded. */
  configure(settings: LegSettings): void {
    const { remote, rtcp, format, receive, audioLevel, security } = settings;
    const before = this.#settings?.format;
    this.#settings = settings;
    this.#silence?.close();
    this.#silence = undefined;
    // Who listens on the way must not learn when somebody speaks (RFC 6464 §5).
    this.#sender.levelExtension = security ? undefined : audioLevel;
    if (!before || !sameFormat(before, format))
      this.#use(codecByName(format.name, format.sampleRate), format);
    this.#rtcp.feedback = settings.rtcpFeedback ?? false;
    this.#rtcp.extended = settings.rtcpExtended ?? false;
    const { events, hearTones = false } = settings;
    this.#digits.configure(events, hearTones, this.#sampleRate, this.#clockRate);
    this.#path.setRemote(remote, rtcp ?? { address: remote.address, port: remote.port + 1 });
    if (!receive) this.#receiver.reset();
  }

  /**
   * Sends no pauses from now on, if the settings say so and until they are others.
   *
   * @param suppressor makes one for frames of that rate in Hz and so many samples; closed by this leg
   */
  suppressSilence(suppressor: (rate: number, samples: number) => SilenceSuppressor): void {
    const { suppressSilence, comfortNoise: payloadType } = this.#settings ?? {};
    if (this.#silence || !suppressSilence || payloadType === undefined) return;
    const rate = this.#sampleRate;
    this.#silence = suppressor(rate, (rate * FRAME_MS) / 1000);
  }

  /** Throws `CodedError` `NO_EVENTS`. */
  sendDigits(digits: SentDigits, done: () => void): void {
    this.#digits.send(digits, done);
  }

  produce(frame: Int16Array, nowMs: number): void {
    this.#receiver.get(frame, nowMs);
    this.#digits.hear(frame, nowMs);
  }

  pass(nowMs: number): void {
    this.#receiver.skip(nowMs);
  }

  claimedLevel(nowMs: number): number | undefined {
    return this.#receiver.peek(nowMs);
  }

  consume(frame: Int16Array, nowMs: number): void {
    const packetiser = this.#packetiser;
    if (!packetiser) return;
    const { busy } = this.#digits;
    const spoken = this.#settings?.send && (busy ? this.#nextOfDigits() : frame);
    if (busy || !spoken) this.#silence?.reset();
    if (spoken && (busy || this.#isSent(spoken, packetiser.isEmpty))) {
      this.#measure(spoken);
      if (this.#sharedEncoder) packetiser.follow(this.#sharedEncoder);
      packetiser.push(spoken);
      for (let octets = packetiser.next(); octets >= 0; octets = packetiser.next()) {
        this.#sendSpeech(packetiser.payload, octets, packetiser.timestampUnits);
      }
    } else {
      this.#sender.pause(packetiser.clear());
      this.#pause(FRAME_MS);
    }
    this.#sharedEncoder = undefined;
    this.#reportIfDue(nowMs);
  }

  consumeCoded(
    payload: Uint8Array,
    octets: number,
    frame: Int16Array,
    encoder: Encoder,
    nowMs: number,
  ): void {
    if (this.#isSent(frame, true)) {
      this.#measure(frame);
      this.#sendSpeech(payload, octets, (this.#clockRate * FRAME_MS) / 1000);
    } else this.#pause(FRAME_MS);
    this.#sharedEncoder = encoder;
    this.#reportIfDue(nowMs);
  }

  /** The listener hears where the gap was: the timestamp counts it, the sequence number does not. */
  skip(frames: number): void {
    this.#pause(frames * FRAME_MS);
  }

  statistics(): LegStatistics {
    const { heardMs } = this.#source;
    const buffer = this.#receiver.statistics;
    const { duplicates } = buffer;
    return {
      packetsSent: this.#sender.packets,
      packetsReceived: this.#source.received,
      packetsLost: Math.max(0, this.#source.lost + duplicates),
      packetsLate: buffer.late,
      packetsDuplicate: duplicates,
      packetsRefused: this.#source.refused + this.#path.refused,
      sendErrors: this.#path.sendErrors,
      concealedFrames: buffer.concealedFrames,
      jitterMs: this.#source.jitterMs,
      concealedMs: buffer.concealedMs,
      underruns: buffer.underruns,
      overruns: buffer.overruns,
      stretchedMs: buffer.stretchedMs,
      compressedMs: buffer.compressedMs,
      bufferMs: buffer.waitMs,
      depthMs: buffer.depthMs,
      targetMs: buffer.targetMs,
      roundTripMs: this.#rtcp.roundTripMs,
      quality: this.#quality(),
      farEnd: this.#rtcp.farEnd,
      silentForMs: heardMs === undefined ? undefined : this.#clock.now() - heardMs,
    };
  }

  /** Says goodbye to a far end that was talked to. */
  close(): void {
    this.#digits.close();
    if (this.#settings && (this.#sender.packets > 0 || this.#source.received > 0)) {
      this.#sayGoodbye(this.#ssrc.current);
    }
    this.#path.close();
    this.#packetiser?.close();
    this.#silence?.close();
    this.#receiver.close();
  }

  #receive(packet: RtpPacket): void {
    // Signed, since larger numbers are boxed.
    const ssrc = packet.ssrc | 0;
    if (this.#ssrc.concerns(ssrc) && this.#isOurs(ssrc, packet.arrivalMs)) {
      this.#source.refused++;
      return;
    }
    const isEvent = this.#digits.isEvent(packet);
    // Other payload types (events) have no codec.
    const codec = isEvent ? undefined : this.#codecOf(packet.payloadType);
    if (codec) this.#source.useClockRate(codec.clockRate);
    // The timestamp of an event stands still: it tells nothing of the network.
    const verdict = this.#source.accept(packet, !isEvent);
    if (verdict === 'refused') return;
    this.#rtcp.heard(packet);
    if (verdict === 'restarted') {
      this.#receiver.reset();
      this.#digits.reset();
    }
    if (!this.#settings?.receive) return;
    if (isEvent) this.#digits.receive(packet, packet.arrivalMs);
    const { audioLevel } = this.#settings;
    const level = audioLevel === undefined ? -1 : audioLevelOf(packet, audioLevel);
    this.#receiver.put(this.#source.extendedSequence, packet, codec, level);
  }

  #use(codec: Codec | undefined, format: PayloadFormat): void {
    const unsent = this.#packetiser?.clear() ?? 0;
    if (unsent > 0) this.#sender.pause(unsent);
    this.#packetiser?.close();
    this.#packetiser = undefined;
    this.#sharedEncoder = undefined;
    this.#codec = codec;
    if (!codec) return;
    const sampleRate = format.sampleRate ?? codec.sampleRates[0]!;
    this.#sampleRate = sampleRate;
    this.#clockRate = codec.clockRate;
    this.#rtcp.clockRate = codec.clockRate;
    this.#agreed.set(format.payloadType, codec);
    this.#receiver.expect(codec, sampleRate);
    const options: CodingOptions = {
      sampleRate,
      ...(format.fmtp !== undefined && { fmtp: format.fmtp }),
    };
    this.#coding = this.#codings.of(codec, options);
    this.#packetiser = new Packetiser(codec, options, format.ptimeMs ?? FRAME_MS);
    this.#sender.useLength(
      Math.max(this.#packetiser.payload.length, comfortNoise.maxPayloadOctets),
    );
  }

  #codecOf(payloadType: number): Codec | undefined {
    if (payloadType === this.#settings?.format.payloadType) return this.#codec;
    if (payloadType === this.#settings?.comfortNoise) return comfortNoise;
    return this.#agreed.get(payloadType) ?? codecByPayloadType(payloadType);
  }

  #sendSpeech(payload: Uint8Array, octets: number, timestampUnits: number): void {
    this.#sender.sendSpeech(this.#settings!.format.payloadType, payload, octets, timestampUnits);
  }

  /** Whether a frame is sent as it is; if not, what describes it is sent where that is due. */
  #isSent(frame: Int16Array, mayPause: boolean): boolean {
    const silence = this.#silence;
    const payloadType = this.#settings?.comfortNoise;
    if (!silence || payloadType === undefined) return true;
    const sent = silence.next(frame, mayPause);
    if (sent === 'noise') {
      this.#measure(frame);
      // The marker belongs to the speech that follows (RFC 3551 §4.1).
      const { timestamp } = this.#sender;
      this.#sender.send(payloadType, false, timestamp, silence.payload, silence.octets);
    }
    return sent === 'voice';
  }

  /** @returns the frame that is spoken in place of the voice; undefined where nothing is */
  #nextOfDigits(): Int16Array | undefined {
    const digits = this.#digits;
    const { payloadType } = digits;
    const next = digits.next(this.#sender.timestamp);
    if (next === 'nothing') return undefined;
    if (next !== 'event') return next;
    this.#sender.levelDbov = SILENCE_DBOV;
    const { marker, timestamp, payload } = digits;
    this.#sender.send(payloadType, marker, timestamp, payload, payload.length);
    return undefined;
  }

  /** The listener hears where the gap was: the timestamp counts it, the sequence number does not. */
  #pause(ms: number): void {
    this.#sender.pause((this.#clockRate * ms) / 1000);
  }

  #reportIfDue(nowMs: number): void {
    if (!this.#settings || !this.#rtcp.isDue(nowMs)) return;
    const unit = randomUnit(this.#random);
    const { current } = this.#ssrc;
    const voice = this.#rtcp.extended ? this.#metrics() : undefined;
    const state = this.#sendState(current);
    const packet = this.#rtcp.report(state, this.#source, nowMs, unit, voice);
    if (!packet) return;
    this.#path.sendRtcp(packet);
    this.#packetsAtReport = this.#sender.packets;
  }

  #measure(frame: Int16Array): void {
    if (this.#sender.levelExtension !== undefined) this.#sender.levelDbov = levelOf(frame);
  }

  /** Packets of our own SSRC are nobody's voice to hear; where it is theirs by chance, we take another. */
  #isOurs(ssrc: number, nowMs: number): boolean {
    switch (this.#ssrc.check(ssrc, nowMs)) {
      case 'none':
        return false;
      case 'loop':
        return true;
      case 'changed':
        this.#sayGoodbye(this.#ssrc.previous!);
        this.#sender.mark();
        this.#packetsAtReport = this.#sender.packets;
        return false;
    }
  }

  #sayGoodbye(ssrc: number): void {
    const now = this.#clock.now();
    this.#path.sendRtcp(this.#rtcp.goodbye(this.#sendState(ssrc), this.#source, now));
  }

  /** How the far end sounds here; undefined before it was heard. */
  #quality(): VoiceQuality | undefined {
    const { received } = this.#source;
    if (!this.#codec || received === 0) return undefined;
    const { lossRate, discardRate } = this.#rates();
    const delayMs = (this.#rtcp.roundTripMs ?? 0) / 2 + this.#endSystemDelayMs();
    return voiceQuality(this.#codec.name, lossRate + discardRate, delayMs);
  }

  #rates(): { readonly lossRate: number; readonly discardRate: number } {
    const { received, lost } = this.#source;
    const { late, duplicates } = this.#receiver.statistics;
    const missing = Math.max(0, lost + duplicates);
    const expected = Math.max(1, received - duplicates + missing);
    return { lossRate: missing / expected, discardRate: Math.min(1, late / expected) };
  }

  /** What waits here: a frame in the making, and the jitter buffer. */
  #endSystemDelayMs(): number {
    return FRAME_MS + this.#receiver.statistics.depthMs;
  }

  #metrics(): VoipMetrics | undefined {
    const { ssrc, losses } = this.#source;
    const quality = this.#quality();
    if (ssrc === undefined || !quality) return undefined;
    const { burstDensity, gapDensity, burstPackets, gapPackets } = losses.bursts();
    const { depthMs, targetMs } = this.#receiver.statistics;
    return {
      ssrc,
      ...this.#rates(),
      burstDensity,
      gapDensity,
      burstMs: burstPackets * FRAME_MS,
      gapMs: gapPackets * FRAME_MS,
      roundTripMs: this.#rtcp.roundTripMs ?? 0,
      endSystemDelayMs: this.#endSystemDelayMs(),
      ...quality,
      bufferMs: targetMs,
      bufferMaximumMs: Math.max(depthMs, targetMs),
      bufferLimitMs: MAX_DELAY_MS,
    };
  }

  #receiveReport(data: Uint8Array): void {
    const now = this.#clock.now();
    const { farEnd: known } = this.#rtcp;
    const { goodbyes, conflict } = this.#rtcp.receive(data, this.#ssrc.current, now);
    if (conflict) this.#isOurs(this.#ssrc.current, now);
    const { farEnd } = this.#rtcp;
    if (farEnd && farEnd !== known) {
      this.#conditions.lossFraction = farEnd.lossFraction;
      this.#conditions.load = this.#load();
      this.#conditionsMs = now;
      this.#packetiser?.adapt(this.#conditions);
    }
    // Whoever talks next need not wait for this source's silence.
    if (this.#source.ssrc !== undefined && goodbyes.includes(this.#source.ssrc)) {
      this.#source.forget();
    }
  }

  #sendState(ssrc: number): SendState {
    return {
      ssrc,
      packets: this.#sender.packets,
      octets: this.#sender.octets,
      timestamp: this.#sender.timestamp,
      sending: this.#sender.packets > this.#packetsAtReport,
    };
  }
}

function sameFormat(a: PayloadFormat, b: PayloadFormat): boolean {
  return (
    a.name === b.name &&
    a.fmtp === b.fmtp &&
    a.ptimeMs === b.ptimeMs &&
    a.sampleRate === b.sampleRate
  );
}
