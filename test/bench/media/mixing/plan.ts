/** What the two processes of the mixing benchmark tell each other. */

/** One load on the mixer. */
export interface Plan {
  readonly codec: string;
  readonly sampleRate: number;
  readonly payloadType: number;
  readonly members: number;
  /** How many of them talk; the others send silence. */
  readonly talkers: number;
  /** Places of the mix; absent: everybody is mixed. */
  readonly speakers?: number;
  /** Whether voice is encrypted, by the suite that ordinary phones use. */
  readonly srtp: boolean;
  readonly seconds: number;
}

/** Under which number packets carry their levels. */
export const AUDIO_LEVEL_ID = 1;
export const SRTP_SUITE = 'AES_CM_128_HMAC_SHA1_80';

/** One key for all, of the benchmark's own making. */
export const SRTP_KEY = {
  suite: SRTP_SUITE,
  master: Uint8Array.from({ length: 30 }, (_, i) => 7 * i + 1),
};

/** Before it is looked at what is heard, and how late ticks are: the compiler works, buffers find their depth. */
export const WARM_UP_MS = 4000;

export type ToMixer =
  | { readonly type: 'open'; readonly plan: Plan }
  | { readonly type: 'talk-to'; readonly ports: readonly number[] }
  /** Everything is warm: what is measured begins. */
  | { readonly type: 'restart' }
  | { readonly type: 'statistics' }
  | { readonly type: 'stop' };

export type FromMixer =
  | { readonly type: 'opened'; readonly ports: readonly number[] }
  | { readonly type: 'ready' }
  | { readonly type: 'statistics'; readonly statistics: MixerStatistics };

export interface MixerStatistics {
  /** Of the whole process, in ms. */
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly ticks: number;
  readonly latenessP99Ms: number;
  readonly latenessMaxMs: number;
  readonly stagesMs: Readonly<Record<string, number>>;
  readonly concealedMs: number;
  readonly residentMegabytes: number;
}

export type ToGenerator =
  | { readonly type: 'open'; readonly plan: Plan }
  | { readonly type: 'run'; readonly ports: readonly number[] };

export type FromGenerator =
  | { readonly type: 'opened'; readonly ports: readonly number[] }
  | { readonly type: 'heard'; readonly heard: Heard };

/** What the members heard. */
export interface Heard {
  readonly received: number;
  readonly missing: number;
  readonly gapP99Ms: number;
  readonly gapMaxMs: number;
  /** Members that had a gap over 60 ms. */
  readonly gapsOver60: number;
  /** Later than the stream's own clock, the most. */
  readonly lateMaxMs: number;
  readonly lateP99Ms: number;
  /** Of the talkers' levels at some listeners, from what they should be: most and median. */
  readonly worstDb: number;
  readonly medianDb: number;
  /** All talkers together at these listeners, from what the codec alone makes of them, coded twice: the most. */
  readonly togetherDb: number;
  /** What the codec alone makes of that level. */
  readonly codecDb: number;
  /** Own voice of a talker that listens; undefined where none of the listeners talks. */
  readonly ownDb: number | undefined;
  /** Sending fell behind by so much at worst: the generator's own fault. */
  readonly generatorLateMs: number;
}

/** Hz of a member's tone: every 5 Hz, so that 200 ms tell them apart. */
export function toneOf(member: number, members: number): number {
  const step = Math.max(5, Math.floor(3000 / members / 5) * 5);
  return 300 + member * step;
}

/** A second of it; the phases are spread (Schroeder), so that all tones together have no peaks. */
export function toneFrames(member: number, { members, talkers, sampleRate }: Plan): Int16Array {
  const amplitude = amplitudeOf(talkers);
  const phase = (Math.PI * member * member) / members;
  const step = (2 * Math.PI * toneOf(member, members)) / sampleRate;
  return Int16Array.from({ length: sampleRate }, (_, i) =>
    Math.round(amplitude * Math.sin(step * i + phase)),
  );
}

/** Amplitude at which all talkers together do not fill 16 bits. */
export function amplitudeOf(talkers: number): number {
  return Math.min(4000, Math.round(9000 / Math.sqrt(talkers)));
}
