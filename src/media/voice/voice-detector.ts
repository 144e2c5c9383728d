/** Whether a frame is voice: libfvad, the detector of WebRTC. Loaded when it is first wanted; allocates nothing per frame. */
import type { FvadModule } from '@echogarden/fvad-wasm';

/** 0 takes most for voice, 3 least; from 2 on steady noise is none. */
const MODE = 2;
/** So many frames of voice begin it: a click is none. */
const ATTACK_FRAMES = 2;
/** Pauses between words are shorter than this. */
const HANGOVER_FRAMES = 15;

/** Memory of its own, for as many detectors as wanted. */
export async function loadFvad(): Promise<FvadModule> {
  const { default: load } = await import('@echogarden/fvad-wasm');
  return load();
}

export class VoiceDetector {
  /** Whether somebody speaks: begins after 40 ms of voice, and ends after 300 ms without. */
  speaking = false;
  /** Whether the last frame was voice. */
  voiced = false;
  readonly #fvad: FvadModule;
  readonly #detector: number;
  readonly #frame: number;
  #run = 0;

  static async open(sampleRate: number, frameSamples: number): Promise<VoiceDetector> {
    return new VoiceDetector(await loadFvad(), sampleRate, frameSamples);
  }

  /** @param sampleRate 8000, 16000 or 48000 Hz; frames of 20 ms */
  constructor(fvad: FvadModule, sampleRate: number, frameSamples: number) {
    this.#fvad = fvad;
    this.#detector = fvad._fvad_new();
    this.#frame = fvad._malloc(frameSamples * 2);
    fvad._fvad_set_mode(this.#detector, MODE);
    if (fvad._fvad_set_sample_rate(this.#detector, sampleRate) !== 0) {
      throw new RangeError(`expected 8000, 16000 or 48000 Hz, found ${sampleRate}`);
    }
  }

  process(frame: Int16Array): void {
    const fvad = this.#fvad;
    fvad.HEAP16.set(frame, this.#frame / 2);
    this.voiced = fvad._fvad_process(this.#detector, this.#frame, frame.length) === 1;
    // Frames that speak against what is held, in a row.
    this.#run = this.voiced === this.speaking ? 0 : this.#run + 1;
    if (this.#run < (this.speaking ? HANGOVER_FRAMES : ATTACK_FRAMES)) return;
    this.speaking = !this.speaking;
    this.#run = 0;
  }

  close(): void {
    this.#fvad._fvad_free(this.#detector);
    this.#fvad._free(this.#frame);
  }
}
