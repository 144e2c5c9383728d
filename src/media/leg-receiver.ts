/**
 * What a leg hears, in whatever codec it comes. Packets of codecs with the same rates share a jitter buffer; where the
 * other side changes to one of other rates, what is on its way or waits is still heard, and then what follows: both
 * have the leg's rate in the end. Pure: time is handed in.
 */
import type { Codec, Decoder } from './codecs/codec.js';
import { FRAME_MS } from './graph.js';
import { JitterBuffer } from './jitter-buffer.js';
import { type JitterStatistics, newJitterStatistics } from './jitter-statistics.js';
import { saturated } from './limiter.js';
import { RateConverter } from './rate-converter.js';
import type { RtpPacket } from './rtp.js';

/** Who sends two codecs in turn cannot keep one of them from being heard for longer than this. */
const MOST_WAIT_MS = 100;

/** Packets of codecs that have these rates. */
class Stream {
  readonly sampleRate: number;
  readonly clockRate: number;
  readonly buffer: JitterBuffer;
  readonly #decoders = new Map<Codec, Decoder>();
  readonly #frame: Int16Array;
  #converter: { readonly rate: number; readonly by: RateConverter } | undefined;
  #converted = new Int32Array(0);

  constructor(sampleRate: number, clockRate: number, statistics: JitterStatistics) {
    this.sampleRate = sampleRate;
    this.clockRate = clockRate;
    const frameSamples = (sampleRate * FRAME_MS) / 1000;
    this.buffer = new JitterBuffer({ sampleRate, clockRate, frameSamples, statistics });
    this.#frame = new Int16Array(frameSamples);
  }

  decoderOf(codec: Codec): Decoder {
    let decoder = this.#decoders.get(codec);
    if (!decoder) {
      decoder = codec.newDecoder({ sampleRate: this.sampleRate });
      this.#decoders.set(codec, decoder);
    }
    return decoder;
  }

  /** @param rate of `frame`, in Hz */
  get(frame: Int16Array, rate: number, nowMs: number): void {
    if (rate === this.sampleRate) {
      this.buffer.get(frame, nowMs);
      return;
    }
    this.buffer.get(this.#frame, nowMs);
    if (this.#converter?.rate !== rate) {
      this.#converter = { rate, by: new RateConverter(this.sampleRate, rate, FRAME_MS) };
      this.#converted = new Int32Array(frame.length);
    }
    this.#converter.by.process(this.#frame, this.#converted);
    for (let i = 0; i < frame.length; i++) frame[i] = saturated(this.#converted[i]!);
  }

  close(): void {
    for (const decoder of this.#decoders.values()) decoder.close?.();
    this.#decoders.clear();
  }
}

export class LegReceiver {
  /** Of the frames that are asked for, in Hz. */
  sampleRate: number;
  readonly #statistics = newJitterStatistics();
  readonly #streams: Stream[] = [];
  /** The rate each codec was agreed on at. */
  readonly #rates = new Map<Codec, number>();
  /** What is heard. */
  #current: Stream;
  /** What comes now, where that is another: it is heard once the current one has said all. */
  #next: Stream | undefined;
  #nextSinceMs = 0;
  /** Of the packets that came, the highest number; undefined before the first. */
  #newest: number | undefined;

  /** @param sampleRate of frames; `clockRate` of RTP timestamps, both in Hz, until another is expected */
  constructor(sampleRate: number, clockRate: number) {
    this.sampleRate = sampleRate;
    this.#current = this.#streamOf(sampleRate, clockRate);
  }

  /** The same object each time, brought up to date. */
  get statistics(): Readonly<JitterStatistics> {
    return this.#current.buffer.statistics;
  }

  /** This codec is agreed on, and frames are of its rate from now on. */
  expect(codec: Codec, sampleRate: number): void {
    this.#rates.set(codec, sampleRate);
    this.sampleRate = sampleRate;
    if (this.#newest === undefined) this.#current = this.#streamOf(sampleRate, codec.clockRate);
  }

  /** Drops what is held; the next packet begins a stream. */
  reset(): void {
    for (const { buffer } of this.#streams) buffer.reset();
    this.#next = undefined;
    this.#newest = undefined;
  }

  /**
   * @param sequence as `JitterBuffer.put` wants it
   * @param codec has to be loaded; undefined where the packet is no sound
   * @param level as `JitterBuffer.put` wants it
   */
  put(sequence: number, packet: RtpPacket, codec: Codec | undefined, level: number): void {
    const stream = codec ? this.#streamFor(codec) : this.#latest;
    const isNews = this.#newest === undefined || sequence > this.#newest;
    if (isNews) {
      this.#newest = sequence;
      this.#follow(stream, packet);
    } else if (stream !== this.#current && stream !== this.#next) {
      // Of before a change: what came since is heard already.
      this.#statistics.late++;
      return;
    }
    const decoder = codec && stream.decoderOf(codec);
    stream.buffer.put(sequence, packet, decoder, level);
  }

  /** Fills `frame`; silence while nothing comes. */
  get(frame: Int16Array, nowMs: number): void {
    const next = this.#turning(nowMs);
    if (next) {
      next.get(frame, this.sampleRate, nowMs);
      if (this.#turned(next)) return;
    }
    this.#current.get(frame, this.sampleRate, nowMs);
  }

  /** As `JitterBuffer.peek`. */
  peek(nowMs: number): number | undefined {
    return (this.#turning(nowMs) ?? this.#current).buffer.peek(nowMs);
  }

  /** As `JitterBuffer.skip`. */
  skip(nowMs: number): void {
    const next = this.#turning(nowMs);
    if (next) {
      next.buffer.skip(nowMs);
      if (this.#turned(next)) return;
    }
    this.#current.buffer.skip(nowMs);
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
  }

  get #latest(): Stream {
    return this.#next ?? this.#current;
  }

  /** The newest packet is of that stream. */
  #follow(stream: Stream, { arrivalMs }: RtpPacket): void {
    if (stream === this.#latest) return;
    // What it held was before a change and another.
    if (stream !== this.#current) stream.buffer.reset();
    this.#next = stream === this.#current ? undefined : stream;
    this.#nextSinceMs = arrivalMs;
  }

  /** The next one, if its turn has come. */
  #turning(nowMs: number): Stream | undefined {
    const isDone = this.#current.buffer.isDrained || nowMs - this.#nextSinceMs > MOST_WAIT_MS;
    return isDone ? this.#next : undefined;
  }

  /** Whether it is heard: else it still waits for its first packet to be due. */
  #turned(next: Stream): boolean {
    if (!next.buffer.playing) return false;
    this.#current = next;
    this.#next = undefined;
    return true;
  }

  #streamFor(codec: Codec): Stream {
    const { sampleRate, clockRate } = this.#latest;
    const agreed = this.#rates.get(codec);
    // Comfort noise is of the codec beside it.
    const suits = codec.clockRate === clockRate && codec.sampleRates.includes(sampleRate);
    if (suits && (agreed === undefined || agreed === sampleRate)) return this.#latest;
    return this.#streamOf(agreed ?? codec.sampleRates[0]!, codec.clockRate);
  }

  #streamOf(sampleRate: number, clockRate: number): Stream {
    for (let i = 0; i < this.#streams.length; i++) {
      const known = this.#streams[i]!;
      if (known.sampleRate === sampleRate && known.clockRate === clockRate) return known;
    }
    const stream = new Stream(sampleRate, clockRate, this.#statistics);
    this.#streams.push(stream);
    return stream;
  }
}
