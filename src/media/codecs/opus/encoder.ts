/** One stream's Opus encoder: what its receiver asked for, and how it adapts to how the stream fares. */
import type { CodingOptions, Conditions, Encoder } from '../codec.js';
import { type OpusParameters, readOpusParameters } from './fmtp.js';
import { CONTROL, type OpusEncoderState, type OpusLibrary, SIGNAL_VOICE } from './library.js';

/** Speech without audible loss, a little above the sweet spots of RFC 7587 §3.1.1: bit/s by highest sample rate. */
const BITRATES: readonly [maxRate: number, bitrate: number][] = [
  [8000, 16_000],
  [16_000, 24_000],
  [48_000, 32_000],
];
/** OPUS_BANDWIDTH_NARROWBAND to _FULLBAND (opus_defines.h), by the rate that carries them (RFC 6716 §2). */
const BANDWIDTHS: readonly [rate: number, bandwidth: number][] = [
  [8000, 1101],
  [12_000, 1102],
  [16_000, 1103],
  [24_000, 1104],
  [48_000, 1105],
];

/** 0 to 10; half of libopus' effort gives nearly all of its quality for speech. */
const FIRST_COMPLEXITY = 5;
const MAX_COMPLEXITY = 8;
/** Fractions of the time there is for coding, from which complexity falls and below which it rises. */
const BUSY_LOAD = 0.7;
const IDLE_LOAD = 0.4;
/** Above this loss the path may be overfull: we send less. Below the other we send more again. */
const HEAVY_LOSS = 0.1;
const LIGHT_LOSS = 0.03;
const BITRATE_STEP = 0.9;
/** Of the bitrate: with less libopus repeats nothing any more, and that is the better help. */
const LEAST_SHARE = 0.8;
/** One lossy report does not say how the next seconds will be. */
const LOSS_SMOOTHING = 0.5;
/** Packets of this length or less need not be sent (opus_encode in opus.h); the first says that none will follow. */
const DTX_OCTETS = 2;

export class OpusEncoder implements Encoder {
  readonly #state: OpusEncoderState;
  readonly #parameters: OpusParameters;
  readonly #bestBitrate: number;
  #bitrate: number;
  #complexity = FIRST_COMPLEXITY;
  #lossPercent = 0;
  #loss = 0;
  #silent = false;

  constructor(library: OpusLibrary, { sampleRate, fmtp }: CodingOptions) {
    const parameters = readOpusParameters(fmtp);
    const rate = Math.min(sampleRate, parameters.maxPlaybackRate);
    this.#parameters = parameters;
    this.#bestBitrate = Math.min(atLeast(BITRATES, rate), parameters.maxAverageBitrate);
    this.#bitrate = this.#bestBitrate;
    const state = library.newEncoder(sampleRate);
    this.#state = state;
    state.control(CONTROL.signal, SIGNAL_VOICE);
    state.control(CONTROL.maxBandwidth, atMost(BANDWIDTHS, parameters.maxPlaybackRate));
    state.control(CONTROL.vbr, parameters.cbr ? 0 : 1);
    state.control(CONTROL.inbandFec, parameters.inbandFec ? 1 : 0);
    state.control(CONTROL.dtx, parameters.dtx ? 1 : 0);
    state.control(CONTROL.bitrate, this.#bitrate);
    state.control(CONTROL.complexity, this.#complexity);
  }

  encode(frame: Int16Array, out: Uint8Array, at: number): number {
    const octets = this.#state.encode(frame, out, at);
    if (octets < 0) return 0;
    const told = this.#silent;
    this.#silent = this.#parameters.dtx && octets <= DTX_OCTETS;
    return this.#silent && told ? 0 : octets;
  }

  adapt({ lossFraction, load }: Conditions): void {
    this.#loss += (lossFraction - this.#loss) * LOSS_SMOOTHING;
    this.#setLoss(Math.round(this.#loss * 100));
    if (this.#loss > HEAVY_LOSS) this.#setBitrate(this.#bitrate * BITRATE_STEP);
    else if (this.#loss < LIGHT_LOSS) this.#setBitrate(this.#bitrate / BITRATE_STEP);
    if (load > BUSY_LOAD) this.#setComplexity(this.#complexity - 1);
    else if (load < IDLE_LOAD) this.#setComplexity(this.#complexity + 1);
  }

  close(): void {
    this.#state.close();
  }

  /** What libopus expects to be lost decides how much it repeats. */
  #setLoss(percent: number): void {
    if (percent === this.#lossPercent) return;
    this.#lossPercent = percent;
    this.#state.control(CONTROL.packetLossPercent, percent);
  }

  #setBitrate(wanted: number): void {
    const best = this.#bestBitrate;
    const bitrate = Math.round(Math.min(best, Math.max(best * LEAST_SHARE, wanted)));
    if (bitrate === this.#bitrate) return;
    this.#bitrate = bitrate;
    this.#state.control(CONTROL.bitrate, bitrate);
  }

  #setComplexity(wanted: number): void {
    const complexity = Math.min(MAX_COMPLEXITY, Math.max(0, wanted));
    if (complexity === this.#complexity) return;
    this.#complexity = complexity;
    this.#state.control(CONTROL.complexity, complexity);
  }
}

/** The value of the first entry whose rate is not below `rate`. */
function atLeast(table: readonly [number, number][], rate: number): number {
  return (table.find(([limit]) => limit >= rate) ?? table.at(-1)!)[1];
}

/** The value of the last entry whose rate is not above `rate`. */
function atMost(table: readonly [number, number][], rate: number): number {
  return (table.findLast(([limit]) => limit <= rate) ?? table[0]!)[1];
}
