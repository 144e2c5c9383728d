/** What is done to a voice between where it comes from and who hears it: noise, level, and whether somebody speaks. */
import { asError, CodedError } from '../../core/errors.js';
import type { VoiceProcessing } from '../engine.js';
import { FRAME_MS, type FrameFilter } from '../graph.js';
import { GainControl } from './gain-control.js';
import { NoiseSuppressor } from './noise-suppressor.js';
import { VoiceDetector } from './voice-detector.js';

export class VoiceProcessor implements FrameFilter {
  readonly #noise: NoiseSuppressor | undefined;
  readonly #detector: VoiceDetector | undefined;
  readonly #gain: GainControl | undefined;
  readonly #onVoice: (speaking: boolean) => void;
  #speaking = false;

  /**
   * @param sampleRate of the frames in Hz
   * @param onVoice told when somebody begins and ceases to speak, where that was asked for
   * @throws {CodedError} `PROCESSING_UNAVAILABLE`
   */
  static async open(
    { noiseSuppression, gainControl, voiceActivity }: VoiceProcessing,
    sampleRate: number,
    onVoice: (speaking: boolean) => void,
  ): Promise<VoiceProcessor> {
    const samples = (sampleRate * FRAME_MS) / 1000;
    let noise: NoiseSuppressor | undefined;
    try {
      noise = noiseSuppression ? await NoiseSuppressor.open(sampleRate) : undefined;
      const listens = gainControl || voiceActivity;
      const detector = listens ? await VoiceDetector.open(sampleRate, samples) : undefined;
      const gain = gainControl ? new GainControl(samples) : undefined;
      return new VoiceProcessor(noise, detector, gain, voiceActivity ? onVoice : () => undefined);
    } catch (cause) {
      noise?.close();
      throw processingUnavailable(cause);
    }
  }

  private constructor(
    noise: NoiseSuppressor | undefined,
    detector: VoiceDetector | undefined,
    gain: GainControl | undefined,
    onVoice: (speaking: boolean) => void,
  ) {
    this.#noise = noise;
    this.#detector = detector;
    this.#gain = gain;
    this.#onVoice = onVoice;
  }

  process(frame: Int16Array): void {
    this.#noise?.process(frame);
    const detector = this.#detector;
    if (!detector) return;
    detector.process(frame);
    this.#gain?.process(frame, detector.voiced);
    if (detector.speaking === this.#speaking) return;
    this.#speaking = detector.speaking;
    this.#onVoice(this.#speaking);
  }

  close(): void {
    this.#noise?.close();
    this.#detector?.close();
  }
}

export function processingUnavailable(cause: unknown): CodedError {
  const message = `expected to load what processes a voice, found: ${asError(cause).message}`;
  return new CodedError('PROCESSING_UNAVAILABLE', message, {
    cause,
    remedy: 'Install the packages again with `npm ci`.',
  });
}
