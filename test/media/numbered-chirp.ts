/**
 * A chirp whose every tenth of a second is told from all others for two minutes: it rises and falls between low and high
 * corners, and no two rises, and no two falls, join the same pair. Within a section the frequency moves so fast that
 * a frame in another place is out of step with it, also after a codec that changes every sample.
 */

/** Corners of each kind; coprime to the strides, so that all are visited. */
const CORNERS = 25;
const CORNER_STEP_HZ = 40;
const LOW_HZ = 500;
const HIGH_HZ = 2000;
/** Neighbours in time are far apart in frequency. */
const LOW_STRIDE = 7;
const HIGH_STRIDE = 11;
export const SECTIONS_PER_SECOND = 10;
/** Rises and falls until one comes again. */
export const SECTIONS = 2 * CORNERS * CORNERS;

/** Frequency in Hz at which section `section` begins. */
export function cornerHz(section: number): number {
  const rise = Math.floor(section / 2) % (CORNERS * CORNERS);
  const low = rise % CORNERS;
  // Each round goes to high corners one further on, and back to the next low one: another pair each time.
  const high = low + Math.floor(rise / CORNERS);
  return section % 2 === 0
    ? LOW_HZ + CORNER_STEP_HZ * ((LOW_STRIDE * low) % CORNERS)
    : HIGH_HZ + CORNER_STEP_HZ * ((HIGH_STRIDE * high) % CORNERS);
}

/** @param sampleRate in Hz, of which a section is a whole number of samples */
export function numberedChirp(samples: number, sampleRate: number, amplitude = 16_000): Int16Array {
  const length = sampleRate / SECTIONS_PER_SECOND;
  const out = new Int16Array(samples);
  let cycles = 0;
  for (let i = 0; i < samples; i++) {
    const section = Math.floor(i / length);
    const [from, to] = [cornerHz(section), cornerHz(section + 1)];
    out[i] = Math.round(amplitude * Math.sin(2 * Math.PI * cycles));
    cycles += (from + ((to - from) * (i % length)) / length) / sampleRate;
  }
  return out;
}
