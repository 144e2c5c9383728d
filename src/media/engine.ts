/**
 * What the rest of the house asks of the media engine: a graph whose nodes are legs, players, tones,
 * recorders and mixes, joined by arrows. A call is a small graph, a conference a larger one.
 * The engine runs in a worker thread (`worker-engine.ts`) or in this one (`local-engine.ts`).
 */
import type { Service } from '../core/lifecycle.js';
import type { Endpoint } from '../core/network.js';
import type { FarEnd } from './rtcp-session.js';
import type { VoiceQuality } from './voice-quality.js';

/** What is sent: a codec by its encoding name, and how. */
export interface PayloadFormat {
  /** One of the names in `codecs/registry.ts`. */
  readonly name: string;
  /** As agreed on in SDP. */
  readonly payloadType: number;
  /** What the other side asks for: the value of its `a=fmtp` line. */
  readonly fmtp?: string;
  /** Of speech in a packet, `a=ptime` (RFC 8866 §6.4), in ms: a multiple of 10; 20 by default. */
  readonly ptimeMs?: number;
  /** Of what is coded and decoded, in Hz; by default the codec's most natural. */
  readonly sampleRate?: number;
}

export interface LegOptions {
  /** Literal local address the RTP and RTCP ports are bound to. */
  readonly address: string;
  /** Encoding names of what may be agreed on: loaded by the time the leg is open. */
  readonly codecs?: readonly string[];
}

export interface LegSettings {
  /** Where RTP is sent; RTCP goes to `rtcp`, by default the next port (RFC 3550 §11). */
  readonly remote: Endpoint;
  readonly rtcp?: Endpoint;
  /** What is sent; also accepted on receipt, beside every other codec the engine knows. */
  readonly format: PayloadFormat;
  readonly send: boolean;
  readonly receive: boolean;
  /** Under which number packets carry their audio level (RFC 6464); absent: not at all. */
  readonly audioLevel?: number;
  /** RTP/AVPF (RFC 4585): RTCP reports may come sooner. */
  readonly rtcpFeedback?: boolean;
  /** The far end takes extended RTCP reports (RFC 3611). */
  readonly rtcpExtended?: boolean;
  /** SRTP; absent: packets are plain. */
  readonly security?: LegSecurity;
  /** Keys that are pressed, as agreed on in SDP; absent: the other side knows no telephone-event. */
  readonly events?: EventFormat;
  /** Payload type of comfort noise (RFC 3389), where both sides have it. */
  readonly comfortNoise?: number;
  /** Pauses of the voice are described by comfort noise in place of being sent; by default, or without it, not. */
  readonly suppressSilence?: boolean;
  /** Whether the tones of keys are listened for in the voice; by default not. */
  readonly hearTones?: boolean;
}

/** Telephone-event (RFC 4733). */
export interface EventFormat {
  readonly payloadType: number;
  /** Of durations, in Hz. */
  readonly clockRate: number;
}

/** How digits travel with the voice: as named events (RFC 4733), or as their tones. */
export type DigitWay = 'events' | 'tones';

export interface SentDigits {
  /** Of 0 to 9, *, #, A to D: see `parseDigits`. */
  readonly digits: string;
  readonly by: DigitWay;
  /** How long each lasts; 100 by default. */
  readonly toneMs?: number;
  /** Between two; 80 by default. */
  readonly gapMs?: number;
}

/** A digit that the other side pressed. */
export interface HeardDigit {
  readonly digit: string;
  readonly by: DigitWay;
  /** How long it was pressed, once it is over; undefined when it begins. */
  readonly ms: number | undefined;
}

/** Keys of SRTP, one for each direction. */
export interface LegSecurity {
  readonly send: LegKey;
  readonly receive: LegKey;
}

export interface LegKey {
  /** By its SDP name; `srtp/suites.ts` lists those there are. */
  readonly suite: string;
  /** Master key, then master salt. */
  readonly master: Uint8Array;
  /** RTP packets it may protect; by default what RFC 3711 §9.2 allows. */
  readonly lifetime?: number;
}

export interface LegStatistics {
  readonly packetsSent: number;
  readonly packetsReceived: number;
  /** Expected and never arrived (RFC 3550 §6.4.1). */
  readonly packetsLost: number;
  readonly packetsLate: number;
  readonly packetsDuplicate: number;
  /** Neither valid RTP nor of this leg's source. */
  readonly packetsRefused: number;
  readonly sendErrors: number;
  readonly concealedFrames: number;
  /** Interarrival jitter, RFC 3550 §6.4.1. */
  readonly jitterMs: number;
  /** Of `concealedFrames`, the time that was made up. */
  readonly concealedMs: number;
  /** Times there was nothing to play amid a stream. */
  readonly underruns: number;
  /** Packets dropped because they would have waited too long. */
  readonly overruns: number;
  /** By which sound was lengthened and shortened to change the delay. */
  readonly stretchedMs: number;
  readonly compressedMs: number;
  /** How long a packet waits before it is played. */
  readonly bufferMs: number;
  /** How long the fastest packets wait, and how long they shall. */
  readonly depthMs: number;
  readonly targetMs: number;
  /** From RTCP reports; undefined until the far end has sent one. */
  readonly roundTripMs: number | undefined;
  /** How the far end sounds here, estimated; undefined before it was heard. */
  readonly quality: VoiceQuality | undefined;
  /** How we arrive there, as the far end reports; undefined until it has. */
  readonly farEnd: FarEnd | undefined;
  /** Since the last RTP packet; undefined before the first. */
  readonly silentForMs: number | undefined;
}

/** One element of the graph. */
export interface MediaNode {
  /**
   * Idempotent; its arrows go with it. A recorder's file is complete when this resolves; it rejects
   * with `CodedError` `RECORDING_INCOMPLETE` if the disk failed on the way.
   */
  close(): Promise<void>;
}

/** One RTP stream each way: source and sink. */
export interface MediaLeg extends MediaNode {
  /** The RTP port (even) it was opened with; RTCP is on the next. */
  readonly port: number;
  configure(settings: LegSettings): void;
  /**
   * Goes on at another address of ours: the same streams, numbers and keys. Resolves with the RTP port there, the
   * same where it is free. Rejects as `openLeg`, and all is as it was.
   */
  move(address: string): Promise<number>;
  /**
   * Sends digits in place of the voice, after those that are being sent; they wait while the leg does not send.
   * Resolves when they are sent, or the leg is closed. Rejects with `CodedError` `NO_EVENTS`.
   */
  sendDigits(digits: SentDigits): Promise<void>;
  /** `listener`, and no other, is told of each digit that comes when it begins, and again when it is over. */
  listenForDigits(listener: (heard: HeardDigit) => void): void;
  statistics(): Promise<LegStatistics>;
}

export interface Player extends MediaNode {
  /** It plays only while something is connected to hear it. Resolves when the last sample has been handed on (never for a loop), or the player was closed. */
  readonly ended: Promise<void>;
}

/** What is done to a voice before anybody hears it; what is left out is not. */
export interface VoiceProcessing {
  /** Takes noise away; the voice comes 10 to 15 ms later. */
  readonly noiseSuppression?: boolean;
  /** Brings speech to -26 dBov, by -12 to +18 dB. */
  readonly gainControl?: boolean;
  /** Tells when somebody begins and ceases to speak. */
  readonly voiceActivity?: boolean;
}

export type ToneSpec = {
  /** 0 for silence; up to four frequencies are added. */
  readonly frequencies: readonly number[];
  /** Omitted: for ever. */
  readonly ms?: number;
  /** In a loop: the first time only. */
  readonly once?: boolean;
}[];

export interface MediaEngine extends Service {
  /** Rejects with `CodedError` `CODEC_UNAVAILABLE` too. */
  openLeg(options: LegOptions): Promise<MediaLeg>;
  /**
   * Whoever is connected to it and from it hears all others, never itself (N-1). With `speakers` only so many are
   * heard at a time, the loudest; who claims to be quiet (RFC 6464) is then not even decoded.
   */
  openMix(options?: { speakers?: number }): Promise<MediaNode>;
  /** Plays a WAV file. Throws `CodedError` `NO_SUCH_FILE`, `BAD_WAV`. */
  openPlayer(options: { file: string; loop?: boolean }): Promise<Player>;
  /**
   * Plays tones in turn, then ends (or starts again with `loop`). `levelDbm0` is the level of each
   * frequency, by default -13. Throws `CodedError` `BAD_TONE`.
   */
  openTone(options: {
    tones: ToneSpec;
    loop?: boolean;
    levelDbm0?: number;
    /** Of its frames in Hz, 8000, 16000 or 48000; by default the lowest that holds its frequencies. */
    sampleRate?: number;
  }): Promise<Player>;
  /**
   * What `source` brings is processed from now on, in place of what was asked for before. Rejects with `CodedError`
   * `PROCESSING_UNAVAILABLE`, `NOT_CONNECTABLE` where it brings nothing of its own.
   *
   * @param onVoice told whether somebody speaks, at each change, with `voiceActivity`
   */
  process(
    source: MediaNode,
    processing: VoiceProcessing,
    onVoice?: (speaking: boolean) => void,
  ): Promise<void>;
  /** Writes what it hears to a WAV file (16-bit linear, mono). Throws `CodedError` `FILE_NOT_WRITABLE`. */
  openRecorder(options: { file: string }): Promise<MediaNode>;
  /**
   * `to` hears `from`, `gain` times as loud (1 by default; connecting again changes it). A leg connected to itself
   * is an echo.
   * Throws `CodedError` `NOT_CONNECTABLE` for an arrow from a recorder, to a player, or between mixes.
   */
  connect(from: MediaNode, to: MediaNode, gain?: number): void;
  disconnect(from: MediaNode, to: MediaNode): void;
  /** `by` hears and is heard in place of `node`, which keeps no arrow. */
  replace(node: MediaNode, by: MediaNode): void;
}
