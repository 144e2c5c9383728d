/**
 * Tells the pauses of a voice from the voice, and describes what is heard in them: RFC 3389. Pure, and allocates nothing
 * per frame. Rather too much is sent than too little: only what is quiet, has no pitch and is no voice to the detector is
 * left out, once it has lasted; whatever rises above it is sent with the frame it rises in.
 */
import { comfortNoise, NoiseEncoder } from '../codecs/comfort-noise.js';
import { levelOf } from '../frame.js';
import { FRAME_MS } from '../graph.js';
import type { VoiceDetector } from './voice-detector.js';

/** Ends of words are softer than their beginnings, and pauses within a sentence shorter than this. */
const HANGOVER_FRAMES = 200 / FRAME_MS;
/** Noise is described by so much of it: 20 ms of it are not all alike. */
const DESCRIBED_FRAMES = 100 / FRAME_MS;
/** The listener hears at least so often how it is. */
const REFRESH_FRAMES = 400 / FRAME_MS;
/** Sooner where the level has changed by as much as one hears, in dB. */
const CHANGE_DB = 3;
/** What is louder is sent as it is, whatever it may be. */
const LOUDEST_NOISE_DBOV = -38;
/** A frame that rises so far above the noise is no noise any more. */
const RISE_DB = 6;
/** Below this nobody hears what rises. */
const FAINT_DBOV = -75;
/** What can be foretold so well from what was before is a tone, or music; noise as dark as rooms have it is at 11 to 19. */
const TONAL_DB = 26;
/** Of samples under the window: a frame no louder than `LOUDEST_NOISE_DBOV` has none that would not fit. */
const WINDOW_GAIN = 4;

export type Sent =
  /** The frame. */
  | 'voice'
  /** `payload` in its place. */
  | 'noise'
  | 'nothing';

export class SilenceSuppressor {
  /** Of comfort noise, as `octets` says. */
  readonly payload = new Uint8Array(comfortNoise.maxPayloadOctets);
  octets = 0;
  readonly #detector: VoiceDetector;
  readonly #encoder = new NoiseEncoder();
  /** The noise of late, the oldest first. */
  readonly #noise: Int16Array;
  /** Hann's: a tone that a frame cuts off looks like less of one. */
  readonly #window: Float64Array;
  readonly #windowed: Int16Array;
  /** Frames of noise in a row. */
  #quiet = 0;
  #pausing = false;
  #noiseDbov = 0;
  #sentDbov = 0;
  #sinceSent = 0;

  /** @param detector for frames of `frameSamples`; closed with this */
  constructor(detector: VoiceDetector, frameSamples: number) {
    this.#detector = detector;
    this.#noise = new Int16Array(frameSamples * DESCRIBED_FRAMES);
    this.#windowed = new Int16Array(frameSamples);
    this.#window = Float64Array.from({ length: frameSamples }, (_, i) => {
      const turn = (2 * Math.PI * (i + 0.5)) / frameSamples;
      return WINDOW_GAIN * (0.5 - 0.5 * Math.cos(turn));
    });
  }

  /**
   * What is sent of a frame.
   *
   * @param mayPause whether a pause can begin with it: what was said before is all in packets
   */
  next(frame: Int16Array, mayPause: boolean): Sent {
    if (!this.#isNoise(frame)) {
      this.reset();
      return 'voice';
    }
    this.#noise.copyWithin(0, frame.length);
    this.#noise.set(frame, this.#noise.length - frame.length);
    this.#quiet++;
    if (!this.#pausing && (this.#quiet <= HANGOVER_FRAMES || !mayPause)) return 'voice';
    this.#noiseDbov = levelOf(this.#noise);
    this.#sinceSent++;
    if (this.#pausing && !this.#isNews()) return 'nothing';
    this.#pausing = true;
    this.#sinceSent = 0;
    this.#sentDbov = this.#noiseDbov;
    this.octets = this.#encoder.encode(this.#noise, this.payload, 0);
    return 'noise';
  }

  /** Something else was sent: a pause begins no sooner than after a voice. */
  reset(): void {
    this.#quiet = 0;
    this.#pausing = false;
  }

  close(): void {
    this.#detector.close();
  }

  #isNoise(frame: Int16Array): boolean {
    this.#detector.process(frame);
    if (this.#detector.voiced) return false;
    const level = levelOf(frame);
    if (level > LOUDEST_NOISE_DBOV) return false;
    if (this.#pausing && level > Math.max(this.#noiseDbov, FAINT_DBOV) + RISE_DB) return false;
    const windowed = this.#windowed;
    for (let i = 0; i < frame.length; i++) windowed[i] = Math.round(frame[i]! * this.#window[i]!);
    return this.#encoder.predictionGainDb(windowed) < TONAL_DB;
  }

  #isNews(): boolean {
    if (this.#sinceSent >= REFRESH_FRAMES) return true;
    const changed = Math.abs(this.#noiseDbov - this.#sentDbov) >= CHANGE_DB;
    return changed && this.#sinceSent >= DESCRIBED_FRAMES;
  }
}
