/**
 * Signals and their analysis: level and frequency of what was heard, and a chirp from which each
 * sample's place can be told. Samples are 16-bit, as frames and WAV files hold them.
 */

/** Half the power of a full-scale square wave: 0 dB here is a full-scale sine. */
const FULL_SCALE_SINE_POWER = 32767 ** 2 / 2;
/** A place in a signal is recognised by this many samples. */
const KEY_SAMPLES = 16;

/** Level against a full-scale sine, in dB; -Infinity for silence. */
export function levelDb(samples: ArrayLike<number>): number {
  let power = 0;
  for (let i = 0; i < samples.length; i++) power += samples[i]! ** 2;
  return 10 * Math.log10(power / samples.length / FULL_SCALE_SINE_POWER);
}

/** Level of one frequency against a full-scale sine, in dB (Goertzel, Hann window). */
export function levelAtDb(samples: ArrayLike<number>, hz: number, sampleRate: number): number {
  const step = (2 * Math.PI * hz) / sampleRate;
  let real = 0;
  let imaginary = 0;
  let weight = 0;
  for (let i = 0; i < samples.length; i++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
    real += samples[i]! * window * Math.cos(step * i);
    imaginary += samples[i]! * window * Math.sin(step * i);
    weight += window;
  }
  return 20 * Math.log10((2 * Math.hypot(real, imaginary)) / weight / 32767);
}

/** Frequency of a lone sine in Hz, from its first to its last rising zero crossing. */
export function frequencyHz(samples: ArrayLike<number>, sampleRate: number): number {
  let crossings = -1;
  let first = 0;
  let last = 0;
  for (let i = 1; i < samples.length; i++) {
    const before = samples[i - 1]!;
    const after = samples[i]!;
    if (before >= 0 || after < 0) continue;
    last = i - after / (after - before);
    if (++crossings === 0) first = last;
  }
  return crossings < 1 ? 0 : (crossings * sampleRate) / (last - first);
}

export function sine(
  hz: number,
  samples: number,
  sampleRate: number,
  amplitude = 10_000,
): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hz * i) / sampleRate)),
  );
}

export interface ChirpOptions {
  readonly samples: number;
  /** In Hz. */
  readonly sampleRate: number;
  readonly amplitude?: number;
}

/** A linear chirp from 300 to 3400 Hz: no two stretches of it are alike. */
export function chirp({ samples, sampleRate, amplitude = 16_000 }: ChirpOptions): Int16Array {
  const fromHz = 300;
  const slope = (3400 - fromHz) / samples;
  return Int16Array.from({ length: samples }, (_, i) => {
    const cycles = (fromHz * i + (slope * i * i) / 2) / sampleRate;
    return Math.round(amplitude * Math.sin(2 * Math.PI * cycles));
  });
}

/** What became of a signal on its way. */
export interface Passage {
  /** Where in `heard` it began; -1 if it was not found. */
  readonly start: number;
  /** Samples heard exactly, in order, from the first. */
  readonly exact: number;
  /** Samples of the signal that were never heard. */
  readonly missing: number;
  /** Samples heard between the signal's first and last that are not its next: repeated or made up. */
  readonly extra: number;
}

/**
 * Follows `expected` (e.g. a chirp after `decode(encode(x))`) through `heard`: where it leaves off,
 * it is sought again further on.
 */
export function follow(heard: Int16Array, expected: Int16Array): Passage {
  const start = begin(heard, expected);
  if (start < 0) return { start, exact: 0, missing: expected.length, extra: 0 };
  let places: Map<number, number[]> | undefined;
  let exact = 0;
  let missing = 0;
  let extra = 0;
  let at = start;
  let next = 0;
  while (next < expected.length && at < heard.length) {
    if (heard[at] === expected[next]) {
      exact++;
      at++;
      next++;
      continue;
    }
    places ??= index(expected);
    const found = resume(heard, expected, places, at, next);
    if (!found) break;
    extra += found.at - at;
    missing += found.next - next;
    at = found.at;
    next = found.next;
  }
  return { start, exact, missing: missing + expected.length - next, extra };
}

/** Where the first samples are heard: enough of them not to take silence for the beginning. */
function begin(heard: Int16Array, expected: Int16Array): number {
  const length = Math.min(KEY_SAMPLES * 4, expected.length);
  for (let at = 0; at + length <= heard.length; at++) {
    if (alike(heard, at, expected, 0, length)) return at;
  }
  return -1;
}

/** The first place in `heard` from `at` on where any later part of the signal goes on. */
function resume(
  heard: Int16Array,
  expected: Int16Array,
  places: Map<number, number[]>,
  at: number,
  next: number,
): { at: number; next: number } | undefined {
  for (let i = at; i + KEY_SAMPLES <= heard.length; i++) {
    const found = places
      .get(hash(heard, i))
      ?.find(place => place >= next && alike(heard, i, expected, place, KEY_SAMPLES));
    if (found !== undefined) return { at: i, next: found };
  }
  return undefined;
}

/** Where in `samples` each stretch of `KEY_SAMPLES` lies, by its hash. */
function index(samples: Int16Array): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (let at = 0; at + KEY_SAMPLES <= samples.length; at++) {
    const key = hash(samples, at);
    const known = places.get(key);
    if (known) known.push(at);
    else places.set(key, [at]);
  }
  return places;
}

function hash(samples: Int16Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + KEY_SAMPLES; i++) value = (Math.imul(value, 31) + samples[i]!) | 0;
  return value;
}

function alike(a: Int16Array, at: number, b: Int16Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[at + i] !== b[bAt + i]) return false;
  return true;
}

/**
 * What a codec takes for speech: harmonics of a gliding pitch, in syllables of a quarter of a second
 * with pauses between, each with formants of its own.
 */
export function speechLike(samples: number, sampleRate: number): Int16Array {
  const out = new Int16Array(samples);
  let phase = 0;
  for (let i = 0; i < samples; i++) {
    const seconds = i / sampleRate;
    const syllable = Math.floor(seconds * 4);
    const within = seconds * 4 - syllable;
    const loudness = within < 0.8 ? Math.sin((Math.PI * within) / 0.8) : 0;
    phase += (2 * Math.PI * (110 + 25 * Math.sin(seconds * 5) + 8 * (syllable % 3))) / sampleRate;
    const formant = 400 + 250 * (syllable % 4);
    let value = 0;
    for (let harmonic = 1; harmonic <= 20; harmonic++) {
      const hz = 120 * harmonic;
      const gain = 1 / (1 + ((hz - formant) / 250) ** 2) + 0.3 / (1 + ((hz - 2200) / 300) ** 2);
      value += gain * Math.sin(harmonic * phase);
    }
    out[i] = Math.round(4000 * loudness * value);
  }
  return out;
}

/** How far `heard` is from `wanted`, in dB below it. */
export function signalToNoiseDb(wanted: ArrayLike<number>, heard: ArrayLike<number>): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < wanted.length; i++) {
    signal += wanted[i]! ** 2;
    noise += (wanted[i]! - heard[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/** By how many samples `heard` is later than `signal`, at most `most`. */
export function delaySamples(signal: Int16Array, heard: Int16Array, most: number): number {
  let best = 0;
  let highest = Number.NEGATIVE_INFINITY;
  for (let delay = 0; delay <= most; delay++) {
    let likeness = 0;
    for (let i = 0; i + delay < heard.length; i++) likeness += signal[i]! * heard[i + delay]!;
    if (likeness > highest) {
      highest = likeness;
      best = delay;
    }
  }
  return best;
}
